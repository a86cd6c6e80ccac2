"""Explanations in plain English that say only what the record holds, and the record in the few words a model reads.

``explain_prompt`` gives the input, ``write_explanation`` a target whose every claim can be copied from that input:
``count white_cell : white_cell 2 R1 upper left , R2 centre`` → ``Two white blood cells were found: R1 in the upper left
and R2 in the centre.`` Explanations come before measurement: counts, ids, kinds and positions, never sizes.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from fiducial.skills.datasets.language.grammar import SELECTORS
from fiducial.skills.datasets.language.nouns import load
from fiducial.skills.datasets.language.patterns import draw, parse_pattern
from fiducial.tools.claims import NUMBER_WORDS, PLACE_PHRASES
from fiducial.tools.positions import HALVES, distribution, place_of
from fiducial.tools.record import Answer, Intent, Region
from fiducial.tools.structures import DOMAIN_NAMES, members, structures

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


def _group(key: str, regions: Sequence[Region], width_px: int, height_px: int) -> Group:
    """The accepted regions of ``key`` that are not parts of another."""
    labels = set(members(key))
    own = [r for r in regions if r.status == "accepted" and r.parent_id is None and r.label in labels]
    own.sort(key=lambda r: _number(r.id))
    places = tuple(place_of(r, width_px, height_px) for r in own)
    return Group(key, tuple(own), places, distribution(own, width_px, height_px) if len(own) > FEW else "")


def _groups(intent: Intent, regions: Sequence[Region], width_px: int, height_px: int) -> list[Group]:
    """One group for each structure a text speaks of; a group such as blood cells is told by its members."""
    keys = [key for key in (intent.structure, intent.other_structure) if key]
    if intent.task != "compare":
        keys = [member for key in keys for member in members(key)]
    found = [_group(key, regions, width_px, height_px) for key in keys]
    return found if intent.task == "compare" else ([g for g in found if g.regions] or [Group(keys[0], (), (), "")] if keys else [])


def explain_prompt(intent: Intent, answer: Answer, regions: Sequence[Region], width_px: int, height_px: int) -> str:
    """The record as the explain skill reads it, in words of ``explanation_words``; positions need the image's size in px."""
    if intent.task == "kind":
        return f"kind {answer.value if answer.value in DOMAIN_NAMES else 'other'}"
    head = [intent.task, intent.structure, intent.other_structure, None if intent.selector == "each" else intent.selector]
    groups = _groups(intent, regions, width_px, height_px)
    if len(groups) > 1 and intent.task != "compare":
        head.append(_digits(sum(len(g.regions) for g in groups)))
    told = [" ".join(word for word in head if word), *(" ; ".join(_serial(g) for g in groups),)]
    if marks := _marks(groups, regions):
        told.append(f"landmarks {marks}")
    return " : ".join(told)


def _digits(n: int) -> str:
    return str(n) if n <= MOST_NUMBER else "many"


def _serial(group: Group) -> str:
    """``white_cell 2 R1 upper left , R2 centre``; ``red_cell 17 R1 to R17 , most left , R1 centre , R17 right``."""
    lead = f"{group.key} {_digits(len(group.regions))}"
    if not group.regions:
        return lead
    each = [f"{name} {place}" for name, place in zip(group.ids, group.places, strict=True)]
    if len(group.regions) <= FEW:
        kind = "ellipse " if group.regions[0].kind == "ellipse" else ""
        return f"{lead} {kind}{' , '.join(each)}"
    return f"{lead} {' , '.join(part for part in (_span(group), group.spread, each[0], each[-1]) if part)}"


def _span(group: Group) -> str:
    """The ids as they are cited where there are many: runs, or the first and last where the gaps are many."""
    if len(group.runs) > MOST_RUNS:
        return f"{group.ids[0]} up to {group.ids[-1]} with gaps"
    return " and ".join(a if a == b else f"{a} to {b}" for a, b in group.runs)


def _marks(groups: Sequence[Group], regions: Sequence[Region]) -> str:
    """The accepted landmarks of the groups' regions."""
    parents = {name for group in groups for name in group.ids}
    marks = tuple(r for r in regions if r.status == "accepted" and r.kind == "landmark" and r.parent_id in parents)
    group = Group("", marks, (), "")
    return f"{marks[0].id} to {marks[-1].id}" if len(group.runs) == 1 and len(marks) > 1 else _listed(group.ids)


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""


