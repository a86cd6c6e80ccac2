"""Angles in world space. Points are continuous pixels; ``row_mm`` and ``column_mm`` are the steps along y and x.

``vector_angles_deg`` is the one formula, for any number of vectors of any dimension; what a landmark of a volume needs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Point = Sequence[float]
Line = Sequence[Point]


def vector_angles_deg(first: ArrayLike, second: ArrayLike) -> NDArray[np.float64]:
    """(...) angles between vectors (..., D) in world space, 0 to 180 degrees; NaN where one has no direction.

    2 atan2(|u - v|, |u + v|) of the unit vectors keeps its digits near 0 and 180 degrees in any dimension, where acos
    of the dot product loses half of them: of 1e-7 degrees it makes 0 (Kahan, How futile are mindless assessments of
    roundoff, 2006, section 12).
    """
    u, v = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        u = u / np.linalg.norm(u, axis=-1, keepdims=True)
        v = v / np.linalg.norm(v, axis=-1, keepdims=True)
    return np.asarray(2.0 * np.degrees(np.arctan2(np.linalg.norm(u - v, axis=-1), np.linalg.norm(u + v, axis=-1))))


def _direction(start: Point, end: Point, row_mm: float, column_mm: float) -> tuple[float, float]:
    """The world vector from start to end, in mm. Raises ValueError where it has no direction."""
    x, y = (end[0] - start[0]) * column_mm, (end[1] - start[1]) * row_mm
    if not 0.0 < math.hypot(x, y) < math.inf:
        raise ValueError(
            f"the points {tuple(start)} and {tuple(end)} give no direction: they coincide or are not finite"
        )
    return x, y


def _between(u: tuple[float, float], v: tuple[float, float]) -> float:
    """The angle between two vectors, 0 to 180 degrees."""
    return float(vector_angles_deg(u, v))


def angle_at_vertex_deg(
    arm_xy: Point, vertex_xy: Point, other_arm_xy: Point, row_mm: float = 1.0, column_mm: float = 1.0
) -> float:
    """The angle at ``vertex_xy`` between the rays to the two arms, 0 to 180 degrees, in world space.

    Raises ValueError where an arm coincides with the vertex.
    """
    u = _direction(vertex_xy, arm_xy, row_mm, column_mm)
    return _between(u, _direction(vertex_xy, other_arm_xy, row_mm, column_mm))


def angle_between_lines_deg(first: Line, second: Line, row_mm: float = 1.0, column_mm: float = 1.0) -> float:
    """The acute angle between two *undirected* lines, 0 to 90 degrees; see ``cobb_angle_deg`` for curves beyond 90.

    first, second: two points each.
    """
    angle = _between(
        _direction(first[0], first[1], row_mm, column_mm), _direction(second[0], second[1], row_mm, column_mm)
    )
    return min(angle, 180.0 - angle)


def cobb_angle_deg(
    upper_endplate: Line,
    lower_endplate: Line,
    row_mm: float = 1.0,
    column_mm: float = 1.0,
    direction_xy: Point | None = None,
) -> float:
    """The Cobb angle, 0 to 180 degrees, between two endplates, each given from its *left* end to its right end.

    The order of the two points is what tells a curve of 110 degrees from one of 70, so it is used and never mended:
    which end is left in the body is known to whoever placed the points, and beyond 90 degrees it does not show in x.
    direction_xy: where the caller does not know the order, a vector (pixels) along which both lines are to point.
    Source: Cobb, Outline for the study of scoliosis, AAOS Instructional Course Lectures 5 (1948).
    """
    vectors = []
    for line in (upper_endplate, lower_endplate):
        vector = _direction(line[0], line[1], row_mm, column_mm)
        if direction_xy is not None:
            along = vector[0] * direction_xy[0] * column_mm + vector[1] * direction_xy[1] * row_mm
            vector = vector if along >= 0 else (-vector[0], -vector[1])
        vectors.append(vector)
    return _between(vectors[0], vectors[1])
