"""A record for a person: the chain in reading order, in plain text of at most 100 columns, the verdict first.

In the language of the question, as far as the words are ours: details of checks and reasons are in English.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from pathlib import Path

from fiducial.agent import phrases
from fiducial.tools.record import ImageInfo, Language, Measurement, Record, Region

WIDTH = 100
INDENT = 13
MAX_REGIONS = 30
LONGEST_WORD = 80


def present(record: Record, overlay: Path | str | None = None) -> str:
    """The record as plain text. overlay: the path of the overlay picture, if one was written."""
    return "\n".join(_Text(record).lines(overlay))


def columns(text: str) -> int:
    """How many columns a text takes in a terminal: a Chinese character two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def wrapped(text: str, first: str, later: str) -> list[str]:
    """Lines of at most WIDTH columns, broken at spaces, and between Chinese characters."""
    lines, line = [], first
    for word in _words(text):
        if columns(line + word.rstrip()) > WIDTH and line.strip() != first.strip() and line.strip():
            lines.append(line.rstrip())
            line = later
        line += word
    return [*lines, line.rstrip()]


def _words(text: str) -> Iterable[str]:
    """What a line may be broken after: words with the space that follows, every wide character, and within long words.

    What cannot be printed, of a model's text, comes out as a space: no terminal is to obey it.
    """
    word = ""
    for each in text:
        character = each if each.isprintable() else " "
        word += character
        if character == " " or columns(character) == 2 or len(word) >= LONGEST_WORD:
            yield word
            word = ""
    yield word


