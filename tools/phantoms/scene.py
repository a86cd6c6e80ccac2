"""A scene: a synthetic image with its scale and its exact analytic truth."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fiducial.tools.phantoms.ellipse import WorldEllipse
from fiducial.tools.record import BoxXYXY, Ellipse, Part, Scale

Kind = Literal["blood_smear", "head_ultrasound"]


class TruthObject(Part):
    """One object. Every value follows in closed form from its ellipse in the world.

    label: key of the structure table. ellipse_px: the outline in stored pixels; box_xyxy_px: the tight box of that
    outline, which reaches outside the image where the object is cut. visible_fraction: share of its area inside.
    Lengths in mm, areas in mm², of the whole outline, computed in world space.
    """

    label: str
    ellipse_px: Ellipse
    box_xyxy_px: BoxXYXY
    visible_fraction: float
    long_axis_mm: float
    short_axis_mm: float
    equivalent_diameter_mm: float
    perimeter_mm: float
    area_mm2: float


class Truth(Part):
    """What is in a scene: its kind, every object, and how many of each (zeros included)."""

    kind: Kind
    objects: tuple[TruthObject, ...]
    counts: dict[str, int]


@dataclass(frozen=True)
class Scene:
    """A synthetic image. rgb_u8: (H, W, 3) uint8; the seed with the maker's arguments reproduces it byte for byte."""

    name: str
    seed: int
    rgb_u8: NDArray[np.uint8]
    scale: Scale
    truth: Truth

    def truth_document(self) -> dict[str, Any]:
        """The truth as JSON-ready data, units in the names; cells also in µm, a head also by its clinical names."""
        height, width = self.rgb_u8.shape[:2]
        objects = [
            {**item.model_dump(mode="json"), **_domain_sizes(self.truth.kind, item)} for item in self.truth.objects
        ]
        return {
            "scene": self.name,
            "seed": self.seed,
            "kind": self.truth.kind,
            "width_px": width,
            "height_px": height,
            "scale": self.scale.model_dump(mode="json"),
            "counts": dict(self.truth.counts),
            "objects": objects,
        }


def make_truth(
    kind: Kind,
    labels: Iterable[str],
    objects: Iterable[tuple[str, WorldEllipse]],
    scale: Scale,
    size_wh_px: tuple[int, int],
) -> Truth:
    """The truth of ``objects`` (label and outline); ``labels``: all that are counted, also those that are absent."""
    counts = dict.fromkeys(labels, 0)
    items = []
    for label, ellipse in objects:
        counts[label] += 1
        items.append(
            TruthObject(
                label=label,
                ellipse_px=ellipse.ellipse_px(scale),
                box_xyxy_px=ellipse.box_xyxy_px(scale),
                visible_fraction=ellipse.visible_fraction(scale, *size_wh_px),
                long_axis_mm=2 * ellipse.semi_major_mm,
                short_axis_mm=2 * ellipse.semi_minor_mm,
                equivalent_diameter_mm=2 * float(np.sqrt(ellipse.semi_major_mm * ellipse.semi_minor_mm)),
                perimeter_mm=ellipse.perimeter_mm,
                area_mm2=ellipse.area_mm2,
            )
        )
    return Truth(kind=kind, objects=tuple(items), counts=counts)


def _domain_sizes(kind: Kind, item: TruthObject) -> dict[str, float]:
    """The sizes under the names and units in which the domain speaks of them."""
    if kind == "head_ultrasound":
        return {
            "head_circumference_mm": item.perimeter_mm,
            "biparietal_diameter_mm": item.short_axis_mm,
            "occipitofrontal_diameter_mm": item.long_axis_mm,
        }
    return {
        "long_axis_um": item.long_axis_mm * 1e3,
        "short_axis_um": item.short_axis_mm * 1e3,
        "equivalent_diameter_um": item.equivalent_diameter_mm * 1e3,
        "perimeter_um": item.perimeter_mm * 1e3,
        "area_um2": item.area_mm2 * 1e6,
    }
