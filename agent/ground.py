"""The ground node: points at what the answer claims; where the two disagree, one of them gives way, and says so."""

from __future__ import annotations

from collections.abc import Callable

from fiducial.agent import phrases
from fiducial.agent.answer import asked, claimed_presence, counted_answer
from fiducial.agent.between import point_out
from fiducial.agent.free import ground_question
from fiducial.agent.report import ground_report
from fiducial.agent.run import Run
from fiducial.agent.settle import Settled, enter, settle
from fiducial.agent.state import Claim
from fiducial.tools.record import Answer
from fiducial.tools.structures import members


def ground(run: Run) -> str:
    """Ground what is asked about, then hold the answer to what was found."""
    if run.intent.landmarks:
        return point_out(run)
    if run.intent.task in GROUNDS:
        return GROUNDS[run.intent.task](run)
    settled = {key: settle(run, key, run.notes.claims.get(key, Claim())) for key in asked(run.intent)}
    for entry in settled.values():
        enter(run, entry)
    run.note(spread={key: entry.spread for key, entry in settled.items()})
    _tell(run, settled)
    judged = run.run_checks("ground", answered=False)
    if not _contradictions(run, settled) and not _lost(run, settled):
        _revise(run, settled)
    run.run_checks("ground", skip=judged)
    return "verify" if run.abstained else _gate(run)


def _tell(run: Run, settled: dict[str, Settled]) -> None:
    """Enter how each structure was settled."""
    for key, entry in settled.items():
        told = ", ".join(f"{source} {number}" for source, number in entry.readings)
        if entry.revised:
            former = run.record.answer.text if run.record.answer else "nothing readable"
            detail = f"{phrases.name(key)}: {entry.revised} against the claim ({former}) {told}".strip()
            run.check("answer_revised", "warn", detail)
        elif entry.readings:
            name = "claim_confirmed" if entry.code is None else "readings_disagree"
            run.check(name, "warn", f"{phrases.name(key)}: {told}")
        if entry.code == "count_uncertain":
            run.downgrade(entry.code, entry.detail)


def _contradictions(run: Run, settled: dict[str, Settled]) -> bool:
    """Abstain for structures that stay contradicted; in a group, one that is found answers whether there are any."""
    bad = [entry for entry in settled.values() if entry.reading is None]
    some = any(entry.reading and entry.reading.count for entry in settled.values())
    if bad and some and run.intent.task == "presence":
        run.check("group_presence", "warn", "; ".join(entry.detail for entry in bad))
        return False
    for entry in bad:
        run.abstain(entry.code or "contradicted", entry.detail)
    return bool(bad)


def _revise(run: Run, settled: dict[str, Settled]) -> None:
    """The answer as the settled readings have it."""
    numbers = {key: len(run.found(key)) for key in settled}
    total = sum(numbers.values())
    readings = [entry.reading for entry in settled.values() if entry.reading]
    former = run.record.answer
    confidence = former.confidence if former else min((r.confidence for r in readings), default=0.0)
    if any(entry.revised for entry in settled.values()):
        confidence = min((r.confidence for r in readings if r.count), default=confidence)
    intent = run.intent
    if intent.task == "count" or run.notes.quantities == ("count",):
        run.put(answer=counted_answer(intent, numbers, confidence))
    elif intent.task == "location" and total:
        text = phrases.located(str(intent.structure), run.found(), run.record.image, language=run.language)
        run.put(answer=Answer(text=text, value=total, confidence=confidence))
    elif intent.task == "segment" and total:
        text = phrases.outlined(str(intent.structure), run.found(), run.language)
        run.put(answer=Answer(text=text, value=total, confidence=confidence))
    elif intent.task == "presence" and total == 1:
        name = phrases.name(str(intent.structure), 1, run.language)
        text = phrases.say("one", run.language, name=phrases.with_article(name) if run.language == "en" else name)
        run.put(answer=Answer(text=text, value=True, confidence=confidence))
    else:
        run.put(answer=claimed_presence(intent, total > 0, confidence))


def _lost(run: Run, settled: dict[str, Settled]) -> bool:
    """Whether checks over all structures together have rejected more than a count can bear, beyond those over each."""
    pairs = {key: (e.reading.count, len(run.found(key))) for key, e in settled.items() if e.reading}
    lost = {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}
    if not lost:
        return False
    detail = "; ".join(f"{phrases.name(key)}: {a} found alone, {b} beside the others" for key, (a, b) in lost.items())
    if all(run.policy.close(a, b) for a, b in lost.values()):
        run.downgrade("count_uncertain", detail)
        return False
    run.abstain("count_contradicted", detail)
    return True


def _gate(run: Run) -> str:
    """Whether there is enough to go on with: something to measure, and an absence that is sure enough."""
    intent, least = run.intent, run.policy.answer_confidence
    sure = run.answer.confidence >= least
    detail = f"confidence of the answer {run.answer.confidence:.2f} (least {least:g})"
    run.check("answer_confident", "pass" if sure else "warn", detail)
    if not sure and intent.task in ("presence", "location", "count", "segment") and not run.found():
        return run.abstain("low_confidence", f"none are claimed, with confidence {run.answer.confidence:.2f} only")
    if intent.task == "size" or (intent.task == "compare" and run.notes.quantities != ("count",)):
        groups = [key for key in (intent.structure, intent.other_structure) if key]
        missing = [key for key in groups if not any(run.found(member) for member in members(key))]
        if missing:
            names = " and ".join(phrases.name(key) for key in missing)
            return run.abstain("structure_absent", f"there are no {names} in this image to measure")
    return "explain"


GROUNDS: dict[str, Callable[[Run], str]] = {
    "question": ground_question,
    "report": ground_report,
}
