"""Reading a question by its wording, for a base that answers in free words: ``reading.json`` has the rules.

The embedded model reads what the built-in skills do; what is left is read here, so that a report is asked for as a
report, an angle is measured, and a closed question has its options. A question that no rule fits is a free one.
"""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from fiducial.tools.landmark_measures import (
    is_landmark,
    landmark_keys,
    landmark_named,
    named_quantities,
    quantity_between,
)
from fiducial.tools.record import Intent, Language, Part, Quantity
from fiducial.tools.words import keys_of_names, language_of

MAX_LABEL_WORDS, MAX_LABEL_CHARACTERS, MAX_OPTION_WORDS = 5, 48, 4
Read = Literal["report", "angle", "distance", "segment", "count", "location", "size", "presence", "either", "closed"]


class Rule(Part):
    """pattern: searched in the question; s names what is asked about, a, v, b, c landmarks or the options.

    known: whether it holds only where every landmark is known.
    """

    task: Read
    pattern: str
    quantity: Quantity | None = None
    known: bool = False


class Rules(Part):
    """One language. lead and tail: what is no part of a thing's name, before and after it; listed: between names.

    every: all landmarks. before and after: what may stand around the part that a rule fits, and asks for nothing else.
    """

    yes: str
    no: str
    lead: str
    tail: str
    every: str
    listed: str
    before: str
    after: str
    rules: Annotated[tuple[Rule, ...], Field(min_length=1)]


@cache
def rules(language: Language) -> Rules:
    """The rules of a language."""
    text = files("fiducial.agent").joinpath("reading.json").read_text(encoding="utf-8")
    return Rules.model_validate(json.loads(text)[language])


def read(question: str) -> Intent:
    """What a question asks. The task is ``question`` where it is none that has more of a form."""
    language = language_of(question)
    text = _plain(question)
    if (known := _named_quantity(text, language)) is not None:
        return known
    return _by_rules(text, language) or Intent(task="question", structure=mentioned(text, language), language=language)


class OfLandmarks(NamedTuple):
    """A question about landmarks that are all known. whole: it says no more than that: no *vertical*, no *normal*."""

    intent: Intent
    whole: bool


def of_known_landmarks(question: str) -> OfLandmarks | None:
    """An angle, distance or place of which every landmark is named, and known; None of any other question."""
    text, language = _plain(question), language_of(question)
    table = rules(language)
    for rule in (rule for rule in table.rules if rule.task in ("angle", "distance", "location")):
        match = re.search(rule.pattern, text, re.IGNORECASE)
        intent = match and _intent(rule, match, text, language)
        if match and intent and intent.landmarks and all(map(is_landmark, intent.landmarks)):
            around = ((table.before, text[: match.start()]), (table.after, text[match.end() :]))
            return OfLandmarks(intent, all(re.fullmatch(p, said, re.IGNORECASE) for p, said in around))
    return None


def _plain(question: str) -> str:
    return " ".join(question.split()).rstrip(" ?？.。!！")


def _by_rules(text: str, language: Language) -> Intent | None:
    """The first rule that fits and makes sense."""
    for rule in rules(language).rules:
        match = re.search(rule.pattern, text, re.IGNORECASE)
        if match and (intent := _intent(rule, match, text, language)) is not None:
            return intent
    return None


def free_question(question: str) -> Intent:
    """A question as a free one about the image as a whole: nothing but its options is told by its wording."""
    worded = read(question)
    return Intent(task="question", options=worded.options, language=worded.language)


def mentioned(text: str, language: Language) -> str | None:
    """The first known structure that a text names."""
    for name, key in keys_of_names(language).items():
        bounds = (r"(?<![a-z])", r"(?![a-z])") if language == "en" else ("", "")
        if re.search(bounds[0] + re.escape(name) + bounds[1], text.lower()):
            return key
    return None


def _named_quantity(text: str, language: Language) -> Intent | None:
    """An angle, length or ratio that has a name of its own."""
    for quantity, known in named_quantities().items():
        for name in (*known.en, *known.zh):
            if re.search(rf"(?<![\w]){re.escape(name)}(?![a-z])", text, re.IGNORECASE if len(name) > 3 else 0):
                return Intent(task=known.task, quantity=quantity, landmarks=known.of, language=language)
    return None


