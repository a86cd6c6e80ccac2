"""Save a picture as PNG with its scale inside, so that a conversion does not lose it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fiducial.tools.images.raster import SCALE_KEY, scale_text
from fiducial.tools.record import Scale


def save_png(path: str | Path, pixels_u8: NDArray[np.uint8], scale: Scale | None = None) -> None:
    """Write (h, w) or (h, w, 3) uint8 as PNG. scale: mm per pixel *of these pixels*; ``open_image`` reads it back."""
    from PIL import Image as Pillow
    from PIL.PngImagePlugin import PngInfo

    text = PngInfo()
    if scale is not None:
        text.add_text(SCALE_KEY, scale_text(scale, pixels_u8.shape[1], pixels_u8.shape[0]))
    Pillow.fromarray(np.ascontiguousarray(pixels_u8)).save(path, format="PNG", pnginfo=text)
