"""Sizes of a box in a volume, in the world: its sides along the slice's axes and across the slices."""

from __future__ import annotations

import math

from fiducial.tools.errors import InputError
from fiducial.tools.measure import UNKNOWN_SIGMA_PX, interval_95
from fiducial.tools.record import Measurement, Quantity, Region, Scale

SIDES: dict[Quantity, int] = {"long_axis": 2, "short_axis": 0}  # which of the three sides in rising order
NOTE = "a side of the box in the volume, which is no axis of what lies in it askew"


def measure_box_3d(region: Region, quantity: Quantity, scale: Scale | None) -> Measurement:
    """The longest or shortest side of a ``box_3d`` in mm, with its uncertainty.

    An end errs by ``sigma_px`` in the slice and, across the slices, by the step of one. Raises InputError for another
    quantity, a box without an extent, and where the distance of the slices is not known.
    """
    if region.box_xyzxyz_voxel is None or quantity not in SIDES:
        known = ", ".join(q.replace("_", " ") for q in SIDES)
        raise InputError(f"region {region.id}: of a box in a volume there is {known}, no {quantity.replace('_', ' ')}")
    if scale is None or scale.slice_mm is None:
        raise InputError(f"region {region.id} cannot be measured: the distance of the volume's slices is not known")
    steps = (scale.column_mm, scale.row_mm, scale.slice_mm)
    x0, y0, z0, x1, y1, z1 = region.box_xyzxyz_voxel
    sigma_px = UNKNOWN_SIGMA_PX if region.sigma_px is None else region.sigma_px
    sigmas = (sigma_px, sigma_px, UNKNOWN_SIGMA_PX)
    sides = sorted(
        (extent * step, math.sqrt(2) * sigma * step)
        for extent, step, sigma in zip((x1 - x0, y1 - y0, z1 - z0), steps, sigmas, strict=True)
    )
    value, spread = sides[SIDES[quantity]]
    deviation = math.hypot(spread, scale.tolerance * value)
    if not (math.isfinite(value) and value > 0 and math.isfinite(deviation)):
        raise InputError(f"region {region.id} cannot be measured: its box has no finite, positive extent")
    return Measurement(
        quantity=quantity,
        value=value,
        unit="mm",
        uncertainty=deviation,
        interval=interval_95(value, deviation),
        scale_source=scale.source,
        region_ids=(region.id,),
        note=NOTE,
    )