def _intent(rule: Rule, match: re.Match[str], text: str, language: Language) -> Intent | None:
    said, table = match.groupdict(), rules(language)
    if rule.task in ("angle", "distance"):
        return _between(rule, [said[k] for k in ("a", "v", "b", "c") if said.get(k)], language)
    if rule.task == "either":
        return _either(said["a"], said["b"], text, language)
    if rule.task in ("closed", "presence"):  # also where what it is about is nothing that could be pointed at
        structure = mentioned(text, language) if rule.task == "closed" else label_in(said["s"], language)
        return Intent(task="question", structure=structure, options=(table.yes, table.no), language=language)
    landmarks = _landmarks_in(said["s"], table) if rule.task == "location" else ()
    if landmarks:
        return Intent(task="location", landmarks=landmarks, language=language)
    structure = label_in(said["s"], language) if "s" in said else None
    if rule.known or (structure is None and rule.task != "report"):
        return None
    scope: Literal["local", "image"] = "image" if rule.task == "report" else "local"
    return Intent(task=rule.task, structure=structure, quantity=rule.quantity, scope=scope, language=language)


def _landmarks_in(words: str, table: Rules) -> tuple[str, ...]:
    """The landmarks of a list of names; none where one of them is not known. Of *the landmarks*, all that there are."""
    if re.fullmatch(table.every, re.sub(table.tail, "", words.strip(), flags=re.IGNORECASE), re.IGNORECASE):
        return landmark_keys()
    keys = [_landmark(name, table) for name in re.split(table.listed, words.strip())]
    return tuple(dict.fromkeys(keys)) if all(map(is_landmark, keys)) else ()


def _landmark(words: str, table: Rules) -> str:
    """The landmark of a name, with an article or without: *A point* has none."""
    whole = landmark_named(re.sub(table.tail, "", words.strip(), flags=re.IGNORECASE))
    return whole if is_landmark(whole) else landmark_named(_bare(words, table))


def _between(rule: Rule, said: list[str], language: Language) -> Intent | None:
    """An angle or a distance between landmarks, in the order in which it is taken; by its name where it has one."""
    names = tuple(_landmark(name, rules(language)) for name in said)
    if not all(names) or any(len(name) > MAX_LABEL_CHARACTERS for name in names):
        return None
    if any(a == b for a, b in (pairwise(names) if len(names) < 4 else (names[:2], names[2:]))):
        return None
    if rule.known and not all(map(is_landmark, names)):
        return None
    asked: Literal["angle", "distance"] = "angle" if rule.task == "angle" else "distance"
    named = quantity_between(names)
    landmarks = named_quantities()[named].of if named else names
    return Intent(task=asked, quantity=named or asked, landmarks=landmarks, language=language)


def _either(first: str, second: str, text: str, language: Language) -> Intent | None:
    """``A or B?``: as many words of the first as the second has, articles apart; also of a list with commas."""
    table = rules(language)
    last = _bare(second, table)
    if language == "en":
        width = len(last.split())
        if not 0 < width <= MAX_OPTION_WORDS:
            return None
        heads = [" ".join(_bare(part, table).split()[-width:]) for part in first.split(",") if part.strip()]
        options = [_bare(part, table) for part in heads]
    else:
        options = [_bare(first, table)]
    options = list(dict.fromkeys([*options, last]))
    if len(options) < 2 or not all(options):
        return None
    return Intent(task="question", structure=mentioned(text, language), options=tuple(options), language=language)


def _bare(words: str, table: Rules) -> str:
    """Words without what stands before and after a name."""
    words = re.sub(table.tail, "", words.strip(), flags=re.IGNORECASE)
    return re.sub(table.lead, "", words.strip(), flags=re.IGNORECASE).strip(" ,，")


def label_in(words: str, language: Language) -> str | None:
    """What a question is about: the key of a known structure, else its own words; None where they are too many."""
    label = _bare(words, rules(language))
    if key := keys_of_names(language).get(label.lower()):
        return key
    if not label or len(label) > MAX_LABEL_CHARACTERS or len(label.split()) > MAX_LABEL_WORDS:
        return None
    return _singular(label) if language == "en" else label


def _singular(label: str) -> str:
    """A plain plural back to one: ``polyps``, ``opacities``."""
    if label.endswith("ies") and len(label) > 4:
        return label[:-3] + "y"
    return label[:-1] if label.endswith("s") and not label.endswith(("ss", "us", "is")) else label