class _Text:
    """The lines of one record in one language."""

    def __init__(self, record: Record) -> None:
        self.record = record
        understood = record.understanding
        self.language: Language = understood.intent.language if understood else "en"

    def lines(self, overlay: Path | str | None) -> list[str]:
        parts = [
            *self._head(),
            *self._entry("Question", self.record.question),
            *self._understood(),
            *self._regions(),
            *(self._entry("Explanation", self.record.explanation.text) if self.record.explanation else []),
            *self._measurements(),
            *self._checks(),
            *self._entry("Image", self._image(self.record.image)),
        ]
        if overlay is not None:
            parts += self._entry("Overlay", str(overlay))
        return parts + self._entry("Run", self.record.run_id)

    def _say(self, phrase: str, **values: object) -> str:
        return phrases.say(phrase, self.language, **values)

    def _entry(self, title: str, text: str, mark: str = "") -> list[str]:
        """A titled paragraph, wrapped under its text."""
        told = phrases.word("titles", title, self.language) if title else ""
        lead = told + " " * max(1, INDENT - columns(told))
        return wrapped(mark + (" ".join(text.split()) or "–"), lead, " " * (INDENT + len(mark)))

    def _head(self) -> list[str]:
        """The answer and the verdict; an abstention leads, and says what had been claimed."""
        answer, verdict = self.record.answer, self.record.verdict
        status = verdict.status if verdict else "unfinished"
        reasons = verdict.reasons if verdict else ()
        if status in ("abstained", "unfinished"):
            why = reasons[0].detail if reasons else ""
            known = phrases.table(self.language)["reasons"].get(reasons[0].code) if reasons else None
            lines = self._entry("No answer", (known or why) + self._say("stop") if why else self._say("unfinished"))
            if answer:
                lines += self._entry("", self._say("withheld", text=answer.text))
        else:
            lines = self._entry("Answer", answer.text if answer else "")
        phrase = "confidence_count" if self._exactly_counted() else "confidence"
        confidence = self._say(phrase, value=f"{answer.confidence:.2f}") if answer else ""
        lines += self._entry("Verdict", phrases.word("status", status, self.language) + confidence)
        for reason in reasons:
            why = phrases.word("reasons", reason.code, self.language)
            lines += self._entry("", self._say("reason", code=reason.code, why=why, detail=reason.detail), "- ")
        return [*lines, ""]

    def _exactly_counted(self) -> bool:
        """Whether the answer is a number that the model itself counted on one image: its confidence is in just that."""
        record = self.record
        counted = record.understanding is not None and record.understanding.intent.task == "count"
        revised = any(check.name == "answer_revised" for check in record.checks)
        return (
            counted and not revised and record.image.file_slices is None and bool(record.answer and record.answer.value)
        )

    def _understood(self) -> list[str]:
        if self.record.understanding is None:
            return []
        understanding = self.record.understanding
        what = phrases.about(understanding.intent, self.language)
        return self._entry("Understood", self._say("understood", what=what, value=f"{understanding.confidence:.2f}"))

    def _regions(self) -> list[str]:
        """What was accepted, then what was rejected and by which check."""
        record = self.record
        parents = {r.id: r for r in record.regions}
        outlines = [r for r in record.accepted if r.parent_id in parents and r.label == parents[r.parent_id].label]
        accepted = [self._region(r) for r in record.accepted if r not in outlines]
        refused = [
            self._say("rejected_by", region=self._region(r), check=r.rejected_by)
            for r in record.regions
            if r.status == "rejected"
        ]
        lines = self._listed("Regions", accepted)
        if outlines:
            told = (self._say("outline_of", id=r.id, parent=r.parent_id) for r in outlines)
            lines += self._entry("Outlines", ", ".join(told))
        return lines + self._listed("Rejected", refused)

    def _listed(self, title: str, items: list[str]) -> list[str]:
        lines = [line for n, item in enumerate(items[:MAX_REGIONS]) for line in self._entry("" if n else title, item)]
        left = len(items) - MAX_REGIONS
        return lines + (self._entry("", self._say("and_more", number=left)) if left > 0 else [])

    def _region(self, region: Region) -> str:
        part = self._say("part_of", parent=region.parent_id) if region.parent_id else ""
        told = self._say(
            "region",
            id=region.id,
            name=phrases.label(region, self.language),
            geometry=self._geometry(region),
            place=phrases.place(region, self.record.image, self.language),
            score=f"{region.score:.2f}",
        )
        return told + part

    def _geometry(self, region: Region) -> str:
        """The geometry in stored pixels, short."""
        if region.box_xyzxyz_voxel is not None:
            world = region.box_xyzxyz_mm
            placed = self._say("world", numbers=_numbers(world)) if world else ""
            return self._say("box_3d", numbers=_numbers(region.box_xyzxyz_voxel), world=placed)
        if region.box_xyxy_px is not None:
            return self._say("box", numbers=_numbers(region.box_xyxy_px))
        if region.point_xy_px is not None:
            return self._say("point", numbers=_numbers(region.point_xy_px))
        if region.ellipse_px is not None:
            e = region.ellipse_px
            axes = {"long": f"{2 * e.semi_major_px:.1f}", "short": f"{2 * e.semi_minor_px:.1f}"}
            return self._say("ellipse", **axes, angle=f"{e.angle_deg:.0f}", center=_numbers(e.center_xy_px))
        return self._say("polygon", number=len(region.polygon_xy_px or ()))

    def _measurements(self) -> list[str]:
        lines: list[str] = []
        for n, m in enumerate(self.record.measurements):
            lines += self._entry("" if n else "Measured", self._measurement(m))
        return [*lines, *self._entry("", self._say("deviation"))] if lines else []

    def _measurement(self, m: Measurement) -> str:
        low, high = (phrases.rounded(value, m.uncertainty) for value in (m.interval.low, m.interval.high))
        without = m.scale_source == "none"
        unit, _ = phrases.unit_after(m, self.language)
        return self._say(
            "measurement",
            quantity=phrases.quantity(m.quantity, self.language),
            value=phrases.with_unit(m, self.language),
            level=f"{m.interval.level:.0%}",
            low=low,
            high=high,
            unit=unit,
            ids=", ".join(m.region_ids),
            source=self._say("no_scale_source") if without else self._say("scale_source", source=m.scale_source),
            note=self._say("note", note=m.note) if m.note else "",
        )

    def _checks(self) -> list[str]:
        """Checks that warned or failed, in full; of the others the number."""
        checks = self.record.checks
        passed = sum(check.outcome == "pass" for check in checks)
        lines = self._entry("Checks", self._say("passed", passed=passed, total=len(checks))) if checks else []
        for check in checks:
            if check.outcome != "pass":
                lines += self._entry("", f"{check.outcome} {check.name}: {check.detail}", "- ")
        return lines

    def _image(self, image: ImageInfo) -> str:
        scale = image.scale
        if scale is None:
            told = self._say("no_scale", why=image.scale_refused or self._say("no_scale_why"))
        elif scale.row_mm == scale.column_mm:
            told = self._say("scale", row=f"{scale.row_mm:g}", source=scale.source)
        else:
            steps = {"row": f"{scale.row_mm:g}", "column": f"{scale.column_mm:g}"}
            told = self._say("scale_by_axis", **steps, source=scale.source)
        size = {"width": image.width_px, "height": image.height_px}
        return self._say("image", path=image.path, part=self._part(image), scale=told, **size)

    def _part(self, image: ImageInfo) -> str:
        """Which slice, frame or slices of the file."""
        if image.file_slices is not None:
            shown = image.file_slices
            first, last = shown.indices[0], shown.indices[-1]
            every = len(shown.indices) == last - first + 1
            indices = f"{first}–{last}" if every else ", ".join(map(str, shown.indices))
            return self._say("part_slices", plane=shown.plane, indices=indices, count=shown.count)
        if image.file_slice is None:
            return ""
        part = image.file_slice
        ends = {"index": part.index, "last": part.count - 1}
        told = self._say("part_slice", plane=part.plane, **ends) if part.plane else self._say("part_frame", **ends)
        return told + ("" if part.frame is None else self._say("part_of_frame", frame=part.frame))


def _numbers(values: Iterable[float]) -> str:
    return ", ".join(f"{value:.1f}" for value in values)
