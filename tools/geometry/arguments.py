"""The arguments and results that the geometry's tools share: types with descriptions and units."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from fiducial.tools.errors import InputError
from fiducial.tools.geometry.polygons import is_simple
from fiducial.tools.geometry.uncertainty import CoordinateErrors, Estimate
from fiducial.tools.record import BoxXYXY, Ellipse, PointXY

PX: JsonDict = {"unit": "px"}
RATIO: JsonDict = {"unit": "1"}
SAME: JsonDict = {"unit": "that of the value"}
T = TypeVar("T")

Box = Annotated[BoxXYXY, Field(description="Box x0, y0, x1, y1, half-open", json_schema_extra=PX)]
Box3D = Annotated[
    tuple[float, float, float, float, float, float],
    Field(description="Box x0, y0, z0, x1, y1, z1 in the world, half-open", json_schema_extra={"unit": "mm"}),
]
Boxes = Annotated[list[BoxXYXY], Field(description="Boxes x0, y0, x1, y1, half-open", json_schema_extra=PX)]
Points = Annotated[list[PointXY], Field(description="Points x, y, y down", json_schema_extra=PX)]
Polygon = Annotated[
    list[PointXY], Field(description="Vertices x, y in order, the last not the first", json_schema_extra=PX)
]
Point = Annotated[PointXY, Field(description="Point x, y, y down", json_schema_extra=PX)]
Line = Annotated[
    tuple[PointXY, PointXY], Field(description="Two points x, y; an endplate's left end first", json_schema_extra=PX)
]
EllipsePx = Annotated[Ellipse, Field(description="Ellipse in stored pixels")]
Row = Annotated[
    float, Field(gt=0, allow_inf_nan=False, description="Millimetres between rows, along y, from the image's scale")
]
Column = Annotated[
    float, Field(gt=0, allow_inf_nan=False, description="Millimetres between columns, along x, from the image's scale")
]


Errors = Annotated[
    CoordinateErrors | None,
    Field(description="Errors of the coordinates and of the scale, for the uncertainty", json_schema_extra=PX),
]


class Result(BaseModel):
    """Any result: no unknown fields."""

    model_config = ConfigDict(extra="forbid")


class Uncertain(Result):
    """What every estimate carries: nothing is said of its uncertainty where nothing was said of the coordinates'."""

    uncertainty: float | None = Field(
        None, description="One standard deviation; null where no errors were given", json_schema_extra=SAME
    )
    interval: tuple[float, float] | None = Field(
        None, description="Interval of 95 % coverage; null where no errors were given", json_schema_extra=SAME
    )


class Length(Uncertain):
    """One length."""

    length_mm: float = Field(description="Length in mm, or in px where both steps are 1")


class Ratio(Uncertain):
    """A number without a unit."""

    value: float = Field(description="The ratio; a share or an overlap is 0 to 1", json_schema_extra=RATIO)


class Area(Uncertain):
    """One area."""

    area_mm2: float = Field(description="Area in mm², or in px² where both steps are 1")


class Axes(Result):
    """A long and a short axis."""

    long_mm: float = Field(description="Long axis in mm, or in px where both steps are 1")
    short_mm: float = Field(description="Short axis in mm, or in px where both steps are 1")


class Angle(Uncertain):
    """One angle."""

    angle_deg: float = Field(description="Angle in world space")


class Pairs(Result):
    """A one-to-one matching."""

    pairs: list[tuple[int, int]] = Field(description="Index in the first list, index in the second")
    quality: list[float] = Field(description="IoU or distance of each pair", json_schema_extra={"unit": "1 or px"})
    f1: float = Field(description="Harmonic mean of precision and recall", json_schema_extra=RATIO)


class EllipseSizes(Result):
    """The sizes of one ellipse, each with its uncertainty."""

    long: Length = Field(description="Long axis")
    short: Length = Field(description="Short axis")
    circumference: Length = Field(description="Circumference")
    area: Area = Field(description="Area")


class EllipseResult(Result):
    """An ellipse."""

    ellipse_px: Ellipse = Field(description="Ellipse in the frame and unit of the points")


def told(function: Callable[[], T]) -> T:
    """The result, with a geometry's ValueError as the one-sentence InputError that a user sees."""
    try:
        return function()
    except ValueError as error:
        raise InputError(str(error)) from None


def taken(estimate: Estimate, errors: CoordinateErrors | None) -> dict[str, Any]:
    """The fields that every uncertain result has, of an estimate; empty where no errors were given."""
    if errors is None:
        return {}
    return {"uncertainty": estimate.uncertainty, "interval": (estimate.low, estimate.high)}


def require_simple(polygon_xy_px: list[PointXY], field: str = "polygon_xy_px") -> None:
    """Raise InputError for a polygon that crosses itself or encloses nothing."""
    if not is_simple(polygon_xy_px):
        raise InputError(f"{field}: needs at least three corners, an area, and sides that do not cross")
