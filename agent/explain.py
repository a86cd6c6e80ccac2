"""The explain node: the skill's own text, held against the record; made again where it contradicts it, then listed."""

from __future__ import annotations

from fiducial.agent import phrases
from fiducial.agent.run import Run, StepFailedError
from fiducial.skills.base import ExplainArgs, ExplainResult
from fiducial.tools.errors import InputError
from fiducial.tools.record import Check, Explanation, Language, Record


def explain(run: Run) -> str:
    """Explain the answer. A text that contradicts the record is kept in a check's detail, never as the explanation."""
    attempts = 0 if run.intent.task == "report" else run.policy.explain_attempts  # a report is its own explanation
    for attempt in range(1, attempts + 1):
        try:
            result: ExplainResult = run.skill("explain", _args(run, attempt))
        except (StepFailedError, InputError) as error:
            run.check("explanation_made", "warn", f"{error}; it is a plain listing")
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
    else:
        if attempts:
            run.check("explanation_replaced", "warn", "no explanation agreed with the record; it is a plain listing")
    run.put(explanation=listing(run.record, run.language))
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
        language=run.language,
    )


def _problems(result: ExplainResult, trial: Record, outcomes: list[Check]) -> str:
    """What is wrong with a text, in one line; empty if nothing is."""
    found = [check.detail for check in outcomes if check.outcome == "fail"]
    if not result.text.strip():
        found.append("the text is empty")
    if unknown := sorted(set(result.region_ids) - {r.id for r in trial.accepted}):
        found.append(f"cites {', '.join(unknown)}, which the record does not have")
    return "; ".join(dict.fromkeys(found))


def listing(record: Record, language: Language = "en") -> Explanation:
    """A plain listing of the record, which says that it is one."""
    regions = [r for r in record.accepted if r.parent_id is None]
    said = record.answer.text if record.answer else phrases.say("no_answer", language)
    parts = [
        phrases.say(
            "listed_region",
            language,
            name=phrases.label(r, language),
            id=r.id,
            place=phrases.place(r, record.image, language),
            score=f"{r.score:.2f}",
        )
        for r in regions
    ]
    comma = str(phrases.table(language)["comma"])
    rests = phrases.say("rests_on" if parts else "rests_on_nothing", language, parts=comma.join(parts))
    return Explanation(
        text=phrases.say("listing", language, said=said, rests=rests),
        region_ids=tuple(r.id for r in regions),
        source="listing",
    )
