"""Florence-2: location tokens, a thousand bins along each side of the image, the centre of a bin meant."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby
from typing import ClassVar

from fiducial.skills.families.dialects import plain
from fiducial.skills.families.dialects.base import Dialect, Reading, one_label, paired
from fiducial.skills.families.dialects.grid import Grid
from fiducial.skills.families.dialects.items import CORNERS, Item, Shape
from fiducial.skills.targets import CountTarget, Query

_PIECE = re.compile(r"<loc_(?P<loc>\d{1,4})>|<(?P<token>sep|/?poly)>|<[^<>]{0,20}>|(?P<words>[^<]+)|(?P<cut><[^<>]*)")
_SLICES = re.compile(r"^\s*slices (\d{1,6})-(\d{1,6})")


class Florence2(Dialect):
    """``label<loc_x0><loc_y0><loc_x1><loc_y1>``; polygons as location sequences with ``<sep>`` between them.

    The library's own decoder truncates to whole pixels; this one decodes in floating point. Of one label that was
    asked for, polygons are written without it, as for referring expressions. Points have two locations; the slices
    of a 3-D box, for which the family has no token, follow in words; a count stands first, before ``<sep>``.
    """

    name = "florence-2"
    description = "<loc_0> … <loc_999>, x first, centre of the bin; polygons as location sequences"
    templates = "gi-vqa"
    source = "Florence-2 (2311.06242); its processor in transformers"
    grid: ClassVar[Grid] = Grid(extent=1000, bins=True)

    def write_items(self, query: Query, kind: str, shape: Shape, items: Sequence[Item]) -> str:
        """Items one after the other; ``none`` where there is none."""
        if shape != "polygon":
            return "".join(f"{plain.clean(i.label)}{self._locations(i)}" for i in items) or plain.NONE
        bare = one_label(query, items)
        rows = [
            ("" if bare else plain.clean(label)) + "<sep>".join(self._locations(item) for item in group)
            for label, group in groupby(items, key=lambda item: item.label)
        ]
        return "".join(rows) or plain.NONE

    def _locations(self, item: Item) -> str:
        written = "".join(f"<loc_{self.grid.text(x)}><loc_{self.grid.text(y)}>" for x, y in item.corners)
        return written if item.z is None else f"{written} slices {item.z[0]:.0f}-{item.z[1]:.0f} "

    def write_count(self, query: Query, target: CountTarget, shape: Shape | None, items: Sequence[Item]) -> str:
        """``3<sep>polyp<loc_…>…``."""
        things = "" if shape is None else "<sep>" + self.write_items(query, f"{shape}s", shape, items)
        return f"{target.count}{things}"

    def read_count(self, query: Query, shape: Shape | None, text: str) -> Reading:
        """Inverse of ``write_count``."""
        first, _, rest = text.partition("<sep>")
        reading = Reading(count=plain.read_count(first)) if shape is None else self.read_items(query, "", shape, rest)
        reading.count = plain.read_count(first.partition("<loc_")[0])
        return reading

    def read_items(self, query: Query, kind: str, shape: Shape, text: str) -> Reading:
        """Runs of locations, each with the words before it; several boxes or points may share their words."""
        collector = _Collector(query.label or "", shape)
        for match in _PIECE.finditer(text):
            if match["loc"] is not None:
                collector.location(int(match["loc"]))
            elif match["token"]:
                collector.end()
            elif match["words"] is not None:
                collector.words(match["words"])
            elif match["cut"]:
                collector.reading.marks.update({"truncated"} if match.end() == len(text) else {"dropped"})
        collector.end(last=True)
        reading = collector.reading
        reading.found = bool(reading.items) or plain.says_none(text)
        return reading


class _Collector:
    """Groups locations to items."""

    def __init__(self, label: str, shape: Shape) -> None:
        self.label, self.shape, self.reading = label, shape, Reading()
        self.bins: list[int] = []
        self.pending: Item | None = None

    def location(self, number: int) -> None:
        """One location token; one that no image has is dropped with its item."""
        if number > 999:
            self.reading.marks.add("dropped")
            return
        self.bins.append(number)
        wanted = CORNERS[self.shape]
        if wanted is not None and len(self.bins) == 2 * wanted:
            self.end()

    def words(self, text: str) -> None:
        """Words: the slices of the box before them, or the label of what follows."""
        slices = _SLICES.match(text)
        if slices and self.pending is not None:
            z = (float(slices[1]), float(slices[2]))
            self.reading.items.append(Item(self.pending.label, self.pending.corners, z))
            self.pending, text = None, text[slices.end() :]
        self.end()
        if label := text.strip():
            self.label = label

    def end(self, last: bool = False) -> None:
        """Close the item; one that lacks locations is dropped, at the end of the text as cut short."""
        if not self.bins:
            return
        item = Item(self.label, paired([float(b) for b in self.bins]))
        wanted = CORNERS[self.shape]
        whole = len(self.bins) >= 6 if wanted is None else len(self.bins) == 2 * wanted
        if len(self.bins) % 2 or not whole:
            self.reading.marks.add("truncated" if last else "dropped")
        if whole and self.shape == "box_3d":
            self.pending = item
        elif whole:
            self.reading.items.append(item)
        self.bins = []
