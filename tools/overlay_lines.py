"""The lines that a measurement between landmarks is taken along: an angle's arms, a length, a width across."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from fiducial.tools.errors import InputError
from fiducial.tools.landmark_measures import Form, form_of
from fiducial.tools.record import Measurement, PointXY, Region

Points = NDArray[np.float64]
# Of each form, the chains of points (by their place in it) that are drawn joined; of a width, its two ends.
CHAINS: Mapping[Form, tuple[tuple[int, ...], ...]] = {
    "angle_at_vertex": ((0, 1, 2),),
    "difference_at_vertex": ((0, 1), (1, 2), (1, 3)),
    "angle_between_lines": ((0, 1), (2, 3)),
    "length": ((0, 1),),
    "width": ((0, 1),),
    "width_ratio": ((0, 1), (2, 3)),
}
ACROSS: frozenset[Form] = frozenset({"width", "width_ratio"})


def measured_lines(measurement: Measurement, regions: Mapping[str, Region]) -> list[Points]:
    """Polylines (N, 2) in stored pixels; none for what is not taken between landmarks.

    A width counts along x alone: it is drawn level, half-way between the heights of its ends.
    """
    ends = [regions[key] for key in measurement.region_ids if key in regions]
    points = [region.point_xy_px for region in ends if region.kind == "landmark" and region.point_xy_px]
    if len(points) < 2 or len(points) != len(measurement.region_ids):
        return []
    try:
        form = form_of(measurement.quantity, len(points))
    except InputError:  # a quantity of another kind, that a tool has tied to landmarks
        return []
    return [_line([points[k] for k in chain], level=form in ACROSS) for chain in CHAINS[form]]


def _line(points: Sequence[PointXY], level: bool) -> Points:
    line = np.array(points, dtype=np.float64)
    if level:
        line[:, 1] = line[:, 1].mean()
    return line
