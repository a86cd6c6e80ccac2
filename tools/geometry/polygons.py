"""Polygons (N, 2) of continuous pixels: area, perimeter, validity, RECIST axes, Feret diameters. Last vertex ≠ first.

All lengths are computed in world space: vertices times (column_mm, row_mm).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
VAST = 1e150  # beyond, a squared distance is not finite


def world_points(points_xy_px: ArrayLike, row_mm: float = 1.0, column_mm: float = 1.0) -> Floats:
    """(N, 2) points times (column_mm, row_mm). Raises ValueError for another shape."""
    points = np.asarray(points_xy_px, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"points must have shape (N, 2), got {points.shape}")
    return np.asarray(points * np.array([column_mm, row_mm]))


def following(points: Floats) -> Floats:
    """(N, ...) the next of each of the points of a closed outline; ``np.roll`` takes five times as long for it."""
    return np.concatenate([points[1:], points[:1]])


def polygon_area(polygon_xy_px: ArrayLike, row_mm: float = 1.0, column_mm: float = 1.0) -> float:
    """Area by the shoelace formula, ≥ 0. A bow-tie's halves cancel: ask ``is_simple`` first."""
    p = world_points(polygon_xy_px, row_mm, column_mm)
    p = p - p.mean(axis=0)  # far from the origin the products would cancel digits
    q = following(p)
    return float(abs(np.sum(p[:, 0] * q[:, 1] - q[:, 0] * p[:, 1])) / 2.0)


def polygon_perimeter(polygon_xy_px: ArrayLike, row_mm: float = 1.0, column_mm: float = 1.0) -> float:
    """Length of the closed outline."""
    p = world_points(polygon_xy_px, row_mm, column_mm)
    return float(np.linalg.norm(following(p) - p, axis=1).sum())


def polygon_centroid(polygon_xy_px: ArrayLike) -> tuple[float, float]:
    """Centre of the area, in pixels; the mean of the vertices where the area is 0."""
    p = world_points(polygon_xy_px)
    origin = p.mean(axis=0)
    p = p - origin
    q = following(p)
    cross = p[:, 0] * q[:, 1] - q[:, 0] * p[:, 1]
    if abs(cross.sum()) < 1e-12 * max(1.0, float(np.abs(p).max()) ** 2):
        return float(origin[0]), float(origin[1])
    x, y = origin + ((p + q) * cross[:, None]).sum(axis=0) / (3.0 * cross.sum())
    return float(x), float(y)


def is_simple(polygon_xy_px: ArrayLike) -> bool:
    """Whether the outline is finite, has at least three corners, encloses an area and does not cross itself."""
    import shapely

    p = np.asarray(polygon_xy_px, dtype=np.float64)
    if p.ndim != 2 or p.shape[1] != 2 or len(p) < 3 or not np.isfinite(p).all():
        return False
    polygon = shapely.Polygon(p)
    return bool(polygon.is_valid and polygon.area > 0)


def polygon_iou(first_xy_px: ArrayLike, second_xy_px: ArrayLike) -> float:
    """Intersection over union of two simple polygons; 0 where one is not simple."""
    import shapely

    if not (is_simple(first_xy_px) and is_simple(second_xy_px)):
        return 0.0
    a, b = (shapely.Polygon(np.asarray(p, dtype=np.float64)) for p in (first_xy_px, second_xy_px))
    inter = a.intersection(b).area
    return float(inter / (a.area + b.area - inter))


def _hull(points: Floats) -> Floats:
    """(K, 2) corners of the convex hull. Raises ValueError where the points span no area.

    Of GEOS: scipy's ConvexHull takes twice as long for an outline of a hundred vertices.
    """
    import shapely

    usable = bool((np.abs(points) < VAST).all())  # nor is NaN
    hull = shapely.convex_hull(shapely.multipoints(points)) if usable else None
    if hull is None or hull.geom_type != "Polygon":
        raise ValueError("the polygon has no area: its points lie on one line or are not finite")
    return np.asarray(shapely.get_coordinates(hull)[:-1])


