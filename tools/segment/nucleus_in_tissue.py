"""From a nucleus's box to its outline where stained tissue lies all around it, as on H&E: a watershed of the gradient.

Rays (``cell_rays``) look for the empty background beyond an edge, and tissue has none: on H&E phantoms they reached a
Dice of 0.929 and refused 6 %. The basins here are the middle of the box and what lies well outside of it, so that a box
that is off by a tenth of its side still holds the edge between them. Chosen on the phantoms 100 to 102 and on the
coloured pictures of dsb2018 train (``benchmarks/segment_methods.py`` has others).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fiducial.tools.geometry.masks import smooth_outline

Floats = NDArray[np.float64]

COLOURED = 8.0  # grey levels between the strongest and the weakest channel, on average: fluorescence has none
CORE, BEYOND = 0.4, 1.45  # of the ellipse inscribed in the box: surely the nucleus within, surely not beyond
MARGIN = 0.45  # of the box's longer side
SMOOTH_PX = 1.0
LEAST_CONTRAST = 8.0  # grey levels between the nucleus and what is around
BESIDE_PX = 2.0  # from the outline, where its two sides are compared
CLEAR = 0.4  # of the contrast
# One standard deviation of the outline's place, px: where all of it is clear, and more by the share that is not. Chosen
# on the phantoms 300 to 311 for long and short axis, whose ends err most (of areas, the intervals are too wide).
SIGMA_CLEAR_PX, SIGMA_UNCLEAR_PX = 0.6, 5.0


@dataclass(frozen=True)
class NucleusOutline:
    """vertices: (N, 2) in stored pixels. clear: share of the outline with an edge under it, 0 to 1."""

    vertices: Floats
    clear: float

    @property
    def sigma_px(self) -> float:
        """One standard deviation of the outline's place."""
        return SIGMA_CLEAR_PX + SIGMA_UNCLEAR_PX * (1.0 - self.clear)


def coloured(rgb_u8: NDArray[np.uint8]) -> bool:
    """Whether a picture is in colour, as stained tissue is and fluorescence shown in grey is not."""
    part = rgb_u8[::4, ::4].astype(np.int16)
    return bool((part.max(axis=2) - part.min(axis=2)).mean() > COLOURED)


def nucleus_in_tissue(rgb_u8: NDArray[np.uint8], box_xyxy_px: Sequence[float]) -> NucleusOutline | None:
    """The outline of the dark nucleus in a valid box, or None where it hardly differs from what is around it.

    rgb_u8: (height, width, 3). Basins grow from the middle and from beyond (Beucher and Meyer, The morphological
    approach to segmentation, 1993) over the Sobel gradient of the smoothed grey picture.
    """
    from scipy.ndimage import gaussian_filter, sobel
    from skimage.segmentation import watershed

    height, width = rgb_u8.shape[:2]
    x0, y0, x1, y1 = box_xyxy_px
    pad = MARGIN * max(x1 - x0, y1 - y0)
    left, top = int(max(0, x0 - pad)), int(max(0, y0 - pad))
    part = rgb_u8[top : int(min(height, np.ceil(y1 + pad))), left : int(min(width, np.ceil(x1 + pad)))]
    grey = gaussian_filter(part.mean(axis=2), SMOOTH_PX)
    y, x = np.mgrid[: grey.shape[0], : grey.shape[1]] + 0.5
    out = np.hypot((2 * (x + left) - x0 - x1) / (x1 - x0), (2 * (y + top) - y0 - y1) / (y1 - y0))
    basins = np.where(out <= CORE, 1, np.where(out <= BEYOND, 0, 2)).astype(np.int32)
    if not ((basins == 1).any() and (basins == 2).any()):
        return None
    found = watershed(np.hypot(sobel(grey, 0), sobel(grey, 1)), basins) == 1
    outline, around = smooth_outline(found), ~found & (out <= BEYOND)
    if outline is None or not around.any():
        return None
    contrast = float(np.median(grey[around]) - np.median(grey[found]))
    if contrast < LEAST_CONTRAST:
        return None
    return NucleusOutline(outline + np.array([left, top]), _clear(grey, outline, contrast))


def _clear(grey: Floats, outline: Floats, contrast: float) -> float:
    """The share of the outline across which the picture brightens by enough of the contrast."""
    from scipy.ndimage import map_coordinates

    outward = outline - outline.mean(axis=0)
    outward = BESIDE_PX * outward / np.maximum(np.linalg.norm(outward, axis=1, keepdims=True), 1e-9)
    sides = np.stack([outline + outward, outline - outward])[..., ::-1] - 0.5
    beyond, within = map_coordinates(grey, np.moveaxis(sides, 2, 0), order=1, mode="nearest")
    return float(np.mean(beyond - within > CLEAR * contrast))
