"""The geometry as tools: typed arguments with units, usable from the shell and by a planner."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from fiducial.tools.errors import InputError
from fiducial.tools.geometry import angles, boxes, ellipses, matching, polygons
from fiducial.tools.hooks import ToolSpec, tool
from fiducial.tools.measure import measure
from fiducial.tools.record import BoxXYXY, Ellipse, Measurement, PointXY, Quantity, Region, Scale

_PX: JsonDict = {"unit": "px"}
_RATIO: JsonDict = {"unit": "1"}
T = TypeVar("T")

Box = Annotated[BoxXYXY, Field(description="Box x0, y0, x1, y1, half-open", json_schema_extra=_PX)]
Boxes = Annotated[list[BoxXYXY], Field(description="Boxes x0, y0, x1, y1, half-open", json_schema_extra=_PX)]
Points = Annotated[list[PointXY], Field(description="Points x, y, y down", json_schema_extra=_PX)]
Polygon = Annotated[
    list[PointXY], Field(description="Vertices x, y in order, the last not the first", json_schema_extra=_PX)
]
Point = Annotated[PointXY, Field(description="Point x, y, y down", json_schema_extra=_PX)]
Line = Annotated[
    tuple[PointXY, PointXY], Field(description="Two points x, y; an endplate's left end first", json_schema_extra=_PX)
]
EllipsePx = Annotated[Ellipse, Field(description="Ellipse in stored pixels")]
Row = Annotated[float, Field(gt=0, description="Millimetres between rows, along y; 1 gives pixels")]
Column = Annotated[float, Field(gt=0, description="Millimetres between columns, along x; 1 gives pixels")]


class _Result(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Ratio(_Result):
    """A number without a unit."""

    value: float = Field(description="The ratio, 0 to 1", json_schema_extra=_RATIO)


class Length(_Result):
    """One length."""

    length_mm: float = Field(description="Length in mm, or in px where both steps are 1")


class Area(_Result):
    """One area."""

    area_mm2: float = Field(description="Area in mm², or in px² where both steps are 1")


class Axes(_Result):
    """A long and a short axis."""

    long_mm: float = Field(description="Long axis in mm, or in px where both steps are 1")
    short_mm: float = Field(description="Short axis in mm, or in px where both steps are 1")


class Angle(_Result):
    """One angle."""

    angle_deg: float = Field(description="Angle in world space")


class Pairs(_Result):
    """A one-to-one matching."""

    pairs: list[tuple[int, int]] = Field(description="Index in the first list, index in the second")
    quality: list[float] = Field(description="IoU or distance of each pair", json_schema_extra={"unit": "1 or px"})
    f1: float = Field(description="Harmonic mean of precision and recall", json_schema_extra=_RATIO)


class EllipseResult(_Result):
    """An ellipse."""

    ellipse_px: Ellipse = Field(description="Ellipse in the frame and unit of the points")


def _told(function: Callable[[], T]) -> T:
    """The result, with a geometry's ValueError as the one-sentence InputError that a user sees."""
    try:
        return function()
    except ValueError as error:
        raise InputError(str(error)) from None


@tool
def box_iou(first_xyxy_px: Box, second_xyxy_px: Box) -> Ratio:
    """Intersection over union of two boxes; 0 where one of them is inverted or empty."""
    return Ratio(value=float(boxes.iou_matrix([first_xyxy_px], [second_xyxy_px])[0, 0]))


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
    max_distance_px: Annotated[float, Field(ge=0, description="Greatest distance of a pair")],
) -> Pairs:
    """Match two lists of points one to one: as many pairs as possible, then the least sum of distances."""
    return _pairs(matching.match_by_distance(first_xy_px, second_xy_px, max_distance_px))


def _pairs(found: matching.Matching) -> Pairs:
    return Pairs(pairs=[(int(i), int(j)) for i, j in found.pairs], quality=found.quality.tolist(), f1=found.f1)


@tool
def ellipse_axes(ellipse_px: EllipsePx, row_mm: Row = 1.0, column_mm: Column = 1.0) -> Axes:
    """Full major and minor axis of an ellipse in world space, exact for pixels that are not square."""
    long, short = ellipses.ellipse_axes(ellipse_px, row_mm, column_mm)
    return Axes(long_mm=long, short_mm=short)


