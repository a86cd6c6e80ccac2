"""MedVision: bare numbers. Boxes as shares of the image with the origin at the lower left; sizes in the unit asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from fiducial.skills.families.dialects import plain
from fiducial.skills.families.dialects.base import Dialect, Reading
from fiducial.skills.families.dialects.grid import Grid
from fiducial.skills.families.dialects.items import CORNERS, Item, Shape
from fiducial.skills.families.dialects.salvage import numbers
from fiducial.skills.targets import NumbersTarget, Query

_POLYGON = 3


class MedVision(Dialect):
    """``0.125, 0.250, 0.500, 0.750``: lower left corner, then upper right; one item a line, all of the asked label."""

    name = "medvision"
    description = "bare numbers; boxes 0–1, origin lower left, lower-left then upper-right corner"
    templates = "medvision"
    source = "MedVision (2511.18676): its published benchmark plans and metrics"
    grid: ClassVar[Grid] = Grid(extent=1.0, decimals=3, origin_lower_left=True)

    def write_items(self, query: Query, kind: str, shape: Shape, items: Sequence[Item]) -> str:
        """Numbers; with other labels than the one asked for, the label and a colon before them."""
        return "\n".join(self._line(query, item) for item in items) or plain.NONE

    def _line(self, query: Query, item: Item) -> str:
        corners = [", ".join(self.grid.text(v) for v in corner) for corner in item.corners]
        if item.z is not None:
            corners = [f"{corner}, {z:.0f}" for corner, z in zip(corners, item.z, strict=True)]
        label = "" if item.label == query.label else f"{plain.clean(item.label)}: "
        return label + ", ".join(corners)

    def read_items(self, query: Query, kind: str, shape: Shape, text: str) -> Reading:
        """The last numbers of every line, as many as the shape needs."""
        reading, corners = Reading(), CORNERS[shape]
        wanted = None if corners is None else corners * (3 if shape == "box_3d" else 2)
        for line in text.splitlines():
            before, colon, after = line.rpartition(":")
            values = numbers(after)
            if wanted is not None and len(values) >= wanted:
                values = values[-wanted:]
            elif wanted is not None or len(values) < 2 * _POLYGON or len(values) % 2:
                reading.marks |= {"dropped"} if values else set()
                continue
            z = None
            if shape == "box_3d":
                z, values = (values[2], values[5]), [values[0], values[1], values[3], values[4]]
            pairs = tuple(zip(values[::2], values[1::2], strict=True))
            reading.items.append(Item(before.strip() if colon else query.label or "", pairs, z))
        reading.found = bool(reading.items) or plain.says_none(text)
        return reading

    def write_numbers(self, query: Query, target: NumbersTarget) -> str:
        """The numbers alone, in the order of the query."""
        return ", ".join(plain.number_text(n.value) for n in target.numbers)

    def read_numbers(self, query: Query, text: str) -> NumbersTarget | None:
        """The last numbers of the text, as many as the query names."""
        values = plain.last_numbers(query, text)
        return NumbersTarget(numbers=values) if values else None
