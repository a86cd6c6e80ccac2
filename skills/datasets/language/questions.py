"""Questions in plain English, each with the intent it means, drawn without end from pattern files.

Conventions, for training and judging alike: a bare ``diameter`` of a cell is its equivalent diameter, of a head the
biparietal diameter; ``circumference`` of a cell is its perimeter; ``larger`` compares long axes; a mean or
typical size asks for ``each``; "red and white cells" are ``blood_cell``; a sub-type, a part of the image ("in the left
half"), a ratio of counts and everything else that no skill computes is ``unknown``.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from fiducial.skills.datasets.language.chinese import chinese_words, sample_chinese
from fiducial.skills.datasets.language.nouns import Noun, load, made_up_word, names, other_nouns, unknown_noun
from fiducial.skills.datasets.language.patterns import Pattern, draw, literals, parse_pattern
from fiducial.skills.datasets.language.prompt import prompt_text
from fiducial.skills.datasets.language.wording import dress
from fiducial.tools.landmark_measures import ANGLES, named_quantities
from fiducial.tools.record import Intent

CELLS = ("red_cell", "white_cell", "platelet", "blood_cell")
OTHERS = ("nucleus", "polyp", "liver_lesion", "brain_lesion", "heart", "opacity")
CHINESE = 0.22  # share of questions in Chinese
PICKS = ("largest", "largest", "largest", "second_largest", "third_largest", "smallest", "smallest")
FORMS = ("direct", "clause", "imperative", "phrase", "terse")
_FORM_WEIGHTS = {"direct": 0.38, "clause": 0.17, "imperative": 0.16, "phrase": 0.16, "terse": 0.13}
_TASKS = {
    "unknown": 0.42,
    "between": 0.07,
    "report": 0.03,
    "presence": 0.12,
    "count": 0.13,
    "location": 0.11,
    "kind": 0.06,
    "size": 0.07,
    "size_quantity": 0.07,
    "size_head": 0.09,
    "compare": 0.09,
}
Drawn = tuple[str, str]  # form, text
_OF_BLOOD = frozenset(noun for key in CELLS for noun in names(key))


class Slots:
    """What fills a pattern's slots; remembers which were asked for."""

    def __init__(self, rng: random.Random, head: bool, noun: Noun, other: Noun | None = None, **fixed: str) -> None:
        self.rng, self.noun, self.other, self.fixed = rng, noun, other or noun, fixed
        self.domain = "head" if head else "blood" if noun in _OF_BLOOD else "any"
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
        domain = self.domain if self.rng.random() < 0.4 else "any"
        return str(self.rng.choice(load("phrasing")[f"{key}_{domain}"]))


@cache
def _patterns(path: tuple[str, ...], each: bool) -> dict[str, tuple[Pattern, ...]]:
    """The patterns of a table of the question file, by form; without ``each``, not those that mean each."""
    table = load("questions")
    for key in path:
        table = table[key]
    kept = {
        form: [t for t in texts if each or not any(slot in t for slot in ("{ts}", "{sg}", "{pl}"))]
        for form, texts in table.items()
    }
    return {form: tuple(parse_pattern(t) for t in texts) for form, texts in kept.items() if texts}


def _phrase(rng: random.Random, path: tuple[str, ...], fill: Callable[[str], str], each: bool = True) -> Drawn:
    table = _patterns(path, each)
    form = rng.choices(list(table), [_FORM_WEIGHTS[name] for name in table])[0]
    return form, draw(rng.choice(table[form]), rng, fill)


def _name(rng: random.Random, structure: str) -> Noun:
    """A name of a structure, now and then with an adjective that changes nothing."""
    known = names(structure)
    noun = rng.choice(known[:7] if rng.random() < 0.4 else known)
    if rng.random() < 0.12:
        adjectives = load("phrasing")["adjectives_head" if structure == "head" else "adjectives"]
        return noun.described(rng.choice(adjectives))
    return noun


def _structure(rng: random.Random) -> str:
    return rng.choices((*CELLS, "head", *OTHERS), (3, 3, 3, 2, 2.5, *[1.5] * len(OTHERS)))[0]


