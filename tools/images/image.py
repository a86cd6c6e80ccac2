"""An opened image: what is shown, what is stored, and how the two and the world are related."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fiducial.tools.frames import Floats, FrameMap2D, PlaneMap
from fiducial.tools.images.orientation import NAMES, oriented
from fiducial.tools.record import BoxXYXY, ImageInfo, Plane


@dataclass(frozen=True, eq=False)
class Image:
    """One image, or one slice or frame of a larger file. All arrays are read-only; copy before writing.

    info: path, hash, size of the *stored* pixels, scale of the stored pixels or the reason why there is none.
    rgb_u8: (display height, display width, 3) uint8, as displayed: turned upright, windowed, MONOCHROME1 inverted.
    stored_to_display: from stored pixels (the record's coordinates) to the pixels of rgb_u8.
    values: (height_px, width_px) float32, stored pixels, rescaled to values_unit; None for colour.
    values_unit: "HU" for CT, the file's own unit where it names one, "stored value" otherwise; None without values.
    stored_to_world: from stored pixels to mm, LPS; None where the file has no position in the patient.
    slice_count: how many slices or frames there are to choose from along the chosen plane; slice_index: which is this.
    frame: which frame or page as stored, or which of the volumes of a fourth axis; None where the frames are the slices
    of one volume, and of a single image; frame_count: how many there are.
    plane: the anatomical plane nearest to the slice; None where that is unknown or has no meaning.
    slice_step_mm: (3,) the way in the world from this slice to the next, mm, LPS; None where there is no next or the
    distance is unknown. stored_to_world leads to the middle of the slice's thickness.
    notes: what was found on the way that a reader should know, one sentence each.
    """

    info: ImageInfo
    rgb_u8: NDArray[np.uint8]
    stored_to_display: FrameMap2D
    values: NDArray[np.float32] | None
    values_unit: str | None
    format: str
    modality: str | None
    orientation: str
    stored_to_world: PlaneMap | None
    slice_count: int
    slice_index: int
    frame: int | None = None
    frame_count: int = 1
    plane: Plane | None = None
    slice_step_mm: Floats | None = None
    notes: tuple[str, ...] = ()

    @property
    def scale_box_xyxy_px(self) -> BoxXYXY | None:
        """The scale holds only inside this box (an ultrasound region), stored pixels; None for everywhere."""
        return self.info.scale_box_xyxy_px

    @property
    def stored_rgb_u8(self) -> NDArray[np.uint8]:
        """(height_px, width_px, 3) uint8: what is shown, turned back to stored pixels, the frame of every region."""
        number = next(key for key, name in NAMES.items() if name == self.orientation)
        # The two quarter turns undo each other; every other orientation undoes itself.
        return oriented(self.rgb_u8, {6: 8, 8: 6}.get(number, number))

    def __repr__(self) -> str:
        scale = self.info.scale
        spacing = f"row {scale.row_mm:g}, column {scale.column_mm:g} mm/px ({scale.source})" if scale else "no scale"
        shown = f"{self.rgb_u8.shape[1]}×{self.rgb_u8.shape[0]}"
        stored = f"{self.info.width_px}×{self.info.height_px}"
        which = f"{self.plane or ''} slice {self.slice_index + 1} of {self.slice_count}".strip()
        return (
            f"Image({self.info.path!r}, {self.format}, stored {stored}, shown {shown}, orientation {self.orientation},"
            f" {spacing}, values {self.values_unit or 'none'}, {which})"
        )
