"""Save a picture as PNG with its scale and its place inside, so that a conversion does not lose them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fiducial.tools.frames import PlaneMap
from fiducial.tools.images.raster import SCALE_KEY, scale_text
from fiducial.tools.record import BoxXYXY, Scale


def save_png(
    path: str | Path,
    pixels_u8: NDArray[np.uint8],
    scale: Scale | None = None,
    scale_box_xyxy_px: BoxXYXY | None = None,
    world: PlaneMap | None = None,
) -> None:
    """Write (h, w) or (h, w, 3) uint8 as PNG; ``open_image`` reads back what is given beside the pixels.

    scale: mm per pixel *of these pixels*; scale_box_xyxy_px: where it holds, None for everywhere; world: from these
    pixels to mm, LPS. Both are of no use without a scale and are then left out.
    """
    from PIL import Image as Pillow
    from PIL.PngImagePlugin import PngInfo

    text = PngInfo()
    if scale is not None:
        vectors = None if world is None else [world.origin_mm, world.step_x_mm, world.step_y_mm]
        place = None if vectors is None else [[float(v) for v in vector] for vector in vectors]
        height, width = pixels_u8.shape[:2]
        text.add_text(SCALE_KEY, scale_text(scale, width, height, scale_box_xyxy_px, place))
    Pillow.fromarray(np.ascontiguousarray(pixels_u8)).save(path, format="PNG", pnginfo=text)
