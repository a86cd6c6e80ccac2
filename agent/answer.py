"""The answer node: the claim comes first, before anything is pointed at, so that the regions can contradict it."""

from __future__ import annotations

from collections.abc import Callable

from fiducial.agent import phrases
from fiducial.agent.free import question, report
from fiducial.agent.run import Run
from fiducial.agent.state import Claim
from fiducial.skills.base import AnswerArgs, AnswerResult, CountResult, SubjectArgs
from fiducial.tools.record import Answer, Intent
from fiducial.tools.structures import members


def answer(run: Run) -> str:
    """Claim a presence, a kind or a count. A claim that does not parse is left to the regions to make."""
    task = run.intent.task
    if run.intent.landmarks:
        return _to_the_landmarks(run)
    if task in CLAIMS:
        return CLAIMS[task](run)
    if task == "count" or (task == "compare" and run.notes.quantities == ("count",)):
        return _counts(run)
    return _presence(run)


def _kind(run: Run) -> str:
    """The kind of the image: no regions, but a confidence check of its own, and agreement with the domain evidence."""
    result: AnswerResult = run.skill("answer", AnswerArgs(intent=run.intent, language=run.language))
    if not result.parsed or not isinstance(result.value, str):
        return run.abstain("unparsed_answer", "the model's answer about the kind of the image is not well-formed")
    text = phrases.kind(result.value, run.language)
    run.put(answer=Answer(text=text, value=result.value, confidence=result.confidence, scope="image"))
    least, seen = run.policy.kind_confidence, run.context.session.domain.kind
    if not result.confidence >= least:
        run.check("kind_confident", "fail", f"confidence {result.confidence:.2f} below {least:g}")
        return run.abstain("low_confidence", f"the kind is claimed with confidence {result.confidence:.2f} only")
    run.check("kind_confident", "pass", f"confidence {result.confidence:.2f} (least {least:g})")
    if result.value != seen:
        detail = f"claimed {phrases.domain(result.value)}, but the image as a whole looks like {phrases.domain(seen)}"
        run.check("kind_agrees_with_domain", "fail", detail)
        return run.abstain("kind_contradicted", detail)
    run.check("kind_agrees_with_domain", "pass", f"both {phrases.domain(seen)}")
    run.run_checks("answer")
    return "explain"


def _counts(run: Run) -> str:
    """Counts of every elementary structure that is asked about; a group's is their sum."""
    numbers: dict[str, int] = {}
    confidence, claims = 1.0, {}
    for structure in asked(run.intent):
        result: CountResult = run.skill("count", SubjectArgs(structure=structure, language=run.language))
        confidence = min(confidence, result.confidence)
        if not result.parsed or result.count is None or result.count < 0:
            claims[structure] = Claim()
            run.check("output_parsed", "warn", f"no count of {phrases.name(structure)} could be read")
            continue
        numbers[structure], claims[structure] = result.count, Claim(present=result.count > 0, count=result.count)
        said = f"{phrases.counted(result.count, structure)} claimed, confidence {result.confidence:.2f}"
        run.check("output_parsed", "pass", said)
    run.note(claims=claims)
    if len(numbers) == len(claims):
        run.put(answer=counted_answer(run.intent, numbers, confidence))
    run.run_checks("answer")
    return "ground"


def counted_answer(intent: Intent, numbers: dict[str, int], confidence: float) -> Answer:
    """The answer of a count, from the number of each elementary structure."""
    structure = str(intent.structure)
    if intent.task == "compare":
        return Answer(text=counts_side_by_side(intent, numbers), value=None, confidence=confidence)
    total = sum(numbers.values())
    return Answer(text=phrases.there_are(total, structure, intent.language), value=total, confidence=confidence)


def counts_side_by_side(intent: Intent, numbers: dict[str, int]) -> str:
    """Both numbers: ``There are 3 platelets and 12 red blood cells``."""
    totals = [(sum(numbers[m] for m in members(key)), key) for key in (intent.structure, intent.other_structure) if key]
    spoken = intent.language
    both = phrases.listing([phrases.counted(number, key, spoken) for number, key in totals], spoken)
    return phrases.say("there_are", spoken, counted=both)


def _presence(run: Run) -> str:
    """Whether there is anything to point at, locate or measure."""
    claims: dict[str, Claim] = {}
    yes: list[float] = []
    no: list[float] = []
    for structure in asked(run.intent):
        asked_for = Intent(task="presence", structure=structure, language=run.language)
        result: AnswerResult = run.skill("answer", AnswerArgs(intent=asked_for, language=run.language))
        if not result.parsed or not isinstance(result.value, bool):
            claims[structure] = Claim()
            run.check("output_parsed", "warn", f"no answer about {phrases.name(structure)} could be read")
            continue
        claims[structure] = Claim(present=result.value, count=None if result.value else 0)
        (yes if result.value else no).append(result.confidence)
        said = f"{phrases.name(structure)} claimed {'present' if result.value else 'absent'}"
        run.check("output_parsed", "pass", f"{said}, confidence {result.confidence:.2f}")
    run.note(claims=claims)
    if yes or len(no) == len(claims):
        run.put(answer=claimed_presence(run.intent, bool(yes), max(yes) if yes else min(no)))
    run.run_checks("answer")
    return "ground"


def claimed_presence(intent: Intent, present: bool, confidence: float) -> Answer:
    """The answer while it says no more than that there are, or are not, such structures.

    Never yes or no: a question may ask whether something can be ruled out.
    """
    spoken = intent.language
    name = phrases.name(str(intent.structure), language=spoken)
    if intent.task == "compare" and intent.other_structure:
        return Answer(text=phrases.say("both", spoken), value=None, confidence=confidence)
    value = present if intent.task == "presence" else None if present else 0
    text = phrases.say("some" if present else "none", spoken, name=name)
    return Answer(text=text, value=value, confidence=confidence)


def asked(intent: Intent) -> list[str]:
    """The elementary structures that a question is about, each once."""
    keys = [key for key in (intent.structure, intent.other_structure if intent.task == "compare" else None) if key]
    return list(dict.fromkeys(member for key in keys for member in members(key)))


def _to_the_landmarks(run: Run) -> str:
    """What is about landmarks is claimed by nobody before they are pointed at."""
    return "ground"


CLAIMS: dict[str, Callable[[Run], str]] = {
    "kind": _kind,
    "question": question,
    "report": report,
}
