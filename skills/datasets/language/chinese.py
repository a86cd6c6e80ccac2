"""Questions in Chinese, each with the intent it means, drawn from ``questions.zh.json`` as the English ones are.

A sample: ``("图中有多少个白细胞？", count white_cell)``.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache
from typing import Any

from fiducial.skills.datasets.language.nouns import load
from fiducial.skills.datasets.language.patterns import draw, literals, parse_pattern
from fiducial.skills.datasets.language.prompt import prompt_text
from fiducial.tools.landmark_measures import ANGLES, named_quantities
from fiducial.tools.record import Intent

TASKS = {"unknown": 0.4, "presence": 0.12, "count": 0.13, "location": 0.11, "size": 0.12, "head": 0.06, "compare": 0.05,
         "kind": 0.04, "report": 0.03, "between": 0.06}  # fmt: skip
ENDS = ("？", "？", "？", "", "", "。", "?", "呢？")
SELECTED = 0.25


def _table() -> dict[str, Any]:
    table: dict[str, Any] = load("questions.zh")
    return table


def _text(rng: random.Random, patterns: list[str], **slots: str) -> str:
    table = _table()
    filled = {"h": rng.choice(table["here"]), **slots}
    return draw(parse_pattern(rng.choice(patterns)), rng, filled.__getitem__)


def _name(rng: random.Random, key: str) -> str:
    return str(rng.choice(_table()["names"][key]))


def _plain(task: str) -> Callable[[random.Random], tuple[str, Intent]]:
    """Presence and count: a structure, and nothing else."""

    def make(rng: random.Random) -> tuple[str, Intent]:
        key = rng.choice(list(_table()["names"]))
        fields: Any = {"task": task, "structure": key}
        return _text(rng, _table()[task], n=_name(rng, key)), Intent(**fields)

    return make


def _location(rng: random.Random) -> tuple[str, Intent]:
    table, key = _table(), rng.choice(list(_table()["names"]))
    if rng.random() >= SELECTED:
        return _text(rng, table["location"], n=_name(rng, key)), Intent(task="location", structure=key)
    selector: Any = rng.choice(list(table["selectors"]))
    said = rng.choice(table["selectors"][selector])
    text = _text(rng, table["location_selected"], n=_name(rng, key), s=said)
    return text, Intent(task="location", structure=key, selector=selector)


def _size(rng: random.Random) -> tuple[str, Intent]:
    table = _table()
    key = rng.choice([key for key in table["names"] if key != "head"])
    selector: Any = rng.choice(list(table["selectors"])) if rng.random() < SELECTED else "each"
    quantity: Any = rng.choice(list(table["quantities"])) if rng.random() < 0.6 else None
    patterns = "size" + ("_quantity" if quantity else "") + ("_selected" if selector != "each" else "")
    slots = {"n": _name(rng, key), "s": rng.choice(table["selectors"].get(selector, [""]))}
    text = _text(rng, table[patterns], **slots, q=rng.choice(table["quantities"].get(quantity, [""])))
    return text, Intent(task="size", structure=key, quantity=quantity, selector=selector)


def _head(rng: random.Random) -> tuple[str, Intent]:
    quantity: Any = rng.choice(list(_table()["head"]))
    return _text(rng, _table()["head"][quantity]), Intent(task="size", structure="head", quantity=quantity)


def _compare(rng: random.Random) -> tuple[str, Intent]:
    pair = rng.sample(("red_cell", "white_cell", "platelet"), 2)
    quantity: Any = rng.choice(list(_table()["compare"]))
    text = _text(rng, _table()["compare"][quantity], n=_name(rng, pair[0]), m=_name(rng, pair[1]))
    return text, Intent(task="compare", structure=pair[0], other_structure=pair[1], quantity=quantity)


def _between(rng: random.Random) -> tuple[str, Intent]:
    quantity = rng.choice(list(named_quantities()))
    task: Any = "angle" if named_quantities()[quantity].form in ANGLES else "distance"
    return _text(rng, _table()["between"][quantity]), Intent(task=task, quantity=quantity)


def _whole(task: Any) -> Callable[[random.Random], tuple[str, Intent]]:
    """The kind of the image, a report."""
    return lambda rng: (_text(rng, _table()[task]), Intent(task=task, scope="image"))


def _unknown(rng: random.Random) -> tuple[str, Intent]:
    table = _table()
    if rng.random() < 0.4:
        return str(rng.choice(table["unknown"])), Intent(task="unknown")
    key = rng.choice(list(table["names"]))
    text = _text(rng, table["asked_of_others"], n=_name(rng, key), o=rng.choice(table["others"]))
    return text, Intent(task="unknown")


_MAKERS: dict[str, Callable[[random.Random], tuple[str, Intent]]] = {
    "unknown": _unknown,
    "presence": _plain("presence"),
    "count": _plain("count"),
    "location": _location,
    "size": _size,
    "head": _head,
    "compare": _compare,
    "kind": _whole("kind"),
    "report": _whole("report"),
    "between": _between,
}


def sample_chinese(rng: random.Random) -> tuple[str, Intent]:
    """A question in Chinese, and what it asks. The intent's language is told by the text, not here."""
    (task,) = rng.choices(list(TASKS), list(TASKS.values()))
    text, intent = _MAKERS[task](rng)
    return rng.choice(_table()["lead"]) + text + rng.choice(ENDS), intent


@cache
def chinese_words() -> frozenset[str]:
    """Every word and mark of the answerable questions, as ``prompt_text`` splits them."""
    table, texts = _table(), ["".join(ENDS)]

    def walk(data: Any) -> None:
        if isinstance(data, str):
            texts.extend(literals(parse_pattern(data)))
        else:
            for part in data.values() if isinstance(data, dict) else data:
                walk(part)

    for name, data in table.items():
        if name not in ("others", "unknown", "asked_of_others"):
            walk(data)
    return frozenset(word for text in texts for word in prompt_text(text).split())
