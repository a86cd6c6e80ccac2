"""Lengths in world space, of any dimension: distances, paths, lines.

Points are in mm (or in any one unit): ``world_points`` of ``polygons`` takes stored pixels there, a ``PlaneMap`` or
``FrameMap3D`` those of a volume. Never in pixels: where a row is not as long as a column, neither is an angle right.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def distances(first: ArrayLike, second: ArrayLike) -> Floats:
    """(...) distances of points (..., D) from points (..., D)."""
    return np.asarray(np.linalg.norm(np.subtract(second, first, dtype=np.float64), axis=-1))


def path_length(path: ArrayLike, closed: bool = False) -> float:
    """Length of a path through (N, D) points in order; closed: back to the first. 0 for a single point."""
    points = np.asarray(path, dtype=np.float64)
    if points.ndim != 2 or not len(points):
        raise ValueError(f"a path needs points of shape (N, D), got {points.shape}")
    length = distances(points[:-1], points[1:]).sum()
    return float(length + (distances(points[-1], points[0]) if closed else 0.0))


def distances_to_line(points: ArrayLike, start: ArrayLike, end: ArrayLike) -> Floats:
    """(N,) distances of points (N, D) from the endless line through two points. Raises ValueError if they coincide."""
    offset, along, unit = _onto(points, start, end)
    return np.asarray(np.linalg.norm(offset - along[:, None] * unit, axis=1))


def distances_to_segment(points: ArrayLike, start: ArrayLike, end: ArrayLike) -> Floats:
    """(N,) distances of points (N, D) from the nearest point between start and end, those included."""
    offset, along, unit = _onto(points, start, end)
    reach = np.clip(along, 0.0, float(distances(start, end)))
    return np.asarray(np.linalg.norm(offset - reach[:, None] * unit, axis=1))


def _onto(points: ArrayLike, start: ArrayLike, end: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Offsets from start (N, D), how far along the line each reaches (N,), the line's unit vector (D,)."""
    first = np.asarray(start, dtype=np.float64)
    vector = np.asarray(end, dtype=np.float64) - first
    length = float(np.linalg.norm(vector))
    if not 0.0 < length < np.inf:
        raise ValueError("the two points of the line coincide or are not finite")
    offset = np.atleast_2d(np.asarray(points, dtype=np.float64)) - first
    return offset, offset @ (vector / length), vector / length


def fit_line(points: ArrayLike) -> tuple[Floats, Floats]:
    """A point (D,) and a unit vector (D,) of the line of least squared *perpendicular* distance to (N, D) points.

    Total least squares by the first singular vector (Pearson 1901): unlike a regression of y on x it does not depend on
    how the image is turned. The vector points from the first to the last point.
    """
    array = np.asarray(points, dtype=np.float64)
    if array.ndim != 2 or len(array) < 2 or not np.isfinite(array).all():
        raise ValueError("a line needs at least two finite points")
    centre = array.mean(axis=0)
    _, spread, directions = np.linalg.svd(array - centre, full_matrices=False)
    if spread[0] <= 0.0:
        raise ValueError("the points coincide, so they give no line")
    sign = 1.0 if directions[0] @ (array[-1] - array[0]) >= 0 else -1.0
    return centre, np.asarray(sign * directions[0])
