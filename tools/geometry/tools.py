"""The geometry of boxes, outlines and regions as tools: typed, with units, for the shell and a planner."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field

from fiducial.tools.errors import InputError
from fiducial.tools.geometry import boxes, ellipses, matching, polygons, quantities
from fiducial.tools.geometry.arguments import (
    Area,
    Axes,
    Box,
    Box3D,
    Boxes,
    Column,
    EllipsePx,
    EllipseResult,
    Errors,
    Length,
    Pairs,
    Points,
    Polygon,
    Ratio,
    Result,
    Row,
    require_simple,
    taken,
    told,
)
from fiducial.tools.geometry.uncertainty import CoordinateErrors
from fiducial.tools.hooks import ToolSpec, tool
from fiducial.tools.measure import measure
from fiducial.tools.record import Measurement, Quantity, Region, Scale
from fiducial.tools.structures import structures


@tool
def box_iou(first_xyxy_px: Box, second_xyxy_px: Box) -> Ratio:
    """Intersection over union of two boxes; 0 where one of them is inverted or empty."""
    return Ratio(value=float(boxes.iou_matrix([first_xyxy_px], [second_xyxy_px])[0, 0]))


@tool
def box_iou_3d(first_xyzxyz_mm: Box3D, second_xyzxyz_mm: Box3D) -> Ratio:
    """Intersection over union of two boxes in space; 0 where one of them is inverted or empty."""
    return Ratio(value=float(boxes.iou_matrix_3d([first_xyzxyz_mm], [second_xyzxyz_mm])[0, 0]))


@tool
def box_containment(inner_xyxy_px: Box, outer_xyxy_px: Box) -> Ratio:
    """The share of the inner box's area that lies in the outer one; 0 where one of them is inverted or empty."""
    return Ratio(value=float(boxes.containment_matrix([inner_xyxy_px], [outer_xyxy_px])[0, 0]))


@tool
def box_distance(first_xyxy_px: Box, second_xyxy_px: Box, row_mm: Row, column_mm: Column) -> Length:
    """The shortest distance between two boxes in world space; 0 where they touch or overlap."""
    gap = float(boxes.gap_matrix([first_xyxy_px], [second_xyxy_px], row_mm, column_mm)[0, 0])
    if math.isnan(gap):
        raise InputError("one of the two boxes is inverted or empty; order it as x0 < x1, y0 < y1")
    return Length(length_mm=gap)


@tool
def match_boxes(
    first_xyxy_px: Boxes,
    second_xyxy_px: Boxes,
    min_iou_ratio: Annotated[float, Field(ge=0, le=1, description="Least IoU of a pair")] = 0.5,
) -> Pairs:
    """Match two lists of boxes one to one: as many pairs as possible, then the greatest sum of IoU."""
    return _pairs(matching.match_by_iou(first_xyxy_px, second_xyxy_px, min_iou_ratio))


@tool
def match_points(
    first_xy_px: Points,
    second_xy_px: Points,
    max_distance_px: Annotated[float, Field(ge=0, allow_inf_nan=False, description="Greatest distance of a pair")],
) -> Pairs:
    """Match two lists of points one to one: as many pairs as possible, then the least sum of distances, in pixels."""
    return _pairs(matching.match_by_distance(first_xy_px, second_xy_px, max_distance_px))


def _pairs(found: matching.Matching) -> Pairs:
    return Pairs(pairs=[(int(i), int(j)) for i, j in found.pairs], quality=found.quality.tolist(), f1=found.f1)


@tool
def ellipse_axes(ellipse_px: EllipsePx, row_mm: Row, column_mm: Column) -> Axes:
    """Full major and minor axis of an ellipse in world space, exact for pixels that are not square."""
    long, short = ellipses.ellipse_axes(ellipse_px, row_mm, column_mm)
    return Axes(long_mm=long, short_mm=short)


@tool
def ellipse_circumference(ellipse_px: EllipsePx, row_mm: Row, column_mm: Column) -> Length:
    """Circumference of an ellipse in world space, by the complete elliptic integral (a head's HC from its ellipse)."""
    long, short = ellipses.ellipse_axes(ellipse_px, row_mm, column_mm)
    return Length(length_mm=ellipses.ellipse_circumference(long / 2, short / 2))


