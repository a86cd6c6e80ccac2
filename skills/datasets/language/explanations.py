"""Explanations in plain English that say only what the record holds, in dozens of sentence patterns a task.

Explanations come before measurement: counts, ids, kinds and positions, never sizes. What they say can be copied from
the line that ``told.explain_prompt`` makes of the same record.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from functools import cache

from fiducial.skills.datasets.language.chinese_explanations import write_chinese
from fiducial.skills.datasets.language.grammar import SELECTORS
from fiducial.skills.datasets.language.nouns import load
from fiducial.skills.datasets.language.patterns import draw, literals, parse_pattern
from fiducial.skills.datasets.language.told import (
    FEW,
    MOST_ID,
    MOST_NUMBER,
    Group,
    groups_of,
    id_span,
    landmark_ids,
    listed,
)
from fiducial.tools.claims import NUMBER_WORDS, PLACE_PHRASES
from fiducial.tools.positions import HALVES
from fiducial.tools.record import Answer, Intent, Region
from fiducial.tools.structures import DOMAIN_NAMES, members, structures


class _Wording:
    """Fills the slots of a pattern for one text: number style and nouns are drawn once."""

    def __init__(self, rng: random.Random, intent: Intent, groups: list[Group], marks: str) -> None:
        self.rng, self.intent, self.groups, self.marks = rng, intent, groups, marks
        self.group = groups[0]
        self.n = sum(len(g.regions) for g in groups)
        self.words = rng.random() < 0.5
        self.short = rng.random() < 0.25

    def number(self, n: int) -> str:
        """A number, in digits or words."""
        if n > MOST_NUMBER:
            return "many"
        return NUMBER_WORDS[n] if self.words and n <= 12 else str(n)

    def noun(self, key: str, n: int) -> str:
        """A structure's name for so many."""
        entry = structures()[key]
        name = entry.name if n == 1 else entry.plural
        return name.replace("blood ", "") if self.short and key in ("red_cell", "white_cell") else name

    def placed(self, group: Group, verb: bool) -> str:
        """Every id with its place, in order: ``R1 in the upper left and R2 in the centre``; with a verb, a sentence."""
        if not verb and self.rng.random() < 0.3:
            return listed([f"{name} ({place})" for name, place in zip(group.ids, group.places, strict=True)])
        phrases = [self.rng.choice(PLACE_PHRASES[place]) for place in group.places]
        first, *rest = (f"{name} {phrase}" for name, phrase in zip(group.ids, phrases, strict=True))
        return listed([f"{group.ids[0]} lies {phrases[0]}" if verb else first, *rest])

    def spread(self, group: Group, subject: str) -> str:
        """Where most of many regions lie, or that they are spread."""
        if group.spread == "spread":
            return f"{subject or 'they'} {self.rng.choice(('are spread', 'lie spread'))} over the image"
        half = group.spread.removeprefix("most ")
        return f"most of {subject or 'them'} {self.rng.choice(('lie', 'are'))} in the {half} half of the image"

    def cited(self, group: Group) -> str:
        """The ids, as runs where there are many."""
        if len(group.regions) <= FEW:
            return listed(group.ids)
        return listed(id_span(group).split(" and "))

    def parts(self) -> str:
        """``17 red blood cells (R1 to R17) and no platelets``."""
        return listed([self.part(group) for group in self.groups])

    def part(self, group: Group) -> str:
        """``17 red blood cells (R1 to R17)``."""
        n = len(group.regions)
        return (
            f"{self.number(n)} {self.noun(group.key, n)} ({self.cited(group)})"
            if n
            else f"no {self.noun(group.key, 0)}"
        )

    def __call__(self, slot: str) -> str:
        """The text of one slot."""
        return _SLOTS[slot](self)

    def drawn(self, table: str) -> str:
        """One of the words of a small table of the data file."""
        return str(self.rng.choice(load("explanations")[table]))


_SLOTS: dict[str, Callable[[_Wording], str]] = {
    "n": lambda w: w.number(w.n),
    "name": lambda w: w.noun(w.group.key, w.n),
    "names": lambda w: w.noun(str(w.intent.structure) if len(w.groups) > 1 else w.group.key, 2),
    "one": lambda w: w.noun(w.group.key, 1),
    "is": lambda w: "is" if w.n == 1 else "are",
    "was": lambda w: "was" if w.n == 1 else "were",
    "were": lambda w: "were",
    "found": lambda w: w.drawn("found"),
    "marked_as": lambda w: w.drawn("marked_as"),
    "no_mark": lambda w: w.drawn("no_mark"),
    "ids": lambda w: w.cited(w.group),
    "placed": lambda w: w.placed(w.group, False),
    "placed_s": lambda w: w.placed(w.group, True),
    "place": lambda w: w.rng.choice(PLACE_PHRASES[w.group.places[0]]),
    "dist_s": lambda w: w.spread(w.group, ""),
    "marks": lambda w: w.marks,
    "sel": lambda w: w.intent.selector.replace("_", " "),
    "groups": lambda w: w.parts(),
    "first": lambda w: w.part(w.groups[0]),
    "second": lambda w: w.part(w.groups[1]),
}


def write_explanation(
    intent: Intent, answer: Answer, regions: Sequence[Region], width_px: int, height_px: int, rng: random.Random
) -> str:
    """One to three sentences that explain the answer from its regions, in the intent's language, from many patterns."""
    if intent.language == "zh":
        return write_chinese(intent, answer, regions, width_px, height_px, rng)
    if intent.task == "kind":
        return _sentences(_kind(answer, rng))
    groups = groups_of(intent, regions, width_px, height_px)
    words = _Wording(rng, intent, groups, landmark_ids(groups, regions))
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
    compared = words.intent.task == "compare"
    true = {"many": words.n > 1, "compare": compared, "total": not compared, "": True}
    while True:
        text, _, condition = words.rng.choice(load("explanations")[table]).partition("@")
        if true[condition] and not (unspread and "{dist_s}" in text):
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
    return f"{text} {words.spread(group, f'the {words.noun(group.key, 2)}')}." if group.spread else text


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
    data = load("explanations")
    texts = [data["connecting_words"], *NUMBER_WORDS, *DOMAIN_NAMES, *DOMAIN_NAMES.values(), *HALVES]
    texts += [phrase for phrases in PLACE_PHRASES.values() for phrase in phrases]
    texts += [f"{selector} {selector.replace('_', ' ')}" for selector in SELECTORS]
    texts += [f"{entry.name} {entry.plural} {entry.key}" for entry in structures().values()]
    for table in data.values():
        if isinstance(table, str):
            continue
        for rows in table.values() if isinstance(table, dict) else [table]:
            texts += [part for row in rows for part in literals(parse_pattern(row.partition("@")[0]))]
    words = {word for text in texts for word in re.findall(r"[\w]+|[^\w\s]", text.lower())}
    numbers = {str(n) for n in range(MOST_NUMBER + 1)} | {f"r{n}" for n in range(1, MOST_ID + 1)}
    return frozenset(words | numbers | set(",;:.()"))
