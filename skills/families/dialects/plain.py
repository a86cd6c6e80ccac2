"""What every family writes as words: choices, numbers with units, counts, free text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import get_args

from fiducial.skills.families.dialects.salvage import MAX_CHARS, NUMBER, finite, numbers
from fiducial.skills.targets import Number, NumberUnit, Query

NONE = "none"
MOST_COUNTED = 1_000_000
MAX_PART = 200  # characters of one named number; the pattern's time grows with the square of it
_NONE_WORDS = {"none", "no", "nothing", "not present", "absent", "[]", "无", "没有", "未见"}
_UNITS = {unit: unit for unit in get_args(NumberUnit) if unit != "1"} | {
    "degrees": "deg",
    "degree": "deg",
    "°": "deg",
    "度": "deg",
    "millimeters": "mm",
    "millimetres": "mm",
    "毫米": "mm",
    "pixels": "px",
}
_PART = re.compile(
    rf"(?P<name>[^\n]*?)[\s:=：]*(?P<value>(?<![\d.]){NUMBER})\s*(?P<unit>"
    + "|".join(sorted(map(re.escape, _UNITS), key=len, reverse=True))
    + r")?\s*\.?",
    re.IGNORECASE,
)
# 1,200 is one number; 1,20 and 1,2000 are not, and are read up to the comma.
_COUNT = re.compile(r"(?<![-\d.])(?<!\d,)(?:\d{1,3}(?:,\d{3})+(?![,.]?\d)|\d{1,6}(?!,\d{3}(?!\d)|[\d.]*\d))")
_RANGE = re.compile(r"\s*(?:[-‐‑‒–—~～至到]|to\b|or\b|或)\s*\d", re.IGNORECASE)
_BETWEEN = re.compile(r"\bbetween\s+[\d,]+\s+and\s+\d", re.IGNORECASE)
_INDEXED = re.compile(r"\(?(\d{1,4})\s*(?:[:：.)]\s*(.*))?", re.DOTALL)
_CONTROL = re.compile(r"[<>\[\]{}|;\x00-\x1f\x7f]+")


def clean(label: str) -> str:
    """A label that cannot be taken for a token, bracket or separator of a dialect."""
    return " ".join(_CONTROL.sub(" ", label).split())


def says_none(text: str) -> bool:
    """Whether a text says that there is nothing to name."""
    return normal(text) in _NONE_WORDS


def normal(text: str) -> str:
    """A text for comparison: case, width of characters, outer space and a final full stop do not matter."""
    return " ".join(unicodedata.normalize("NFKC", text[:MAX_CHARS]).casefold().split()).rstrip(".。").strip()


def read_count(text: str) -> int | None:
    """The first whole number of a text, ``1,200`` too; None where it is one end of a range such as ``3-4``."""
    text = text[:MAX_CHARS]
    found = _COUNT.search(text)
    if not found or _RANGE.match(text, found.end()) or _BETWEEN.search(text):
        return None
    count = int(found[0].replace(",", ""))
    return count if count < MOST_COUNTED else None


def option_of(text: str, options: Sequence[str]) -> str | None:
    """The one option that a text names: exactly, else without regard to case, else as the only one that occurs in it.

    Without options, the text itself.
    """
    text = text.strip()
    if not options:
        return text or None
    if text in options:
        return text
    said = normal(text)
    for same in ([o for o in options if normal(o) == said], [o for o in options if _occurs(normal(o), said)]):
        if len(same) == 1:
            return same[0]
    return None


def indexed_option_of(text: str, options: Sequence[str]) -> str | None:
    """The option of an answer such as ``1:pneumonia`` or ``1``, where number and words do not contradict each other.

    Where there is no number, or none of an option, as ``option_of``.
    """
    found = _INDEXED.fullmatch(text.strip())
    if not found or int(found[1]) >= len(options):
        return option_of(text, options)
    option = options[int(found[1])]
    return option if normal(found[2] or "") in ("", normal(option)) else None


def _occurs(option: str, text: str) -> bool:
    """Whether an option occurs in a text as whole words (Chinese has no spaces: anywhere)."""
    return bool(option) and bool(re.search(rf"(?<![a-z0-9]){re.escape(option)}(?![a-z0-9])", text))


def number_text(value: float) -> str:
    """Three digits after the point."""
    return f"{value:.3f}"


def write_numbers(values: Sequence[Number]) -> str:
    """``major axis: 45.200 mm, minor axis: 30.100 mm``."""
    units = ["" if n.unit == "1" else f" {n.unit}" for n in values]
    named = zip(values, units, strict=True)
    return ", ".join(f"{clean(n.name).replace(',', ' ')}: {number_text(n.value)}{unit}" for n, unit in named)


def read_numbers(query: Query, text: str) -> tuple[Number, ...]:
    """Inverse of ``write_numbers``; where the text is no list of named numbers, the last ones as the query asks."""
    said = [part.strip() for part in re.split(r"[,，;；\n]", text[:MAX_CHARS]) if part.strip()]
    parts = [_PART.fullmatch(part) if len(part) <= MAX_PART else None for part in said]
    wanted = len(query.quantities)
    if parts and all(parts) and all(p["name"].strip() for p in parts if p) and wanted in (0, len(parts)):
        found = []
        for part in parts:
            value = finite(float(part["value"])) if part and len(part["value"]) < 40 else None
            if part is None or value is None:
                return ()
            unit = _UNITS.get((part["unit"] or "").casefold(), query.unit or "1")
            found.append(Number(name=part["name"].strip(), value=value, unit=unit))
        return tuple(found)
    return last_numbers(query, text)


def last_numbers(query: Query, text: str) -> tuple[Number, ...]:
    """The last numbers of a text, as many as the query names (one where it names none), in the query's unit."""
    names = query.quantities or ("value",)
    values = numbers(text)[-len(names) :]
    if len(values) < len(names):
        return ()
    return tuple(Number(name=n, value=v, unit=query.unit or "1") for n, v in zip(names, values, strict=True))
