"""Questions in plain English, each with the intent it means, drawn without end from pattern files.

Conventions, for training and judging alike: a bare ``diameter`` of a cell is its equivalent diameter, of a head the
biparietal diameter; ``circumference`` of a cell is its perimeter; ``larger`` compares long axes; a mean or
typical size asks for ``each``; "red and white cells" are ``blood_cell``; a sub-type, a part of the image ("in the left
half", "in the right lung", "on slice 12"), a ratio of counts and everything else that no skill computes is ``unknown``.
What is known is the finding, not the disease: an opacity, an infiltrate, a lesion or a mass of the liver; a pneumonia,
a tumour, a metastasis is ``unknown``, and so is a lesion of no organ. Whether something is absent, or can be ruled
out, is ``unknown`` as well: a yes would mean that there is none. Whether the heart is enlarged, or of normal size, asks
for the cardiothoracic ratio; how large it is, for its size; how wide, for its width.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from fiducial.skills.datasets.language.between import between, domain_between, unknown_between
from fiducial.skills.datasets.language.chinese import chinese_words, sample_chinese
from fiducial.skills.datasets.language.nouns import Noun, load, made_up_word, names, other_nouns, unknown_noun
from fiducial.skills.datasets.language.patterns import draw, literals, parse_pattern
from fiducial.skills.datasets.language.phrases import (
    CELLS,
    FINDINGS,
    Drawn,
    Slots,
    domain_of,
    domains,
    patterns,
    phrase,
    phrase_with,
)
from fiducial.skills.datasets.language.prompt import prompt_text
from fiducial.skills.datasets.language.wording import dress
from fiducial.tools.record import Intent

CHINESE = 0.26  # share of questions in Chinese
PICKS = ("largest", "largest", "largest", "second_largest", "third_largest", "smallest", "smallest")
_TASKS = {
    "unknown": 0.42,
    "between": 0.09,
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


def _name(rng: random.Random, structure: str) -> Noun:
    """A name of a structure, now and then with an adjective that changes nothing."""
    known = names(structure)
    noun = rng.choice(known[:7] if rng.random() < 0.4 else known)
    if rng.random() < 0.12:
        sort = "_head" if structure == "head" else "_findings" if structure in FINDINGS else ""
        adjectives = load("phrasing")[f"adjectives{sort}"]
        return noun.described(rng.choice(adjectives))
    return noun


def _structure(rng: random.Random) -> str:
    return rng.choices((*CELLS, "head", *FINDINGS), (3, 3, 3, 2, 2.5, *[1.9] * len(FINDINGS)))[0]


def _cell(rng: random.Random) -> str:
    """A structure that comes in numbers, and is ranked by size."""
    return rng.choices((*CELLS, *FINDINGS), (3, 3, 3, 2, *[1.7] * len(FINDINGS)))[0]


def _targets(rng: random.Random, noun: Noun, selector: str, words: str | None = None) -> dict[str, str]:
    """The slots t (one) and ts (many) of a size question, for a selector; ``words`` overrides its wording."""
    phrasing = load("phrasing")
    sel = words or (rng.choice(phrasing["selectors"][selector]) if selector != "each" else "")
    slots = {"sg": noun.singular, "pl": noun.plural, "sel": sel, "a": noun.with_article()}
    one, many = rng.choice(phrasing["selected" if sel else "each"]), rng.choice(phrasing["each_plural"])
    if noun in names("heart") and not sel:  # there is but one
        one = many = rng.choice(phrasing["each_of_one"])
    return {"t": one.format(**slots), "ts": many.format(**slots), "sel": sel}


def _simple(rng: random.Random, task: str) -> tuple[Drawn, Intent]:
    key = _structure(rng)
    apart = load("names")[key].get("apart")
    if apart and rng.random() < 0.2:  # the organ where the place is said: "how many lesions are there in the liver"
        noun = Noun(*rng.choice(apart["pairs"]).split("/"))
        slots = Slots(rng, noun, None, domain_of(key), here=rng.choice(apart["places"]))
        return phrase_with(rng, [(task,)], slots, {"here"}), _intent(task, key)
    return phrase(rng, (task,), Slots(rng, _name(rng, key), domain=domain_of(key))), _intent(task, key)


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
    slots = Slots(rng, noun, None, domain_of(key), **_targets(rng, noun, selector))
    return phrase(rng, ("location_selected",), slots), _intent("location", key, selector=selector)


def _kind(rng: random.Random) -> tuple[Drawn, Intent]:
    key = rng.choice(("red_cell", "head", None))
    return phrase(rng, ("kind",), Slots(rng, names(key or "head")[0], domain=domain_of(key))), _intent("kind")


def _size(rng: random.Random) -> tuple[Drawn, Intent]:
    key = _cell(rng)
    noun, selector = _name(rng, key), rng.choice(("each", "each", "each", "each", *PICKS))
    fixed = _targets(rng, noun, selector)
    if selector in ("largest", "second_largest", "third_largest", "smallest") and rng.random() < 0.2:
        extremes = load("phrasing")["extremes"]
        table = patterns(("size_which",), True)
        form = rng.choice(list(table))
        choices = [p for p in table[form] if selector in extremes or "{extreme}" not in p]
        text = draw(
            rng.choice(choices),
            rng,
            Slots(rng, noun, None, domain_of(key), **fixed, extreme=rng.choice(extremes.get(selector, [""]))),
        )
        return (form, text), _intent("size", key, selector=selector)
    slots = Slots(rng, noun, None, domain_of(key), **fixed)
    return phrase(rng, ("size",), slots, selector == "each"), _intent("size", key, selector=selector)


def _size_quantity(rng: random.Random) -> tuple[Drawn, Intent]:
    key = _cell(rng)
    noun, selector = _name(rng, key), rng.choice(("each", "each", "each", "each", *PICKS))
    words: Mapping[str, list[str]] = load("phrasing")["quantities"]
    quantity = rng.choices(list(words), (3, 1.6, 3.5, 3, 2.4))[0]
    fixed = {**_targets(rng, noun, selector), "q": rng.choice(words[quantity])}
    slots = Slots(rng, noun, None, domain_of(key), **fixed)
    across = key != "heart" and quantity in load("questions")["size_across"] and rng.random() < 0.3
    path = ("size_across", quantity) if across else ("size_quantity",)
    return phrase(rng, path, slots, selector == "each"), _intent("size", key, quantity=quantity, selector=selector)


def _size_head(rng: random.Random) -> tuple[Drawn, Intent]:
    tables = load("questions")["size_head"]
    quantity = rng.choices(list(tables), (4, 4, 4, 2, 2, 1, 1, 3))[0]
    slots = Slots(rng, _name(rng, "head"), domain="head")
    return phrase(rng, ("size_head", quantity), slots), _intent("size", "head", quantity=quantity or None)


def _report(rng: random.Random) -> tuple[Drawn, Intent]:
    return phrase(rng, ("report",), Slots(rng, names("heart")[0], domain="xray")), _intent("report")


def _compare(rng: random.Random) -> tuple[Drawn, Intent]:
    key, other = rng.choice([pair for pair in _PAIRS if rng.random() < 0.9] or _PAIRS)
    quantity = rng.choices(("count", "long_axis", "area", "equivalent_diameter"), (5, 4, 1.2, 1))[0]
    slots = Slots(rng, _name(rng, key), _name(rng, other), "blood")
    return phrase(rng, ("compare", quantity), slots), _intent("compare", key, other, quantity)


_ELEMENTARY = ("red_cell", "white_cell", "platelet")
_PAIRS = [(a, b) for a in _ELEMENTARY for b in _ELEMENTARY if a != b] * 4 + [
    ("blood_cell", "platelet"),
    ("platelet", "blood_cell"),
]


def _about_unknown(rng: random.Random) -> Drawn:
    """A question in the phrasing of the answerable ones, about something no skill knows."""
    if rng.random() < 0.06:  # lesions, but of another organ, or of none
        apart = load("names")[rng.choice(("liver_lesion", "brain_lesion", "polyp", "opacity"))]["apart"]
        noun = Noun(*rng.choice(apart["pairs"]).split("/"))
        slots = Slots(rng, noun, domain="ct", here=rng.choice(load("unknown")["apart_places"]))
        return phrase_with(rng, [("presence",), ("count",), ("location",)], slots, {"here"})
    noun, other = unknown_noun(rng), unknown_noun(rng)
    if rng.random() < 0.2:
        known = _name(rng, rng.choice((*CELLS, *FINDINGS)))
        noun, other = (noun, known) if rng.random() < 0.5 else (known, noun)
        return phrase(rng, ("compare", rng.choice(("count", "long_axis"))), Slots(rng, noun, other))
    noun = noun.described(rng.choice(load("phrasing")["adjectives"])) if rng.random() < 0.1 else noun
    selector = rng.choice(("each", *PICKS))
    quantity = rng.choice(rng.choice(list(load("phrasing")["quantities"].values())))
    slots = Slots(rng, noun, other, rng.choice(domains()), **_targets(rng, noun, selector), q=quantity)
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
    return phrase_with(rng, [path], slots, {"t", "ts", "sg", "pl", "a", "hd"})  # "BPD?", say, does not name the noun


def _about_known(rng: random.Random) -> Drawn:
    """Something asked of a known structure that no skill computes."""
    data, kind = load("unknown"), rng.random()
    key = _structure(rng)
    noun, other, domain = _name(rng, key), _name(rng, rng.choice(CELLS)), domain_of(key)
    slots = Slots(rng, noun, other, domain)
    if kind < 0.42:
        own = key in FINDINGS and (key == "heart" or rng.random() < 0.65)  # whether a heart is too big can be told
        asks = data["asks_of"][key] if own else data["in_scope_asks"]
        return "direct", draw(parse_pattern(rng.choice(asks)), rng, slots)
    if kind < 0.49:  # whether there is none
        return "direct", draw(parse_pattern(rng.choice(data["reversed_asks"])), rng, slots)
    if kind < 0.6:
        return "direct", draw(parse_pattern(rng.choice(data["head_asks"])), rng, Slots(rng, noun, other, "head"))
    if kind < 0.78:
        slots.fixed |= {**_targets(rng, noun, rng.choice(("each", *PICKS))), "q": rng.choice(data["bad_quantities"])}
        if key == "head":
            slots.fixed["t"] = slots.fixed["ts"] = f"the {noun.singular}"
        return phrase(rng, ("size_quantity",), slots)
    if kind < 0.84:
        slots.fixed |= {**_targets(rng, noun, "largest", rng.choice(data["bad_selectors"])), "q": "area"}
        return phrase(rng, (rng.choice(("location_selected", "size", "size_quantity")),), slots, False)
    own = key in data["restrictions_of"] and rng.random() < 0.6
    slots.fixed["here"] = rng.choice(data["restrictions_of"][key] if own else data["restrictions"])
    return phrase_with(rng, [("count",), ("count",), ("presence",), ("location",)], slots, {"here"})  # it must be said


def _of_other_topics(rng: random.Random) -> Drawn:
    """Chit-chat, other topics, sums, injections, gibberish."""
    data, kind = load("unknown"), rng.random()
    noun = rng.choice(rng.choice(other_nouns()))
    slots = Slots(rng, noun, rng.choice(rng.choice(other_nouns())), rng.choice(domains()))
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
    makers = (_about_unknown, _about_known, _of_other_topics, unknown_between)
    return rng.choices(makers, (0.4, 0.29, 0.22, 0.09))[0](rng), _intent("unknown")


_MAKERS: dict[str, Callable[[random.Random], tuple[Drawn, Intent]]] = {
    "unknown": _unknown,
    "between": between,
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
    return dress(rng, form, text, _opening(rng, intent), noise), intent


def _opening(rng: random.Random, intent: Intent) -> str:
    """The domain whose openings a question may have: its structure's, or one that leaves it open."""
    if intent.task in ("angle", "distance"):
        return domain_between(str(intent.quantity))
    if intent.task in ("unknown", "kind"):
        return rng.choice(("blood", "blood", "head") if intent.task == "kind" else domains()[1:])
    return "xray" if intent.task == "report" else domain_of(intent.structure)


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
    walk([list(entry.get("apart", {}).values()) for entry in load("names").values()])
    words = {word for text in texts for word in prompt_text(text).split()}
    return frozenset(words | {"a", "an", "'s"} | chinese_words())
