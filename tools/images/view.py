"""A view of an image: cropped, resized, letterboxed, turned or mirrored pixels that still know where they come from.

Each step takes frame, scale, the box that the scale holds in, and the place in the world along; none is ever defaulted.
``save`` keeps them in the PNG, and ``open_image`` reads them back.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fiducial.tools.frames import (
    FrameError,
    FrameMap2D,
    PlaneMap,
    crop_map,
    flip_map,
    letterbox,
    resize_map,
    rotate90_map,
    rotate_map,
)
from fiducial.tools.images.fitted import letterboxed, resized
from fiducial.tools.images.image import Image
from fiducial.tools.images.orientation import NAMES, oriented
from fiducial.tools.images.save import save_png
from fiducial.tools.record import BoxXYXY, Scale


@dataclass(frozen=True, eq=False)
class View:
    """Pixels of (a part of) an image, upright as displayed.

    rgb_u8: (h, w, 3) uint8. values: (h, w) float32 in the image's unit; None for colour.
    from_stored: from the stored pixels of the file (the record's coordinates) to the pixels of this view.
    scale: mm per pixel of this view; scale_box_xyxy_px: where it holds, in this view's pixels; None for everywhere.
    world: from this view's pixels to mm, LPS; None where the file has no place in the patient.
    """

    rgb_u8: NDArray[np.uint8]
    values: NDArray[np.float32] | None
    from_stored: FrameMap2D
    scale: Scale | None
    scale_box_xyxy_px: BoxXYXY | None
    world: PlaneMap | None

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height."""
        return self.rgb_u8.shape[1], self.rgb_u8.shape[0]

    def crop(self, box_xyxy_px: Sequence[float]) -> View:
        """The part in a box of this view's pixels, out to whole pixels and within the view.

        Raises FrameError for a box of which nothing is inside.
        """
        width, height = self.size_px
        x0, y0 = (max(0, math.floor(v)) for v in box_xyxy_px[:2])
        x1, y1 = (min(side, math.ceil(v)) for v, side in zip(box_xyxy_px[2:], (width, height), strict=True))
        step = crop_map((x0, y0, x1, y1))
        return self._moved(step, lambda pixels: pixels[y0:y1, x0:x1], (x1 - x0, y1 - y0))

    def resize(self, width_px: int, height_px: int) -> View:
        """The whole at another size, corner to corner, averaged where it shrinks."""
        step = resize_map(*self.size_px, width_px, height_px, name="")
        return self._moved(step, lambda pixels: resized(pixels, width_px, height_px), (width_px, height_px))

    def letterbox(self, width_px: int, height_px: int) -> View:
        """Fitted into another size with its proportions kept, centred on black (values: NaN)."""
        fit = letterbox(*self.size_px, width_px, height_px)
        return self._moved(fit.map, lambda pixels: letterboxed(pixels, fit), (width_px, height_px))

    def turn(self, quarter_turns: int) -> View:
        """Turned by quarter turns clockwise."""
        step, (width, height) = rotate90_map(*self.size_px, quarter_turns), self.size_px
        size = (height, width) if quarter_turns % 2 else (width, height)
        return self._moved(step, lambda pixels: np.rot90(pixels, -quarter_turns), size)

    def rotate(self, angle_deg: float) -> View:
        """Turned clockwise about its middle by any angle, on black (values: NaN); between pixels, the nearest is taken.

        The scale is kept where pixels are square; where they are not, rows and columns would be sheared and it is lost.
        So is one that holds in a part of the image only, which is then no upright box.
        """
        step = rotate_map(*self.size_px, angle_deg)
        width, height = math.ceil((step.target.width or 0) - 1e-9), math.ceil((step.target.height or 0) - 1e-9)
        y, x = np.mgrid[:height, :width] + 0.5
        there = np.floor(step.inverse().points(np.stack([x, y], axis=-1).reshape(-1, 2))).astype(np.int64)
        inside = ((there >= 0) & (there < self.size_px)).all(axis=1)

        def turned(pixels: NDArray[Any]) -> NDArray[Any]:
            shape = (height * width, *pixels.shape[2:])
            canvas = np.full(shape, np.nan if pixels.dtype.kind == "f" else 0, pixels.dtype)
            canvas[inside] = pixels[there[inside, 1], there[inside, 0]]
            return canvas.reshape(height, width, *pixels.shape[2:])

        return self._moved(step, turned, (width, height))

    def flip(self, axis: Literal["x", "y"]) -> View:
        """Mirrored left and right (x) or up and down (y)."""
        step = flip_map(*self.size_px, axis)
        return self._moved(step, lambda pixels: np.flip(pixels, 1 if axis == "x" else 0), self.size_px)

    def save(self, path: str | Path) -> None:
        """Write as PNG, with scale, where it holds, and place in the world inside; ``open_image`` reads them back."""
        save_png(path, self.rgb_u8, self.scale, self.scale_box_xyxy_px, self.world)

    def _moved(self, step: FrameMap2D, change: Any, size: tuple[int, int]) -> View:
        """All parts through one step. change: makes the new pixels of an array (h, w, …); size: their width, height."""
        step = FrameMap2D(step.matrix)  # frames are named by size, which rounding to whole pixels may change
        scale, box = _scale_through(self.scale, step), self.scale_box_xyxy_px
        if box is not None and _oblique(step):  # the box around a turned one reaches beyond the region
            scale, box = None, None
        if box is not None:
            x0, y0, x1, y1 = step.box_xyxy(box)
            box = (max(0.0, x0), max(0.0, y0), min(float(size[0]), x1), min(float(size[1]), y1))
            if box[0] >= box[2] or box[1] >= box[3]:
                scale, box = None, None
        return replace(
            self,
            rgb_u8=np.ascontiguousarray(change(self.rgb_u8)),
            values=None if self.values is None else np.ascontiguousarray(change(self.values)),
            from_stored=FrameMap2D(self.from_stored.matrix).then(step),
            scale=scale,
            scale_box_xyxy_px=box,
            world=None if self.world is None else plane_through(self.world, step),
        )


def view(image: Image) -> View:
    """The whole of an image, as displayed."""
    number = next(number for number, name in NAMES.items() if name == image.orientation)
    to_view = FrameMap2D(image.stored_to_display.matrix)
    box = image.scale_box_xyxy_px
    return View(
        image.rgb_u8,
        None if image.values is None else oriented(image.values, number),
        to_view,
        _scale_through(image.info.scale, to_view),
        None if box is None else to_view.box_xyxy(box),
        None if image.stored_to_world is None else plane_through(image.stored_to_world, to_view),
    )


def plane_through(plane: PlaneMap, step: FrameMap2D) -> PlaneMap:
    """The map to the world from the pixels that a step leads to."""
    back = step.inverse()
    x, y = back.vectors(np.eye(2))
    steps = np.stack([plane.step_x_mm, plane.step_y_mm])
    return PlaneMap(plane.points(back.points((0.0, 0.0))), x @ steps, y @ steps)


def _scale_through(scale: Scale | None, step: FrameMap2D) -> Scale | None:
    try:
        return None if scale is None else step.scale(scale)
    except FrameError:
        return None


def _oblique(step: FrameMap2D) -> bool:
    """Whether a map turns upright boxes into others: by other angles than quarter turns."""
    size = np.abs(step.linear)
    return int(np.count_nonzero(size > 1e-9 * size.max())) > 2
