"""LLaVA-1.5: boxes and points as decimals, 0 to 1 of the (square-padded) image."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar

from fiducial.skills.families.dialects import plain
from fiducial.skills.families.dialects.base import Dialect, Reading, one_label, paired
from fiducial.skills.families.dialects.grid import Grid
from fiducial.skills.families.dialects.items import Item, Shape
from fiducial.skills.families.dialects.salvage import numbers
from fiducial.skills.targets import Query

_BRACKET = re.compile(r"\[(?P<inner>[^\[\]]*)(?P<closed>\])?")
_WORDS = 300  # characters before a bracket that may hold its label


class LlavaDecimals(Dialect):
    """``label: [0.12, 0.34, 0.56, 0.78]; …``; without the label where it is the one asked for."""

    name = "llava-1.5"
    description = "decimals 0–1 of the square-padded image, [x0, y0, x1, y1]"
    templates = "llava-1.5"
    source = "LLaVA-1.5 (2310.03744)"
    grid: ClassVar[Grid] = Grid(extent=1.0, decimals=2)

    def write_items(self, query: Query, kind: str, shape: Shape, items: Sequence[Item]) -> str:
        """Items between semicolons; ``none`` where there is none."""
        bare = one_label(query, items)
        rows = [("" if bare else f"{plain.clean(i.label)}: ") + self._bracket(i) for i in items]
        return "; ".join(rows) or plain.NONE

    def _bracket(self, item: Item) -> str:
        corners = [", ".join(self.grid.text(v) for v in corner) for corner in item.corners]
        if item.z is not None:
            corners = [f"{corner}, {z:.0f}" for corner, z in zip(corners, item.z, strict=True)]
        return f"[{', '.join(corners)}]"

    def read_items(self, query: Query, kind: str, shape: Shape, text: str) -> Reading:
        """Every bracket of numbers, with the words before it where they end in a colon."""
        reading, end = Reading(), 0
        for match in _BRACKET.finditer(text):
            words = text[max(end, match.start() - _WORDS) : match.start()].strip(" ;,\n\t")
            end = match.end()
            if not match["closed"]:
                reading.marks.add("truncated")
                continue
            label = words[:-1].strip() if words.endswith(":") else query.label or ""
            values, z = numbers(match["inner"]), None
            if shape == "box_3d" and len(values) == 6:
                z, values = (values[2], values[5]), [values[0], values[1], values[3], values[4]]
            item = Item(label, paired(values), z)
            if len(values) % 2 == 0 and item.fits(shape):
                reading.items.append(item)
            elif values:
                reading.marks.add("dropped")
        reading.found = bool(reading.items) or plain.says_none(text)
        return reading
