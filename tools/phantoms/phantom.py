"""A phantom of any kind: pictures or a volume, its typed truth, and the files that it is written as.

``Scene`` (``scene.py``) is the older and narrower kind, of flat ellipses with a scale; the two are written alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from fiducial.tools.phantoms import outline
from fiducial.tools.phantoms.ellipse import WorldEllipse
from fiducial.tools.record import BoxXYXY, Ellipse, Finite, Part, PointXY, Scale

XYZ = tuple[Finite, Finite, Finite]
UNIT_OF_SOURCE = {"detector": ("mm at the detector", "mm² at the detector", 1.0), "microscope": ("µm", "µm²", 1e3)}


class TruthQuantity(Part):
    """One true number. of: the landmarks that it is taken on, where it is not a size of one object."""

    quantity: str
    value: Finite
    unit: str
    of: tuple[str, ...] = ()


class TruthEllipsoid(Part):
    """An ellipsoid in the patient, mm, LPS. axes_xyz: one unit vector for each of the semi-axes, longest first."""

    center_xyz_mm: XYZ
    semi_axes_mm: XYZ
    axes_xyz: tuple[XYZ, XYZ, XYZ]


class PhantomObject(Part):
    """One object: its geometry, as many of the fields as it has, and its sizes.

    label_value: its number in the label image. slice_index: the slice, from 0, that the ``_px`` fields lie on, in a
    volume; box_xyzxyz_mm: least, then greatest x, y, z, LPS. visible_fraction: share of its area or volume inside.
    """

    id: str
    label: str
    label_value: int | None = None
    slice_index: int | None = None
    box_xyxy_px: BoxXYXY | None = None
    ellipse_px: Ellipse | None = None
    polygon_xy_px: tuple[PointXY, ...] | None = None
    box_xyzxyz_mm: tuple[Finite, Finite, Finite, Finite, Finite, Finite] | None = None
    ellipsoid_mm: TruthEllipsoid | None = None
    visible_fraction: float = 1.0
    quantities: tuple[TruthQuantity, ...] = ()

    def value(self, quantity: str) -> float:
        """The value of one of its quantities. Raises KeyError."""
        return {q.quantity: q.value for q in self.quantities}[quantity]


class PhantomTruth(Part):
    """What is in a phantom: its kind, every object, how many of each (zeros included), landmarks, quantities."""

    kind: str
    objects: tuple[PhantomObject, ...] = ()
    counts: dict[str, int] = Field(default_factory=dict)
    landmarks_xy_px: dict[str, PointXY] = Field(default_factory=dict)
    quantities: tuple[TruthQuantity, ...] = ()

    def value(self, quantity: str) -> float:
        """The value of a quantity of the whole phantom. Raises KeyError."""
        return {q.quantity: q.value for q in self.quantities}[quantity]


class PhantomFile(Protocol):
    """One file or folder that a phantom is written as."""

    @property
    def ending(self) -> str:
        """The end of its name, without the dot; empty for a folder."""

    def write(self, path: Path) -> None:
        """Write it. Raises OSError."""


@dataclass(frozen=True, eq=False)
class Phantom:
    """A synthetic image or volume. rgb_u8: (H, W, 3) uint8, how it (or its middle slice) is shown.

    scale: of the stored pixels, of one slice for a volume; None where the files carry none. shape: what the truth
    document says of the size. image: the image's file; beside: further files by what they hold (``labels``).
    """

    name: str
    seed: int
    rgb_u8: NDArray[np.uint8]
    scale: Scale | None
    truth: PhantomTruth
    image: PhantomFile
    beside: Mapping[str, PhantomFile]
    shape: dict[str, Any]

    def truth_document(self) -> dict[str, Any]:
        """The truth as JSON-ready data; an object carries only the fields that it has."""
        truth = self.truth.model_dump(mode="json")
        objects = [{k: v for k, v in item.items() if v is not None} for item in truth["objects"]]
        for quantity in [*truth["quantities"], *(q for item in objects for q in item["quantities"])]:
            if not quantity["of"]:
                del quantity["of"]
        return {
            "scene": self.name,
            "seed": self.seed,
            "kind": truth["kind"],
            **self.shape,
            "scale": self.scale.model_dump(mode="json") if self.scale else None,
            "counts": truth["counts"],
            "objects": objects,
            "landmarks_xy_px": truth["landmarks_xy_px"],
            "quantities": truth["quantities"],
        }


def sizes(
    scale: Scale | None, long_axis: float, short_axis: float, area: float, perimeter: float
) -> tuple[TruthQuantity, ...]:
    """The sizes of a flat outline, given in mm and mm² (without a scale in px and px²), in the unit of the scale."""
    length, square, factor = UNIT_OF_SOURCE.get(scale.source, ("mm", "mm²", 1.0)) if scale else ("px", "px²", 1.0)
    given = (
        ("long_axis", long_axis),
        ("short_axis", short_axis),
        ("perimeter", perimeter),
        ("equivalent_diameter", 2 * math.sqrt(area / math.pi)),
    )
    lengths = tuple(TruthQuantity(quantity=name, value=value * factor, unit=length) for name, value in given)
    return (*lengths, TruthQuantity(quantity="area", value=area * factor**2, unit=square))


def ellipse_object(
    id: str,
    label: str,
    ellipse: WorldEllipse,
    grid: Scale,
    size_wh_px: tuple[int, int],
    scaled: bool = True,
    label_value: int | None = None,
) -> PhantomObject:
    """An object whose outline is an ellipse in mm on ``grid``; scaled False: square pixels, sizes in px."""
    unit = 1.0 if scaled else 1 / grid.row_mm
    axes = (2 * ellipse.semi_major_mm * unit, 2 * ellipse.semi_minor_mm * unit)
    return PhantomObject(
        id=id,
        label=label,
        label_value=label_value,
        box_xyxy_px=ellipse.box_xyxy_px(grid),
        ellipse_px=ellipse.ellipse_px(grid),
        visible_fraction=ellipse.visible_fraction(grid, *size_wh_px),
        quantities=sizes(grid if scaled else None, *axes, ellipse.area_mm2 * unit**2, ellipse.perimeter_mm * unit),
    )


def polygon_object(id: str, label: str, polygon_px: outline.Points, scale: Scale | None = None) -> PhantomObject:
    """An object whose outline is a polygon in stored pixels, all of it inside; sizes in the scale's unit, else px."""
    step = (scale.column_mm, scale.row_mm) if scale else (1.0, 1.0)
    world = polygon_px * step
    return PhantomObject(
        id=id,
        label=label,
        box_xyxy_px=outline.box_of(polygon_px),
        polygon_xy_px=tuple((x, y) for x, y in polygon_px.tolist()),
        quantities=sizes(scale, *outline.longest_axis(world), outline.area(world), outline.perimeter(world)),
    )


def counts_of(labels: Iterable[str], objects: Iterable[PhantomObject]) -> dict[str, int]:
    """How many objects of each label, zeros included."""
    counts = dict.fromkeys(labels, 0)
    for item in objects:
        counts[item.label] += 1
    return counts
