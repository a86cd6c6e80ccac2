"""Quantities of landmarks and outlines with their uncertainty: lengths, areas, angles, ratios, axes.

Points are stored pixels; everything is computed in world space (``row_mm`` along y, ``column_mm`` along x; both 1 give
pixels). How the uncertainty comes about is told in ``uncertainty``. Each point errs by itself; an outline that a
segmentation drew errs in stretches instead, and is measured by ``tools/measure.py``.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fiducial.tools.geometry.ellipses import ellipse_area, ellipse_axes, ellipse_circumference, ellipse_from_axes
from fiducial.tools.geometry.lengths import distances, distances_to_line, path_length
from fiducial.tools.geometry.polygons import polygon_area, world_points
from fiducial.tools.geometry.uncertainty import CoordinateErrors, Estimate, clipped, combined, propagate, slopes

Floats = NDArray[np.float64]
Quantity = Callable[[Floats], float]


def _points(points_xy_px: ArrayLike, count: int, what: str) -> Floats:
    points = np.asarray(points_xy_px, dtype=np.float64)
    if points.shape != (count, 2) or not np.isfinite(points).all():
        raise ValueError(f"{what} needs {count} finite points x, y; got shape {points.shape}")
    return points


def length(ends_xy_px: ArrayLike, errors: CoordinateErrors, row_mm: float = 1.0, column_mm: float = 1.0) -> Estimate:
    """Distance of two points (2, 2)."""
    points = _points(ends_xy_px, 2, "a length")

    def of(p: Floats) -> float:
        return float(distances(*world_points(p, row_mm, column_mm)))

    return clipped(propagate(of, points, errors, power=1))


def path(
    points_xy_px: ArrayLike,
    errors: CoordinateErrors,
    row_mm: float = 1.0,
    column_mm: float = 1.0,
    closed: bool = False,
) -> Estimate:
    """Length of the way through points (N, 2) in order; closed: back to the first, a polygon's perimeter."""
    if not len(np.asarray(points_xy_px)):
        raise ValueError("a path needs at least one point x, y")

    def of(p: Floats) -> float:
        return path_length(world_points(p, row_mm, column_mm), closed)

    return clipped(propagate(of, points_xy_px, errors, power=1))


def area(polygon_xy_px: ArrayLike, errors: CoordinateErrors, row_mm: float = 1.0, column_mm: float = 1.0) -> Estimate:
    """Area of a simple polygon (N, 2)."""
    return clipped(propagate(lambda p: polygon_area(p, row_mm, column_mm), polygon_xy_px, errors, power=2))


def distance_to_line(
    points_xy_px: ArrayLike, errors: CoordinateErrors, row_mm: float = 1.0, column_mm: float = 1.0
) -> Estimate:
    """Distance of the first of three points (3, 2) from the endless line through the other two."""
    points = _points(points_xy_px, 3, "a distance to a line")

    def of(p: Floats) -> float:
        world = world_points(p, row_mm, column_mm)
        return float(distances_to_line(world[0], world[1], world[2])[0])

    return clipped(propagate(of, points, errors, power=1))


def ratio(ends_xy_px: ArrayLike, errors: CoordinateErrors, row_mm: float = 1.0, column_mm: float = 1.0) -> Estimate:
    """The distance of the first two of four points (4, 2) over that of the last two; a tolerance of the scale cancels.

    Distances are slanted where the points are; a ratio of widths, as the cardiothoracic one, is ``width_ratio``.
    """
    points = _points(ends_xy_px, 4, "a ratio")

    def of(p: Floats) -> float:
        first, second = distances(*world_points(p, row_mm, column_mm).reshape(2, 2, 2).swapaxes(0, 1))
        if second == 0:
            raise ValueError("the length that the ratio is to is 0")
        return float(first / second)

    return clipped(propagate(of, points, errors, power=0))


def width(ends_xy_px: ArrayLike, errors: CoordinateErrors, row_mm: float = 1.0, column_mm: float = 1.0) -> Estimate:
    """How far two points (2, 2) lie apart along x alone, whatever their heights."""
    points = _points(ends_xy_px, 2, "a width")
    return _unsigned(propagate(lambda p: float(p[1, 0] - p[0, 0]) * column_mm, points, errors, power=1))


def width_ratio(
    ends_xy_px: ArrayLike, errors: CoordinateErrors, row_mm: float = 1.0, column_mm: float = 1.0
) -> Estimate:
    """The width along x between the first two of four points (4, 2) over that between the last two.

    The cardiothoracic ratio is that of the heart's greatest transverse width, right and left of the midline, to the
    chest's (Danzer, Am J Med Sci 157:513, 1919): the ends of each lie at different heights. The steps cancel.
    """
    points = _points(ends_xy_px, 4, "a ratio of widths")

    def signed(p: Floats) -> float:
        first, second = p[1::2, 0] - p[::2, 0]
        if second == 0:
            raise ValueError("the width that the ratio is to is 0")
        return float(first / second)

    return _unsigned(propagate(signed, points, errors, power=0))


