"""Landmarks as tools: lengths, paths, ratios, angles, and the ellipse of four axis ends, each with its uncertainty."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from pydantic import Field

from fiducial.tools.geometry import quantities
from fiducial.tools.geometry.arguments import (
    Angle,
    Area,
    Column,
    EllipseSizes,
    Errors,
    Length,
    Line,
    Point,
    Points,
    Ratio,
    Row,
    taken,
    told,
)
from fiducial.tools.geometry.uncertainty import CoordinateErrors, Estimate
from fiducial.tools.hooks import ToolSpec, tool


def _estimate(
    of: Callable[..., Estimate], points: object, errors: CoordinateErrors | None, row_mm: float, column_mm: float
) -> Estimate:
    return told(lambda: of(points, errors or CoordinateErrors(), row_mm, column_mm))


@tool
def landmark_distance(
    first_xy_px: Point, second_xy_px: Point, row_mm: Row, column_mm: Column, errors: Errors = None
) -> Length:
    """The distance of two points in world space."""
    found = _estimate(quantities.length, [first_xy_px, second_xy_px], errors, row_mm, column_mm)
    return Length(length_mm=found.value, **taken(found, errors))


@tool
def path_length(points_xy_px: Points, row_mm: Row, column_mm: Column, errors: Errors = None) -> Length:
    """The length of the way through points, in order, in world space."""
    found = _estimate(quantities.path, points_xy_px, errors, row_mm, column_mm)
    return Length(length_mm=found.value, **taken(found, errors))


@tool
def distance_to_line(
    point_xy_px: Point, line_xy_px: Line, row_mm: Row, column_mm: Column, errors: Errors = None
) -> Length:
    """The distance of a point from the endless line through two others, in world space."""
    found = _estimate(quantities.distance_to_line, [point_xy_px, *line_xy_px], errors, row_mm, column_mm)
    return Length(length_mm=found.value, **taken(found, errors))


@tool
def length_ratio(first_xy_px: Line, second_xy_px: Line, row_mm: Row, column_mm: Column, errors: Errors = None) -> Ratio:
    """One length over another, each the distance of two points, slanted as they lie; of widths: ``width_ratio``."""
    found = _estimate(quantities.ratio, [*first_xy_px, *second_xy_px], errors, row_mm, column_mm)
    return Ratio(value=found.value, **taken(found, errors))


@tool
def width_ratio(first_xy_px: Line, second_xy_px: Line, errors: Errors = None) -> Ratio:
    """One width over another, each along x alone: the cardiothoracic ratio is the heart's width over the chest's."""
    found = _estimate(quantities.width_ratio, [*first_xy_px, *second_xy_px], errors, 1.0, 1.0)
    return Ratio(value=found.value, **taken(found, errors))


@tool
def angle_at_vertex(
    arm_xy_px: Point,
    vertex_xy_px: Point,
    other_arm_xy_px: Point,
    row_mm: Row,
    column_mm: Column,
    errors: Errors = None,
) -> Angle:
    """The angle at a vertex between two arms, 0 to 180 degrees, in world space."""
    points = [arm_xy_px, vertex_xy_px, other_arm_xy_px]
    found = _estimate(quantities.angle_at_vertex, points, errors, row_mm, column_mm)
    return Angle(angle_deg=found.value, **taken(found, errors))


@tool
def angle_difference(
    arm_xy_px: Point,
    vertex_xy_px: Point,
    third_xy_px: Point,
    fourth_xy_px: Point,
    row_mm: Row,
    column_mm: Column,
    errors: Errors = None,
) -> Angle:
    """The angle arm-vertex-third less arm-vertex-fourth, -180 to 180 degrees: ANB of the landmarks S, N, A, B."""
    points = [arm_xy_px, vertex_xy_px, third_xy_px, fourth_xy_px]
    found = _estimate(quantities.angle_difference, points, errors, row_mm, column_mm)
    return Angle(angle_deg=found.value, **taken(found, errors))


@tool
def angle_between_lines(
    first_xy_px: Line, second_xy_px: Line, row_mm: Row, column_mm: Column, errors: Errors = None
) -> Angle:
    """The acute angle between two undirected lines, 0 to 90 degrees, in world space."""
    found = _estimate(quantities.angle_between_lines, [*first_xy_px, *second_xy_px], errors, row_mm, column_mm)
    return Angle(angle_deg=found.value, **taken(found, errors))


@tool
def cobb_angle(
    upper_endplate_xy_px: Line,
    lower_endplate_xy_px: Line,
    row_mm: Row,
    column_mm: Column,
    errors: Errors = None,
) -> Angle:
    """The Cobb angle between two endplates, each from its left to its right end, 0 to 180 degrees, in world space."""
    points = [*upper_endplate_xy_px, *lower_endplate_xy_px]
    found = _estimate(quantities.cobb_angle, points, errors, row_mm, column_mm)
    return Angle(angle_deg=found.value, **taken(found, errors))


@tool
def ellipse_from_ends(
    first_axis_xy_px: Annotated[Line, Field(description="The two ends of one axis")],
    second_axis_xy_px: Annotated[Line, Field(description="The two ends of the other axis")],
    row_mm: Row,
    column_mm: Column,
    errors: Errors = None,
) -> EllipseSizes:
    """Axes, circumference and area, in world space, of the ellipse whose four axis ends are given."""
    points = [*first_axis_xy_px, *second_axis_xy_px]
    found = told(lambda: quantities.ellipse_quantities(points, errors or CoordinateErrors(), row_mm, column_mm))
    lengths = {
        name: Length(length_mm=found[name].value, **taken(found[name], errors))
        for name in ("long", "short", "circumference")
    }
    return EllipseSizes(**lengths, area=Area(area_mm2=found["area"].value, **taken(found["area"], errors)))


TOOLS: list[ToolSpec] = [
    landmark_distance, path_length, distance_to_line, length_ratio, width_ratio, angle_at_vertex, angle_difference,
    angle_between_lines, cobb_angle, ellipse_from_ends,
]  # fmt: skip
