"""The skills that a model answers in words: answers, choices, reports, claims of numbers, explanations."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, get_args

from pydantic import BaseModel

from fiducial.skills.base import (
    AnswerArgs,
    AnswerResult,
    ClassifyArgs,
    ClassifyResult,
    ExplainArgs,
    ExplainResult,
    QuestionArgs,
    QuestionResult,
    ReportArgs,
    ReportResult,
    SizeArgs,
    SizeResult,
    StatedNumber,
)
from fiducial.skills.citations import cited_ids
from fiducial.skills.families.asking import Asked, Asker, label_of, serving
from fiducial.skills.targets import ChoiceTarget, NumbersTarget, PromptTask, Query, ReportTarget, TextTarget
from fiducial.tools.positions import place_of
from fiducial.tools.record import Language
from fiducial.tools.structures import DOMAIN_NAMES
from fiducial.tools.words import domain_of, name_of

TASK_OF: dict[str, PromptTask] = {"size": "measure_size", "distance": "measure_distance", "angle": "measure_angle"}


@cache
def words() -> Mapping[Language, Mapping[str, str]]:
    """What is asked in words of our own, by language: ``asking.json``."""
    text = files("fiducial.skills.families").joinpath("asking.json").read_text(encoding="utf-8")
    found: dict[Language, dict[str, str]] = json.loads(text)
    if set(found) != set(get_args(Language)) or len({frozenset(table) for table in found.values()}) != 1:
        raise ValueError("asking.json must have the same entries in every language")
    return found


def answer(session: Asker, args: AnswerArgs) -> AnswerResult:
    """Presence of a structure, or the kind of image: one choice among the words for them."""
    structure, said = args.intent.structure, words()[args.language]
    if args.intent.task == "kind" or structure is None:
        kinds = {domain_of(key, args.language): key for key in DOMAIN_NAMES} | {said["other"]: "other"}
        asked = _chosen(session, "answer", said["kind"], tuple(kinds), args.language)
        chosen: bool | str | None = kinds.get(_choice(asked))
    else:
        question = said["presence"].format(name=name_of(structure, 1, args.language))
        asked = _chosen(session, "answer", question, (said["yes"], said["no"]), args.language)
        chosen = {said["yes"]: True, said["no"]: False}.get(_choice(asked))
    return AnswerResult(value=chosen, confidence=asked.confidence, parsed=chosen is not None, text=asked.text)


def question(session: Asker, args: QuestionArgs) -> QuestionResult:
    """Any question: one of its options, or free text."""
    if args.options:
        asked = _chosen(
            session, serving(session, "question", "answer"), args.question, tuple(args.options), args.language
        )
        value = _choice(asked) or None
    else:
        skill = serving(session, "question", "answer")
        asked = session.ask(skill, Query(task="answer", question=args.question, language=args.language))
        target = asked.parsed.target
        value = target.text.strip() or None if isinstance(target, TextTarget) else None
    return QuestionResult(value=value, confidence=asked.confidence, parsed=value is not None, text=asked.text)


def classify(session: Asker, args: ClassifyArgs) -> ClassifyResult:
    """One of the classes."""
    asked_for = args.question or words()[args.language]["kind"]
    skill = serving(session, "classify", "question", "answer")
    asked = _chosen(session, skill, asked_for, tuple(args.options), args.language)
    chosen = _choice(asked) or None
    return ClassifyResult(choice=chosen, confidence=asked.confidence, parsed=chosen is not None, text=asked.text)


def report(session: Asker, args: ReportArgs) -> ReportResult:
    """A report of the whole image."""
    asked = session.ask("report", Query(task="report", language=args.language))
    target = asked.parsed.target
    text = target.text.strip() if isinstance(target, ReportTarget) else ""
    return ReportResult(report=text, confidence=asked.confidence, parsed=bool(text), text=asked.text)


def size(session: Asker, args: SizeArgs) -> SizeResult:
    """The numbers that the model states of a structure, or between landmarks."""
    said, names = words()[args.language], tuple(args.quantities)
    if args.landmarks:
        of = said["and"].join(args.landmarks)
        names = tuple(said["between"].format(quantity=name, landmarks=of) for name in names)
    query = Query(
        task=TASK_OF[args.of],
        label=label_of(args),
        quantities=names,
        unit=args.unit,
        scale=session.scale,
        language=args.language,
    )
    asked = session.ask(serving(session, *dict.fromkeys((args.of, "size"))), query)
    target = asked.parsed.target
    numbers = target.numbers if isinstance(target, NumbersTarget) else ()
    stated = [StatedNumber(name=n, value=v.value, unit=v.unit) for n, v in zip(args.quantities, numbers, strict=False)]
    parsed = len(numbers) == len(args.quantities)
    return SizeResult(numbers=stated if parsed else [], confidence=asked.confidence, parsed=parsed, text=asked.text)


def explain(session: Asker, args: ExplainArgs) -> ExplainResult:
    """Text that cites regions, from the record so far; later attempts sample."""
    said, shown = words()[args.language], (args.width_px, args.height_px, args.orientation)
    seen = "; ".join(
        said["place"].format(id=r.id, name=name_of(r.label, 1, args.language), place=place_of(r, *shown))
        for r in args.regions
        if r.parent_id is None
    )
    asked_for = said["explain"].format(answer=args.answer.text, seen=seen or said["none"])
    query = Query(task="explain", question=asked_for, language=args.language)
    asked = session.ask("explain", query, None if args.attempt == 1 else args.attempt)
    text = asked.parsed.target.text if isinstance(asked.parsed.target, TextTarget) else asked.text
    return ExplainResult(text=text, region_ids=cited_ids(text), confidence=asked.confidence)


def _chosen(session: Asker, skill: str, asked_for: str, options: tuple[str, ...], language: Language) -> Asked:
    return session.ask(skill, Query(task="choose", question=asked_for, options=options, language=language))


def _choice(asked: Asked) -> str:
    target = asked.parsed.target
    return target.choice if isinstance(target, ChoiceTarget) else ""


IN_WORDS: dict[str, Callable[[Any, Any], BaseModel]] = {
    "answer": answer,
    "question": question,
    "classify": classify,
    "report": report,
    "size": size,
    "explain": explain,
}