def _unsigned(signed: Estimate) -> Estimate:
    """The size of a signed quantity, which is smooth where its size has a kink."""
    value, reach = abs(signed.value), signed.high - signed.value
    return clipped(signed.model_copy(update={"value": value, "low": value - reach, "high": value + reach}))


def _signed_deg(u: Floats, v: Floats) -> float:
    """The angle from u to v, -180 to 180 degrees: smooth where the unsigned one has its kinks."""
    if not (np.any(u) and np.any(v)):
        raise ValueError("two of the points coincide, so they give no direction")
    return math.degrees(math.atan2(u[0] * v[1] - u[1] * v[0], u[0] * v[0] + u[1] * v[1]))


def _angle(points: Floats, signed: Quantity, errors: CoordinateErrors, undirected: bool) -> Estimate:
    """Propagated through the signed angle, and folded to 0 to 180 degrees, or of undirected lines to 0 to 90."""
    found = propagate(signed, points, errors, power=0, period=360.0)
    value = abs(found.value)
    limit = 180.0
    if undirected:
        value, limit = min(value, 180.0 - value), 90.0
    reach = found.high - found.value
    return Estimate(
        value=value,
        uncertainty=found.uncertainty,
        low=max(0.0, value - reach),
        high=min(limit, value + reach),
    )


def angle_at_vertex(
    points_xy_px: ArrayLike, errors: CoordinateErrors, row_mm: float = 1.0, column_mm: float = 1.0
) -> Estimate:
    """The angle, 0 to 180 degrees, at the second of three points (3, 2)."""
    points = _points(points_xy_px, 3, "an angle at a vertex")

    def signed(p: Floats) -> float:
        world = world_points(p, row_mm, column_mm)
        return _signed_deg(world[0] - world[1], world[2] - world[1])

    return _angle(points, signed, errors, undirected=False)


def angle_difference(
    points_xy_px: ArrayLike, errors: CoordinateErrors, row_mm: float = 1.0, column_mm: float = 1.0
) -> Estimate:
    """The angle between a common arm and a third point less that to a fourth, of (4, 2): arm, vertex, third, fourth.

    -180 to 180 degrees. Of S, N, A, B it is the ANB angle, SNA - SNB, below 0 where the mandible lies in front
    (Steiner, Am J Orthod 39:729, 1953). The errors of the points that both angles share are counted once.
    """
    points = _points(points_xy_px, 4, "a difference of angles")

    def of(p: Floats) -> float:
        world = world_points(p, row_mm, column_mm)
        first, second = (abs(_signed_deg(world[0] - world[1], world[n] - world[1])) for n in (2, 3))
        return first - second

    return clipped(propagate(of, points, errors, power=0), low=-180.0, high=180.0)


def _two_lines(row_mm: float, column_mm: float) -> Quantity:
    def signed(p: Floats) -> float:
        world = world_points(p, row_mm, column_mm)
        return _signed_deg(world[1] - world[0], world[3] - world[2])

    return signed


def cobb_angle(
    ends_xy_px: ArrayLike, errors: CoordinateErrors, row_mm: float = 1.0, column_mm: float = 1.0
) -> Estimate:
    """The Cobb angle, 0 to 180 degrees, of two endplates, four points (4, 2): upper left, right, lower left, right.

    The order is used and never mended; see ``angles.cobb_angle_deg``.
    """
    return _angle(_points(ends_xy_px, 4, "a Cobb angle"), _two_lines(row_mm, column_mm), errors, undirected=False)


def angle_between_lines(
    ends_xy_px: ArrayLike, errors: CoordinateErrors, row_mm: float = 1.0, column_mm: float = 1.0
) -> Estimate:
    """The acute angle, 0 to 90 degrees, between two undirected lines, four points (4, 2): two of each."""
    points = _points(ends_xy_px, 4, "an angle between lines")
    return _angle(points, _two_lines(row_mm, column_mm), errors, undirected=True)


def ellipse_quantities(
    ends_xy_px: ArrayLike, errors: CoordinateErrors, row_mm: float = 1.0, column_mm: float = 1.0
) -> dict[str, Estimate]:
    """Of the ellipse of four axis ends (4, 2), two of one axis, two of the other: long, short, circumference, area."""
    points = _points(ends_xy_px, 4, "an ellipse")

    def sizes(p: Floats) -> Floats:
        ends = p.tolist()
        long, short = ellipse_axes(ellipse_from_axes(ends[:2], ends[2:]), row_mm, column_mm)
        return np.array([long, short, ellipse_circumference(long / 2, short / 2), ellipse_area(long / 2, short / 2)])

    values, by_size = sizes(points), slopes(sizes, points)
    named = zip(("long", "short", "circumference", "area"), values, by_size, (1, 1, 1, 2), strict=True)
    return {name: clipped(combined(float(value), slope, errors, power)) for name, value, slope, power in named}
