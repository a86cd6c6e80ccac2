"""English questions about what is taken between landmarks: those that have a name, and others, which nobody knows."""

from __future__ import annotations

import random
from collections.abc import Mapping
from functools import cache
from typing import Any

from fiducial.skills.datasets.language.nouns import load, names
from fiducial.skills.datasets.language.patterns import draw, parse_pattern
from fiducial.skills.datasets.language.phrases import Drawn, Slots, phrase
from fiducial.tools.landmark_measures import BetweenLandmarks, named_quantities
from fiducial.tools.record import Intent

_OF_CHEST = ("thorax_width", "heart_width", "cardiothoracic_ratio")
_OWN, _NAMED = 0.35, 0.75  # share of the phrases of one quantity only, and of those that name it


def sort_of(known: BetweenLandmarks) -> str:
    """Whether a quantity is spoken of as an angle, a length or a ratio."""
    return "angle" if known.task == "angle" else "ratio" if known.form == "width_ratio" else "length"


def between_intent(quantity: Any) -> Intent:
    """The intent of a quantity between landmarks that has a name."""
    return Intent(task=named_quantities()[quantity].task, quantity=quantity)


def ends_of(rng: random.Random, known: BetweenLandmarks) -> tuple[str, ...]:
    """The landmarks of a quantity as they are asked for, outer ones in any order; none where it has no such wording."""
    return known.ends and known.ends[:: 1 if rng.random() < 0.7 else -1]


def domain_between(quantity: str) -> str:
    """The images that a quantity is taken on."""
    return "xray" if quantity in _OF_CHEST else "ceph"


def between(rng: random.Random) -> tuple[Drawn, Intent]:
    """A quantity that has a name: by a phrase of its own, by one of its names, or by its landmarks."""
    quantity = rng.choice(list(named_quantities()))
    known = named_quantities()[quantity]
    slots = Slots(rng, names("heart")[0], domain=domain_between(quantity))
    kind, ends = rng.random(), ends_of(rng, known)
    if kind < _OWN:
        path: tuple[str, ...] = ("between", quantity)
    elif kind < _NAMED or not ends:
        path = ("taken", sort_of(known))
        slots.fixed["q"] = rng.choice(load("phrasing")["taken"][quantity])
    else:
        path = ("corner",) if len(ends) == 3 else ("apart",)
        said = load("phrasing")["ends"]
        slots.fixed.update(zip("xyz", (rng.choice(said[end]) for end in ends), strict=False))
    return phrase(rng, path, slots), between_intent(quantity)


def ends_with_stranger(rng: random.Random, known: Mapping[str, list[str]], others: list[str]) -> dict[str, str]:
    """Two or three landmarks (x, y, z) as they are said, of which one is none that any skill points at."""
    said = [rng.choice(others), *known_ends(rng, known, rng.choice((1, 1, 2)))]
    rng.shuffle(said)
    return dict(zip("xyz", said, strict=False))


def known_ends(rng: random.Random, known: Mapping[str, list[str]], count: int) -> list[str]:
    """So many landmarks of a head as they are said, no two the same."""
    return [rng.choice(known[key]) for key in rng.sample(_landmarks_of_heads(), count)]


@cache
def _landmarks_of_heads() -> list[str]:
    return sorted(
        {end for key, known in named_quantities().items() if domain_between(key) == "ceph" for end in known.of}
    )


def unknown_between(rng: random.Random) -> Drawn:
    """What no skill knows, said alike: by its name, to a landmark that is none, or more than a length of known ones."""
    data, kind = load("unknown"), rng.random()
    slots = Slots(rng, names("heart")[0], domain=rng.choice(("ceph", "ceph", "xray")))
    if kind < 0.64:
        sort = rng.choices(("angle", "length", "ratio"), (5, 5, 2))[0]
        slots.fixed["q"] = rng.choice(data["taken"][sort])
        return phrase(rng, ("taken", sort), slots)
    if kind < 0.82:
        slots.fixed |= ends_with_stranger(rng, load("phrasing")["ends"], data["ends"])
        return phrase(rng, ("corner",) if "z" in slots.fixed else ("apart",), slots)
    slots.fixed |= dict(zip("xyz", known_ends(rng, load("phrasing")["ends"], 3), strict=True))
    return "direct", draw(parse_pattern(rng.choice(data["landmark_asks"])), rng, slots)
