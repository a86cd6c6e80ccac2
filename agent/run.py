"""A node's working copy of a run: the record so far, and the one way to call a skill, a tool or a check."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from fiducial.agent.policy import DowngradeStatus
from fiducial.agent.state import Downgrade, Notes, RunContext, RunState
from fiducial.skills.base import Session
from fiducial.tools.errors import FiducialError, InputError, TransientError
from fiducial.tools.hooks import CheckOutcome, Stage, first_problem
from fiducial.tools.record import Answer, Check, Intent, Language, Record, Region, Step

T = TypeVar("T")


class StepFailedError(FiducialError):
    """A step that failed for good; it is in the record's steps, and the run ends in an abstention."""


class Run:
    """One node's working copy. Nodes change it only through its methods; ``state()`` is what is checkpointed.

    A node that is killed half way leaves no trace, so that running it again on resume is harmless.
    """

    def __init__(self, state: RunState, context: RunContext) -> None:
        self.record = Record.model_validate(state["record"])
        self.notes = Notes.model_validate(state["notes"])
        self.context = context
        self.policy = context.policy

    def state(self) -> RunState:
        """The state after this node."""
        return {"record": self.record.model_dump(mode="json"), "notes": self.notes.model_dump(mode="json")}

    @property
    def intent(self) -> Intent:
        """What is asked. Only for nodes after understanding."""
        if self.record.understanding is None:
            raise InputError("this run has no understanding yet; start it from its beginning")
        return self.record.understanding.intent

    @property
    def language(self) -> Language:
        """The language of the question, which is that of the answer."""
        return self.record.understanding.intent.language if self.record.understanding else "en"

    @property
    def free(self) -> bool:
        """Whether the model answers in free words, about any image and of any structure that a question names."""
        return self.context.question_kinds is None

    @property
    def answer(self) -> Answer:
        """The answer so far. Only for nodes after answering."""
        if self.record.answer is None:
            raise InputError("this run has no answer yet; start it from its beginning")
        return self.record.answer

    def put(self, **parts: Any) -> None:
        """Replace parts of the record."""
        self.record = self.record.model_copy(update=parts)

    def note(self, **parts: Any) -> None:
        """Replace parts of the notes."""
        self.notes = self.notes.model_copy(update=parts)

    def check(self, name: str, outcome: Literal["pass", "warn", "fail"], detail: str) -> None:
        """Enter a check of the controller's own."""
        self.put(checks=(*self.record.checks, Check(name=name, outcome=outcome, detail=detail)))

    def downgrade(self, code: str, detail: str, status: DowngradeStatus = "partial") -> None:
        """Collect a reason; one code is entered once."""
        if code not in {d.code for d in self.notes.downgrades}:
            new = Downgrade(status=status, code=code, detail=detail)
            self.note(downgrades=(*self.notes.downgrades, new))

    def abstain(self, code: str, detail: str) -> str:
        """Withhold the answer for a typed reason. Returns the next node."""
        self.downgrade(code, detail, "abstained")
        return "verify"

    def skill(self, name: str, args: BaseModel, session: Session | None = None) -> Any:
        """Perform a skill through the registry: validated, timed, retried, kept. Raises StepFailedError."""
        spec = self.context.registry.get("skills", name)
        return self.call(name, "skill", lambda: spec.call(session or self.context.session, args))

    def call(self, name: str, kind: Literal["skill", "tool", "check"], function: Callable[[], T]) -> T:
        """Run one call: timed and kept as a step; TransientError is retried, with a bound.

        InputError passes, for the user can mend it; any other failure ends the step and stays visible in the record.
        """
        for attempt in range(1, self.policy.transient_attempts + 1):
            start = time.perf_counter()
            error: str | None = None
            try:
                return function()
            except TransientError as problem:
                error = str(problem) or "transient error"
            except InputError as problem:
                error = str(problem)
                raise
            except ValidationError as problem:
                error = f"invalid: {first_problem(problem)}"
                raise StepFailedError(f"{name}: {error}") from problem
            except Exception as problem:
                error = f"{type(problem).__name__}: {problem}"
                raise StepFailedError(f"{name}: {error}") from problem
            finally:
                ms = round((time.perf_counter() - start) * 1000, 3)
                step = Step(name=name, kind=kind, ms=ms, attempt=attempt, error=error)
                self.put(steps=(*self.record.steps, step))
        raise StepFailedError(f"{name}: failed {self.policy.transient_attempts} times: {error}")

    @property
    def abstained(self) -> bool:
        """Whether the run is to end in an abstention already."""
        return any(d.status == "abstained" for d in self.notes.downgrades)

    def outcomes(self, stage: Stage, record: Record, skip: Iterable[str] = ()) -> list[CheckOutcome]:
        """What the registered checks of a stage say of a record; nothing is entered but the calls.

        They see the regions of a slice with their place in the patient, which left and right are told by.
        """
        found = []
        for spec in self.context.registry.checks.values():
            if spec.stage == stage and spec.name not in skip:
                seen = self.context.placed(record)
                outcome = self.call(spec.name, "check", partial(spec.function, seen))
                if outcome is not None:
                    found.append(outcome)
                    record = rejected(record, outcome)
        return found

    def run_checks(self, stage: Stage, skip: Iterable[str] = (), answered: bool = True) -> list[str]:
        """Run the registered checks of a stage: enter them, reject what they reject, downgrade as the policy says.

        skip: names of checks that have run. answered: False leaves the answer out of what they see, so that only
        checks of the regions themselves apply. Returns the names of the checks that applied.
        """
        seen = self.record if answered else self.record.model_copy(update={"answer": None})
        found = self.outcomes(stage, seen, skip)
        for outcome in found:
            self.put(checks=(*self.record.checks, outcome.check))
            self.record = rejected(self.record, outcome)
            if outcome.check.outcome == "fail" and not outcome.rejected_region_ids and not self.abstained:
                self.downgrade(*self.policy.veto(outcome.check.name, outcome.check.detail))
        return [outcome.check.name for outcome in found]

    def add_regions(self, regions: Iterable[Region]) -> tuple[Region, ...]:
        """Enter regions under new ids R1, R2, … of the record; parent ids follow. Returns them as entered."""
        regions, start = list(regions), len(self.record.regions)
        ids = {region.id: f"R{start + n}" for n, region in enumerate(regions, 1)}
        new = tuple(
            r.model_copy(update={"id": f"R{start + n}", "parent_id": ids.get(r.parent_id or "", r.parent_id)})
            for n, r in enumerate(regions, 1)
        )
        self.put(regions=(*self.record.regions, *new))
        return new

    def found(self, structure: str | None = None) -> tuple[Region, ...]:
        """The accepted regions of a structure (of any, by default) that are not a part of another region."""
        wanted = self.record.accepted
        return tuple(r for r in wanted if r.parent_id is None and structure in (None, r.label))


def rejected(record: Record, outcome: CheckOutcome) -> Record:
    """The record with the regions rejected that a check rejects, and with them the parts of those regions."""
    if not outcome.rejected_region_ids:
        return record
    ids = set(outcome.rejected_region_ids)
    regions = tuple(
        r.model_copy(update={"status": "rejected", "rejected_by": outcome.check.name})
        if r.status == "accepted" and (r.id in ids or r.parent_id in ids)
        else r
        for r in record.regions
    )
    return record.model_copy(update={"regions": regions})
