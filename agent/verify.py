"""The last node: final checks, and the verdict that the most severe reason makes."""

from __future__ import annotations

from fiducial.agent.free import ungrounded
from fiducial.agent.run import Run
from fiducial.tools.record import Reason, Record, Status, Verdict


def verify(run: Run) -> str:
    """Conclude. Whatever came before, a positive answer about something in the image needs an accepted region."""
    run.run_checks("image")
    if (why := ungrounded(run)) and not run.abstained:
        run.downgrade("ungrounded", f"the answer is the model's word alone: {why}")
    if positive_without_region(run.record) and not run.abstained:
        run.abstain("positive_without_region", "the answer claims something in the image, but nothing was pointed at")
    if run.record.answer is None and not run.abstained:
        run.abstain("no_answer", "the run came to no answer")
    status: Status = "answered"
    if run.notes.downgrades:
        status = "abstained" if run.abstained else "partial"
    order = sorted(run.notes.downgrades, key=lambda d: d.status != "abstained")
    reasons = tuple(Reason(code=d.code, detail=d.detail) for d in order)
    run.put(verdict=Verdict(status=status, reasons=reasons))
    return "end"


def positive_without_region(record: Record) -> bool:
    """The zero case: a local answer that claims something while no region is accepted."""
    answer, understanding = record.answer, record.understanding
    if answer is None or understanding is None or answer.scope == "image" or record.accepted:
        return False
    if understanding.intent.task == "question":  # which says for itself that it rests on nothing
        return False
    if understanding.intent.task in ("size", "compare", "angle", "distance"):
        claims_count = understanding.intent.task == "compare" and understanding.intent.quantity in (None, "count")
        return not claims_count or any(character in "123456789" for character in answer.text)
    return bool(answer.value)
