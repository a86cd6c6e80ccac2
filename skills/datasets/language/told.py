"""The record as the explain skill reads it: a line of few words from which every claim of a text can be copied.

``count white_cell : white_cell 2 R1 upper left , R2 centre``
``presence red_cell : red_cell 17 R1 to R17 , most left``
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from fiducial.tools.positions import distribution, place_of
from fiducial.tools.record import Answer, Intent, Region
from fiducial.tools.structures import DOMAIN_NAMES, members

FEW = 6  # up to this many regions are cited one by one
MOST_NUMBER = 60
MOST_ID = 120
MOST_RUNS = 3


@dataclass(frozen=True)
class Group:
    """The regions of one structure, in the order of their ids, and what a text may say of where they are."""

    key: str
    regions: tuple[Region, ...]
    places: tuple[str, ...]
    spread: str

    @property
    def ids(self) -> list[str]:
        """The ids of the regions."""
        return [r.id for r in self.regions]

    @property
    def runs(self) -> list[tuple[str, str]]:
        """First and last id of each unbroken run of ids."""
        runs: list[tuple[str, str]] = []
        for name in self.ids:
            if runs and _number(name) == _number(runs[-1][1]) + 1:
                runs[-1] = (runs[-1][0], name)
            else:
                runs.append((name, name))
        return runs


def _number(region_id: str) -> int:
    digits = re.sub(r"\D", "", region_id)
    return int(digits) if digits else -1


def _group(key: str, regions: Sequence[Region], *shown: int) -> Group:
    """The accepted regions of ``key`` that are not parts of another. shown: width, height, orientation."""
    labels = set(members(key))
    own = [r for r in regions if r.status == "accepted" and r.parent_id is None and r.label in labels]
    own.sort(key=lambda r: _number(r.id))
    places = tuple(place_of(r, *shown) for r in own)
    return Group(key, tuple(own), places, distribution(own, *shown) if len(own) > FEW else "")


def groups_of(
    intent: Intent, regions: Sequence[Region], width_px: int, height_px: int, orientation: int = 1
) -> list[Group]:
    """One group for each structure a text speaks of; a group such as blood cells is told by its members."""
    keys = [key for key in (intent.structure, intent.other_structure) if key]
    if intent.task != "compare":
        keys = [member for key in keys for member in members(key)]
    found = [_group(key, regions, width_px, height_px, orientation) for key in keys]
    if intent.task == "compare" or not keys:
        return found
    return [group for group in found if group.regions] or [Group(keys[0], (), (), "")]


def explain_prompt(
    intent: Intent, answer: Answer, regions: Sequence[Region], width_px: int, height_px: int, orientation: int = 1
) -> str:
    """The record as the explain skill reads it, in words of ``explanation_words``; ``zh`` first asks for Chinese."""
    spoken = "" if intent.language == "en" else f"{intent.language} "
    if intent.task == "kind":
        return f"{spoken}kind {answer.value if answer.value in DOMAIN_NAMES else 'other'}"
    head = [
        intent.task,
        intent.structure,
        intent.other_structure,
        None if intent.selector == "each" else intent.selector,
    ]
    groups = groups_of(intent, regions, width_px, height_px, orientation)
    if len(groups) > 1 and intent.task != "compare":
        head.append(_digits(sum(len(g.regions) for g in groups)))
    told = [" ".join(word for word in head if word), *(" ; ".join(_serial(g) for g in groups),)]
    if marks := landmark_ids(groups, regions):
        told.append(f"landmarks {marks}")
    return spoken + " : ".join(told)


def _digits(n: int) -> str:
    return str(n) if n <= MOST_NUMBER else "many"


def _serial(group: Group) -> str:
    """``white_cell 2 R1 upper left , R2 centre``; ``red_cell 17 R1 to R17 , most left``."""
    lead = f"{group.key} {_digits(len(group.regions))}"
    if not group.regions:
        return lead
    each = [f"{name} {place}" for name, place in zip(group.ids, group.places, strict=True)]
    if len(group.regions) <= FEW:
        kind = "ellipse " if group.regions[0].kind == "ellipse" else ""
        return f"{lead} {kind}{' , '.join(each)}"
    return f"{lead} {' , '.join(part for part in (id_span(group), group.spread) if part)}"


def id_span(group: Group) -> str:
    """The ids as they are cited where there are many: runs, or the first and last where the gaps are many."""
    if len(group.runs) > MOST_RUNS:
        return f"{group.ids[0]} up to {group.ids[-1]} with gaps"
    return " and ".join(a if a == b else f"{a} to {b}" for a, b in group.runs)


def landmark_ids(groups: Sequence[Group], regions: Sequence[Region]) -> str:
    """The accepted landmarks of the groups' regions."""
    parents = {name for group in groups for name in group.ids}
    marks = tuple(r for r in regions if r.status == "accepted" and r.kind == "landmark" and r.parent_id in parents)
    group = Group("", marks, (), "")
    return f"{marks[0].id} to {marks[-1].id}" if len(group.runs) == 1 and len(marks) > 1 else listed(group.ids)


def listed(parts: Sequence[str]) -> str:
    """``R1, R2 and R3``."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""
