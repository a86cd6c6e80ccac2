"""Smooth random fields, the raw material of every texture in a phantom."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Float = NDArray[np.float32]


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], grain_px: float) -> Float:
    """A Gaussian field of about unit variance, shape (h, w), correlated over ``grain_px`` pixels.

    White noise on a coarse grid, interpolated bicubically: many times faster than a Gaussian filter of that width.
    """
    return stretched_noise(rng, shape, (grain_px, grain_px))


def stretched_noise(rng: np.random.Generator, shape: tuple[int, int], grain_yx_px: tuple[float, float]) -> Float:
    """As ``smooth_noise``, with its own grain along y and x."""
    coarse = [max(2, round(side / max(grain, 1.0)) + 1) for side, grain in zip(shape, grain_yx_px, strict=True)]
    white = rng.standard_normal((coarse[0], coarse[1]), dtype=np.float32)
    field = Image.fromarray(white).resize((shape[1], shape[0]), Image.Resampling.BICUBIC)
    return np.asarray(field, dtype=np.float32)


def volume_noise(rng: np.random.Generator, shape: tuple[int, int, int], grain: tuple[float, float, float]) -> Float:
    """A Gaussian field of about unit variance in a volume, correlated over ``grain`` voxels of each axis."""
    from scipy.ndimage import zoom

    coarse = tuple(max(2, round(side / max(step, 1.0)) + 1) for side, step in zip(shape, grain, strict=True))
    white = rng.standard_normal(coarse, dtype=np.float32)
    field = zoom(white, [side / few for side, few in zip(shape, coarse, strict=True)], order=1, grid_mode=False)
    return np.asarray(field * np.float32(1.3), dtype=np.float32)


def wide_blur(image: Float, sigma_px: float) -> Float:
    """A wide Gaussian blur of (h, w), worked out on a coarser grid; sigma_px of 8 or more."""
    from scipy.ndimage import gaussian_filter

    height, width = image.shape
    coarse = max(1, int(sigma_px / 4))
    few = Image.fromarray(image).resize((-(-width // coarse), -(-height // coarse)), Image.Resampling.BOX)
    soft = Image.fromarray(gaussian_filter(np.asarray(few), sigma_px / coarse, mode="nearest"))
    return np.asarray(soft.resize((width, height), Image.Resampling.BICUBIC), dtype=np.float32)
