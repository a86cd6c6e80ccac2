"""Sizes: there is a scale to state them in, and what was measured is as large as such a thing can be."""

from __future__ import annotations

from fiducial.tools.checks.common import listed, passed
from fiducial.tools.errors import InputError
from fiducial.tools.hooks import CheckOutcome, CheckSpec
from fiducial.tools.record import Check, Record, Region, Scale
from fiducial.tools.structures import structures

MARGIN = 1.25  # beyond the published range by less than this factor is unusual, by more impossible
RATIOS = ("count", "cephalic_index")


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
    CheckSpec("plausible_size", str(plausible_size.__doc__), "measure", plausible_size),
]
