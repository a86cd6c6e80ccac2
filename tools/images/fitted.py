"""Pixels at another size: resized corner to corner, or fitted with their proportions kept and padded."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fiducial.tools.frames import Letterbox

Resampling = Literal["bilinear", "bicubic"]


def resized(pixels: NDArray[Any], width_px: int, height_px: int, resampling: Resampling = "bilinear") -> NDArray[Any]:
    """(h, w) or (h, w, 3) of uint8, or (h, w) of float32, at another size, averaged where it shrinks."""
    from PIL import Image as Pillow

    picture = Pillow.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(picture.resize((width_px, height_px), Pillow.Resampling[resampling.upper()]))


def letterboxed(
    pixels: NDArray[Any], fit: Letterbox, resampling: Resampling = "bilinear", mirrored: bool = False
) -> NDArray[Any]:
    """Pixels as ``frames.letterbox`` fits them; around them black (of float values: NaN), or mirrored at the edges."""
    content = resized(pixels, fit.content_width_px, fit.content_height_px, resampling)
    width, height = int(fit.map.target.width or 0), int(fit.map.target.height or 0)
    rows = fit.pad_top_px, height - fit.pad_top_px - fit.content_height_px
    columns = fit.pad_left_px, width - fit.pad_left_px - fit.content_width_px
    widths = [rows, columns, *[(0, 0)] * (content.ndim - 2)]
    if mirrored:
        return np.pad(content, widths, mode="symmetric")
    return np.pad(content, widths, constant_values=np.nan if content.dtype.kind == "f" else 0)
