"""Answers in free words: a question or a report comes first as the model gives it, then what it rests on is looked for.

An answer without a region that it rests on says so: the verdict is then ``partial``, for the reason ``ungrounded``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from fiducial.agent import phrases
from fiducial.agent.ladder import find, finder
from fiducial.agent.run import Run, StepFailedError
from fiducial.agent.understand import seen_as_a_whole
from fiducial.skills.base import (
    ClassifyArgs,
    ClassifyResult,
    QuestionArgs,
    QuestionResult,
    ReportArgs,
    ReportResult,
    evidence_of,
)
from fiducial.tools.claims import claims
from fiducial.tools.errors import InputError
from fiducial.tools.record import Answer
from fiducial.tools.structures import members
from fiducial.tools.words import keys_of_names

# What a report may hold beside the names of known structures to be one of absences: nothing that nobody looked for.
DENYING = re.compile(
    r"\b(?:there|is|are|was|were|no|not|none|nor|neither|any|or|and|in|on|of|the|this|image|picture|frame|film|slice"
    r"|smear|volume|found|seen|visible|detected|present|absent|evidence|signs?|red|white|cells?)\b"
    r"|没有|未|无|不|见到?|发现|检出|检测到|观察到|看到|探及|显示|有|存在|图像|视野|双肺|[图片中内里上本该此]"
    r"|明显|明确|任何|征象|表现|[均都也亦及和与或而且影]"
)


def question(run: Run) -> str:
    """The model's own answer to the question: one of its options, or free text."""
    intent = run.intent
    value, confidence = _chosen(run) if _is_classification(run) else _said(run)
    if value is None:
        run.check(
            "output_parsed", "fail", "the model's text is no answer" + (" among the options" * bool(intent.options))
        )
        return run.abstain("unparsed_answer", "the model's text could not be read as an answer to the question")
    said = closed(run, value)
    text = phrases.sentence(value, run.language) if intent.options else value
    run.put(answer=Answer(text=text, value=value if said is None else said, confidence=confidence))
    return "ground" if _worth_more_than_a_guess(run) and _sure(run, confidence) else "verify"


def _is_classification(run: Run) -> bool:
    """Whether the image as a whole is to be put into one of some classes."""
    options, structure = run.intent.options, run.intent.structure
    whole = bool(options) and structure is None and set(options) != set(phrases.yes_no(run.language))
    return whole and run.free and "classify" in run.context.skills


def _said(run: Run) -> tuple[str | None, float]:
    args = QuestionArgs(question=run.record.question, options=list(run.intent.options), language=run.language)
    result: QuestionResult = run.skill("question", args)
    return result.value if result.parsed else None, result.confidence


def _chosen(run: Run) -> tuple[str | None, float]:
    args = ClassifyArgs(question=run.record.question, options=list(run.intent.options), language=run.language)
    result: ClassifyResult = run.skill("classify", args)
    return result.choice if result.parsed else None, result.confidence


def report(run: Run) -> str:
    """The model's own report."""
    result: ReportResult = run.skill("report", ReportArgs(language=run.language))
    if not result.parsed:
        run.check("output_parsed", "fail", "the model wrote no report")
        return run.abstain("unparsed_answer", "the model wrote nothing that could be read as a report")
    run.put(answer=Answer(text=result.report, value=None, confidence=result.confidence, scope="image"))
    return "ground" if _sure(run, result.confidence) else "verify"


def closed(run: Run, value: str) -> bool | None:
    """What a yes or no says; None for another answer."""
    said = {option: n == 0 for n, option in enumerate(phrases.yes_no(run.language))}
    return said.get(value) if set(run.intent.options) == set(said) else None


def _worth_more_than_a_guess(run: Run) -> bool:
    """Withhold an answer of a type that was measured to be no better than a guess, on images kept from training."""
    known = evidence_of(run.context.model, "classify" if _is_classification(run) else "question")
    if known is None or not run.policy.withhold_guesses:
        return True
    against = known.against(run.intent.options, run.language, _kind_of_image(run, known.kinds))
    run.check("better_than_guessing", "fail" if against else "pass", against or known.told(run.intent.options))
    if against:
        run.abstain("no_better_than_guessing", against)
    return against is None


def _kind_of_image(run: Run, measured: Sequence[str]) -> str | None:
    """The kind of the image, ``other`` for one that is like none; None where what looks at it cannot tell.

    Of what it does not know, it tells nothing but that it is none of the kinds that it knows.
    """
    seen = seen_as_a_whole(run)
    if seen.kind != "other" and seen.typicality >= run.policy.typicality:
        return seen.kind
    return "other" if {*measured} & {*seen.probabilities} else None


def _sure(run: Run, confidence: float) -> bool:
    least = run.policy.question_confidence
    detail = f"confidence of the answer {confidence:.2f} (least {least:g})"
    run.check("answer_confident", "pass" if confidence >= least else "fail", detail)
    if not confidence >= least:
        run.abstain("low_confidence", f"the answer is given with confidence {confidence:.2f} only")
    return confidence >= least


def ground_question(run: Run) -> str:
    """Look for the structure that the question names. A no against what could not be overlooked is withheld."""
    structure = run.intent.structure
    if structure is None:
        return "explain"
    look_for(run, structure)
    found = run.found()
    if run.answer.value is False and any(r.score >= run.policy.region_confident for r in found):
        detail = f"{phrases.name(structure)} are denied, but {len(found)} were found"
        run.check("absence_has_none", "fail", detail)
        return run.abstain("absence_contradicted", detail)
    return "explain"


def look_for(run: Run, *structures: str) -> None:
    """Enter what the model finds of structures; what could not be tried or read is told, and counts for nothing."""
    readable = True
    for member in dict.fromkeys(member for structure in structures for member in members(structure)):
        try:
            reading = find(run, member, finder(run, member))
        except (InputError, StepFailedError) as error:
            run.check("grounding_tried", "warn", str(error))
            readable = False
            continue
        readable &= reading.readable
        run.add_regions(reading.regions)
    run.note(looked_for=readable)
    run.run_checks("ground", answered=False)


def ungrounded(run: Run) -> str | None:
    """Why a free answer rests on nothing in the image, or None where it rests on something.

    That there is none of a structure rests on having looked for it.
    """
    intent, answer = run.intent, run.record.answer
    if intent.task not in ("question", "report") or answer is None or run.record.accepted:
        return None
    if run.notes.looked_for and answer.value is False:
        return None
    if intent.task == "report":
        if run.notes.looked_for and _denies_only(answer.text):
            return None
        return "nothing that the report speaks of was pointed at"
    if intent.structure is None:
        return "the question names nothing that could be pointed at"
    return f"no {phrases.name(intent.structure, 1)} could be pointed at"


def _denies_only(text: str) -> bool:
    """Whether all that a report says of known structures is that they are absent, and it speaks of nothing else."""
    rest = text.lower()
    for name in keys_of_names("zh"):
        rest = rest.replace(name, " ")
    speaks_of_more = re.search(r"\w", DENYING.sub(" ", rest)) is not None
    return not speaks_of_more and {claim.kind for claim in claims(text)} == {"absence"}