@tool
def ellipse_area(ellipse_px: EllipsePx, row_mm: Row, column_mm: Column) -> Area:
    """Area of an ellipse in world space."""
    long, short = ellipses.ellipse_axes(ellipse_px, row_mm, column_mm)
    return Area(area_mm2=ellipses.ellipse_area(long / 2, short / 2))


@tool
def fit_ellipse(points_xy_px: Points) -> EllipseResult:
    """The ellipse of least algebraic distance to at least five points (Halir and Flusser 1998)."""
    found = ellipses.fit_ellipse(points_xy_px)
    if found is None:
        raise InputError("points_xy_px: no ellipse fits; give at least five points that are not on one line")
    return EllipseResult(ellipse_px=found)


@tool
def polygon_area(polygon_xy_px: Polygon, row_mm: Row, column_mm: Column, errors: Errors = None) -> Area:
    """Area of a polygon in world space; a polygon that crosses itself is refused. Errors: of each corner by itself."""
    require_simple(polygon_xy_px)
    found = told(lambda: quantities.area(polygon_xy_px, errors or CoordinateErrors(), row_mm, column_mm))
    return Area(area_mm2=found.value, **taken(found, errors))


@tool
def polygon_perimeter(polygon_xy_px: Polygon, row_mm: Row, column_mm: Column, errors: Errors = None) -> Length:
    """Length of a polygon's closed outline in world space. Errors: of each corner by itself."""
    require_simple(polygon_xy_px)
    found = told(lambda: quantities.path(polygon_xy_px, errors or CoordinateErrors(), row_mm, column_mm, closed=True))
    return Length(length_mm=found.value, **taken(found, errors))


@tool
def polygon_iou(first_polygon_xy_px: Polygon, second_polygon_xy_px: Polygon) -> Ratio:
    """Intersection over union of two polygons, in pixels; a polygon that crosses itself is refused."""
    require_simple(first_polygon_xy_px, "first_polygon_xy_px")
    require_simple(second_polygon_xy_px, "second_polygon_xy_px")
    return Ratio(value=polygons.polygon_iou(first_polygon_xy_px, second_polygon_xy_px))


@tool
def feret_diameters(polygon_xy_px: Polygon, row_mm: Row, column_mm: Column) -> Axes:
    """Greatest and least distance of two parallel lines that enclose a polygon (Feret diameters), in world space.

    They are those of its convex hull: a concavity or a crossing of its sides changes nothing.
    """
    long, short = told(lambda: polygons.feret_diameters(polygon_xy_px, row_mm, column_mm))
    return Axes(long_mm=long, short_mm=short)


@tool
def recist_axes(polygon_xy_px: Polygon, row_mm: Row, column_mm: Column) -> Axes:
    """RECIST 1.1 long axis of a polygon, and its longest chord perpendicular to that, in world space.

    The long axis is the greatest distance of two points of the outline, and of a concave one may leave it; the chord
    stays inside.
    """
    require_simple(polygon_xy_px)
    long, short = told(lambda: polygons.recist_axes(polygon_xy_px, row_mm, column_mm))
    return Axes(long_mm=long, short_mm=short)


class MeasurementResult(Result):
    """A measurement as in the record."""

    measurement: Measurement = Field(
        description="Value, unit, one standard deviation, 95 % interval", json_schema_extra={"unit": "its field unit"}
    )


@tool
def measure_region(
    region: Annotated[
        Region, Field(description="Box, polygon or ellipse in stored pixels", json_schema_extra={"unit": "px; score 1"})
    ],
    quantity: Annotated[Quantity, Field(description="What to measure")],
    scale: Annotated[
        Scale | None,
        Field(description="Millimetres per pixel, and their source", json_schema_extra={"unit": "mm"}),
    ] = None,
    structure: Annotated[
        Literal[*structures()] | None,  # type: ignore[valid-type]
        Field(description="What the region is: decides between mm and µm"),
    ] = None,
) -> MeasurementResult:
    """One quantity of one region in the units that the scale allows, with its uncertainty."""
    return MeasurementResult(measurement=measure(region, quantity, scale, structure))


TOOLS: list[ToolSpec] = [
    box_iou, box_iou_3d, box_containment, box_distance, match_boxes, match_points, ellipse_axes, ellipse_circumference,
    ellipse_area, fit_ellipse, polygon_area, polygon_perimeter, polygon_iou, recist_axes, feret_diameters,
    measure_region,
]  # fmt: skip
