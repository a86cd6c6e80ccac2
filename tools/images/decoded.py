"""What a decoder hands over, in plain numbers: it crosses from the worker as JSON and raw bytes, never as pickle."""

from __future__ import annotations

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
    """What to decode. frame: of a multi-frame file or stack; plane and index: of a volume, index None is the middle."""

    path: str
    frame: int = 0
    plane: str = "axial"
    index: int | None = None


@dataclass
class Decoded:
    """One decoded image. Arrays are of *stored* pixels; orientation says how they are displayed.

    pixels: (h, w, 3) uint8 ready to show, or (h, w) float32 with values (then ``window`` has made shown_u8).
    orientation: EXIF number, 1 to 8, of the turn that leads from stored to display.
    scale: fields of ``fiducial.tools.record.Scale``; scale_refused: why there is none.
    world_mm: origin (corner), step of one pixel right, step of one pixel down; three times (x, y, z), LPS.
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
    notes: list[str] = field(default_factory=list)

    def parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """JSON-ready fields, and arrays."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        arrays = {name: values.pop(name) for name in ("shown_u8", "values")}
        return values, {name: np.ascontiguousarray(array) for name, array in arrays.items() if array is not None}


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
    if not 0 <= index < count:
        raise DecodeError(f"it has no {what} {index}; choose one of 0 to {count - 1}")
    return index
