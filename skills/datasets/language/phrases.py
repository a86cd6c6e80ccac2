"""What fills the slots of an English pattern, and a phrase drawn from a table of them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from functools import cache

from fiducial.skills.datasets.language.nouns import Noun, load, names
from fiducial.skills.datasets.language.patterns import Pattern, draw, parse_pattern

CELLS = ("red_cell", "white_cell", "platelet", "blood_cell")
FINDINGS = {"nucleus": "nuclei", "polyp": "scope", "liver_lesion": "ct", "brain_lesion": "mr", "heart": "xray",
            "opacity": "xray"}  # fmt: skip
_FORM_WEIGHTS = {"direct": 0.38, "clause": 0.17, "imperative": 0.16, "phrase": 0.16, "terse": 0.13}
_OF_PLACE = {"any": 0.0, "blood": 0.4, "head": 0.4}  # how often the words for a place are the domain's own
Drawn = tuple[str, str]  # form, text


def domain_of(structure: str | None) -> str:
    """The domain whose places and openings go with a structure: ``blood``, ``head``, ``ct``, … or ``any``."""
    if structure in CELLS:
        return "blood"
    return "head" if structure == "head" else FINDINGS.get(structure or "", "any")


@cache
def domains() -> tuple[str, ...]:
    """Every domain that has words of its own."""
    return tuple(key.removeprefix("place_") for key in load("phrasing") if key.startswith("place_"))


@cache
def _domain_of_noun() -> dict[Noun, str]:
    return {noun: domain_of(key) for key in load("names") for noun in names(key)}


class Slots:
    """What fills a pattern's slots; remembers which were asked for."""

    def __init__(
        self, rng: random.Random, noun: Noun, other: Noun | None = None, domain: str = "", **fixed: str
    ) -> None:
        self.rng, self.noun, self.other, self.fixed = rng, noun, other or noun, fixed
        self.domain = domain or _domain_of_noun().get(noun, "any")
        self.used: set[str] = set()

    def __call__(self, name: str) -> str:
        """The text of one slot."""
        self.used.add(name)
        if name in self.fixed:
            return self.fixed[name]
        simple = {
            "sg": self.noun.singular,
            "hd": self.noun.singular,
            "pl": self.noun.plural,
            "sg2": self.other.singular,
            "pl2": self.other.plural,
        }
        if name in simple:
            return simple[name]
        if name in ("a", "a2"):
            return (self.noun if name == "a" else self.other).with_article()
        key = "place" if name == "here" else "this"
        domain = self.domain if self.rng.random() < _OF_PLACE.get(self.domain, 0.6) else "any"
        return str(self.rng.choice(load("phrasing")[f"{key}_{domain}"]))


@cache
def patterns(path: tuple[str, ...], each: bool) -> dict[str, tuple[Pattern, ...]]:
    """The patterns of a table of the question file, by form; without ``each``, not those that mean each."""
    table = load("questions")
    for key in path:
        table = table[key]
    kept = {
        form: [t for t in texts if each or not any(slot in t for slot in ("{ts}", "{sg}", "{pl}"))]
        for form, texts in table.items()
    }
    return {form: tuple(parse_pattern(t) for t in texts) for form, texts in kept.items() if texts}


def phrase(rng: random.Random, path: tuple[str, ...], fill: Callable[[str], str], each: bool = True) -> Drawn:
    """A phrase of a table of the question file, its form drawn first."""
    table = patterns(path, each)
    form = rng.choices(list(table), [_FORM_WEIGHTS[name] for name in table])[0]
    return form, draw(rng.choice(table[form]), rng, fill)


def phrase_with(rng: random.Random, paths: Iterable[tuple[str, ...]], slots: Slots, needed: set[str]) -> Drawn:
    """A phrase of one of some tables in which one of the needed slots is filled."""
    choices = list(paths)
    while True:
        slots.used.clear()
        drawn = phrase(rng, rng.choice(choices), slots)
        if slots.used & needed:
            return drawn
