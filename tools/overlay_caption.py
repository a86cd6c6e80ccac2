"""The strip below the overlay picture: question, answer, verdict, measurements, legend, scale bar."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from PIL import Image, ImageDraw

from fiducial.tools.landmark_measures import quantity_words
from fiducial.tools.overlay_text import Color, draw_text, drawable, text_width, wrap
from fiducial.tools.record import Answer, Measurement, Record, Scale
from fiducial.tools.structures import structures

BACKGROUND: Color = (20, 23, 28)
TEXT: Color = (236, 238, 241)
QUIET: Color = (160, 167, 176)
VERDICT_COLORS: dict[str, Color] = {
    "answered": (46, 160, 87),
    "partial": (222, 150, 20),
    "abstained": (214, 48, 70),
    "unfinished": (110, 116, 125),
}
MAX_MEASUREMENTS = 6
MAX_REASONS = 3


def format_measurement(item: Measurement) -> str:
    """As ``head circumference 175.3 ± 1.4 mm (95 %: 172.6 to 178.0) R1``; digits follow the uncertainty."""
    digits = 2 if item.uncertainty == 0 else 1 - math.floor(math.log10(item.uncertainty))
    digits = 0 if item.quantity == "count" else min(4, max(0, digits))
    unit = "" if item.unit == "1" else f" {item.unit}"
    low, high = f"{item.interval.low:.{digits}f}", f"{item.interval.high:.{digits}f}"
    where = ", ".join(item.region_ids[:4]) + (", …" if len(item.region_ids) > 4 else "")
    name = quantity_words(item.quantity) or item.quantity.replace("_", " ")
    if item.uncertainty == 0:
        return f"{name} {item.value:.{digits}f}{unit} {where}".rstrip()
    spread = f"{item.value:.{digits}f} ± {item.uncertainty:.{digits}f}{unit}"
    return f"{name} {spread} ({item.interval.level:.0%}: {low} to {high}) {where}".rstrip()


@dataclass(frozen=True)
class ScaleBar:
    """A round length and how many pixels of the picture it takes along x."""

    width_px: float
    text: str


def scale_bar(scale: Scale | None, zoom: float, longest_px: float) -> ScaleBar | None:
    """The longest bar of 1, 2 or 5 times a power of ten that fits; None without a scale.

    scale: of the displayed pixels; its *column* step counts, for the bar lies along x. zoom: picture pixels per
    displayed pixel.
    """
    if scale is None:
        return None
    mm_per_px = scale.column_mm / zoom
    power = math.floor(math.log10(longest_px * mm_per_px))
    length = max(m * 10.0**p for p in (power - 1, power) for m in (1, 2, 5) if m * 10.0**p <= longest_px * mm_per_px)
    text = f"{length * 1e3:g} µm" if length < 0.1 else f"{length:g} mm"
    if scale.source == "detector":
        text += " at the detector"
    if not math.isclose(scale.row_mm, scale.column_mm, rel_tol=1e-3):
        text += " along x"
    return ScaleBar(length / mm_per_px, text)


Line = tuple[str, Color]


def _asked(record: Record) -> str:
    """The question; one that cannot be drawn as it was understood, in the words of the record's own keys."""
    if drawable(record.question) or record.understanding is None:
        return record.question
    intent = record.understanding.intent
    about = (intent.quantity, intent.structure, intent.other_structure)
    return f"{intent.task}: {', '.join(key.replace('_', ' ') for key in about if key)}".removesuffix(": ")


def _said(answer: Answer) -> str:
    """The answer; of one that cannot be drawn its value."""
    if drawable(answer.text):
        return answer.text
    values = answer.value if isinstance(answer.value, list) else [answer.value]
    return ", ".join(_value(value) for value in values)


def _value(value: object) -> str:
    if value is None:
        return "see the record"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _lines(record: Record, size_px: int, width_px: float, first_width_px: float) -> list[Line]:
    """The strip's lines of text after the verdict, wrapped, each with its colour."""
    lines: list[Line] = [(line, QUIET) for line in wrap(_asked(record), size_px, first_width_px, 2)]
    if record.answer:
        withheld = record.verdict is not None and record.verdict.status == "abstained"
        text = f"Claimed, and withheld: {_said(record.answer)}" if withheld else _said(record.answer)
        text += f"  (confidence {record.answer.confidence:.2f})"
        lines += [(line, QUIET if withheld else TEXT) for line in wrap(text, size_px, width_px, 3)]
    for reason in (record.verdict.reasons if record.verdict else ())[:MAX_REASONS]:
        lines += [(line, QUIET) for line in wrap(f"{reason.code}: {reason.detail}", size_px, width_px, 2)]
    for item in record.measurements[:MAX_MEASUREMENTS]:
        lines += [(line, TEXT) for line in wrap(format_measurement(item), size_px, width_px, 2)]
    if (more := len(record.measurements) - MAX_MEASUREMENTS) > 0:
        lines.append((f"and {more} more measurements in the record", QUIET))
    return lines


