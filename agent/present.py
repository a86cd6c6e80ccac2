"""A record for a person: the chain in reading order, in plain text of at most 100 columns, the verdict first."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from pathlib import Path

from fiducial.agent import phrases
from fiducial.tools.record import Measurement, Record, Region

WIDTH = 100
MAX_REGIONS = 30


def present(record: Record, overlay: Path | str | None = None) -> str:
    """The record as plain text. overlay: the path of the overlay picture, if one was written."""
    parts = [
        *_head(record),
        *_entry("Question", record.question),
        *_understood(record),
        *_regions(record),
        *_explanation(record),
        *_measurements(record),
        *_checks(record),
        *_image(record),
    ]
    if overlay is not None:
        parts += _entry("Overlay", str(overlay))
    parts += _entry("Run", record.run_id)
    return "\n".join(parts)


def _entry(title: str, text: str, mark: str = "") -> list[str]:
    """A titled paragraph, wrapped under its text."""
    lead = f"{title:<13}" if title else " " * 13
    text = " ".join(text.split()) or "–"
    return textwrap.wrap(mark + text, WIDTH, initial_indent=lead, subsequent_indent=" " * (13 + len(mark))) or [lead]


def _head(record: Record) -> list[str]:
    """The answer and the verdict; an abstention leads, and says what had been claimed."""
    status = record.verdict.status if record.verdict else "unfinished"
    reasons = record.verdict.reasons if record.verdict else ()
    if status in ("abstained", "unfinished"):
        lines = _entry("No answer", reasons[0].detail + "." if reasons else "The run has not ended.")
        if record.answer:
            lines += _entry("", f"Claimed, and withheld: {record.answer.text}")
    else:
        text = record.answer.text if record.answer else ""
        lines = _entry("Answer", text)
    confidence = f", confidence {record.answer.confidence:.2f}" if record.answer else ""
    lines += _entry("Verdict", status + confidence)
    for reason in reasons:
        lines += _entry("", f"{reason.code}: {reason.detail}", "- ")
    return [*lines, ""]


def _understood(record: Record) -> list[str]:
    if record.understanding is None:
        return []
    understanding = record.understanding
    return _entry("Understood", f"{phrases.about(understanding.intent)} (confidence {understanding.confidence:.2f})")


def _regions(record: Record) -> list[str]:
    """What was accepted, then what was rejected and by which check."""
    parents = {r.id: r for r in record.regions}
    outlines = [r for r in record.accepted if r.parent_id in parents and r.label == parents[r.parent_id].label]
    accepted = [r for r in record.accepted if r not in outlines]
    refused = [r for r in record.regions if r.status == "rejected"]
    lines: list[str] = []
    for n, region in enumerate(accepted[:MAX_REGIONS]):
        lines += _entry("Regions" if n == 0 else "", _region(region, record))
    if len(accepted) > MAX_REGIONS:
        lines += _entry("", f"… and {len(accepted) - MAX_REGIONS} more")
    if outlines:
        lines += _entry("Outlines", ", ".join(f"{r.id} of {r.parent_id}" for r in outlines))
    for n, region in enumerate(refused[:MAX_REGIONS]):
        lines += _entry("Rejected" if n == 0 else "", f"{_region(region, record)}, by {region.rejected_by}")
    if len(refused) > MAX_REGIONS:
        lines += _entry("", f"… and {len(refused) - MAX_REGIONS} more")
    return lines


def _region(region: Region, record: Record) -> str:
    part = f", part of {region.parent_id}" if region.parent_id else ""
    where = f"{_geometry(region)}, {phrases.place(region, record.image)}"
    return f"{region.id} {phrases.label(region)}, {where}, score {region.score:.2f}{part}"


def _geometry(region: Region) -> str:
    """The geometry in stored pixels, short."""
    if region.box_xyxy_px is not None:
        return "box " + _numbers(region.box_xyxy_px) + " px"
    if region.point_xy_px is not None:
        return "point " + _numbers(region.point_xy_px) + " px"
    if region.ellipse_px is not None:
        e = region.ellipse_px
        axes = f"{2 * e.semi_major_px:.1f} × {2 * e.semi_minor_px:.1f} px at {e.angle_deg:.0f}°"
        return f"ellipse {axes} around {_numbers(e.center_xy_px)}"
    return f"outline of {len(region.polygon_xy_px or ())} points"


def _numbers(values: Iterable[float]) -> str:
    return ", ".join(f"{value:.1f}" for value in values)


def _explanation(record: Record) -> list[str]:
    return _entry("Explanation", record.explanation.text) if record.explanation else []


def _measurements(record: Record) -> list[str]:
    lines: list[str] = []
    for n, m in enumerate(record.measurements):
        lines += _entry("Measured" if n == 0 else "", _measurement(m))
    return [*lines, *_entry("", "(± is one standard deviation)")] if lines else []


def _measurement(m: Measurement) -> str:
    low, high = (phrases.rounded(value, m.uncertainty) for value in (m.interval.low, m.interval.high))
    unit = "" if m.unit == "1" else f" {m.unit}"
    note = f"; {m.note}" if m.note else ""
    source = "no scale" if m.scale_source == "none" else f"scale: {m.scale_source}"
    return (
        f"{phrases.quantity(m.quantity)} {phrases.with_unit(m)}, {m.interval.level:.0%} within {low} to {high}{unit},"
        f" on {', '.join(m.region_ids)} ({source}){note}"
    )


def _checks(record: Record) -> list[str]:
    """Checks that warned or failed, in full; of the others the number."""
    passed = sum(check.outcome == "pass" for check in record.checks)
    lines = _entry("Checks", f"{passed} of {len(record.checks)} passed") if record.checks else []
    for check in record.checks:
        if check.outcome != "pass":
            lines += _entry("", f"{check.outcome} {check.name}: {check.detail}", "- ")
    return lines


def _image(record: Record) -> list[str]:
    image = record.image
    scale = image.scale
    if scale is None:
        told = f"no scale ({image.scale_refused or 'the file has none'})"
    elif scale.row_mm == scale.column_mm:
        told = f"{scale.row_mm:g} mm/px ({scale.source})"
    else:
        told = f"row {scale.row_mm:g}, column {scale.column_mm:g} mm/px ({scale.source})"
    part = ""
    if image.file_slice is not None:
        what = f"{image.file_slice.plane} slice" if image.file_slice.plane else "frame"
        part = f", {what} {image.file_slice.index} of 0 to {image.file_slice.count - 1}"
        part += "" if image.file_slice.frame is None else f" in frame {image.file_slice.frame}"
    return _entry("Image", f"{image.path}{part}, {image.width_px} × {image.height_px} px, {told}")
