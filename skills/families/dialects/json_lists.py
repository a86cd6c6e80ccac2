"""Dialects that write JSON: a list of objects with a key for the coordinates and a label."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from fiducial.skills.families.dialects import plain, salvage
from fiducial.skills.families.dialects.base import Dialect, Reading, paired
from fiducial.skills.families.dialects.items import Item, Shape
from fiducial.skills.targets import CountTarget, Query

MAX_ITEMS = 5_000


class JsonDialect(Dialect):
    """keys: of the coordinates, by shape, the first is written and all are read; y_first: y stands before x."""

    keys: ClassVar[dict[Shape, tuple[str, ...]]] = {
        "point": ("point_2d", "point"),
        "box": ("bbox_2d", "bbox"),
        "box_3d": ("bbox_3d",),
        "polygon": ("polygon_2d", "polygon"),
    }
    count_keys: ClassVar[tuple[str, ...]] = ("counts", "count")
    y_first: ClassVar[bool] = False
    fenced: ClassVar[bool] = True

    def write_items(self, query: Query, kind: str, shape: Shape, items: Sequence[Item]) -> str:
        """``[{"bbox_2d": [x0, y0, x1, y1], "label": …}, …]``; an empty list where there is none."""
        key = self.keys[shape][0]
        rows = [f'{{"{key}": {self._coordinates(shape, i)}, "label": {_text(i.label)}}}' for i in items]
        return self._fence("[" + ", ".join(rows) + "]")

    def write_count(self, query: Query, target: CountTarget, shape: Shape | None, items: Sequence[Item]) -> str:
        """``{"counts": n, "point_2d": [[x, y], …], "label": …}``."""
        things = ""
        if shape is not None:
            listed = ", ".join(self._coordinates(shape, item) for item in items)
            things = f'"{self.keys[shape][0]}": [{listed}], '
        key = self.count_keys[0]
        return self._fence(f'{{"{key}": {target.count}, {things}"label": {_text(target.label)}}}')

    def read_items(self, query: Query, kind: str, shape: Shape, text: str) -> Reading:
        """Every object that has the shape's key, fenced or not, in a list or one after the other."""
        values, marks = salvage.load(text)
        if not values:
            return Reading(marks=marks, found=plain.says_none(text))
        reading = Reading(marks=marks)
        for row in _objects(values):
            self._read_row(query, shape, row, reading)
        bare = [v for v in values if isinstance(v, list)]
        if not reading.items and "dropped" not in marks:
            self._read_bare(query, shape, bare, reading)
        reading.found = bool(reading.items) or any(not v for v in bare) or plain.says_none(text)
        return reading

    def read_count(self, query: Query, shape: Shape | None, text: str) -> Reading:
        """An object with a count; the things counted stand in it, or in objects of their own."""
        values, marks = salvage.load(text)
        reading = Reading(marks=marks)
        for row in _objects(values):
            count = next((row[key] for key in self.count_keys if key in row), None)
            number = salvage.finite(count)
            if number is not None and number == int(number):
                reading.count = int(number) if reading.count is None else reading.count
            if isinstance(label := row.get("label"), str):
                reading.label = label if reading.label is None else reading.label
            if shape is not None:
                self._read_row(query, shape, row, reading)
        if not values and shape is None:
            reading.count = plain.read_count(text)
        return reading

    def _read_row(self, query: Query, shape: Shape, row: dict[str, Any], reading: Reading) -> None:
        coordinates = next((row[key] for key in self.keys[shape] if isinstance(row.get(key), list)), None)
        if not coordinates:
            return
        given = row.get("label", row.get("name"))
        label = given if isinstance(given, str) else query.label or ""
        deeper = 2 if shape == "polygon" else 1
        listed = coordinates if _depth(coordinates) > deeper else [coordinates]
        for each in listed:
            if each:
                self._add(shape, label, each, reading)

    def _read_bare(self, query: Query, shape: Shape, values: list[Any], reading: Reading) -> None:
        """Coordinates without objects around them: ``[x0, y0, x1, y1]`` or a list of such."""
        depth = 2 if shape == "polygon" else 1
        for value in values:
            for each in value if _depth(value) > depth else [value]:
                if each and not isinstance(each, dict):
                    self._add(shape, query.label or "", each, reading)

    def _add(self, shape: Shape, label: str, written: Any, reading: Reading) -> None:
        """One item from its coordinates as written; marked as dropped where they are not of the shape."""
        if len(reading.items) >= MAX_ITEMS:
            reading.marks.add("dropped")
            return
        pairs = isinstance(written, list) and bool(written) and all(isinstance(v, list) for v in written)
        values = [v for corner in written for v in corner] if pairs else written
        numbers = [salvage.finite(v) for v in values] if isinstance(values, list) else [None]
        if any(v is None for v in numbers) or (pairs and any(len(corner) != 2 for corner in written)):
            reading.marks.add("dropped")
            return
        known = [v for v in numbers if v is not None]
        z = None
        if shape == "box_3d" and len(known) == 6:
            z, known = (known[2], known[5]), [known[0], known[1], known[3], known[4]]
        corners = paired(known)
        if len(known) % 2:
            reading.marks.add("dropped")
            return
        reading.items.append(Item(label, tuple((y, x) for x, y in corners) if self.y_first else corners, z))

    def _coordinates(self, shape: Shape, item: Item) -> str:
        order = [(y, x) for x, y in item.corners] if self.y_first else list(item.corners)
        corners = [", ".join(self.grid.text(v) for v in corner) for corner in order]
        if item.z is not None:
            return "[" + ", ".join(f"{c}, {z:.0f}" for c, z in zip(corners, item.z, strict=True)) + "]"
        if shape == "polygon":
            return "[" + ", ".join(f"[{corner}]" for corner in corners) + "]"
        return f"[{', '.join(corners)}]"

    def _fence(self, written: str) -> str:
        return f"```json\n{written}\n```" if self.fenced else written


def _text(label: str) -> str:
    return json.dumps(label, ensure_ascii=False)


def _depth(value: Any) -> int:
    """How deep lists are nested in the first element, at most 4."""
    depth = 0
    while isinstance(value, list) and depth < 4:
        depth += 1
        value = value[0] if value else None
    return depth


def _objects(values: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """Every object in lists of lists, in order."""
    pending = list(reversed(values))
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            yield value
            pending.extend(v for v in value.values() if isinstance(v, dict))
        elif isinstance(value, list):
            pending.extend(reversed(value))