class _Wording:
    """Fills the slots of a pattern for one text: number style and nouns are drawn once."""

    def __init__(self, rng: random.Random, intent: Intent, groups: list[Group], marks: str) -> None:
        self.rng, self.intent, self.groups, self.marks = rng, intent, groups, marks
        self.group = groups[0]
        self.n = sum(len(g.regions) for g in groups)
        self.words = rng.random() < 0.5
        self.short = rng.random() < 0.25

    def number(self, n: int) -> str:
        if n > MOST_NUMBER:
            return "many"
        return NUMBER_WORDS[n] if self.words and n <= 12 else str(n)

    def noun(self, key: str, n: int) -> str:
        entry = structures()[key]
        name = entry.name if n == 1 else entry.plural
        return name.replace("blood ", "") if self.short and key in ("red_cell", "white_cell") else name

    def placed(self, group: Group, verb: bool) -> str:
        """Every id with its place: ``R1 and R3 in the upper left and R2 in the centre``; with a verb, a sentence."""
        at: dict[str, list[str]] = {}
        for name, place in zip(group.ids, group.places, strict=True):
            at.setdefault(place, []).append(name)
        brackets = not verb and self.rng.random() < 0.3
        parts = []
        for i, (place, names) in enumerate(at.items()):
            if brackets:
                parts += [f"{name} ({place})" for name in names]
                continue
            said = "" if not verb or i else (" lies" if len(names) == 1 else " lie")
            parts.append(f"{_listed(names)}{said} {self.rng.choice(PLACE_PHRASES[place])}")
        return _listed(parts)

    def spread(self, group: Group, subject: str) -> str:
        """Where most of many regions lie, or that they are spread."""
        if group.spread == "spread":
            return f"{subject or 'they'} {self.rng.choice(('are spread', 'lie spread'))} over the image"
        half = group.spread.removeprefix("most ")
        return f"most of {subject or 'them'} {self.rng.choice(('lie', 'are'))} in the {half} half of the image"

    def ends(self, group: Group) -> str:
        first, last = ((group.ids[i], self.rng.choice(PLACE_PHRASES[group.places[i]])) for i in (0, -1))
        return f"{first[0]} lies {first[1]} and {last[0]} {last[1]}"

    def cited(self, group: Group) -> str:
        if len(group.regions) <= FEW:
            return _listed(group.ids)
        return _listed(_span(group).split(" and "))

    def parts(self) -> str:
        """``17 red blood cells (R1 to R17) and no platelets``."""
        return _listed([self.part(group) for group in self.groups])

    def part(self, group: Group) -> str:
        n = len(group.regions)
        return f"{self.number(n)} {self.noun(group.key, n)} ({self.cited(group)})" if n else f"no {self.noun(group.key, 0)}"

    def __call__(self, slot: str) -> str:
        group, n, rng, data = self.group, self.n, self.rng, load("explanations")
        match slot:
            case "n":
                return self.number(n)
            case "name":
                return self.noun(group.key, n)
            case "names":
                return self.noun(self.intent.structure or group.key, 2) if len(self.groups) > 1 else self.noun(group.key, 2)
            case "one":
                return self.noun(group.key, 1)
            case "is" | "was":
                return {"is": ("is", "are"), "was": ("was", "were")}[slot][n != 1]
            case "were":
                return "were"
            case "found" | "marked":
                return str(rng.choice(data[slot]))
            case "marked_as":
                return rng.choice(("marked", "marked", "labelled", "marked as", "shown as"))
            case "no_mark":
                return rng.choice(("no region is marked", "nothing is marked", "nothing could be marked"))
            case "ids":
                return self.cited(group)
            case "placed" | "placed_s":
                return self.placed(group, slot == "placed_s")
            case "place":
                return str(rng.choice(PLACE_PHRASES[group.places[0]]))
            case "dist_s":
                return self.spread(group, "") if group.spread else self.ends(group)
            case "note_s":
                return self.ends(group)
            case "marks":
                return self.marks
            case "sel":
                return self.intent.selector.replace("_", " ")
            case "groups":
                return self.parts()
            case "first" | "second":
                return self.part(self.groups[slot == "second"])
            case _:
                raise KeyError(slot)