def _cell(rng: random.Random) -> str:
    """A structure that comes in numbers, and is ranked by size."""
    return rng.choices((*CELLS, *OTHERS), (3, 3, 3, 2, *[1.2] * len(OTHERS)))[0]


def _targets(rng: random.Random, noun: Noun, selector: str, words: str | None = None) -> dict[str, str]:
    """The slots t (one) and ts (many) of a size question, for a selector; ``words`` overrides its wording."""
    phrasing = load("phrasing")
    sel = words or (rng.choice(phrasing["selectors"][selector]) if selector != "each" else "")
    slots = {"sg": noun.singular, "pl": noun.plural, "sel": sel, "a": noun.with_article()}
    one, many = rng.choice(phrasing["selected" if sel else "each"]), rng.choice(phrasing["each_plural"])
    return {"t": one.format(**slots), "ts": many.format(**slots), "sel": sel}


def _simple(rng: random.Random, task: str) -> tuple[Drawn, Intent]:
    key = _structure(rng)
    slots = Slots(rng, key == "head", _name(rng, key))
    return _phrase(rng, (task,), slots), _intent(task, key)


@cache
def _intent(
    task: Any, key: str | None = None, other: str | None = None, quantity: Any = None, selector: Any = "each"
) -> Intent:
    scope: Any = "image" if task in ("kind", "report") else "local"
    return Intent(task=task, structure=key, other_structure=other, quantity=quantity, selector=selector, scope=scope)


def _location(rng: random.Random) -> tuple[Drawn, Intent]:
    if rng.random() < 0.9:
        return _simple(rng, "location")
    key, selector = _cell(rng), rng.choice(PICKS)
    noun = _name(rng, key)
    slots = Slots(rng, False, noun, None, **_targets(rng, noun, selector))
    return _phrase(rng, ("location_selected",), slots), _intent("location", key, selector=selector)


def _kind(rng: random.Random) -> tuple[Drawn, Intent]:
    key = rng.choice(("red_cell", "head", "polyp"))
    return _phrase(rng, ("kind",), Slots(rng, key == "head", names(key)[0])), _intent("kind")


def _size(rng: random.Random) -> tuple[Drawn, Intent]:
    key = _cell(rng)
    noun, selector = _name(rng, key), rng.choice(("each", "each", "each", "each", *PICKS))
    fixed = _targets(rng, noun, selector)
    if selector in ("largest", "second_largest", "third_largest", "smallest") and rng.random() < 0.2:
        extremes = load("phrasing")["extremes"]
        table = _patterns(("size_which",), True)
        form = rng.choice(list(table))
        choices = [p for p in table[form] if selector in extremes or "{extreme}" not in p]
        text = draw(
            rng.choice(choices),
            rng,
            Slots(rng, False, noun, None, **fixed, extreme=rng.choice(extremes.get(selector, [""]))),
        )
        return (form, text), _intent("size", key, selector=selector)
    return _phrase(rng, ("size",), Slots(rng, False, noun, None, **fixed), selector == "each"), _intent(
        "size", key, selector=selector
    )


def _size_quantity(rng: random.Random) -> tuple[Drawn, Intent]:
    key = _cell(rng)
    noun, selector = _name(rng, key), rng.choice(("each", "each", "each", "each", *PICKS))
    words: Mapping[str, list[str]] = load("phrasing")["quantities"]
    quantity = rng.choices(list(words), (3, 1.6, 3.5, 3, 2.4))[0]
    slots = Slots(rng, False, noun, None, **_targets(rng, noun, selector), q=rng.choice(words[quantity]))
    across = key != "heart" and quantity in load("questions")["size_across"] and rng.random() < 0.3
    path = ("size_across", quantity) if across else ("size_quantity",)
    return _phrase(rng, path, slots, selector == "each"), _intent("size", key, quantity=quantity, selector=selector)


