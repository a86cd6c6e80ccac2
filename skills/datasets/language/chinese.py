"""Questions in Chinese, each with the intent it means, drawn from ``questions.zh.json`` as the English ones are.

A sample: ``("图中有多少个白细胞？", count white_cell)``.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from functools import cache
from typing import Any

from fiducial.skills.datasets.language.between import (
    between_intent,
    domain_between,
    ends_of,
    ends_with_stranger,
    known_ends,
    sort_of,
)
from fiducial.skills.datasets.language.nouns import load
from fiducial.skills.datasets.language.patterns import draw, literals, parse_pattern
from fiducial.skills.datasets.language.phrases import CELLS, FINDINGS, domain_of
from fiducial.skills.datasets.language.prompt import prompt_text
from fiducial.tools.landmark_measures import named_quantities
from fiducial.tools.record import Intent

TASKS = {"unknown": 0.4, "presence": 0.12, "count": 0.13, "location": 0.11, "size": 0.12, "head": 0.06, "compare": 0.05,
         "kind": 0.05, "report": 0.04, "between": 0.09}  # fmt: skip
ENDS = {
    "any": ("", "", "", "，谢谢", "，谢谢。"),
    "question": ("？", "？", "？", "？", "?", "。", "", "", "呢？", "呢", "呀？", "啊？", "，谢谢"),
    "yes_or_no": ("？", "？", "？", "?", "", "，谢谢"),
    "command": ("", "", "", "。", "，谢谢", "，谢谢。", "吧", "吧，谢谢"),
}  # fmt: skip
# What asks somebody to do something takes no words before it that a clause must follow, and no question mark.
_COMMAND = re.compile(
    "请|帮|麻烦|把|用[框箭]|我|在(?!哪)|检查|看看|看一|判断|确定|核实|找|查一|数|统计|清点|点清|标出|指|圈|框|勾|画|描述|定位(?!侧)|显示[全所图]|给出|"
    "告诉|报告[所检影]|写|出[一具]|生成|起草|总结|比较|对比|测|量|计算|算|求|就数|能|可以|可否|排除|忽略|删除|讲|回答|说出"
)
_QUESTION = re.compile(
    "(多少|[几哪]个|几处|哪[里儿些种类]?|何处|什么|多[大长宽高远]|有没有.*|是不是.*|是否.*|如何|怎么?样|地方|位置|部位|区域|没有)$"
)
_DO = re.compile("一下|一数|数数|出来|[标圈找框画]出|看看|测量|计算")
_UNKNOWN = ("unknown", "others", "asked_of_others", "restrictions", "restrictions_of", "asked_in_part", "asks_of",
            "bad_quantities", "bad_taken", "bad_ends", "landmark_asks", "reversed_asks")  # fmt: skip
SELECTED = 0.25
LESIONS = ("polyp", "liver_lesion", "brain_lesion", "opacity")  # of which there are so many places


def _table() -> dict[str, Any]:
    table: dict[str, Any] = load("questions.zh")
    return table


def _text(rng: random.Random, patterns: list[str], domain: str = "any", **slots: str) -> str:
    """A text of a pattern; ``h`` is the place, ``hof`` what belongs to it, ``hh`` the place where one must be said."""
    table = _table()
    own = domain in table["here_of"] and rng.random() < 0.5
    here = rng.choice(table["here_of"][domain] if own else table["here"])
    said = here or rng.choice(table["here_of"].get(domain, ["图中", "图里"]))
    filled = {"h": here, "hof": here and f"{here}的", "hh": said, **slots}
    return draw(parse_pattern(rng.choice(patterns)), rng, filled.__getitem__)


def _name(rng: random.Random, key: str) -> str:
    return str(rng.choice(_table()["names"][key]))


def _structure(rng: random.Random, of: tuple[str, ...] = (*CELLS, "head", *FINDINGS)) -> str:
    """A structure, the findings as often again as the others."""
    return rng.choices(of, [1.6 if key in FINDINGS else 1 for key in of])[0]


def _selector(rng: random.Random) -> Any:
    return rng.choice(list(_table()["selectors"]))


def _plain(task: str) -> Callable[[random.Random], tuple[str, Intent]]:
    """Presence and count: a structure, and nothing else."""

    def make(rng: random.Random) -> tuple[str, Intent]:
        key = _structure(rng)
        fields: Any = {"task": task, "structure": key}
        patterns = _table()[f"{task}_of_lesions" if task == "count" and key in LESIONS and rng.random() < 0.3 else task]
        return _text(rng, patterns, domain_of(key), n=_name(rng, key)), Intent(**fields)

    return make


def _location(rng: random.Random) -> tuple[str, Intent]:
    table, key = _table(), _structure(rng)
    if rng.random() >= SELECTED:
        text = _text(rng, table["location"], domain_of(key), n=_name(rng, key))
        return text, Intent(task="location", structure=key)
    selector = _selector(rng)
    said = rng.choice(table["selectors"][selector])
    text = _text(rng, table["location_selected"], domain_of(key), n=_name(rng, key), s=said)
    return text, Intent(task="location", structure=key, selector=selector)


def _size(rng: random.Random) -> tuple[str, Intent]:
    table, key = _table(), _structure(rng, (*CELLS, *FINDINGS))
    selector: Any = _selector(rng) if rng.random() < SELECTED else "each"
    quantity: Any = rng.choice(list(table["quantities"])) if rng.random() < 0.6 else None
    said = rng.choice(table["selectors"].get(selector, [""]))
    slots = {"n": _name(rng, key), "s": said, "q": rng.choice(table["quantities"].get(quantity, [""]))}
    patterns = table["size" + ("_quantity" if quantity else "") + ("_selected" if selector != "each" else "")]
    if quantity in table["size_across"] and key != "heart" and rng.random() < 0.2:  # how wide a heart is, is its width
        patterns, slots["s"] = table["size_across"][quantity], said and f"{said}的"
    text = _text(rng, patterns, domain_of(key), **slots)
    return text, Intent(task="size", structure=key, quantity=quantity, selector=selector)


def _head(rng: random.Random) -> tuple[str, Intent]:
    quantity: Any = rng.choice(list(_table()["head"]))
    text = _text(rng, _table()["head"][quantity], "head")
    return text, Intent(task="size", structure="head", quantity=quantity or None)


def _compare(rng: random.Random) -> tuple[str, Intent]:
    pair = rng.sample(("red_cell", "white_cell", "platelet"), 2)
    quantity: Any = rng.choice(list(_table()["compare"]))
    text = _text(rng, _table()["compare"][quantity], n=_name(rng, pair[0]), m=_name(rng, pair[1]))
    return text, Intent(task="compare", structure=pair[0], other_structure=pair[1], quantity=quantity)


def _between(rng: random.Random) -> tuple[str, Intent]:
    quantity = rng.choice(list(named_quantities()))
    table, known, domain = _table(), named_quantities()[quantity], domain_between(quantity)
    kind, ends = rng.random(), ends_of(rng, known)
    if kind < 0.35:
        return _text(rng, table["between"][quantity], domain), between_intent(quantity)
    if kind < 0.75 or not ends:
        said = rng.choice(table["taken_names"][quantity])
        return _text(rng, table["taken"][sort_of(known)], domain, q=said), between_intent(quantity)
    slots = dict(zip("xyz", (rng.choice(table["ends"][end]) for end in ends), strict=False))
    return _text(rng, table["corner" if len(ends) == 3 else "apart"], domain, **slots), between_intent(quantity)


def _whole(task: Any) -> Callable[[random.Random], tuple[str, Intent]]:
    """The kind of the image, a report."""
    return lambda rng: (_text(rng, _table()[task]), Intent(task=task, scope="image"))


def _of_others(rng: random.Random) -> str:
    """What is asked of the known, asked of something else; or a question that is asked of both."""
    table, other = _table(), rng.choice(_table()["others"])
    if rng.random() < 0.35:
        return _text(rng, table["asked_of_others"], n=_name(rng, _structure(rng)), o=other)
    task = rng.choice(("presence", "count", "count_of_lesions", "location", "size", "size_quantity", "size_selected"))
    quantity = rng.choice(rng.choice(list(table["quantities"].values())))
    said = rng.choice(table["selectors"][_selector(rng)])
    return _text(rng, table[task], rng.choice(list(table["here_of"])), n=other, q=quantity, s=said)


def _of_known(rng: random.Random) -> str:
    """What no skill computes of a known structure: a property, a part of the image, a quantity."""
    table, key, kind = _table(), _structure(rng), rng.random()
    name, domain = _name(rng, key), domain_of(key)
    if key in table["asks_of"] and kind < 0.45:
        return _text(rng, table["asks_of"][key], domain, n=name)
    if kind < 0.53:
        return _text(rng, table["reversed_asks"], domain, n=name)
    if kind < 0.75:
        own = key in table["restrictions_of"] and rng.random() < 0.6
        part = rng.choice(table["restrictions_of"][key] if own else table["restrictions"])
        return _text(rng, table["asked_in_part"], domain, n=name, r=part)
    return _text(rng, table["size_quantity"], domain, n=name, q=rng.choice(table["bad_quantities"]))


def _of_landmarks(rng: random.Random) -> str:
    """What is taken between landmarks and no skill knows."""
    table, domain, kind = _table(), rng.choice(("ceph", "ceph", "xray")), rng.random()
    if kind < 0.6:
        sort = rng.choice(list(table["bad_taken"]))
        return _text(rng, table["taken"][sort], domain, q=rng.choice(table["bad_taken"][sort]))
    if kind < 0.82:
        known = dict(zip("xyz", known_ends(rng, table["ends"], 3), strict=True))
        return _text(rng, table["landmark_asks"], domain, **known)
    ends = ends_with_stranger(rng, table["ends"], table["bad_ends"])
    return _text(rng, table["corner" if "z" in ends else "apart"], domain, **ends)


def _unknown(rng: random.Random) -> tuple[str, Intent]:
    if rng.random() < 0.27:
        return str(rng.choice(_table()["unknown"])), Intent(task="unknown")
    make = rng.choices((_of_others, _of_known, _of_landmarks), (0.5, 0.36, 0.14))[0]
    return make(rng), Intent(task="unknown")


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
    return _dressed(rng, text), intent


def _dressed(rng: random.Random, text: str) -> str:
    """A text with what may stand before it and after it, by whether it asks, orders or only names."""
    leads, after = _table()["lead"], "any"
    before: tuple[str, ...] = ("any", "question")
    if text.endswith(("吗", "么")):
        after = "yes_or_no"
    elif _QUESTION.search(text) and not _COMMAND.match(text):
        before, after = ("any", "question", "clause"), "question"
    elif _COMMAND.match(text):
        before = ("any",)
        after = "command" if _DO.search(text) and not _QUESTION.search(text) and text[0] not in "能可请麻" else "any"
    lead = rng.choice(leads[rng.choice(before)]) if rng.random() < 0.6 else ""
    return lead + text + rng.choice(ENDS[after])


@cache
def chinese_words() -> frozenset[str]:
    """Every word and mark of the answerable questions, as ``prompt_text`` splits them."""
    table, texts = _table(), [end for ends in ENDS.values() for end in ends]

    def walk(data: Any) -> None:
        if isinstance(data, str):
            texts.extend(literals(parse_pattern(data)))
        else:
            for part in data.values() if isinstance(data, dict) else data:
                walk(part)

    for name, data in table.items():
        if name not in _UNKNOWN:
            walk(data)
    return frozenset(word for text in texts for word in prompt_text(text).split())
