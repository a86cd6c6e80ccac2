"""Sizes: there is a scale for them, it holds where they were taken, and what was measured can be that large."""

from __future__ import annotations

import numpy as np

from fiducial.tools.checks.common import extent, finite, listed, passed, rejecting
from fiducial.tools.errors import InputError
from fiducial.tools.hooks import CheckOutcome, CheckSpec
from fiducial.tools.record import Check, Record, Region, Scale
from fiducial.tools.structures import structures

MARGIN = 1.25  # beyond the published range by less than this factor is unusual, by more impossible
RATIOS = ("count", "cephalic_index")
OUTSIDE_PX = 2.0  # beyond the scale's box: a coordinate that was rounded, an edge drawn along its border


def scale_present(record: Record) -> CheckOutcome | None:
    """A question about a size has a physical scale to be answered with; warn and say why where there is none."""
    if record.understanding is None:
        return None
    intent = record.understanding.intent
    if intent.task not in ("size", "compare") or intent.quantity is None or intent.quantity in RATIOS:
        return None
    scale = record.image.scale
    if scale is None:
        why = record.image.scale_refused or "the image carries none"
        detail = f"no physical scale: {why}; lengths stay in pixels"
        return CheckOutcome(Check(name="scale_present", outcome="warn", detail=detail))
    return passed("scale_present", f"{scale.row_mm:g} × {scale.column_mm:g} mm per pixel, from {scale.source}")


def inside_scale_region(record: Record) -> CheckOutcome | None:
    """Reject measured regions that reach more than 2 px beyond the part of the image where its scale holds.

    Outside an ultrasound region (PS3.3 C.8.5.5) a pixel has another size, or none. What reaches beyond the image
    itself is not judged here.
    """
    box, image = record.image.scale_box_xyxy_px, record.image
    measured = {i for m in record.measurements if m.scale_source != "none" for i in m.region_ids}
    regions = [r for r in finite(record.accepted) if r.id in measured]
    if box is None or not regions:
        return None
    low, high = np.array(box[:2]) - OUTSIDE_PX, np.array(box[2:]) + OUTSIDE_PX
    told = f"the scale's region x {box[0]:g} to {box[2]:g}, y {box[1]:g} to {box[3]:g} px"
    bad = []
    for region in regions:
        first, last = np.clip(extent(region).reshape(2, 2), 0, (image.width_px, image.height_px))
        if (first < low).any() or (last > high).any():
            bad.append((region.id, f"reaches outside {told}"))
    return rejecting("inside_scale_region", bad, f"{len(regions)} measured regions lie in {told}")


def _long_axis_mm(region: Region, scale: Scale) -> float | None:
    """The long axis in mm, or None where the region cannot be measured."""
    from fiducial.tools.measure import measure

    try:
        return measure(region, "long_axis", scale, structure_key=None).value
    except InputError:
        return None


def plausible_size(record: Record) -> CheckOutcome | None:
    """The long axis of each measured region lies in the published range of its structure (``structures.json``).

    Only with a scale in the patient: at a detector, things are magnified. A quarter beyond the range warns; more
    fails, and rejects the region. Where every region is out by one factor, the scale is the first suspect, and the
    detail says so.
    """
    scale = record.image.scale
    measured = {i for m in record.measurements for i in m.region_ids}
    if scale is None or scale.source == "detector" or not measured:
        return None
    unusual, impossible, judged = [], [], 0
    for region in record.accepted:
        structure = structures().get(region.label)
        length = _long_axis_mm(region, scale) if structure and region.id in measured else None
        if structure is None or length is None:
            continue
        judged += 1
        low, high = structure.long_axis_mm
        told = f"{region.id} {length:.4g} mm ({structure.name}: {low:g} to {high:g} mm)"
        if not low / MARGIN <= length <= high * MARGIN:
            impossible.append((region.id, told))
        elif not low <= length <= high:
            unusual.append(told)
    if not judged:
        return None
    if impossible:
        blame = "; is the scale right?" if len(impossible) == judged else ""
        detail = listed(told for _, told in impossible) + blame
        rejected = tuple(i for i, _ in impossible)
        return CheckOutcome(Check(name="plausible_size", outcome="fail", detail=detail), rejected)
    if unusual:
        return CheckOutcome(Check(name="plausible_size", outcome="warn", detail=listed(unusual)))
    return passed("plausible_size", f"the long axes of {judged} regions are in their structure's range")


CHECKS = [
    CheckSpec("scale_present", str(scale_present.__doc__), "measure", scale_present),
    CheckSpec("inside_scale_region", str(inside_scale_region.__doc__), "measure", inside_scale_region),
    CheckSpec("plausible_size", str(plausible_size.__doc__), "measure", plausible_size),
]
