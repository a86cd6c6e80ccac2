"""What is asked of a model, and the typed target that it writes: what data sets give and dialects render and parse.

A data set turns a sample into ``(Query, Target)`` pairs; a template fills the query into a prompt; a family's dialect
renders the target as text and parses the model's text back to a target.

Coordinates are *stored pixels* of the (first) image, continuous, x right, y down, (0, 0) at the **corner** of the
first pixel; boxes are half-open ``x0, y0, x1, y1``. Along z they are slices, continuous, 0 at the outer face of the
first slice. Which order and number of objects is the data set's choice; an empty list says that there is none.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from fiducial.tools import record
from fiducial.tools.record import BoxXYXY, BoxXYZXYZ, Finite, Part, PointXY, Scale

Language = record.Language
NumberUnit = Literal["mm", "cm", "px", "mm²", "px²", "deg", "1"]
PromptTask = Literal[
    "point",
    "detect",
    "detect_3d",
    "segment",
    "landmark",
    "count",
    "count_and_point",
    "count_and_box",
    "choose",
    "answer",
    "explain",
    "measure_size",
    "measure_distance",
    "measure_angle",
    "report",
]


class Query(Part):
    """What is asked: all that a template needs beside the image. Nothing in it gives the answer away.

    label: the object or landmark asked for, in words; question: a question in words (VQA); options: of a choice;
    quantities: names of the numbers to be given, in order ("major axis", "minor axis"), and their unit;
    scale: mm per stored pixel, where the prompt states it; image_count: more than 1 for the slices of a volume.
    slices: which slices of the volume those are, from 0, in the order of the images, where the prompt is to state it;
    slice_count: how many the volume has.
    """

    task: PromptTask
    label: str | None = None
    question: str | None = None
    options: tuple[str, ...] = ()
    quantities: tuple[str, ...] = ()
    unit: NumberUnit | None = None
    scale: Scale | None = None
    language: Language = "en"
    image_count: Annotated[int, Field(ge=1)] = 1
    slices: tuple[Annotated[int, Field(ge=0)], ...] = ()
    slice_count: Annotated[int, Field(ge=1)] | None = None


class LabelledPoint(Part):
    """A point with its label (a landmark: its name). point_xy_px: stored pixels."""

    label: str
    point_xy_px: PointXY


class LabelledBox(Part):
    """A box with its label. box_xyxy_px: stored pixels, half-open."""

    label: str
    box_xyxy_px: BoxXYXY


class LabelledBox3D(Part):
    """A box in a volume. box_xyzxyz_voxel: x0, y0, z0, x1, y1, z1; x and y in stored pixels of a slice, z in slices."""

    label: str
    box_xyzxyz_voxel: BoxXYZXYZ


class LabelledPolygon(Part):
    """An outline with its label. polygon_xy_px: at least three corners, stored pixels, not closed by repetition."""

    label: str
    polygon_xy_px: Annotated[tuple[PointXY, ...], Field(min_length=3)]


class Number(Part):
    """A number with its name (``major axis``) and unit."""

    name: str
    value: Finite
    unit: NumberUnit


class PointsTarget(Part):
    """Points of the objects asked for (``point``)."""

    kind: Literal["points"] = "points"
    points: tuple[LabelledPoint, ...] = ()


class BoxesTarget(Part):
    """Boxes of the objects asked for (``detect``)."""

    kind: Literal["boxes"] = "boxes"
    boxes: tuple[LabelledBox, ...] = ()


class Boxes3DTarget(Part):
    """Boxes in a volume (``detect_3d``)."""

    kind: Literal["boxes_3d"] = "boxes_3d"
    boxes: tuple[LabelledBox3D, ...] = ()


class PolygonsTarget(Part):
    """Outlines of the regions asked for (``segment``); several polygons of one label may be parts of one region."""

    kind: Literal["polygons"] = "polygons"
    polygons: tuple[LabelledPolygon, ...] = ()


class LandmarksTarget(Part):
    """Named landmarks (``landmark``), each name at most once."""

    kind: Literal["landmarks"] = "landmarks"
    landmarks: tuple[LabelledPoint, ...] = ()

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        names = [landmark.label for landmark in self.landmarks]
        if len(set(names)) != len(names):
            raise ValueError("a landmark is named twice")
        return self


class CountTarget(Part):
    """How many there are (``count``), with the points or boxes counted where both are asked for together.

    points_xy_px, boxes_xyxy_px: stored pixels; None where not asked for. A written count may differ from their number.
    """

    kind: Literal["count"] = "count"
    label: str
    count: Annotated[int, Field(ge=0)]
    points_xy_px: tuple[PointXY, ...] | None = None
    boxes_xyxy_px: tuple[BoxXYXY, ...] | None = None


class ChoiceTarget(Part):
    """A closed answer: one of the query's options (``choose``)."""

    kind: Literal["choice"] = "choice"
    choice: str


class NumbersTarget(Part):
    """Numbers with units (``measure_size``: the two axes; ``measure_distance``, ``measure_angle``: one)."""

    kind: Literal["numbers"] = "numbers"
    numbers: Annotated[tuple[Number, ...], Field(min_length=1)]


class TextTarget(Part):
    """Free text (``answer``, ``explain``)."""

    kind: Literal["text"] = "text"
    text: str


class ReportTarget(Part):
    """A report of the whole image (``report``)."""

    kind: Literal["report"] = "report"
    text: str


Target = Annotated[
    PointsTarget
    | BoxesTarget
    | Boxes3DTarget
    | PolygonsTarget
    | LandmarksTarget
    | CountTarget
    | ChoiceTarget
    | NumbersTarget
    | TextTarget
    | ReportTarget,
    Field(discriminator="kind"),
]

TARGET_OF_TASK: dict[PromptTask, type[Part]] = {
    "point": PointsTarget,
    "detect": BoxesTarget,
    "detect_3d": Boxes3DTarget,
    "segment": PolygonsTarget,
    "landmark": LandmarksTarget,
    "count": CountTarget,
    "count_and_point": CountTarget,
    "count_and_box": CountTarget,
    "choose": ChoiceTarget,
    "answer": TextTarget,
    "explain": TextTarget,
    "measure_size": NumbersTarget,
    "measure_distance": NumbersTarget,
    "measure_angle": NumbersTarget,
    "report": ReportTarget,
}
