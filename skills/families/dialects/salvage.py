"""Reading what a model wrote: JSON that may be fenced, cut short or lack brackets, and numbers in a sentence.

Nothing here raises, recurses or loops longer than the text; what was mended or lost is said by marks.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

Mark = Literal["truncated", "repaired", "dropped"]

MAX_CHARS = 200_000
MAX_DEPTH = 16
MAX_ABS = 1e7  # no coordinate, count or measurement is larger; keeps every map of it finite

NUMBER = r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d{1,3})?"
_NUMBER = re.compile(NUMBER)
_BRACKET = re.compile(r"[\[{]")
_FENCE = re.compile(r"```[ \t]*[A-Za-z0-9]*\s*")
_TOKEN = re.compile(
    r'(?P<space>\s+)|(?P<mark>[\[\]{},:])|(?P<string>"(?:[^"\\]|\\.)*")|(?P<number>' + NUMBER + r")"
    r"|(?P<word>[A-Za-z_]+)|(?P<open>\".*)|(?P<other>.)",
    re.DOTALL,
)
_WORDS = {"true": True, "false": False, "null": None, "None": None, "True": True, "False": False}


def finite(value: Any) -> float | None:
    """A usable number as a float; None for anything else (bool, text, nan, infinity, absurdly large)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) <= MAX_ABS else None  # nan compares False


def numbers(text: str) -> list[float]:
    """Every usable number in a text, in order. ``1e-3`` is one number."""
    found = (finite(float(match[0])) for match in _NUMBER.finditer(text[:MAX_CHARS]) if len(match[0]) < 40)
    return [value for value in found if value is not None]


def unfenced(text: str) -> str:
    """The text after the opening of its first code fence; all of it where there is none."""
    fence = _FENCE.search(text)
    return text[fence.end() :] if fence else text


def load(text: str) -> tuple[list[Any], set[Mark]]:
    """Every JSON value (object or array) in a text, fenced or not, in order, and what had to be done to read them.

    Strict JSON is read by the standard library. What it refuses is read token by token: a bracket that is missing is
    taken as written where the next token shows it, and what a break in the text cut in two is dropped.
    """
    marks: set[Mark] = {"truncated"} if len(text) > MAX_CHARS else set()
    text = text[:MAX_CHARS]
    body = unfenced(text)
    for candidate in (body, text):
        if first := _BRACKET.search(candidate):
            values = _strict(candidate[first.start() :])
            if values is not None:
                return values, marks
            builder = _Builder()
            builder.read(candidate[first.start() :])
            return builder.roots, marks | builder.marks
    return [], marks


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def _strict(text: str) -> list[Any] | None:
    """The values that strict JSON holds, one after the other; None where the first or a later one is not strict."""
    decoder = json.JSONDecoder(parse_constant=_no_constant)
    values, place = [], 0
    while True:
        try:
            value, place = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            return None
        values.append(value)
        following = _BRACKET.search(text, place)
        if not following:
            return values
        place = following.start()


@dataclass
class _Builder:
    """Builds values from tokens on a stack of open containers; ``keys`` holds the pending key of each object."""

    roots: list[Any] = field(default_factory=list)
    marks: set[Mark] = field(default_factory=set)
    stack: list[Any] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)

    def read(self, text: str) -> None:
        """Read tokens until the text ends; prose outside of any value is passed over."""
        for kind, token, end in _tokens(text):
            if not self.stack and token not in ("[", "{"):
                continue
            if kind == "mark":
                self._mark(token)
            elif kind == "string":
                self._value(_string(token))
            elif kind == "number":
                if end < len(text):  # a number at the very end may be the half of one
                    self._value(float(token) if len(token) < 40 else math.inf)
            elif kind == "word" and token in _WORDS:
                self._value(_WORDS[token])
            else:
                self.marks.add("repaired")
        if self.stack:
            self.marks.add("truncated")
            self._drop_cut()

    def _mark(self, token: str) -> None:
        if token in "[{":
            self._open([] if token == "[" else {})
        elif token in "]}":
            self._close(list if token == "]" else dict)
        elif token == ":" and self.stack and isinstance(self.stack[-1], list):
            self._key_in_array()
        elif token == "," and self.stack and isinstance(self.stack[-1], dict):
            self.keys[-1] = None

    def _open(self, container: Any) -> None:
        if len(self.stack) >= MAX_DEPTH:
            self.marks.add("repaired")
            return
        if self.stack:
            self._value(container)
        else:
            self.roots.append(container)
        self.stack.append(container)
        self.keys.append(None)

    def _close(self, kind: type) -> None:
        """Close the innermost container of a kind, and those left open within it."""
        depth = next((i for i in reversed(range(len(self.stack))) if isinstance(self.stack[i], kind)), None)
        if depth is None:
            self.marks.add("repaired")
            return
        if depth < len(self.stack) - 1:
            self.marks.add("repaired")
        del self.stack[depth:], self.keys[depth:]

    def _key_in_array(self) -> None:
        """``[[1, 2], "label": …``: a key can only stand in an object, so the arrays open inside of it end before it."""
        array = self.stack[-1]
        depth = next((i for i in reversed(range(len(self.stack))) if isinstance(self.stack[i], dict)), None)
        self.marks.add("repaired")
        if depth is None or not array or not isinstance(array[-1], str):
            return
        key = array.pop()
        del self.stack[depth + 1 :], self.keys[depth + 1 :]
        self.keys[depth] = key

    def _value(self, value: Any) -> None:
        if not self.stack:
            return
        top = self.stack[-1]
        if isinstance(top, list):
            top.append(value)
        elif self.keys[-1] is None and isinstance(value, str):
            self.keys[-1] = value
        elif (key := self.keys[-1]) is not None:
            top.setdefault(key, value)
        else:
            self.marks.add("repaired")

    def _drop_cut(self) -> None:
        """Drop the innermost open array of numbers: the coordinates that the break cut."""
        cut = self.stack[-1]
        if isinstance(cut, list) and cut and not any(isinstance(part, list | dict) for part in cut):
            cut.clear()


def _string(token: str) -> str:
    try:
        return str(json.loads(token, strict=False))
    except ValueError:
        return token[1:-1]


def _tokens(text: str) -> Iterator[tuple[str, str, int]]:
    for match in _TOKEN.finditer(text):
        if match.lastgroup != "space":
            yield str(match.lastgroup), match[0], match.end()
