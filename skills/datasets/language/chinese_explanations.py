"""Explanations in Chinese that say only what the record holds, from ``explanations.zh.json``, as the English ones do.

A sample: ``"zh count white_cell : white_cell 2 R1 upper left , R2 centre"`` →
``"共发现2个白细胞：R1位于左上方，R2位于中央。"``
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache
from typing import Any

from fiducial.skills.datasets.language.nouns import load
from fiducial.skills.datasets.language.patterns import draw, literals, parse_pattern
from fiducial.skills.datasets.language.told import FEW, Group, groups_of, id_span, landmark_ids
from fiducial.tools.record import Answer, Intent, Region
from fiducial.tools.structures import DOMAIN_NAMES
from fiducial.tools.words import domain_of, name_of

SPANS = ((" up to ", "至"), (" to ", "至"), (" and ", "、"), (", ", "、"), (" with gaps", "（有间断）"))


def _table() -> dict[str, Any]:
    table: dict[str, Any] = load("explanations.zh")
    return table


def write_chinese(
    intent: Intent, answer: Answer, regions: Sequence[Region], width_px: int, height_px: int, rng: random.Random
) -> str:
    """One or two sentences that explain the answer from its regions."""
    if intent.task == "kind":
        kind = str(answer.value)
        if kind not in DOMAIN_NAMES:
            return _draw(rng, "kind_other")
        return _draw(rng, "kind", kind=domain_of(kind, "zh"))
    groups = groups_of(intent, regions, width_px, height_px)
    number = sum(len(group.regions) for group in groups)
    if not number:
        keys = [group.key for group in groups] if len(groups) > 1 else [str(intent.structure)]
        name = "和".join(name_of(key, 2, "zh") for key in keys)
        return _draw(rng, "absent", name=name)
    if len(groups) > 1:
        return _draw(rng, "groups", groups="和".join(_part(group) for group in groups))
    return _one(rng, intent, groups[0], landmark_ids(groups, regions))


def _one(rng: random.Random, intent: Intent, group: Group, marks: str) -> str:
    """About the regions of one structure."""
    table, slots = _table(), {"n": str(len(group.regions)), "name": _name(group), "ids": _ids(group)}
    if group.regions[0].kind == "ellipse" and len(group.regions) == 1:
        text = _draw(rng, "head", **slots, place=table["places"][group.places[0]])
        return text + (_draw(rng, "landmarks", marks=_in_chinese(marks)) if marks else "")
    if len(group.regions) > FEW:
        return _draw(rng, "many", **slots, spread=_spread(group)) if group.spread else _draw(rng, "many_plain", **slots)
    places = [f"{name}位于{table['places'][place]}" for name, place in zip(group.ids, group.places, strict=True)]
    selected = intent.task == "size" and intent.selector != "each" and len(group.regions) > 1
    name = "size_selected" if selected else "count" if intent.task == "compare" else intent.task
    return _draw(rng, name, **slots, placed="，".join(places), sel=table["selectors"].get(intent.selector, ""))


def _draw(rng: random.Random, table: str, **slots: str) -> str:
    return draw(parse_pattern(rng.choice(_table()[table])), rng, slots.__getitem__)


def _name(group: Group) -> str:
    return name_of(group.key, 2, "zh")


def _part(group: Group) -> str:
    """``3个白细胞（R1至R3）``; ``没有血小板``."""
    if not group.regions:
        return f"0个{_name(group)}"
    return f"{len(group.regions)}个{_name(group)}（{_ids(group)}）"


def _ids(group: Group) -> str:
    if len(group.regions) <= FEW:
        return "、".join(group.ids)
    return _in_chinese(id_span(group))


def _in_chinese(span: str) -> str:
    """``R1 to R4 and R6`` in Chinese."""
    for english, said in SPANS:
        span = span.replace(english, said)
    return span


def _spread(group: Group) -> str:
    if group.spread == "spread":
        return "分布于整个图像"
    return f"大多位于图像{_table()['halves'][group.spread.removeprefix('most ')]}"


@cache
def chinese_explanation_texts() -> tuple[str, ...]:
    """Every piece of text of the patterns, for a tokenizer."""
    pieces: list[str] = []
    for rows in _table().values():
        for row in rows.values() if isinstance(rows, dict) else rows:
            pieces += literals(parse_pattern(row))
    return tuple(pieces)