def write_explanation(
    intent: Intent, answer: Answer, regions: Sequence[Region], width_px: int, height_px: int, rng: random.Random
) -> str:
    """One to three sentences that explain the answer from its regions, drawn from many patterns; the image's size in px."""
    if intent.task == "kind":
        return _sentences(_kind(answer, rng))
    groups = _groups(intent, regions, width_px, height_px)
    words = _Wording(rng, intent, groups, _marks(groups, regions))
    if not words.n:
        return _sentences(_absent(words))
    if len(groups) > 1:
        return _sentences(_several(words))
    if groups[0].key == "head" and words.n == 1 and groups[0].regions[0].kind == "ellipse":
        text = _draw("head", words)
        return _sentences(f"{text} {_draw('landmarks', words)}" if words.marks else text)
    return _sentences(_draw(_table(intent, words.n), words))


def _table(intent: Intent, n: int) -> str:
    name = "size_selected" if intent.task == "size" and intent.selector != "each" and n > 1 else intent.task
    return f"many_{name}" if n > FEW else name


def _draw(table: str, words: _Wording) -> str:
    """A pattern of a table whose conditions (after an @) hold."""
    unspread = len(words.group.regions) > FEW and not words.group.spread
    true = {"many": words.n > 1, "compare": words.intent.task == "compare", "total": words.intent.task != "compare", "": True}
    while True:
        text, _, condition = words.rng.choice(load("explanations")[table]).partition("@")
        if true[condition] and not (unspread and "{dist_s}" in text and "{note_s}" in text):
            return draw(parse_pattern(text), words.rng, words)


def _absent(words: _Wording) -> str:
    if len(words.groups) > 1:
        both = [words.noun(g.key, 2) for g in words.groups]
        return words.rng.choice(
            (
                f"There are no {both[0]} and no {both[1]} in this image, so no region is marked.",
                f"No {both[0]} and no {both[1]} were found. No region is marked.",
                f"The image shows no {both[0]} and no {both[1]}; no region is marked.",
            )
        )
    if words.intent.structure in structures() and len(members(words.intent.structure or "")) > 1:
        words.group = Group(str(words.intent.structure), (), (), "")
    return _draw("absent", words)


def _several(words: _Wording) -> str:
    """Several structures at once: the numbers and ids, then where those of one of them are."""
    text = _draw("groups", words)
    group = words.rng.choice([g for g in words.groups if g.regions])
    if words.rng.random() < 0.3:
        return text
    if len(group.regions) <= FEW:
        return f"{text} {words.placed(group, True)}."
    return f"{text} {words.spread(group, f'the {words.noun(group.key, 2)}') if group.spread else words.ends(group)}."


def _kind(answer: Answer, rng: random.Random) -> str:
    data = load("explanations")
    if answer.value not in DOMAIN_NAMES:
        return draw(parse_pattern(rng.choice(data["kind_other"])), rng, str)
    key = str(answer.value)
    slots = {"kind": f"a {DOMAIN_NAMES[key]}", "kind_why": rng.choice(data["kind_why"][key])}
    return draw(parse_pattern(rng.choice(data["kind"])), rng, slots.__getitem__)


def _sentences(text: str) -> str:
    """Capital letters where sentences start."""
    return re.sub(r"(^|[.] )([a-z])", lambda m: m.group(1) + m.group(2).upper(), re.sub(r" +", " ", text).strip())


@cache
def explanation_words() -> frozenset[str]:
    """Every word and mark of the explanations and their prompts, in lower case; ids R1 to R120, numbers to 60."""
    from fiducial.skills.datasets.language.patterns import literals

    texts = [text for phrases in PLACE_PHRASES.values() for text in phrases] + [*SELECTORS, *HALVES, *DOMAIN_NAMES]
    data = load("explanations")
    for table in data.values():
        for rows in table.values() if isinstance(table, dict) else [table]:
            texts += [part for row in rows for part in literals(parse_pattern(row.partition("@")[0]))]
    texts += [f"{s.name} {s.plural} {s.key}" for s in structures().values()]
    texts += "presence count location kind size compare other ellipse landmarks up to with gaps most spread many".split()
    texts += "marked labelled as shown lies lie are is was were they them over half image the and of in no nothing could be".split()
    texts += [*NUMBER_WORDS, "a", *(word for selector in SELECTORS for word in selector.split("_"))]
    words = {word for text in texts for word in re.findall(r"[\w]+|[^\w\s]", text.lower())}
    numbers = {str(n) for n in range(MOST_NUMBER + 1)} | {f"r{n}" for n in range(1, MOST_ID + 1)}
    return frozenset(words | numbers | set(",;:.()"))
