"""Qwen2-VL: box tokens around coordinates in 0–1000; and UMIT's targets, which build on them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar

from fiducial.skills.families.dialects import plain
from fiducial.skills.families.dialects.base import Dialect, Reading, one_label
from fiducial.skills.families.dialects.grid import Grid
from fiducial.skills.families.dialects.items import CORNERS, Item, Shape
from fiducial.skills.families.dialects.salvage import numbers
from fiducial.skills.targets import Query

REF, REF_END = "<|object_ref_start|>", "<|object_ref_end|>"
BOX, BOX_END = "<|box_start|>", "<|box_end|>"
QUAD, QUAD_END = "<|quad_start|>", "<|quad_end|>"
_PIECE = re.compile(
    r"<\|object_ref_start\|>(?P<label>[^<>]{0,200})<\|object_ref_end\|>|(?P<token><\|[a-z_]{1,30}\|>)"
    r"|\((?P<round>[^()\[\]<>]{0,200})(?P<closed>\))?|\[(?P<square>[^()\[\]<>]{1,200})\]"
)


class Qwen2VL(Dialect):
    """``<|object_ref_start|>label<|object_ref_end|><|box_start|>(x0,y0),(x1,y1)<|box_end|>``.

    Points have one pair, 3-D boxes triples with z in slices, polygons all their corners between quad tokens.
    """

    name = "qwen2-vl"
    description = "<|box_start|>(x0,y0),(x1,y1)<|box_end|>, 0–1000 of the image"
    templates = "umit"
    source = "Qwen2-VL (2409.12191)"
    grid: ClassVar[Grid] = Grid(extent=1000)
    labelled: ClassVar[bool] = True

    def write_items(self, query: Query, kind: str, shape: Shape, items: Sequence[Item]) -> str:
        """Items one after the other; ``none`` where there is none."""
        bare = not self.labelled and one_label(query, items)
        rows = [
            self._write(kind, shape, item, "" if bare else f"{REF}{plain.clean(item.label)}{REF_END}") for item in items
        ]
        return "".join(rows) or plain.NONE

    def _write(self, kind: str, shape: Shape, item: Item, label: str) -> str:
        start, end = (QUAD, QUAD_END) if shape == "polygon" else (BOX, BOX_END)
        return f"{label}{start}{self._tuples(item)}{end}"

    def _tuples(self, item: Item) -> str:
        pairs = [f"{self.grid.text(x)},{self.grid.text(y)}" for x, y in item.corners]
        if item.z is not None:
            pairs = [f"{pair},{z:.0f}" for pair, z in zip(pairs, item.z, strict=True)]
        return ",".join(f"({pair})" for pair in pairs)

    def read_items(self, query: Query, kind: str, shape: Shape, text: str) -> Reading:
        """Tuples, grouped by as many as the shape needs; tokens and labels may be missing."""
        collector = _Collector(query.label or "", shape)
        for match in _PIECE.finditer(text):
            if match["label"] is not None:
                collector.name(match["label"].strip())
            elif match["token"]:
                collector.token(match["token"])
            elif match["square"] is not None:
                collector.square(match["square"])
            else:
                collector.tuple(match["round"], match["closed"] is not None)
        collector.end()
        reading = collector.reading
        reading.found = bool(reading.items) or plain.says_none(text)
        return reading


class UMIT(Qwen2VL):
    """Without the label where it was asked for, 3-D boxes and landmarks in brackets, options by number.

    Which frame the paper's 3-D boxes are in is not said; x and y are written in 0–1000 like its 2-D boxes, z in slices.
    """

    name = "umit"
    description = "as qwen2-vl; 3-D boxes [(x,y,z),(x,y,z)], landmarks [x,y], options 1:name"
    source = "UMIT, section 3.3.1 and figures 3 to 5"
    labelled = False

    def _write(self, kind: str, shape: Shape, item: Item, label: str) -> str:
        if kind == "landmarks":
            return f"{label}[{self._tuples(item)[1:-1]}]"
        if shape == "box_3d":
            return f"{label}[{self._tuples(item)}]"
        return super()._write(kind, shape, item, label)

    def write_choice(self, query: Query, choice: str) -> str:
        """``1:pneumonia``, numbered from 0 in the order of the query."""
        return f"{query.options.index(choice)}:{choice}" if choice in query.options else choice

    def read_choice(self, query: Query, text: str) -> str | None:
        """By number and words; by words alone where there is no number."""
        return plain.indexed_option_of(text, query.options)


class _Collector:
    """Groups tuples to items."""

    def __init__(self, label: str, shape: Shape) -> None:
        self.label, self.shape, self.reading = label, shape, Reading()
        self.corners: list[tuple[float, float]] = []
        self.heights: list[float] = []

    def name(self, label: str) -> None:
        """A label: what follows is of it."""
        self.end()
        self.label = label

    def token(self, token: str) -> None:
        """A token that ends an item."""
        if token in (BOX, BOX_END, QUAD, QUAD_END):
            self.end()

    def square(self, inner: str) -> None:
        """``[x,y]`` or ``[x0,y0,x1,y1]``: an item of its own."""
        self.end()
        values = numbers(inner)
        if len(values) >= 2 and len(values) % 2 == 0 and self.shape != "box_3d":
            self.corners = list(zip(values[::2], values[1::2], strict=True))
            self.end()

    def tuple(self, inner: str, closed: bool) -> None:
        """``(x,y)`` or ``(x,y,z)``."""
        values = numbers(inner)
        if not closed:
            self.reading.marks.add("truncated")
            return
        wanted = 3 if self.shape == "box_3d" else 2
        if len(values) != wanted:
            if values:
                self.reading.marks.add("dropped")
            return
        self.corners.append((values[0], values[1]))
        self.heights.extend(values[2:])
        if len(self.corners) == CORNERS[self.shape]:
            self.end()

    def end(self) -> None:
        """Close the item; one that lacks corners is dropped."""
        if not self.corners:
            return
        z = (self.heights[0], self.heights[-1]) if self.heights else None
        item = Item(self.label, tuple(self.corners), z)
        if item.fits(self.shape):
            self.reading.items.append(item)
        else:
            self.reading.marks.add("dropped")
        self.corners, self.heights = [], []
