"""Sizes: there is a scale for them, it holds where they were taken, and what was measured can be that large."""

from __future__ import annotations

import re

import numpy as np

from fiducial.tools.checks.common import extent, finite, listed, passed, rejecting
from fiducial.tools.errors import InputError
from fiducial.tools.hooks import CheckOutcome, CheckSpec
from fiducial.tools.plausible import plausible_size_of
from fiducial.tools.record import Check, Record, Region, Scale
from fiducial.tools.scale import per_mm

STATED_WITHIN = 0.01
# A unit's dimension, and what it is of that dimension's own unit. Micro sign and Greek mu: both are typed.
UNITS = {
    "µm": ("mm", 1e-3), "mm": ("mm", 1.0), "cm": ("mm", 10.0), "px": ("px", 1.0),
    "μm": ("mm", 1e-3), "微米": ("mm", 1e-3), "毫米": ("mm", 1.0), "厘米": ("mm", 10.0),
    "µm²": ("mm²", 1e-6), "mm²": ("mm²", 1.0), "cm²": ("mm²", 100.0), "px²": ("px²", 1.0),
    "μm²": ("mm²", 1e-6),
}  # fmt: skip
STATED = re.compile(
    r"(?<![±\d.,])(?<!± )(?P<number>\d+(?:\.(?P<decimals>\d+))?) ?"
    r"(?P<unit>(?:[µμ]m|mm|cm|px)²?(?![²A-Za-z0-9_])|[微毫厘]米(?![²汞]))"
)
MARGIN = 1.25  # beyond the published range by less than this factor is unusual, by more impossible
RATIOS = ("count", "cephalic_index")
OUTSIDE_PX = 2.0  # beyond the scale's box: a coordinate that was rounded, an edge drawn along its border


def scale_present(record: Record) -> CheckOutcome | None:
    """A question about a size has a physical scale to be answered with; warn and say why where there is none."""
    if record.understanding is None:
        return None
    intent = record.understanding.intent
    if intent.task not in ("size", "compare", "distance") or intent.quantity is None or intent.quantity in RATIOS:
        return None
    scale = record.image.scale
    if scale is None:
        why = record.image.scale_refused or "the image carries none"
        detail = f"no physical scale: {why}; lengths stay in pixels"
        return CheckOutcome(Check(name="scale_present", outcome="warn", detail=detail))
    return passed("scale_present", f"{scale.row_mm:g} × {scale.column_mm:g} mm per pixel, from {scale.source}")


def scale_allows_mm(record: Record) -> CheckOutcome | None:
    """Every measured unit is one that the image's scale has: mm and µm in the patient, mm at the detector, or pixels.

    A radiograph's ImagerPixelSpacing measures the shadow (PS3.3 C.8.11.4.1.1), a print's dots per inch the paper.
    """
    if not record.measurements:
        return None
    scale = record.image.scale
    bad = []
    for m in record.measurements:
        at_detector, in_patient = m.unit.endswith("at the detector"), m.unit in ("mm", "mm²", "µm", "µm²")
        if (at_detector or in_patient) and (scale is None or m.scale_source != scale.source):
            bad.append(f"{m.quantity} of {', '.join(m.region_ids)} in {m.unit} has no scale of the image behind it")
        elif at_detector != (m.scale_source == "detector") and (at_detector or in_patient):
            bad.append(f"{m.quantity} of {', '.join(m.region_ids)} in {m.unit} from a scale of source {m.scale_source}")
    if bad:
        return CheckOutcome(Check(name="scale_allows_mm", outcome="fail", detail=listed(bad)))
    source = scale.source if scale else "none"
    return passed("scale_allows_mm", f"the units of {len(record.measurements)} measurements fit the scale ({source})")


def stated_size(record: Record) -> CheckOutcome | None:
    """Each size that an answer states was measured: within 1 %, its last digit, or the measurement's uncertainty.

    That is the value that the answer claims, and every number with a unit of length or area in its text; a number after
    ± is an uncertainty.
    """
    answer, understanding = record.answer, record.understanding
    if answer is None or understanding is None or understanding.intent.task != "size" or not record.measurements:
        return None
    claimed = answer.value if isinstance(answer.value, list) else [answer.value]
    numbers = [float(v) for v in claimed if isinstance(v, int | float) and not isinstance(v, bool)]
    bad = [f"{v:g}" for v in numbers if not any(_near(v, m.value, m.uncertainty) for m in record.measurements)]
    texts = list(STATED.finditer(answer.text))
    for match in texts:
        dimension, factor = UNITS[match["unit"]]
        last_digit = 10.0 ** -len(match["decimals"] or "")
        sizes = [
            (m.value * own[1] / factor, max(m.uncertainty * own[1] / factor, last_digit))
            for m in record.measurements
            if (own := UNITS.get(m.unit.removesuffix(" at the detector"), ("", 1.0)))[0] == dimension
        ]
        if not any(_near(float(match["number"]), *size) for size in sizes):
            bad.append(f"{match['number']} {match['unit']}")
    if bad:
        detail = f"stated but not measured: {listed(bad)}"
        return CheckOutcome(Check(name="stated_size", outcome="fail", detail=detail))
    told = len(numbers) + len(texts)
    return passed("stated_size", f"{told} stated sizes are those measured") if told else None


def _near(stated: float, measured: float, within: float) -> bool:
    return abs(stated - measured) <= max(within, STATED_WITHIN * abs(measured)) * (1 + 1e-9)


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
        found = measure(region, "long_axis", scale)
        return found.value / per_mm(found.unit)
    except InputError:
        return None


def plausible_size(record: Record) -> CheckOutcome | None:
    """The long axis of each measured region lies in the published range of its structure.

    The ranges are those of ``structures.json``, ``plausible_sizes.json`` and the file that FIDUCIAL_SIZES names.
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
        structure = plausible_size_of(region.label)
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
    CheckSpec("scale_allows_mm", str(scale_allows_mm.__doc__), "measure", scale_allows_mm),
    CheckSpec("inside_scale_region", str(inside_scale_region.__doc__), "measure", inside_scale_region),
    CheckSpec("plausible_size", str(plausible_size.__doc__), "measure", plausible_size),
    CheckSpec("stated_size", str(stated_size.__doc__), "image", stated_size),
]
