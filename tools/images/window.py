"""From stored values to grey levels for display."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def windowed_u8(
    values: NDArray[Any], center: float | None = None, width: float | None = None, function: str = "LINEAR"
) -> NDArray[np.uint8]:
    """Grey levels (h, w, 3) of values (h, w) through a window; DICOM PS3.3 C.11.2.1.2 and C.11.2.1.3.

    Without a usable window: from the 0.1th to the 99.9th percentile, so that 16-bit data neither saturate nor vanish.
    """
    array = np.nan_to_num(np.asarray(values, np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    if function == "SIGMOID" and center is not None and width:
        grey = 1 / (1 + np.exp(np.clip(-4 * (array - center) / width, -80, 80)))
    else:
        low, high = _bounds(array, center, width, function)
        grey = (array - low) / (high - low)
    levels = (np.clip(grey, 0, 1) * 255 + 0.5).astype(np.uint8)
    return np.repeat(levels[:, :, None], 3, axis=2)


def _bounds(
    array: NDArray[np.float32], center: float | None, width: float | None, function: str
) -> tuple[float, float]:
    """The values shown black and white."""
    if center is not None and width is not None and function == "LINEAR_EXACT" and width > 0:
        return center - width / 2, center + width / 2
    if center is not None and width is not None and width > 1:
        return center - 0.5 - (width - 1) / 2, center - 0.5 + (width - 1) / 2
    sample = array if array.size < 2_000_000 else array[:: 1 + array.size // 2_000_000]
    low, high = (float(v) for v in np.percentile(sample, [0.1, 99.9]))
    if high <= low:
        low, high = float(array.min()), float(array.max())
    return (low, high) if high > low else (low, low + 1.0)