def _size_head(rng: random.Random) -> tuple[Drawn, Intent]:
    tables = load("questions")["size_head"]
    quantity = rng.choices(list(tables), (4, 4, 4, 2, 2, 1, 1, 3))[0]
    slots = Slots(rng, True, _name(rng, "head"))
    return _phrase(rng, ("size_head", quantity), slots), _intent("size", "head", quantity=quantity or None)


def _between(rng: random.Random) -> tuple[Drawn, Intent]:
    quantity = rng.choice(list(named_quantities()))
    task = "angle" if named_quantities()[quantity].form in ANGLES else "distance"
    slots = Slots(rng, False, names("heart")[0])
    return _phrase(rng, ("between", quantity), slots), _intent(task, quantity=quantity)


def _report(rng: random.Random) -> tuple[Drawn, Intent]:
    return _phrase(rng, ("report",), Slots(rng, False, names("heart")[0])), _intent("report")


def _compare(rng: random.Random) -> tuple[Drawn, Intent]:
    key, other = rng.choice([pair for pair in _PAIRS if rng.random() < 0.9] or _PAIRS)
    quantity = rng.choices(("count", "long_axis", "area", "equivalent_diameter"), (5, 4, 1.2, 1))[0]
    slots = Slots(rng, False, _name(rng, key), _name(rng, other))
    return _phrase(rng, ("compare", quantity), slots), _intent("compare", key, other, quantity)


_ELEMENTARY = ("red_cell", "white_cell", "platelet")
_PAIRS = [(a, b) for a in _ELEMENTARY for b in _ELEMENTARY if a != b] * 4 + [
    ("blood_cell", "platelet"),
    ("platelet", "blood_cell"),
]


def _about_unknown(rng: random.Random) -> Drawn:
    """A question in the phrasing of the answerable ones, about something no skill knows."""
    noun, other = unknown_noun(rng), unknown_noun(rng)
    if rng.random() < 0.3:
        known = _name(rng, rng.choice(CELLS))
        noun, other = (noun, known) if rng.random() < 0.5 else (known, noun)
        return _phrase(rng, ("compare", rng.choice(("count", "long_axis"))), Slots(rng, False, noun, other))
    noun = noun.described(rng.choice(load("phrasing")["adjectives"])) if rng.random() < 0.1 else noun
    selector = rng.choice(("each", *PICKS))
    quantity = rng.choice(rng.choice(list(load("phrasing")["quantities"].values())))
    slots = Slots(rng, rng.random() < 0.4, noun, other, **_targets(rng, noun, selector), q=quantity)
    paths = [
        ("presence",),
        ("count",),
        ("location",),
        ("location_selected",),
        ("size",),
        ("size_quantity",),
        ("size_quantity",),
        ("compare", "count"),
        ("compare", "long_axis"),
        ("size_head", rng.choice(list(load("questions")["size_head"]))),
    ]
    path = rng.choices(paths, (4, 4, 3, 1, 2, 2, 2, 0.7, 0.7, 3))[0]
    while True:  # a phrasing such as "BPD?" does not name the noun: draw again
        slots.used.clear()
        drawn = _phrase(rng, path, slots)
        if slots.used & {"t", "ts", "sg", "pl", "a", "hd"}:
            return drawn


def _about_known(rng: random.Random) -> Drawn:
    """Something asked of a known structure that no skill computes."""
    data, kind = load("unknown"), rng.random()
    key = _structure(rng)
    noun, other = _name(rng, key), _name(rng, rng.choice(CELLS))
    if kind < 0.5:
        return "direct", draw(
            parse_pattern(rng.choice(data["in_scope_asks"])), rng, Slots(rng, key == "head", noun, other)
        )
    if kind < 0.65:
        return "direct", draw(parse_pattern(rng.choice(data["head_asks"])), rng, Slots(rng, True, noun, other))
    if kind < 0.8:
        fixed = {**_targets(rng, noun, rng.choice(("each", *PICKS))), "q": rng.choice(data["bad_quantities"])}
        if key == "head":
            fixed["t"] = fixed["ts"] = f"the {noun.singular}"
        return _phrase(rng, ("size_quantity",), Slots(rng, key == "head", noun, other, **fixed))
    if kind < 0.87:
        fixed = {**_targets(rng, noun, "largest", rng.choice(data["bad_selectors"])), "q": "area"}
        return _phrase(
            rng,
            (rng.choice(("location_selected", "size", "size_quantity")),),
            Slots(rng, False, noun, other, **fixed),
            False,
        )
    slots = Slots(rng, False, noun, other, here=rng.choice(data["restrictions"]))
    while True:  # the restriction must be said
        slots.used.clear()
        drawn = _phrase(rng, (rng.choice(("count", "count", "presence", "location")),), slots)
        if "here" in slots.used:
            return drawn


