"""The record of one run: one linked document in which each part can veto the one before it.

Question → Understanding → Answer → Regions → Explanation → Measurements → Checks → Verdict.

Coordinates are *stored pixels* of the input image: x to the right, y down, continuous, (0, 0) at the **corner** of
the first pixel, so that a pixel's centre is at +0.5; boxes are half-open ``x0, y0, x1, y1``.
"""

from __future__ import annotations

import json
import math
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Finite = Annotated[float, Field(allow_inf_nan=False)]
PointXY = tuple[Finite, Finite]
BoxXYXY = tuple[Finite, Finite, Finite, Finite]

ScaleSource = Literal[
    "acquisition", "calibrated", "detector", "ultrasound_region", "microscope", "user", "reference_object"
]
Quantity = Literal[
    "count",
    "head_circumference",
    "biparietal_diameter",
    "occipitofrontal_diameter",
    "cephalic_index",
    "long_axis",
    "short_axis",
    "equivalent_diameter",
    "perimeter",
    "area",
    "volume",
    "angle",
    "distance",
    "sna_angle",
    "snb_angle",
    "anb_angle",
    "sella_nasion",
    "anterior_face_height",
    "mandibular_body",
    "cardiothoracic_ratio",
    "thorax_width",
    "heart_width",
]
Unit = Literal["mm", "mm²", "mm³", "µm", "µm²", "mm at the detector", "mm² at the detector", "px", "px²", "°", "1"]
Task = Literal[
    "presence",
    "count",
    "location",
    "kind",
    "size",
    "compare",
    "segment",
    "angle",
    "distance",
    "report",
    "question",
    "unknown",
]
Language = Literal["en", "zh"]
Selector = Literal["each", "largest", "second_largest", "third_largest", "smallest"]
Status = Literal["answered", "partial", "abstained"]
Plane = Literal["axial", "coronal", "sagittal"]
BoxXYZXYZ = tuple[Finite, Finite, Finite, Finite, Finite, Finite]


