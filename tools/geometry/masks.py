"""Masks (height, width) of booleans: outline, box, moment axes. Pixel (row r, column c) covers [c, c+1] × [r, r+1]."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


def mask_box(mask: Mask) -> tuple[float, float, float, float] | None:
    """The half-open box ``x0, y0, x1, y1`` of the mask's pixels, in pixels; None for an empty mask."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def mask_polygon(mask: Mask) -> Floats | None:
    """(N, 2) outline through the pixel *corners* of the largest 4-connected part, holes filled; None for an empty mask.

    Its area is the number of pixels, exactly. Its perimeter is that of the stairs:
    for a smooth outline use ``mask_contour``.
    """
    import shapely

    padded = np.pad(mask.astype(np.int8), ((0, 0), (1, 1)))
    change = np.diff(padded, axis=1)
    # Each run of a row is one box: starts and ends come in the same (row-major) order.
    rows, starts = np.nonzero(change == 1)
    _, ends = np.nonzero(change == -1)
    if not len(rows):
        return None
    union = shapely.union_all(shapely.box(starts, rows, ends, rows + 1))
    largest = max(getattr(union, "geoms", [union]), key=lambda part: shapely.Polygon(part.exterior).area)
    corners = shapely.get_coordinates(largest.exterior)[:-1]
    before, after = corners - np.roll(corners, 1, axis=0), np.roll(corners, -1, axis=0) - corners
    turns = before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]
    return np.asarray(corners[turns])


def mask_contour(field: NDArray[np.float64] | Mask, level: float = 0.5) -> Floats | None:
    """(N, 2) the longest level line of a mask or of a soft mask (height, width), sub-pixel; None where there is none.

    Marching squares between pixel centres (skimage ``find_contours``), moved by +0.5 to the corner convention. The
    area of a hard mask comes out up to 0.125 px² smaller at each corner, its perimeter close to that of the smooth
    shape.
    """
    from skimage.measure import find_contours

    padded = np.pad(np.asarray(field, dtype=np.float64), 1)
    lines = [line for line in find_contours(padded, level) if len(line) > 3]
    if not lines:
        return None
    line = max(lines, key=len)[:-1]
    return np.asarray(line[:, ::-1] - 0.5)  # row, column → x, y; −1 for the padding, +0.5 for the centre


def moment_axes(mask: Mask, row_mm: float = 1.0, column_mm: float = 1.0) -> tuple[float, float]:
    """Major and minor axis of the ellipse with the mask's second moments, in world space.

    Pixels count as points, as in scikit-image's ``regionprops``. For ellipses only: a 10×40 px rectangle has moment
    axes of 46.17 and 11.49. Its sides are in ``minimum_rectangle``.
    """
    rows, columns = np.nonzero(mask)
    points = np.stack([columns * column_mm, rows * row_mm])
    values = np.linalg.eigvalsh(np.cov(points, bias=True))
    return float(4.0 * np.sqrt(values[1])), float(4.0 * np.sqrt(max(values[0], 0.0)))