def _of_other_topics(rng: random.Random) -> Drawn:
    """Chit-chat, other topics, sums, injections, gibberish."""
    data, kind = load("unknown"), rng.random()
    noun = rng.choice(rng.choice(other_nouns()))
    slots = Slots(rng, rng.random() < 0.5, noun, rng.choice(rng.choice(other_nouns())))
    if kind < 0.5:
        return "direct", rng.choice(data["free"])
    if kind < 0.68:
        return "direct", draw(parse_pattern(rng.choice(data["topic_asks"])), rng, slots)
    if kind < 0.76:
        slots.fixed["m"] = rng.choice(data["mass_words"])
        return "direct", draw(parse_pattern(rng.choice(data["mass_asks"])), rng, slots)
    if kind < 0.94:
        noun = rng.choice(names(_structure(rng))) if rng.random() < 0.7 else noun
        filled = {"n": str(rng.randint(0, 99)), "m": str(rng.randint(1, 99)), "pl": noun.plural}
        text = rng.choice(data["injections" if kind < 0.87 else "arithmetic"])
        for slot, value in filled.items():
            text = text.replace("{" + slot + "}", value)
        return "direct", text
    return "terse", " ".join(made_up_word(rng) for _ in range(rng.choice((1, 1, 2, 3, 5, 8))))


def _unknown(rng: random.Random) -> tuple[Drawn, Intent]:
    make = rng.choices((_about_unknown, _about_known, _of_other_topics), (0.46, 0.27, 0.27))[0]
    return make(rng), _intent("unknown")


_MAKERS: dict[str, Callable[[random.Random], tuple[Drawn, Intent]]] = {
    "unknown": _unknown,
    "between": _between,
    "report": _report,
    "presence": lambda rng: _simple(rng, "presence"),
    "count": lambda rng: _simple(rng, "count"),
    "location": _location,
    "kind": _kind,
    "size": _size,
    "size_quantity": _size_quantity,
    "size_head": _size_head,
    "compare": _compare,
}
_NAMES, _SHARES = list(_TASKS), list(_TASKS.values())


def sample_question(rng: random.Random, noise: bool = True) -> tuple[str, Intent]:
    """A question as somebody might type it, and what it asks. ``noise`` False leaves out typing slips."""
    if rng.random() < CHINESE:
        return sample_chinese(rng)
    (form, text), intent = _MAKERS[rng.choices(_NAMES, _SHARES)[0]](rng)
    domain = "head" if intent.structure == "head" or rng.random() < 0.2 else "blood"
    return dress(rng, form, text, domain, noise), intent


@cache
def in_scope_words() -> frozenset[str]:
    """Every word of the answerable questions (``noise`` aside), lower-case, as ``prompt_text`` splits them."""
    texts: list[str] = []

    def walk(data: Any) -> None:
        if isinstance(data, str):
            texts.extend(literals(parse_pattern(data)))
        elif isinstance(data, dict | list):
            for part in data.values() if isinstance(data, dict) else data:
                walk(part)

    for name in ("questions", "phrasing"):
        walk(load(name))
    texts += [text for key in load("names") for noun in names(key) for text in (noun.with_article(), noun.plural)]
    words = {word for text in texts for word in prompt_text(text).split()}
    return frozenset(words | {"a", "an", "'s"} | chinese_words())