def _legend(record: Record, colors: dict[str, Color], not_drawn: list[str]) -> list[Line]:
    """How many of each structure are marked, in its colour; how many were rejected; what could not be drawn."""
    counts = Counter(region.label for region in record.accepted if region.parent_id is None)
    entries: list[Line] = []
    for label, count in counts.items():
        known = structures().get(label)
        name = (known.name if count == 1 else known.plural) if known else label.replace("_", " ")
        entries.append((f"{count} {name}", colors[label]))
    if rejected := len(record.regions) - len(record.accepted):
        entries.append((f"{rejected} rejected", colors["rejected"]))
    if not_drawn:
        entries.append((f"not drawable: {', '.join(not_drawn[:6])}", colors["rejected"]))
    return entries


def draw_caption(
    record: Record, width_px: int, size_px: int, colors: dict[str, Color], not_drawn: list[str], bar: ScaleBar | None
) -> Image.Image:
    """The strip, ``width_px`` wide and as high as its text. colors: by label, and ``rejected``."""
    margin, step = size_px, round(size_px * 1.42)
    status = record.verdict.status if record.verdict else "unfinished"
    badge_width = text_width(status.upper(), size_px) + size_px
    bar_width = max(bar.width_px, text_width(bar.text, size_px)) + margin if bar else 0.0
    inner = width_px - 2 * margin
    lines = _lines(record, size_px, inner - bar_width, inner - badge_width - margin / 2 - bar_width)
    rows = _legend_rows(_legend(record, colors, not_drawn), size_px, inner)
    height = 2 * margin + step * (max(len(lines), 2 if bar else 1) + len(rows)) + (margin // 2 if rows else 0)
    strip = Image.new("RGB", (width_px, height), BACKGROUND)
    draw = ImageDraw.Draw(strip)
    badge = [margin, margin - size_px * 0.2, margin + badge_width, margin + size_px * 1.2]
    draw.rounded_rectangle(badge, radius=size_px * 0.3, fill=VERDICT_COLORS[status])
    draw_text(draw, (margin + size_px / 2, margin), status.upper(), size_px, (255, 255, 255))
    question_lines = len(wrap(record.question, size_px, inner - badge_width - margin / 2 - bar_width, 2))
    for index, (text, color) in enumerate(lines):
        indent = badge_width + margin / 2 if index < question_lines else 0.0
        draw_text(draw, (margin + indent, margin + index * step), text, size_px, color)
    if bar:
        _draw_bar(draw, bar, width_px - margin, margin, size_px)
    top = height - margin - step * len(rows) + (step - size_px) / 2
    for row in rows:
        for x, text, color in row:
            draw.ellipse([x, top + size_px * 0.3, x + size_px * 0.6, top + size_px * 0.9], fill=color)
            draw_text(draw, (x + size_px * 0.9, top), text, size_px, TEXT)
        top += step
    return strip


def _legend_rows(entries: list[Line], size_px: int, width_px: float) -> list[list[tuple[float, str, Color]]]:
    """The legend's entries in rows: (x, text, colour) each."""
    rows: list[list[tuple[float, str, Color]]] = []
    x = math.inf
    for entry, color in entries:
        text = wrap(entry, size_px, width_px - 2 * size_px, 1)[0]
        width = text_width(text, size_px) + 2.2 * size_px
        if x + width > size_px + width_px + 2 * size_px:
            rows.append([])
            x = float(size_px)
        rows[-1].append((x, text, color))
        x += width
    return rows


def _draw_bar(draw: ImageDraw.ImageDraw, bar: ScaleBar, right_px: float, top_px: float, size_px: int) -> None:
    """A white bar with end ticks at the strip's upper right, its length below it."""
    width = max(2, round(size_px / 7))
    y, left = top_px + size_px * 0.4, right_px - bar.width_px
    draw.line([(left, y), (right_px, y)], fill=TEXT, width=width)
    for x in (left, right_px):
        draw.line([(x, y - size_px * 0.35), (x, y + size_px * 0.35)], fill=TEXT, width=width)
    text_left = right_px - (bar.width_px + text_width(bar.text, size_px)) / 2
    text_left = min(text_left, right_px - text_width(bar.text, size_px))
    draw_text(draw, (text_left, y + size_px * 0.55), bar.text, size_px, TEXT)