class Part(BaseModel):
    """A part of the record: immutable, no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Scale(Part):
    """Millimetres per stored pixel, and where that is known from. Absent (``None``) rather than defaulted.

    row_mm: distance between the centres of two neighbouring *rows* (the step along y), in mm.
    column_mm: distance between two neighbouring *columns* (the step along x), in mm.
    slice_mm: distance between two neighbouring slices, in mm; None for a single image.
    tolerance: one standard deviation of the scale itself, relative (0.01 is 1 %).
    """

    row_mm: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    column_mm: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    slice_mm: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    tolerance: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    source: ScaleSource


class FileSlice(Part):
    """Which part of a larger file an image is: a slice of a volume, or (plane None) a frame or page. index: from 0.

    frame: of a file that holds several volumes (a fourth axis), which of them the slice is of, from 0; else None.
    """

    plane: Plane | None = None
    index: Annotated[int, Field(ge=0)]
    count: Annotated[int, Field(ge=1)]
    frame: Annotated[int, Field(ge=0)] | None = None


class FileSlices(Part):
    """A whole volume as it was looked at. indices: the slices shown, from 0, in order; count: of all in this plane."""

    plane: Plane
    indices: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)]
    count: Annotated[int, Field(ge=1)]


class ImageInfo(Part):
    """The image a record is about. ``scale_refused`` says why there is no scale.

    scale_box_xyxy_px: the scale holds only inside this box (a DICOM ultrasound region, PS3.3 C.8.5.5), stored pixels;
    None where it holds everywhere. file_slice: None where the file holds one image. orientation: how the stored pixels
    are turned to be displayed, 1 to 8 as EXIF 2.32, tag 0x0112 (``tools/images/orientation.py``); 1 is as stored.
    file_slices: set, in place of file_slice, where the question is about a whole volume; sizes are then of a slice.
    """

    path: str
    sha256: str
    width_px: int
    height_px: int
    scale: Scale | None = None
    scale_refused: str | None = None
    scale_box_xyxy_px: BoxXYXY | None = None
    file_slice: FileSlice | None = None
    file_slices: FileSlices | None = None
    orientation: Annotated[int, Field(ge=1, le=8)] = 1


class Intent(Part):
    """What a question asks: the typed result of the understanding step.

    structure and other_structure are keys of the structure table (``tools/structures.py``), or, for a base that takes
    any words, the words of the question; other_structure is set for ``compare`` only. quantity is set for ``size``,
    ``compare``, ``angle`` and ``distance``. scope is ``image`` for questions about the whole image (its kind), which
    need no region, and ``local`` for questions about something in it.

    ``question`` is any other question, in the record's own words; options: what a closed one can be answered with.
    ``angle`` and ``distance`` (also a ratio of two) are taken between landmarks: their names, in the order of the
    geometry (an angle's vertex in the middle; of two widths, the ends of the first, then those of the second).
    """

    task: Task
    structure: str | None = None
    other_structure: str | None = None
    quantity: Quantity | None = None
    selector: Selector = "each"
    scope: Literal["local", "image"] = "local"
    options: tuple[str, ...] = ()
    landmarks: tuple[str, ...] = ()
    language: Language = "en"


class Understanding(Part):
    """The understanding step: the typed intent, and how sure the model is of it (0 to 1)."""

    intent: Intent
    confidence: float


class Answer(Part):
    """Text, the value it claims (presence: bool, count: int, kind: str, size: float or list), confidence 0 to 1."""

    text: str
    value: bool | int | float | str | list[float] | None
    confidence: float
    scope: Literal["local", "image"] = "local"


class Ellipse(Part):
    """An ellipse in stored pixels. angle_deg: from +x towards +y (down) to the major axis, in [0, 180)."""

    center_xy_px: PointXY
    semi_major_px: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    semi_minor_px: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    angle_deg: Finite

    @property
    def vertices_xy_px(self) -> tuple[PointXY, PointXY, PointXY, PointXY]:
        """The ends of the major axis (+, −), then of the minor axis (+, −)."""
        (cx, cy), t = self.center_xy_px, math.radians(self.angle_deg)
        ax, ay = self.semi_major_px * math.cos(t), self.semi_major_px * math.sin(t)
        bx, by = -self.semi_minor_px * math.sin(t), self.semi_minor_px * math.cos(t)
        return (cx + ax, cy + ay), (cx - ax, cy - ay), (cx + bx, cy + by), (cx - bx, cy - by)


GEOMETRY_OF_KIND = {
    "box": "box_xyxy_px",
    "point": "point_xy_px",
    "landmark": "point_xy_px",
    "polygon": "polygon_xy_px",
    "ellipse": "ellipse_px",
    "box_3d": "box_xyzxyz_voxel",
}


class Region(Part):
    """Something pointed at. Exactly the geometry field of its kind is set.

    score: 0 to 1, how sure the skill is. sigma_px: one standard deviation of an edge or point coordinate, in stored
    pixels, where known. A rejected region stays in the record with the check that rejected it. parent_id: the region
    that this one is a part of (landmarks name the head's ellipse). Coordinates may be non-finite or outside the
    image *before* the checks have run; such a region can only end as rejected.
    box_xyzxyz_mm: of a slice of a volume, the region's bounding box in the world (mm, LPS): x0, y0, z0, x1, y1, z1 of
    the pixels' and the slice's outer faces, half-open as all boxes are; None for other images.
    box_xyzxyz_voxel (``box_3d``): x0, y0, z0, x1, y1, z1 in a volume, half-open: x and y in stored pixels of a slice of
    the plane looked at, z in slices of that plane, 0 at the outer face of the first; box_xyzxyz_mm is then its place.
    """

    id: str
    label: str
    kind: Literal["box", "point", "landmark", "polygon", "ellipse", "box_3d"]
    box_xyxy_px: tuple[float, float, float, float] | None = None
    point_xy_px: tuple[float, float] | None = None
    polygon_xy_px: tuple[tuple[float, float], ...] | None = None
    ellipse_px: Ellipse | None = None
    box_xyzxyz_voxel: tuple[float, float, float, float, float, float] | None = None
    box_xyzxyz_mm: BoxXYZXYZ | None = None
    score: float
    sigma_px: float | None = None
    skill: str
    parent_id: str | None = None
    status: Literal["accepted", "rejected"] = "accepted"
    rejected_by: str | None = None

    @model_validator(mode="after")
    def _one_geometry(self) -> Self:
        given = [name for name in dict.fromkeys(GEOMETRY_OF_KIND.values()) if getattr(self, name) is not None]
        if given != [GEOMETRY_OF_KIND[self.kind]]:
            raise ValueError(f"a region of kind {self.kind!r} takes exactly {GEOMETRY_OF_KIND[self.kind]}, got {given}")
        return self


class Explanation(Part):
    """Text that cites regions by id. source ``listing``: a plain listing that replaced the skill's text."""

    text: str
    region_ids: tuple[str, ...]
    source: Literal["skill", "listing"] = "skill"


class Interval(Part):
    """A two-sided interval in the measurement's unit; level is its coverage (0.95), method says how it was made."""

    low: float
    high: float
    level: float
    method: str


class Measurement(Part):
    """A quantity taken on regions. uncertainty: one standard deviation, same unit. note: why the unit is px, say."""

    quantity: Quantity
    value: Finite
    unit: Unit
    uncertainty: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    interval: Interval
    scale_source: ScaleSource | Literal["none"]
    region_ids: tuple[str, ...]
    note: str | None = None


class Check(Part):
    """What was compared with what, and how it came out."""

    name: str
    outcome: Literal["pass", "warn", "fail"]
    detail: str


class Reason(Part):
    """Why a verdict is not ``answered``: a typed code, and a sentence."""

    code: str
    detail: str


class Verdict(Part):
    """How the run ended."""

    status: Status
    reasons: tuple[Reason, ...] = ()


class Step(Part):
    """One validated, timed call through the registry."""

    name: str
    kind: Literal["skill", "tool", "check"]
    ms: float
    attempt: int = 1
    error: str | None = None


class Record(Part):
    """One run. ``document()`` is the JSON that ``fiducial ask --json`` prints."""

    run_id: str
    question: str
    image: ImageInfo
    understanding: Understanding | None = None
    answer: Answer | None = None
    regions: tuple[Region, ...] = ()
    explanation: Explanation | None = None
    measurements: tuple[Measurement, ...] = ()
    checks: tuple[Check, ...] = ()
    verdict: Verdict | None = None
    steps: tuple[Step, ...] = ()

    @property
    def accepted(self) -> tuple[Region, ...]:
        """The regions no check has rejected."""
        return tuple(r for r in self.regions if r.status == "accepted")

    def document(self) -> dict[str, Any]:
        """The record as JSON-ready data; what a region or an image does not have is left out.

        JSON has no NaN: a coordinate or score that is not finite is None, the check that rejected its region says why.
        """
        data: dict[str, Any] = json.loads(self.model_dump_json())
        for region in data["regions"]:
            for field in set(GEOMETRY_OF_KIND.values()) | {"sigma_px", "parent_id", "box_xyzxyz_mm"}:
                if region[field] is None:
                    del region[field]
        for name in ("file_slice", "file_slices"):
            if data["image"][name] is None:
                del data["image"][name]
        if (part := data["image"].get("file_slice")) and part["frame"] is None:
            del part["frame"]
        if data["image"]["orientation"] == 1:
            del data["image"]["orientation"]
        return {key: _json_numbers(value) for key, value in data.items()}


def _json_numbers(value: Any) -> Any:
    """JSON has no NaN and no infinity: a coordinate that is not finite, which only a rejected region has, is null."""
    if isinstance(value, dict):
        return {key: _json_numbers(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_json_numbers(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