def feret_diameters(polygon_xy_px: ArrayLike, row_mm: float = 1.0, column_mm: float = 1.0) -> tuple[float, float]:
    """Greatest and least distance between two parallel lines that enclose the polygon (maximum and minimum Feret).

    The maximum is the greatest distance of two corners; the minimum is reached with one line along an edge of the hull
    (Toussaint, Solving geometric problems with the rotating calipers, 1983). Corners, not pixel centres: a mask's
    polygon from ``mask_polygon`` gives a 10×40 px rectangle its 10 and its diagonal of 41.23.
    """
    hull = _hull(world_points(polygon_xy_px, row_mm, column_mm))
    longest = float(np.linalg.norm(hull[:, None] - hull[None], axis=2).max())
    return longest, float(_extents(hull)[:, 1].min())


def _extents(hull: Floats) -> Floats:
    """(K, 2) for each edge of the hull: the extent of the hull along the edge, and across it."""
    edges = following(hull) - hull
    unit = edges / np.linalg.norm(edges, axis=1, keepdims=True)
    normal = np.stack([-unit[:, 1], unit[:, 0]], axis=1)
    return np.stack([np.ptp(hull @ unit.T, axis=0), np.ptp(hull @ normal.T, axis=0)], axis=1)


def minimum_rectangle(polygon_xy_px: ArrayLike, row_mm: float = 1.0, column_mm: float = 1.0) -> tuple[float, float]:
    """Long and short side of the rectangle of least area, at any angle, around the polygon."""
    extents = _extents(_hull(world_points(polygon_xy_px, row_mm, column_mm)))
    best = extents[np.argmin(extents.prod(axis=1))]
    return float(best.max()), float(best.min())


def recist_axes(polygon_xy_px: ArrayLike, row_mm: float = 1.0, column_mm: float = 1.0) -> tuple[float, float]:
    """Long axis: the greatest distance of two outline points. Short axis: the longest chord perpendicular to it.

    Source: RECIST 1.1, Eisenhauer et al., Eur J Cancer 45:228 (2009), with Schwartz et al. 45:261 for nodes. A chord
    stays inside the outline, so a concave lesion is not bridged.
    """
    p = world_points(polygon_xy_px, row_mm, column_mm)
    hull = _hull(p)
    x, y = np.subtract.outer(hull[:, 0], hull[:, 0]), np.subtract.outer(hull[:, 1], hull[:, 1])
    i, j = np.unravel_index(int(np.argmax(x * x + y * y)), x.shape)
    long_axis = float(np.hypot(x[i, j], y[i, j]))
    unit = np.array([x[i, j], y[i, j]]) / long_axis
    along, across = p @ unit, p @ np.array([-unit[1], unit[0]])
    return long_axis, _longest_chord(along, across)


def _longest_chord(along: Floats, across: Floats) -> float:
    """Longest inner chord at constant ``along``: linear between vertices, so it peaks just beside one of them."""
    step = 1e-9 * max(float(np.ptp(along)), 1e-300)
    levels = np.unique(np.concatenate([along - step, along + step]))
    a0, a1, c0, c1 = along, following(along), across, following(across)
    first, last = np.searchsorted(levels, np.minimum(a0, a1)), np.searchsorted(levels, np.maximum(a0, a1))
    crossed = last - first  # levels by each side: one that its two ends lie on either side of, or its lower end on
    if not crossed.any():
        return 0.0
    side = np.repeat(np.arange(len(a0)), crossed)
    level = np.arange(len(side)) - np.repeat(np.cumsum(crossed) - crossed - first, crossed)
    at = c0[side] + (levels[level] - a0[side]) * (c1[side] - c0[side]) / (a1[side] - a0[side])
    at = at[np.lexsort((at, level))]
    # A closed outline crosses a level an even number of times: inside between the first and second, third and fourth, …
    return float((at[1::2] - at[0::2]).max())
