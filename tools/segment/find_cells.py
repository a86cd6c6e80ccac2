"""Cells on a stained smear without a model: threshold, then a watershed between touching ones."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from fiducial.tools.record import Region
from fiducial.tools.segment.stain import absorption, background_rgb, purple

Floats = NDArray[np.float64]
Labels = NDArray[np.int32]

LEAST_CONTRAST = 15.0  # grey levels above the background
USUAL_RADIUS_FRACTION = 0.07  # of the image's shorter side, where no red cell shows its own
RADIUS_OF_RED = {"red_cell": (0.55, 1.8), "white_cell": (0.7, 4.0), "platelet": (0.12, 0.6)}


def find_cells(rgb_u8: NDArray[np.uint8], structure_key: str) -> list[Region]:
    """Boxes of red cells, white cells or platelets, best first; sizes are relative to the image's own red cells.

    score: how well the part fills an ellipse in its box (0 to 1); it is not a probability. An image without contrast
    gives none. Raises KeyError for another structure.
    """
    low, high = RADIUS_OF_RED[structure_key]
    background = background_rgb(rgb_u8)
    stained = _mask(absorption(rgb_u8, background), LEAST_CONTRAST)
    nuclei = _mask(purple(rgb_u8, background), LEAST_CONTRAST)
    red = stained & ~nuclei
    radius_px = _radius(red, USUAL_RADIUS_FRACTION * min(rgb_u8.shape[:2]))
    parts = _split(red, radius_px) if structure_key == "red_cell" else _parts(nuclei, radius_px)
    found = []
    for box, area in parts:
        width, height = box[2] - box[0], box[3] - box[1]
        if low * radius_px <= math.sqrt(area / math.pi) <= high * radius_px and max(width, height) < 3 * min(
            width, height
        ):
            fill = area / (math.pi / 4 * width * height)
            found.append((box, max(0.0, 1.0 - abs(1.0 - fill))))
    found.sort(key=lambda f: -f[1])
    return [
        Region(id=f"R{n}", label=structure_key, kind="box", box_xyxy_px=box, score=score, skill="find_cells")
        for n, (box, score) in enumerate(found, 1)
    ]


def _mask(field: Floats, least: float) -> NDArray[np.bool_]:
    """Otsu's threshold, but never below ``least``; small gaps closed, holes filled."""
    from scipy.ndimage import binary_fill_holes, binary_opening, gaussian_filter
    from skimage.filters import threshold_otsu

    smooth = gaussian_filter(field, 1.0)
    if smooth.max() <= least:
        return np.zeros(field.shape, dtype=bool)
    above = smooth > max(least, float(threshold_otsu(np.clip(smooth, 0.0, None))) * 0.8)
    return np.asarray(binary_fill_holes(binary_opening(above, iterations=2)))


def _radius(red: NDArray[np.bool_], usual: float) -> float:
    """Radius of a typical red cell, in pixels: the median depth of the deepest points of the red parts."""
    from scipy.ndimage import distance_transform_edt
    from skimage.feature import peak_local_max

    depth = distance_transform_edt(red)
    peaks = peak_local_max(depth, min_distance=max(3, int(usual / 2)), threshold_abs=usual / 3, exclude_border=False)
    return float(np.median(depth[tuple(peaks.T)])) if len(peaks) >= 3 else usual


def _split(red: NDArray[np.bool_], radius_px: float) -> list[tuple[tuple[float, float, float, float], float]]:
    """Touching cells split by a watershed of the distance to the background, a basin for each peak."""
    from scipy.ndimage import distance_transform_edt, gaussian_filter
    from skimage.feature import peak_local_max
    from skimage.segmentation import watershed

    depth = gaussian_filter(distance_transform_edt(red), 2.0)
    peaks = peak_local_max(
        depth, min_distance=max(2, int(0.75 * radius_px)), threshold_abs=0.4 * radius_px, exclude_border=False
    )
    seeds = np.zeros(red.shape, dtype=np.int32)
    seeds[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    return _boxes(watershed(-depth, seeds, mask=red))


def _parts(mask: NDArray[np.bool_], radius_px: float) -> list[tuple[tuple[float, float, float, float], float]]:
    """Connected parts; the lobes of one nucleus, less than a third of a red cell's radius apart, are one."""
    from scipy.ndimage import distance_transform_edt, label

    near = distance_transform_edt(~mask) <= radius_px / 6
    labels, _ = label(near)
    return _boxes(np.where(mask, labels, 0))


def _boxes(labels: Labels) -> list[tuple[tuple[float, float, float, float], float]]:
    """Half-open box and area of each label."""
    from skimage.measure import regionprops

    return [
        ((float(p.bbox[1]), float(p.bbox[0]), float(p.bbox[3]), float(p.bbox[2])), float(p.area))
        for p in regionprops(labels)
    ]
