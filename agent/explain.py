"""The explain node: the skill's own text, held against the record; made again where it contradicts it, then listed."""

from __future__ import annotations

from fiducial.agent import phrases
from fiducial.agent.run import Run, StepFailedError
from fiducial.skills.base import ExplainArgs, ExplainResult
from fiducial.tools.errors import InputError
from fiducial.tools.record import Check, Explanation, Record


def explain(run: Run) -> str:
    """Explain the answer. A text that contradicts the record is kept in a check's detail, never as the explanation."""
    for attempt in range(1, run.policy.explain_attempts + 1):
        try:
            result: ExplainResult = run.skill("explain", _args(run, attempt))
        except (StepFailedError, InputError) as error:
            run.check("explanation_made", "warn", str(error))
            break
        trial = run.record.model_copy(
            update={"explanation": Explanation(text=result.text, region_ids=tuple(result.region_ids))}
        )
        outcomes = [outcome.check for outcome in run.outcomes("explain", trial)]
        problems = _problems(result, trial, outcomes)
        if not problems:
            run.put(explanation=trial.explanation, checks=(*run.record.checks, *outcomes))
            return "measure"
        run.check("explanation_contradicts", "warn", f"attempt {attempt}: {problems}: “{result.text}”")
    run.put(explanation=listing(run.record))
    run.check("explanation_replaced", "warn", "no explanation agreed with the record; it is a plain listing")
    return "measure"


def _args(run: Run, attempt: int) -> ExplainArgs:
    image = run.record.image
    return ExplainArgs(
        intent=run.intent,
        answer=run.answer,
        regions=list(run.found()),
        width_px=image.width_px,
        height_px=image.height_px,
        orientation=image.orientation,
        attempt=attempt,
    )


def _problems(result: ExplainResult, trial: Record, outcomes: list[Check]) -> str:
    """What is wrong with a text, in one line; empty if nothing is."""
    found = [check.detail for check in outcomes if check.outcome == "fail"]
    if not result.text.strip():
        found.append("the text is empty")
    if unknown := sorted(set(result.region_ids) - {r.id for r in trial.accepted}):
        found.append(f"cites {', '.join(unknown)}, which the record does not have")
    return "; ".join(dict.fromkeys(found))


def listing(record: Record) -> Explanation:
    """A plain listing of the record, which says that it is one."""
    regions = [r for r in record.accepted if r.parent_id is None]
    said = record.answer.text if record.answer else "There is no answer."
    parts = [f"{phrases.label(r)} {r.id} ({phrases.place(r, record.image)}, score {r.score:.2f})" for r in regions]
    rests = f" It rests on: {', '.join(parts)}." if parts else " It rests on no region."
    return Explanation(
        text=f"A plain listing of the record: {said}{rests}",
        region_ids=tuple(r.id for r in regions),
        source="listing",
    )
