"""Each region by itself: coordinates that are numbers, lie in the image, and enclose something."""

from __future__ import annotations

import numpy as np

from fiducial.tools.checks.common import coordinates, extent, finite, listed, passed, rejecting
from fiducial.tools.hooks import CheckOutcome, CheckSpec
from fiducial.tools.record import Check, Record, Region
from fiducial.tools.structures import structures

OUTSIDE_PX = 2.0  # a coordinate that was rounded, or an edge drawn along the border
OUTSIDE_FRACTION = {"box": 0.05, "polygon": 0.05, "ellipse": 0.1}  # of a region's side
SMALLEST_PX = 1.0
SMALL_FRACTION = 0.05  # MedVision (arXiv 2511.18676): below, detection fails steeply
KNOWN_SMALL_FRACTION = 0.0005  # of a structure that a built-in skill was trained and calibrated on: 15 px square


def coordinates_finite(record: Record) -> CheckOutcome | None:
    """Reject regions with a coordinate that is not a finite number."""
    if not record.accepted:
        return None
    bad = [
        (r.id, f"is given by {'coordinates that are not finite' if len(coordinates(r)) else 'no coordinates at all'}")
        for r in record.accepted
        if not (len(coordinates(r)) and np.isfinite(coordinates(r)).all())
    ]
    return rejecting("coordinates_finite", bad, f"all coordinates of {len(record.accepted)} regions are finite")


def _outside_px(region: Region, width_px: int, height_px: int) -> float:
    """How far a region may not but does reach beyond the image, in pixels: ≤ 0 where that is tolerable."""
    x0, y0, x1, y1 = extent(region)
    share = OUTSIDE_FRACTION.get(region.kind, 0.0)
    beyond_x = max(-x0, x1 - width_px) - max(OUTSIDE_PX, share * (x1 - x0))
    beyond_y = max(-y0, y1 - height_px) - max(OUTSIDE_PX, share * (y1 - y0))
    return float(max(beyond_x, beyond_y))


def inside_image(record: Record) -> CheckOutcome | None:
    """Reject regions that reach more than slightly beyond the image; touching its edge is fine.

    Slightly: 2 px, or a twentieth of a box's side, a tenth of an ellipse's (none of the 403 annotated heads that this
    was tried on reaches out at all, but an estimate of one that touches the border may).
    """
    regions = finite(record.accepted)
    if not regions:
        return None
    size = record.image.width_px, record.image.height_px
    bad = [(r.id, "lies outside the image or reaches far beyond it") for r in regions if not _outside_px(r, *size) <= 0]
    return rejecting("inside_image", bad, f"{len(regions)} regions lie in the image of {size[0]}×{size[1]} px")


def _degenerate(region: Region) -> str | None:
    """What is wrong with a finite region's shape, if anything."""
    from fiducial.tools.geometry.polygons import polygon_area

    if region.polygon_xy_px is not None:
        encloses = len(region.polygon_xy_px) > 2 and polygon_area(region.polygon_xy_px) > SMALLEST_PX**2 / 2
        return None if encloses else "is a polygon that encloses nothing"
    if region.ellipse_px is not None:
        axis = 2 * min(region.ellipse_px.semi_minor_px, region.ellipse_px.semi_major_px)
        return None if axis >= SMALLEST_PX else f"is an ellipse with an axis of {axis:.2g} px"
    if region.box_xyzxyz_voxel is not None:
        low, high = np.array(region.box_xyzxyz_voxel).reshape(2, 3)
        sides = high - low
        return None if sides.min() >= SMALLEST_PX else f"is a box of {' × '.join(f'{v:.3g}' for v in sides)} voxels"
    if region.box_xyxy_px is not None:
        x0, y0, x1, y1 = region.box_xyxy_px
        return None if min(x1 - x0, y1 - y0) >= SMALLEST_PX else f"is a box of {x1 - x0:.3g}×{y1 - y0:.3g} px"
    return None


def not_degenerate(record: Record) -> CheckOutcome | None:
    """Reject regions that enclose nothing: sides below one pixel, inverted boxes, polygons without an area."""
    regions = [r for r in finite(record.accepted) if r.kind not in ("point", "landmark")]
    if not regions:
        return None
    bad = [(r.id, why) for r in regions if (why := _degenerate(r))]
    return rejecting("not_degenerate", bad, f"{len(regions)} regions have an extent")


def not_self_intersecting(record: Record) -> CheckOutcome | None:
    """Reject polygons whose outline crosses itself: part of what they enclose counts negative."""
    from fiducial.tools.geometry.polygons import is_simple

    regions = [r for r in finite(record.accepted) if r.polygon_xy_px is not None]
    if not regions:
        return None
    bad = [(r.id, "is a polygon that crosses itself") for r in regions if not is_simple(r.polygon_xy_px or ())]
    return rejecting("not_self_intersecting", bad, f"the outlines of {len(regions)} polygons do not cross themselves")


def small_object(record: Record) -> CheckOutcome | None:
    """Warn of regions below 5 % of the image's area, where models place boxes badly (MedVision, arXiv 2511.18676).

    Structures of ``structures.json`` are warned of below 0.05 % (15 px square in 640×480): the built-in skills were
    trained and calibrated on objects that small, and every blood cell is one.
    """
    regions = [r for r in finite(record.accepted) if r.kind not in ("point", "landmark")]
    if not regions:
        return None
    image = record.image.width_px * record.image.height_px
    fraction = {r.id: float((e := extent(r))[2] - e[0]) * float(e[3] - e[1]) / image for r in regions}
    least = {r.id: KNOWN_SMALL_FRACTION if r.label in structures() else SMALL_FRACTION for r in regions}
    small = [f"{i} {100 * f:.3g} % (below {100 * least[i]:g} %)" for i, f in fraction.items() if f < least[i]]
    if not small:
        share = 100 * min(least.values())
        return passed("small_object", f"all of {len(regions)} regions cover at least {share:g} % of the image")
    return CheckOutcome(Check(name="small_object", outcome="warn", detail=f"share of the image: {listed(small)}"))


CHECKS = [
    CheckSpec("coordinates_finite", str(coordinates_finite.__doc__), "ground", coordinates_finite),
    CheckSpec("inside_image", str(inside_image.__doc__), "ground", inside_image),
    CheckSpec("not_degenerate", str(not_degenerate.__doc__), "ground", not_degenerate),
    CheckSpec("not_self_intersecting", str(not_self_intersecting.__doc__), "ground", not_self_intersecting),
    CheckSpec("small_object", str(small_object.__doc__), "ground", small_object),
]
