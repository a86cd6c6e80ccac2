"""How far one typed target is from another: what must be equal, and the worst difference of what may differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fiducial.skills.families.dialects.items import SHAPE_OF_KIND, items_of
from fiducial.skills.targets import CountTarget, NumbersTarget, Target
from fiducial.tools.record import PointXY

HALF_SLICE, HALF_NUMBER = 0.5, 0.0005  # half of the steps in which z and plain numbers are written
ROUNDING_PX, ROUNDING_NUMBER = 1e-6, 1e-9  # what floating point loses in the maps themselves


@dataclass(frozen=True)
class Parts:
    """A target taken apart. corners: x, y in stored pixels; heights: z in slices; exact: what must come back as it is.

    numbers: plain ones, each in its unit.
    """

    corners: list[PointXY]
    heights: list[float]
    numbers: list[float]
    exact: list[Any]


def parts_of(target: Target) -> Parts:
    """A target taken apart."""
    if isinstance(target, CountTarget):
        boxes = target.boxes_xyxy_px or ()
        corners = [*(target.points_xy_px or ()), *(c for b in boxes for c in (b[:2], b[2:]))]
        sizes = (target.points_xy_px is None, target.boxes_xyxy_px is None, len(boxes), len(corners))
        return Parts(corners, [], [], [target.kind, target.label, target.count, sizes])
    if isinstance(target, NumbersTarget):
        return Parts([], [], [n.value for n in target.numbers], [(n.name, n.unit) for n in target.numbers])
    if target.kind not in SHAPE_OF_KIND:
        return Parts([], [], [], [target])
    items = items_of(target)  # type: ignore[arg-type]
    exact = [target.kind, *[(i.label, len(i.corners)) for i in items]]
    return Parts([c for i in items for c in i.corners], [z for i in items for z in i.z or ()], [], exact)


@dataclass(frozen=True)
class Difference:
    """Between what was meant and what came back.

    errors_px, errors_half_steps: of every x and y, in stored pixels and in half steps of the dialect's grid;
    agrees: whether all is equal, or within half a step where it is written in steps.
    """

    errors_px: list[float]
    errors_half_steps: list[float]
    agrees: bool


def difference(meant: Target, found: Target, half_step_px: tuple[float, float]) -> Difference:
    """See ``Difference``; half_step_px: of x and y (``Grid.half_step_px``)."""
    a, b = parts_of(meant), parts_of(found)
    if a.exact != b.exact or len(a.corners) != len(b.corners) or len(a.numbers) != len(b.numbers):
        return Difference([], [], False)
    steps = [step for _ in a.corners for step in half_step_px]
    there, back = ([v for corner in corners for v in corner] for corners in (a.corners, b.corners))
    px = [abs(v - w) for v, w in zip(there, back, strict=True)]
    agrees = all(e <= step + ROUNDING_PX for e, step in zip(px, steps, strict=True))
    agrees &= all(abs(v - w) <= HALF_SLICE for v, w in zip(a.heights, b.heights, strict=True))
    agrees &= all(abs(v - w) <= HALF_NUMBER + ROUNDING_NUMBER for v, w in zip(a.numbers, b.numbers, strict=True))
    return Difference(px, [e / step for e, step in zip(px, steps, strict=True)], agrees)
