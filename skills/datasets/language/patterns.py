"""Phrase patterns: text with alternatives ``[large|big|]`` (may nest) and slots ``{pl}``.

``parse_pattern("how [large|big] is {t}")`` draws 2 phrasings; ``variants`` counts them.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from functools import cache
from math import prod

Node = str | tuple["Pattern", ...]  # literal text, "{slot}", or alternatives
Pattern = tuple[Node, ...]
_PIECE = re.compile(r"\{\w+\}|[\[\]|]|[^\[\]|{}]+|[{}]")


@cache
def parse_pattern(text: str) -> Pattern:
    """The pattern of a text; ValueError where brackets do not match."""
    pieces = _PIECE.findall(text)
    pattern, end = _sequence(pieces, 0, False)
    if end != len(pieces):
        raise ValueError(f"pattern {text!r}: a bracket too many")
    return pattern


def _sequence(pieces: list[str], at: int, inside: bool) -> tuple[Pattern, int]:
    nodes: list[Node] = []
    while at < len(pieces):
        piece = pieces[at]
        if piece == "[":
            options = []
            while at < len(pieces) and pieces[at] != "]":
                option, at = _sequence(pieces, at + 1, True)
                options.append(option)
            if at >= len(pieces):
                raise ValueError(f"pattern {''.join(pieces)!r}: a bracket is not closed")
            nodes.append(tuple(options))
            at += 1
        elif inside and piece in "]|":
            break
        elif piece == "]":
            raise ValueError(f"pattern {''.join(pieces)!r}: a bracket too many")
        else:
            nodes.append(piece)
            at += 1
    return tuple(nodes), at


def draw(pattern: Pattern, rng: random.Random, fill: Callable[[str], str]) -> str:
    """One phrasing: alternatives drawn uniformly, each slot filled by ``fill(name)``."""
    out = []
    for node in pattern:
        if isinstance(node, tuple):
            out.append(draw(node[int(rng.random() * len(node))], rng, fill))
        elif node[0] == "{" and len(node) > 2:
            out.append(fill(node[1:-1]))
        else:
            out.append(node)
    return "".join(out)


def variants(pattern: Pattern) -> int:
    """How many phrasings the alternatives make, slots aside."""
    return prod(sum(variants(option) for option in node) for node in pattern if isinstance(node, tuple))


def literals(pattern: Pattern) -> Iterator[str]:
    """Every phrasing's text with slots removed, piece by piece (for a word list)."""
    for node in pattern:
        if isinstance(node, tuple):
            for option in node:
                yield from literals(option)
        elif not (node[0] == "{" and len(node) > 2):
            yield node
