"""What is really in an image: of the two data sets and of phantoms, in one shape, for scoring answers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from fiducial.benchmarks.common import picture, read_hc18_rows, samples
from fiducial.skills.datasets.phantoms import KEYS
from fiducial.tools.geometry.boxes import iou_matrix_3d
from fiducial.tools.geometry.ellipses import ellipse_area, ellipse_axes, ellipse_circumference
from fiducial.tools.landmark_measures import landmark_named
from fiducial.tools.phantoms.phantom import Phantom, PhantomObject
from fiducial.tools.record import BoxXYXY, BoxXYZXYZ, Ellipse, Measurement, PointXY, Record
from fiducial.tools.structures import members

# For a head the names of the field and those of geometry mean one thing.
SAME_QUANTITY = {
    "head_circumference": "perimeter",
    "occipitofrontal_diameter": "long_axis",
    "biparietal_diameter": "short_axis",
}
MM_OF = {"mm": 1.0, "mm²": 1.0, "µm": 1e-3, "µm²": 1e-6}
VOLUME_KINDS = ("abdomen_ct", "head_mr")


@dataclass(frozen=True)
class Thing:
    """One object: the box of its part in the image, its whole outline, and whether all of it is in the image.

    sizes: its quantities by name, in mm and mm² (pixels where the image has no scale), in place of the outline's.
    """

    label: str
    box_xyxy_px: BoxXYXY
    ellipse_px: Ellipse
    whole: bool = True
    sizes: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Box3D:
    """A box in a volume, in the field of a region that it is to be compared with: in the world or in voxels."""

    field: str
    box_xyzxyz: BoxXYZXYZ

    def best_iou(self, record: Record) -> float:
        """The best IoU of the accepted boxes of a volume with it; 0 without one."""
        found = [box for r in record.accepted if r.kind == "box_3d" and (box := getattr(r, self.field)) is not None]
        return float(iou_matrix_3d(found, [self.box_xyzxyz]).max()) if found else 0.0


@dataclass(frozen=True)
class Truth:
    """An image's truth. exact: the outlines are known, not inscribed in boxes; known: values given by name.

    box_3d: of a whole volume, the box of its one lesion; made: the phantom's own truth, for what is judged on it;
    index: the slice of a volume that the ``_px`` fields lie on, where only that one is asked about.
    """

    path: Path
    kind: str
    things: Sequence[Thing]
    row_mm: float | None = None
    column_mm: float | None = None
    exact: bool = True
    known: dict[str, float] = field(default_factory=dict)
    landmarks_xy_px: Mapping[str, PointXY] = field(default_factory=dict)
    box_3d: Box3D | None = None
    made: Any = None
    index: int | None = None

    def of(self, structure: str) -> list[Thing]:
        """The objects of a structure, or of all members of a group."""
        return [t for t in self.things if t.label in members(structure)]

    def with_pixels(self) -> Truth:
        """The same truth in pixels, the scale left out."""
        if self.row_mm is None:
            return self
        things = [replace(t, sizes={}) for t in self.things]
        return replace(self, things=things, row_mm=None, column_mm=None, known={})

    def sizes(self, structure: str, quantity: str, whole_only: bool = False) -> list[float]:
        """The quantity of each object, largest first, in mm or mm² (pixels where there is no scale)."""
        things = [t for t in self.of(structure) if t.whole or not whole_only]
        if quantity in self.known and len(things) == 1:
            return [self.known[quantity]]
        return sorted(
            (
                t.sizes.get(quantity) or size(t.ellipse_px, quantity, self.row_mm or 1.0, self.column_mm or 1.0)
                for t in things
            ),
            reverse=True,
        )


def same_quantity(quantity: str | None) -> str | None:
    """One name for quantities that mean the same."""
    return SAME_QUANTITY.get(quantity, quantity) if quantity else quantity


def size(ellipse: Ellipse, quantity: str, row_mm: float, column_mm: float) -> float:
    """A quantity of an outline, in the unit of the steps."""
    long, short = ellipse_axes(ellipse, row_mm, column_mm)
    values = {
        "long_axis": long,
        "short_axis": short,
        "equivalent_diameter": math.sqrt(long * short),
        "perimeter": ellipse_circumference(long / 2, short / 2),
        "area": ellipse_area(long / 2, short / 2),
        "cephalic_index": short / long,
    }
    return values[SAME_QUANTITY.get(quantity, quantity)]


def in_mm(measurement: Measurement, value: float) -> float:
    """A value of a measurement in mm or mm²; pixels and ratios as they are."""
    return value * MM_OF.get(measurement.unit, 1.0)


def inscribed(box: BoxXYXY) -> Ellipse:
    """The upright ellipse in a box."""
    x0, y0, x1, y1 = box
    half = sorted(((x1 - x0) / 2, (y1 - y0) / 2), reverse=True)
    angle = 0.0 if x1 - x0 >= y1 - y0 else 90.0
    return Ellipse(
        center_xy_px=((x0 + x1) / 2, (y0 + y1) / 2), semi_major_px=half[0], semi_minor_px=half[1], angle_deg=angle
    )


def bccd_truth(data: Path) -> dict[str, Truth]:
    """The val images of BCCD; a cell whose box touches the border counts as cut."""
    found = {}
    for sample in samples(data, "bccd", "val"):
        things = [
            Thing(o.label, o.box_xyxy_px, inscribed(o.box_xyxy_px), _inside(o.box_xyxy_px, 640, 480))
            for o in sample.objects
        ]
        found[sample.id] = Truth(picture(data, "bccd", sample.id), "blood_smear", things, exact=False)
    return found


def hc18_truth(data: Path) -> dict[str, Truth]:
    """The val images of HC18: the annotated ellipse, and the circumference of the file."""
    rows, found = read_hc18_rows(data), {}
    for sample in samples(data, "hc18", "val"):
        mm, circumference_mm = rows[sample.id]
        things = [Thing("head", o.box_xyxy_px, o.ellipse_px) for o in sample.objects]
        known = {"head_circumference": circumference_mm, "perimeter": circumference_mm}
        found[sample.id] = Truth(picture(data, "hc18", sample.id), "head_ultrasound", things, mm, mm, known=known)
    return found


def dsb2018_truth(data: Path) -> dict[str, Truth]:
    """The val images of dsb2018; a nucleus whose box touches the border counts as cut. No scale."""
    found = {}
    for sample in samples(data, "dsb2018", "val"):
        height, width = sample.pixels().shape[:2]
        things = [
            Thing(o.label, o.box_xyxy_px, inscribed(o.box_xyxy_px), _inside(o.box_xyxy_px, width, height))
            for o in sample.objects
        ]
        found[sample.id] = Truth(picture(data, "dsb2018", sample.id), sample.kind, things, exact=False)
    return found


def phantom_truth(made: Any, path: Path, of_slice: bool = False) -> Truth:
    """The truth of a phantom that lies at ``path``. of_slice: of a volume, that of the slice its lesion is best on."""
    height, width = made.rgb_u8.shape[:2]
    truth, scale = made.truth, made.scale
    volume = truth.kind in VOLUME_KINDS
    if not isinstance(made, Phantom):
        things = [
            Thing(o.label, _clipped(o.box_xyxy_px, width, height), o.ellipse_px, o.visible_fraction > 0.999)
            for o in truth.objects
        ]
    else:
        named = (o for o in truth.objects if o.label in KEYS)
        things = [_thing(o, width, height, volume and not of_slice) for o in named]
    return Truth(
        path,
        truth.kind,
        things,
        scale.row_mm if scale else None,
        scale.column_mm if scale else None,
        known={q.quantity: q.value for q in getattr(truth, "quantities", ())},
        landmarks_xy_px={landmark_named(k): xy for k, xy in getattr(truth, "landmarks_xy_px", {}).items()},
        box_3d=lesion_box(made) if volume and not of_slice else None,
        made=truth,
        index=truth.objects[0].slice_index if volume and of_slice else None,
    )


def _thing(item: PhantomObject, width_px: int, height_px: int, in_volume: bool) -> Thing:
    """An object of a phantom. The long axis in a volume is the longest of the body, not that of a slice."""
    sizes = {q.quantity: q.value * MM_OF.get(q.unit, 1.0) for q in item.quantities}
    if in_volume:
        sizes = {"long_axis": sizes["axis_1"], "short_axis": sizes["axis_3"]}
    box = item.box_xyxy_px or (0.0, 0.0, 0.0, 0.0)
    outline = item.ellipse_px or inscribed(box)
    return Thing(KEYS[item.label], _clipped(box, width_px, height_px), outline, item.visible_fraction > 0.999, sizes)


def lesion_box(made: Any) -> Box3D:
    """The box of a volume's one lesion: in the world (mm, LPS); of an oblique volume, of its labels, in voxels."""
    if "labels" not in made.beside:
        return Box3D("box_xyzxyz_mm", made.truth.objects[0].box_xyzxyz_mm)
    at = np.argwhere(made.beside["labels"].values)
    (x0, y0, z0), (x1, y1, z1) = at.min(axis=0).tolist(), (at.max(axis=0) + 1).tolist()
    return Box3D("box_xyzxyz_voxel", (x0, y0, z0, x1, y1, z1))


def _inside(box: BoxXYXY, width_px: int, height_px: int) -> bool:
    return box[0] > 1 and box[1] > 1 and box[2] < width_px - 1 and box[3] < height_px - 1


def _clipped(box: BoxXYXY, width_px: int, height_px: int) -> BoxXYXY:
    return max(0.0, box[0]), max(0.0, box[1]), min(float(width_px), box[2]), min(float(height_px), box[3])
