"""One row of a list of questions: which columns it has, and what may stand in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COLUMNS = ("image", "question")
NUMBERS = ("slice", "frame")
MOST_DIGITS = 10


@dataclass(frozen=True)
class Row:
    """One question of a list. number: from 1, the first row below the header. fault: why it cannot be asked.

    plane, index, frame: which slice of a volume, which frame, as of ``Asker.ask``.
    """

    number: int
    image: str
    question: str
    scale: str | None
    plane: str | None = None
    index: int | None = None
    frame: int | None = None
    fault: str | None = None


def read_row(number: int, values: Mapping[Any, Any], folder: Path, default_scale: str | None = None) -> Row:
    """A row of a list from its cells by column; a row that cannot be asked carries its fault.

    An image's path is relative to ``folder``, or, where it is not there, to the working folder.
    """
    cells = {name: _text(values.get(name)) for name in (*COLUMNS, "scale", "plane", *NUMBERS)}
    beside = folder / cells["image"]
    image = str(beside) if cells["image"] and beside.exists() else cells["image"]
    missing = [name for name in COLUMNS if not cells[name].strip()]
    fault = f"row {number} has no {' and no '.join(missing)}; fill it in" if missing else None
    if None in values:
        fault = f"row {number} has more cells than the header has columns; quote a question that holds a comma"
    numbers = {name: cells[name].strip() for name in NUMBERS}
    for name, text in numbers.items():
        if text and not (text.isascii() and text.isdigit() and len(text) < MOST_DIGITS):
            fault = fault or f"row {number} has the {name} {text[:20]!r}; give a whole number from 0, or nothing"
            numbers[name] = ""
    index, frame = (int(text) if text else None for text in numbers.values())
    plane = cells["plane"].strip().lower() or None
    scale = cells["scale"].strip() or default_scale
    return Row(number, image, cells["question"], scale, plane, index, frame, fault)


def _text(cell: Any) -> str:
    """A cell as it would be written: from Python a slice may be a number, and an image a path."""
    return "" if cell is None else str(cell)
