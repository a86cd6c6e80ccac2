"""Nouns: names of the known structures, real nouns of everything else, and made-up ones."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

_HERE = "fiducial.skills.datasets.language"
_AN = ("rbc", "r.b.c", "nrbc", "nk ", "mri", "hcc", "ms ")  # said with a vowel first
_NOUN_WEIGHTS = (0.3, 0.18, 0.13, 0.19, 0.2)  # as other_nouns gives them: the near misses more often


@dataclass(frozen=True)
class Noun:
    """A noun as it is written: singular and plural."""

    singular: str
    plural: str

    def with_article(self) -> str:
        """``an erythrocyte``, ``a white cell``."""
        low = self.singular.lower()
        return ("an " if low[0] in "aeio" or low.startswith(("un", "ul", *_AN)) else "a ") + self.singular

    def described(self, adjective: str) -> Noun:
        """The same noun after an adjective."""
        return Noun(f"{adjective} {self.singular}", f"{adjective} {self.plural}")


@cache
def load(name: str) -> Any:
    """A data file of this package."""
    return json.loads(files(_HERE).joinpath(f"{name}.json").read_text(encoding="utf-8"))


@cache
def names(structure: str) -> tuple[Noun, ...]:
    """What people call a known structure, commoner names more than once."""
    return tuple(Noun(*pair.split("/")) for pair in load("names")[structure]["pairs"])


def plural_of(word: str) -> str:
    """The regular English plural."""
    if word.endswith(("s", "x", "ch", "sh", "z")):
        return word + "es"
    return word[:-1] + "ies" if word.endswith("y") and word[-2:-1] not in "aeou" else word + "s"


@cache
def other_nouns() -> tuple[tuple[Noun, ...], ...]:
    """Nouns that no skill knows: of blood, of anatomy, of pathology, of everything else, near the findings."""
    groups = []
    for group in ("blood_nouns", "anatomy_nouns", "pathology_nouns", "general_nouns", "radiology_nouns"):
        pairs = (entry.replace("_", " ").partition("/") for entry in load("unknown")[group].split())
        groups.append(tuple(Noun(one, many or plural_of(one)) for one, _, many in pairs))
    return tuple(groups)


@cache
def _sounds() -> dict[str, tuple[str, ...]]:
    """The sounds of made-up words: onsets, vowels, codas, endings; a dash stands for none."""
    table = load("unknown")["sounds"]
    return {part: tuple(sound.strip("-") for sound in sounds.split()) for part, sounds in table.items()}


def made_up_word(rng: random.Random) -> str:
    """A pronounceable word that means nothing, such as ``flont``."""
    sounds = _sounds()
    syllables = rng.choice((1, 2, 2, 3))
    word = ""
    for i in range(syllables):
        word += rng.choice(sounds["onsets"]) + rng.choice(sounds["vowels"])
        word += rng.choice(sounds["codas"]) if i and rng.random() < 0.8 else ""
    return word + rng.choice(sounds["codas" if syllables == 1 else "endings"])


def unknown_noun(rng: random.Random) -> Noun:
    """A noun that no skill knows: real, made up, or a known one with an adjective that makes it something else."""
    kind = rng.random()
    if kind < 0.68:
        return rng.choice(rng.choices(other_nouns(), _NOUN_WEIGHTS)[0])
    word = made_up_word(rng)
    if kind < 0.86:
        return Noun(word, plural_of(word))
    if kind < 0.91:
        return Noun(f"{word} cell", f"{word} cells")
    structure = rng.choice(("red_cell", "white_cell", "platelet", "blood_cell", "nucleus"))
    return rng.choice(names(structure)).described(rng.choice(load("unknown")["bad_adjectives"]))
