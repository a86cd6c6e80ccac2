"""Measurements of regions in physical units, with their uncertainty. Units come from the scale and from nothing else.

Uncertainty is one standard deviation by first-order propagation (GUM, JCGM 100:2008, 5.1.2): the sensitivities are
central differences. The inputs are independent: the coordinates that carry the region (the sides of a box, the ends
of an ellipse's axes, five smooth modes of an outline), each with ``sigma_px``, a quantisation step q adding q²/12 to
their variance (GUM F.2.2.1), and the relative tolerance of the scale, common to all lengths. The interval is ±1.96 of
it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fiducial.tools.errors import InputError
from fiducial.tools.geometry import polygons
from fiducial.tools.geometry.ellipses import (
    ellipse_area,
    ellipse_axes,
    ellipse_circumference,
    ellipse_from_axes,
)
from fiducial.tools.record import Interval, Measurement, Quantity, Region, Scale, Unit
from fiducial.tools.scale import area_unit, length_unit, per_mm
from fiducial.tools.structures import structures

Floats = NDArray[np.float64]

UNKNOWN_SIGMA_PX = 1.0 / math.sqrt(12.0)  # nothing is known of a coordinate but the pixel that it fell into
NO_SCALE = "in pixels: the image carries no physical scale"
INTERVAL_METHOD = "normal, first-order propagation (GUM, JCGM 100:2008)"


class Size(NamedTuple):
    """What every quantity is made of, in the unit of the steps, each worked out where it is asked for.

    axes: long and short; perimeter: length of the outline; area: squared.
    """

    axes: Callable[[], tuple[float, float]]
    perimeter: Callable[[], float]
    area: Callable[[], float]


QUANTITY_OF_SIZE: dict[Quantity, tuple[int, Callable[[Size], float]]] = {
    # the power of a length that the quantity is, and how it follows from the size
    "long_axis": (1, lambda s: s.axes()[0]),
    "short_axis": (1, lambda s: s.axes()[1]),
    "occipitofrontal_diameter": (1, lambda s: s.axes()[0]),
    "biparietal_diameter": (1, lambda s: s.axes()[1]),
    "head_circumference": (1, lambda s: s.perimeter()),
    "perimeter": (1, lambda s: s.perimeter()),
    "equivalent_diameter": (1, lambda s: 2.0 * math.sqrt(s.area() / math.pi)),
    "area": (2, lambda s: s.area()),
    "cephalic_index": (0, lambda s: s.axes()[1] / s.axes()[0]),
}
ELLIPSE_ONLY: dict[Quantity, str] = {
    "head_circumference": "circumference of the head's ellipse, at the outer border of the skull",
    "biparietal_diameter": "minor axis of the head's ellipse, outer to outer border",
    "occipitofrontal_diameter": "major axis of the head's ellipse, outer to outer border",
    "cephalic_index": "minor over major axis of the head's ellipse",
}


@dataclass(frozen=True)
class _Shape:
    """A region as a function of its uncertain coordinates. size(coordinates, row_mm, column_mm) -> Size."""

    coordinates_px: Floats
    size: Callable[[Floats, float, float], Size]
    note: str | None = None


def _ellipse_size(long: float, short: float) -> Size:
    a, b = long / 2, short / 2
    return Size(lambda: (long, short), lambda: ellipse_circumference(a, b), lambda: ellipse_area(a, b))


def _ellipse_shape(region: Region) -> _Shape:
    """The eight coordinates of the four axis ends."""
    ellipse = region.ellipse_px
    assert ellipse is not None

    def size(ends: Floats, row_mm: float, column_mm: float) -> Size:
        p = ends.reshape(4, 2)
        return _ellipse_size(*ellipse_axes(ellipse_from_axes(p[:2].tolist(), p[2:].tolist()), row_mm, column_mm))

    return _Shape(np.array(ellipse.vertices_xy_px).ravel(), size)


def _box_shape(region: Region) -> _Shape:
    """The four sides; the axes are its sides, outline and area those of the ellipse inscribed in it."""
    assert region.box_xyxy_px is not None

    def size(box: Floats, row_mm: float, column_mm: float) -> Size:
        sides = float(box[2] - box[0]) * column_mm, float(box[3] - box[1]) * row_mm
        return _ellipse_size(max(sides), min(sides))

    note = "taken on a box: its sides as the axes, the ellipse inscribed in it for outline and area"
    return _Shape(np.array(region.box_xyxy_px), size, note)


def _polygon_shape(region: Region) -> _Shape:
    """Five smooth modes of the outline: all of it outwards, and cosine and sine once and twice around.

    A segmentation errs in stretches of the outline and not vertex by vertex, which would average away. With these
    weights the modes are the field of covariance sigma² cos t (1 + cos t) / 2 over the way around t: every place errs
    by sigma, whatever its direction, and places a quarter or half of the way apart err independently.
    """
    outline = np.asarray(region.polygon_xy_px, dtype=np.float64)
    ahead = polygons.following(outline)
    tangent = ahead - np.roll(outline, 1, axis=0)
    signed = float(np.sum(outline[:, 0] * ahead[:, 1] - ahead[:, 0] * outline[:, 1]))
    normal = np.stack([tangent[:, 1], -tangent[:, 0]], axis=1) * math.copysign(1.0, signed)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    side = np.linalg.norm(ahead - outline, axis=1)
    t = 2.0 * math.pi * (np.cumsum(side) - side) / max(float(side.sum()), 1e-12)
    once, twice = math.sqrt(0.5), 0.5
    modes = np.stack(
        [np.full(len(t), 0.5), once * np.cos(t), once * np.sin(t), twice * np.cos(2 * t), twice * np.sin(2 * t)], axis=1
    )

    def size(moves: Floats, row_mm: float, column_mm: float) -> Size:
        p = outline + (modes @ moves)[:, None] * normal
        return Size(
            lambda: polygons.recist_axes(p, row_mm, column_mm),
            lambda: polygons.polygon_perimeter(p, row_mm, column_mm),
            lambda: polygons.polygon_area(p, row_mm, column_mm),
        )

    return _Shape(np.zeros(5), size)


SHAPE_OF_KIND: dict[str, Callable[[Region], _Shape]] = {
    "ellipse": _ellipse_shape,
    "box": _box_shape,
    "polygon": _polygon_shape,
}


def _gradient(function: Callable[[Floats], float], at: Floats, step: float) -> Floats:
    """Central differences of a function of (N,) coordinates."""
    moves = np.eye(len(at)) * step
    return np.array([(function(at + move) - function(at - move)) / (2.0 * step) for move in moves])


def unit_of(power: int, scale: Scale | None, structure_key: str | None) -> tuple[Unit, float]:
    """The unit of a quantity that is a length to the given power, and the factor from mm (or px) to that power.

    As ``scale.length_unit`` has it; microscopic is a structure that is never a millimetre long.
    """
    if power == 0:
        return "1", 1.0
    known = structures().get(structure_key or "")
    microscopic = known is not None and known.long_axis_mm[1] < 1.0
    unit = (length_unit, area_unit)[power - 1](scale, microscopic)
    return unit, 1.0 if scale is None else per_mm(unit)


def _notes(shape: _Shape, region: Region, quantity: Quantity, scale: Scale | None) -> str | None:
    """Everything that a reader must know of this number, in one line."""
    notes = [ELLIPSE_ONLY.get(quantity), shape.note]
    if scale is None:
        ratio = quantity == "cephalic_index"
        notes.append("a ratio of pixels, which holds if they are square" if ratio else NO_SCALE)
    elif scale.source == "detector":
        notes.append("at the detector: the projection magnifies, so the structure itself is smaller")
    if region.sigma_px is None:
        notes.append("the skill stated no uncertainty: that of one pixel's quantisation is used")
    return "; ".join(note for note in notes if note) or None


def measure(
    region: Region,
    quantity: Quantity,
    scale: Scale | None,
    structure_key: str | None = None,
    quantisation_px: float = 0.0,
) -> Measurement:
    """One quantity of one region, by the region's kind.

    Ellipse: its axes in world space, outline by the complete elliptic integral. Polygon: RECIST long and short axis,
    outline, area.
    Box: its sides, and the inscribed ellipse. structure_key decides between mm and µm only. quantisation_px: step of
    the coordinates where they were spelled on a grid. Raises InputError for a region without an extent (a point), a
    degenerate one, or a head's quantity of something that is not an ellipse.
    """
    if quantity not in QUANTITY_OF_SIZE:
        raise InputError(f"region {region.id}: {quantity} is not measured on a region; count the regions instead")
    if region.kind not in SHAPE_OF_KIND:
        raise InputError(f"region {region.id}: {quantity} needs a box, polygon or ellipse, not a {region.kind}")
    if quantity in ELLIPSE_ONLY and region.kind != "ellipse":
        raise InputError(f"region {region.id}: {quantity} needs the head's ellipse, not a {region.kind}")
    power, formula = QUANTITY_OF_SIZE[quantity]
    unit, factor = unit_of(power, scale, structure_key)
    row_mm, column_mm = (scale.row_mm, scale.column_mm) if scale else (1.0, 1.0)
    tolerance = scale.tolerance if scale else 0.0
    try:
        shape = SHAPE_OF_KIND[region.kind](region)

        def quantity_of(coordinates: Floats) -> float:
            return factor * formula(shape.size(coordinates, row_mm, column_mm))

        value = quantity_of(shape.coordinates_px)
        slope = _gradient(quantity_of, shape.coordinates_px, step=1e-3)
    except ValueError as error:
        raise InputError(f"region {region.id} cannot be measured: {error}") from None
    sigma_px = UNKNOWN_SIGMA_PX if region.sigma_px is None else region.sigma_px
    variance_px = sigma_px**2 + quantisation_px**2 / 12.0
    deviation = math.sqrt(float(slope @ slope) * variance_px + (power * tolerance * value) ** 2)
    if not (math.isfinite(value) and math.isfinite(deviation) and value > 0):
        raise InputError(f"region {region.id} cannot be measured: its {region.kind} has no finite, positive extent")
    return Measurement(
        quantity=quantity,
        value=value,
        unit=unit,
        uncertainty=deviation,
        interval=interval_95(value, deviation),
        scale_source=scale.source if scale else "none",
        region_ids=(region.id,),
        note=_notes(shape, region, quantity, scale),
    )


def interval_95(value: float, deviation: float) -> Interval:
    """The 95 % interval of a positive quantity with one standard deviation; it does not go below zero."""
    return Interval(
        low=max(0.0, value - 1.959964 * deviation),
        high=value + 1.959964 * deviation,
        level=0.95,
        method=INTERVAL_METHOD,
    )


def measure_all(
    regions: Sequence[Region], quantity: Quantity, scale: Scale | None, structure_key: str | None = None
) -> list[Measurement]:
    """The quantity of every region, largest first."""
    return sorted((measure(r, quantity, scale, structure_key) for r in regions), key=lambda m: -m.value)