@tool
def ellipse_circumference(ellipse_px: EllipsePx, row_mm: Row = 1.0, column_mm: Column = 1.0) -> Length:
    """Circumference of an ellipse in world space, by the complete elliptic integral (a head's HC from its ellipse)."""
    long, short = ellipses.ellipse_axes(ellipse_px, row_mm, column_mm)
    return Length(length_mm=ellipses.ellipse_circumference(long / 2, short / 2))


@tool
def ellipse_area(ellipse_px: EllipsePx, row_mm: Row = 1.0, column_mm: Column = 1.0) -> Area:
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
def polygon_area(polygon_xy_px: Polygon, row_mm: Row = 1.0, column_mm: Column = 1.0) -> Area:
    """Area of a polygon in world space; a polygon that crosses itself is refused."""
    _simple(polygon_xy_px)
    return Area(area_mm2=polygons.polygon_area(polygon_xy_px, row_mm, column_mm))


@tool
def polygon_perimeter(polygon_xy_px: Polygon, row_mm: Row = 1.0, column_mm: Column = 1.0) -> Length:
    """Length of a polygon's closed outline in world space."""
    _simple(polygon_xy_px)
    return Length(length_mm=polygons.polygon_perimeter(polygon_xy_px, row_mm, column_mm))


@tool
def recist_axes(polygon_xy_px: Polygon, row_mm: Row = 1.0, column_mm: Column = 1.0) -> Axes:
    """RECIST 1.1 long axis of a polygon, and its longest chord perpendicular to that, in world space."""
    _simple(polygon_xy_px)
    long, short = _told(lambda: polygons.recist_axes(polygon_xy_px, row_mm, column_mm))
    return Axes(long_mm=long, short_mm=short)


def _simple(polygon_xy_px: list[PointXY]) -> None:
    if not polygons.is_simple(polygon_xy_px):
        raise InputError("polygon_xy_px: needs at least three corners, an area, and sides that do not cross")


@tool
def angle_at_vertex(
    arm_xy_px: Point, vertex_xy_px: Point, other_arm_xy_px: Point, row_mm: Row = 1.0, column_mm: Column = 1.0
) -> Angle:
    """The angle at a vertex between two arms, 0 to 180 degrees, in world space."""
    arms = arm_xy_px, vertex_xy_px, other_arm_xy_px
    return Angle(angle_deg=_told(lambda: angles.angle_at_vertex_deg(*arms, row_mm, column_mm)))


@tool
def angle_between_lines(first_xy_px: Line, second_xy_px: Line, row_mm: Row = 1.0, column_mm: Column = 1.0) -> Angle:
    """The acute angle between two undirected lines, 0 to 90 degrees, in world space."""
    return Angle(angle_deg=_told(lambda: angles.angle_between_lines_deg(first_xy_px, second_xy_px, row_mm, column_mm)))


@tool
def cobb_angle(
    upper_endplate_xy_px: Line, lower_endplate_xy_px: Line, row_mm: Row = 1.0, column_mm: Column = 1.0
) -> Angle:
    """The Cobb angle between two endplates, each from its left to its right end, 0 to 180 degrees, in world space."""
    lines = upper_endplate_xy_px, lower_endplate_xy_px
    return Angle(angle_deg=_told(lambda: angles.cobb_angle_deg(*lines, row_mm, column_mm)))


class MeasurementResult(_Result):
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
        Literal["red_cell", "white_cell", "platelet", "blood_cell", "head"] | None,
        Field(description="What the region is: decides between mm and µm"),
    ] = None,
) -> MeasurementResult:
    """One quantity of one region in the units that the scale allows, with its uncertainty."""
    return MeasurementResult(measurement=measure(region, quantity, scale, structure))


TOOLS: list[ToolSpec] = [
    box_iou, match_boxes, match_points, ellipse_axes, ellipse_circumference, ellipse_area, fit_ellipse, polygon_area,
    polygon_perimeter, recist_axes, angle_at_vertex, angle_between_lines, cobb_angle, measure_region,
]  # fmt: skip
