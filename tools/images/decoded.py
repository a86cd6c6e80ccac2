"""What a decoder hands over, in plain numbers: it crosses from the worker as JSON and raw bytes, never as pickle."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_PIXELS = 64_000_000  # 8,000 × 8,000: above the largest radiograph, below what 2 GiB can window
MAX_FILE_BYTES = 1 << 30


class DecodeError(Exception):
    """Why a file cannot be read and the mend, as the end of the sentence ``cannot read FILE: …``."""


@dataclass(frozen=True)
class Request:
    """What to decode.

    frame: of a multi-frame file, as stored; a page; or of a fourth axis (time). plane and index: of a volume; plane
    None is the plane of its acquisition (axial, where that is not known), index None the middle slice. Of a file whose
    frames or pages are no volume, index counts those.
    """

    path: str
    frame: int | None = None
    plane: str | None = None
    index: int | None = None

    def page(self, what: str, count: int) -> int:
        """Which of so many frames or pages of a file that is no volume. Raises DecodeError if there is no such."""
        if self.plane is not None:
            raise DecodeError(f"it is no volume, so it cannot be cut in the {self.plane} plane; leave the plane out")
        if self.frame is not None and self.index is not None:
            raise DecodeError(f"its {what}s are no volume, so frame and slice are the same here; give one of them")
        self.require_frames(count)
        return choose(what, self.frame if self.frame is not None else self.index or 0, count)

    def require_frames(self, count: int) -> None:
        """Raise DecodeError where a frame is asked for of a file that holds only one."""
        if self.frame is not None and count < 2:
            raise DecodeError("it holds a single image or volume and no frames; leave the frame out")


@dataclass
class Decoded:
    """One decoded image. Arrays are of *stored* pixels; orientation says how they are displayed.

    pixels: (h, w, 3) uint8 ready to show, or (h, w) float32 with values (then ``window`` has made shown_u8).
    orientation: EXIF number, 1 to 8, of the turn that leads from stored to display.
    scale: fields of ``fiducial.tools.record.Scale``; scale_refused: why there is none.
    world_mm: origin (corner), step of one pixel right, step of one pixel down; three times (x, y, z), LPS.
    frame: which frame or page as stored, or which of a fourth axis; None where the frames make up the volume, and of
    one image alone. frame_count: how many there are. paged: slice_index counts the frames or pages, not slices.
    plane: the anatomical plane nearest to the slice; across_mm: the step to the next slice, (x, y, z), LPS.
    window: centre, width and function through which values became shown_u8, and whether it was then inverted.
    """

    format: str
    shown_u8: NDArray[np.uint8]
    values: NDArray[np.float32] | None = None
    values_unit: str | None = None
    orientation: int = 1
    scale: dict[str, Any] | None = None
    scale_refused: str | None = None
    scale_box_xyxy_px: list[float] | None = None
    world_mm: list[list[float]] | None = None
    modality: str | None = None
    slice_count: int = 1
    slice_index: int = 0
    frame: int | None = None
    frame_count: int = 1
    paged: bool = False
    plane: str | None = None
    across_mm: list[float] | None = None
    window: tuple[float | None, float | None, str, bool] | None = None
    notes: list[str] = field(default_factory=list)

    def set_page(self, page: int, count: int) -> None:
        """Say which frame or page of a file that is no volume this is."""
        self.slice_count, self.slice_index = count, page
        self.frame, self.frame_count, self.paged = (page, count, True) if count > 1 else (None, 1, False)

    def parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """JSON-ready fields, and arrays."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        arrays = {name: values.pop(name) for name in ("shown_u8", "values")}
        return values, {name: np.ascontiguousarray(array) for name, array in arrays.items() if array is not None}


@contextmanager
def damage_as(sentence: str) -> Iterator[None]:
    """Whatever a reader meets in a damaged file becomes one DecodeError with this sentence."""
    try:
        yield
    except (DecodeError, MemoryError):
        raise
    except Exception as error:  # readers raise what they meet: struct, index, zlib and value errors
        raise DecodeError(sentence) from error


def require_pixels(width: int, height: int) -> None:
    """Refuse a size that is empty or beyond MAX_PIXELS, before anything of that size is allocated."""
    if width < 1 or height < 1:
        raise DecodeError("it has no pixels; export it again")
    if width * height > MAX_PIXELS:
        raise DecodeError(
            f"its {width}×{height} pixels are more than the limit of {MAX_PIXELS:,}; crop it or reduce it first"
        )


def choose(what: str, index: int, count: int) -> int:
    """The index, if there is such a frame or slice."""
    if not 0 <= index < count and count == 1:
        raise DecodeError(f"it has no {what} {index}, only the one that is numbered 0")
    if not 0 <= index < count:
        raise DecodeError(f"it has no {what} {index}; choose one of 0 to {count - 1}")
    return index
