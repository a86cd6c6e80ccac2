"""A dialect: the text that a family is trained to write for a typed target, and that text back to the target.

Training and inference share it. Whatever the text, ``parse`` raises nothing and yields nothing that is not finite;
``parse(render(x))`` is ``x`` within half a quantisation step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from fiducial.skills.families.dialects import plain
from fiducial.skills.families.dialects.grid import Grid
from fiducial.skills.families.dialects.items import SHAPE_OF_KIND, Item, Shape, items_of, mapped, target_of
from fiducial.skills.families.dialects.salvage import MAX_CHARS, Mark, finite
from fiducial.skills.targets import (
    TARGET_OF_TASK,
    ChoiceTarget,
    CountTarget,
    NumbersTarget,
    Query,
    ReportTarget,
    Target,
    TextTarget,
)
from fiducial.tools.frames import FrameMap2D


@dataclass(frozen=True)
class Parsed:
    """What a text says. target: None where it says nothing that was asked for, and then ``problem`` says why.

    marks: ``truncated``, the text broke off and what came before the break was kept; ``repaired``, a bracket or the
    like was missing; ``dropped``, something in it was unreadable and was left out.
    """

    target: Target | None
    marks: frozenset[Mark] = frozenset()
    problem: str | None = None

    @property
    def complete(self) -> bool:
        """Whether there is a target, and all of what the text says is in it."""
        return self.target is not None and not self.marks & {"truncated", "dropped"}


@dataclass
class Reading:
    """Items read from a text, in its own units; found: whether there was anything to read, if only an empty list."""

    items: list[Item] = field(default_factory=list)
    marks: set[Mark] = field(default_factory=set)
    found: bool = True
    count: int | None = None
    label: str | None = None


class Dialect:
    """The base of every family's dialect; a family says how items are written and read.

    name: by which a manifest names it; templates: the prompts it is asked with; source: where the convention is from;
    verified: whether it was seen in the family's own code or data, not only in secondary sources.
    """

    name: ClassVar[str]
    description: ClassVar[str]
    templates: ClassVar[str]
    source: ClassVar[str]
    verified: ClassVar[bool] = True
    grid: ClassVar[Grid]

    def render(self, query: Query, target: Target, to_model: FrameMap2D) -> str:
        """The text to be trained on. to_model: from stored pixels to the model's input, of known size."""
        if isinstance(target, CountTarget):
            return self._render_count(query, target, to_model)
        if isinstance(target, ChoiceTarget):
            return self.write_choice(query, target.choice)
        if isinstance(target, NumbersTarget):
            return self.write_numbers(query, target)
        if isinstance(target, TextTarget | ReportTarget):
            return target.text.strip()
        shape = SHAPE_OF_KIND[target.kind]
        units = self.grid.units(to_model)
        items = [mapped(item, shape, units) for item in items_of(target)]
        return self.write_items(query, target.kind, shape, items)

    def parse(self, query: Query, text: str, to_model: FrameMap2D) -> Parsed:
        """The typed target that a text states, in stored pixels, whatever the text."""
        kind = TARGET_OF_TASK[query.task].model_fields["kind"].default
        cut: frozenset[Mark] = frozenset({"truncated"}) if len(text) > MAX_CHARS else frozenset()
        text = text[:MAX_CHARS]
        if kind in ("choice", "numbers", "text", "report"):
            target = self._read_words(query, kind, text)
            return Parsed(target, cut, None if target else f"no {kind} as asked for in the text")
        if kind == "count":
            return self._parse_count(query, text, to_model)
        reading = self.read_items(query, kind, SHAPE_OF_KIND[kind], text)
        items = self._stored(reading, SHAPE_OF_KIND[kind], to_model)
        marks = frozenset(reading.marks) | cut
        if not reading.found or (not items and marks):
            return Parsed(None, marks, f"no {kind.replace('_', ' ')} could be read from the text")
        target = target_of(kind, items)
        lost = len(items_of(target)) < len(items)
        return Parsed(target, marks | {"dropped"} if lost else marks)

    def write_items(self, query: Query, kind: str, shape: Shape, items: Sequence[Item]) -> str:
        """Items in the text's units, written."""
        raise NotImplementedError

    def read_items(self, query: Query, kind: str, shape: Shape, text: str) -> Reading:
        """Inverse of ``write_items``."""
        raise NotImplementedError

    def write_count(self, query: Query, target: CountTarget, shape: Shape | None, items: Sequence[Item]) -> str:
        """A count: the number, and on the next line the things counted where they are asked for."""
        things = "" if shape is None else "\n" + self.write_items(query, f"{shape}s", shape, items)
        return f"{target.count}{things}"

    def read_count(self, query: Query, shape: Shape | None, text: str) -> Reading:
        """Inverse of ``write_count``."""
        count = plain.read_count(text)
        if shape is None or count is None:
            return Reading(found=count is not None, count=count)
        reading = self.read_items(query, f"{shape}s", shape, text.partition("\n")[2])
        reading.count = count
        return reading

    def write_choice(self, query: Query, choice: str) -> str:
        """A choice: the option itself."""
        return choice

    def read_choice(self, query: Query, text: str) -> str | None:
        """Inverse of ``write_choice``; None where the text names none, or more than one."""
        return plain.option_of(text, query.options)

    def write_numbers(self, query: Query, target: NumbersTarget) -> str:
        """Numbers with their names and units."""
        return plain.write_numbers(target.numbers)

    def read_numbers(self, query: Query, text: str) -> NumbersTarget | None:
        """Inverse of ``write_numbers``."""
        values = plain.read_numbers(query, text)
        return NumbersTarget(numbers=values) if values else None

    def _read_words(self, query: Query, kind: str, text: str) -> Target | None:
        if kind == "choice":
            choice = self.read_choice(query, text)
            return None if choice is None else ChoiceTarget(choice=choice)
        if kind == "numbers":
            return self.read_numbers(query, text)
        words = text.strip()
        if not words:
            return None
        return TextTarget(text=words) if kind == "text" else ReportTarget(text=words)

    def _render_count(self, query: Query, target: CountTarget, to_model: FrameMap2D) -> str:
        shape: Shape | None = None
        items: list[Item] = []
        if target.points_xy_px is not None:
            shape, items = "point", [Item(target.label, (p,)) for p in target.points_xy_px]
        elif target.boxes_xyxy_px is not None:
            shape, items = "box", [Item(target.label, (b[:2], b[2:])) for b in target.boxes_xyxy_px]
        if shape is not None:
            units = self.grid.units(to_model)
            items = [mapped(item, shape, units) for item in items]
        return self.write_count(query, target, shape, items)

    def _parse_count(self, query: Query, text: str, to_model: FrameMap2D) -> Parsed:
        shapes: dict[str, Shape] = {"count_and_point": "point", "count_and_box": "box"}
        shape = shapes.get(query.task)
        reading = self.read_count(query, shape, text)
        marks = frozenset(reading.marks)
        if reading.count is None or not 0 <= reading.count <= 1_000_000:
            return Parsed(None, marks, "no count could be read from the text")
        label = reading.label if reading.label is not None else query.label or ""
        if shape is None:
            return Parsed(CountTarget(label=label, count=reading.count), marks)
        corners = [item.corners for item in self._stored(reading, shape, to_model)]
        marks = frozenset(reading.marks)
        if shape == "point":
            points = tuple(c[0] for c in corners)
            return Parsed(CountTarget(label=label, count=reading.count, points_xy_px=points), marks)
        boxes = tuple((*low, *high) for low, high in corners)
        return Parsed(CountTarget(label=label, count=reading.count, boxes_xyxy_px=boxes), marks)

    def _stored(self, reading: Reading, shape: Shape, to_model: FrameMap2D) -> list[Item]:
        """A reading's items in stored pixels; what has not the corners of its shape is dropped, and marked."""
        kept = [item for item in reading.items if item.fits(shape) and _usable(item)]
        if len(kept) < len(reading.items):
            reading.marks.add("dropped")
        back = self.grid.units(to_model).inverse()
        value = self.grid.value
        meant = [Item(i.label, tuple((value(x), value(y)) for x, y in i.corners), i.z) for i in kept]
        return [mapped(item, shape, back) for item in meant]


def _usable(item: Item) -> bool:
    coordinates = [v for corner in item.corners for v in corner] + list(item.z or ())
    return all(finite(v) is not None for v in coordinates)


def one_label(query: Query, items: Sequence[Item]) -> bool:
    """Whether every item has the label that was asked for, so that a text may leave it out."""
    return query.label is not None and all(item.label == query.label for item in items)


def paired(values: Sequence[float]) -> tuple[tuple[float, float], ...]:
    """A flat list x, y, x, y … as corners; an odd one at the end is left out."""
    return tuple(zip(values[::2], values[1::2], strict=False))
