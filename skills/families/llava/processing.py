"""From an image to the tower's input and back: letterbox, normalise. Training and inference share this file."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from fiducial.tools.frames import FrameMap2D, letterbox
from fiducial.tools.images.fitted import letterboxed

MEAN, STD = 0.5, 0.25


def fit_into(
    rgb_u8: np.ndarray, width_px: int, height_px: int, pixel_aspect: float = 1.0, mirrored: bool = False
) -> tuple[np.ndarray, FrameMap2D]:
    """Resize (H, W, 3) uint8 into height_px × width_px square pixels, antialiased; and the map there.

    Around it are black bars, or with ``mirrored`` the image mirrored at its edges.
    """
    height, width = rgb_u8.shape[:2]
    fit = letterbox(width, height, width_px, height_px, pixel_aspect)
    return letterboxed(rgb_u8, fit, mirrored=mirrored), fit.map


def normalise(pixels_u8: Tensor) -> Tensor:
    """(…, H, W, 3) uint8 to (…, 3, H, W) float32."""
    return (pixels_u8.movedim(-1, -3).float() / 255 - MEAN) / STD


def pixel_values(
    rgb_u8: np.ndarray, width_px: int, height_px: int, pixel_aspect: float = 1.0, mirrored: bool = False
) -> tuple[Tensor, FrameMap2D]:
    """One image as a batch of one for the tower, with the map from its pixels to the tower's.

    pixel_aspect: height of a pixel over its width; the tower sees round cells round, whatever the pixels' shape.
    mirrored: what surrounds it; see ``fit_into``.
    """
    canvas, frame_map = fit_into(np.ascontiguousarray(rgb_u8), width_px, height_px, pixel_aspect, mirrored)
    return normalise(torch.from_numpy(canvas))[None], frame_map
