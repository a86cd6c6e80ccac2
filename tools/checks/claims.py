"""The answer against the regions: what is claimed in the image is pointed at, and what is denied is not.

Only for answers about something *in* the image (scope ``local``); an answer about the whole image needs no region.
"""

from __future__ import annotations

from fiducial.tools.checks.common import of_structure
from fiducial.tools.hooks import CheckOutcome, CheckSpec
from fiducial.tools.record import Answer, Check, Record, Task
from fiducial.tools.structures import structures


def _claim(record: Record, tasks: tuple[Task, ...]) -> tuple[Answer, str] | None:
    """The answer and the structure asked about, where the answer is local and its question one of ``tasks``."""
    answer, understanding = record.answer, record.understanding
    if answer is None or understanding is None or answer.scope != "local" or answer.value is None:
        return None
    intent = understanding.intent
    if intent.task not in tasks or intent.structure not in structures():
        return None
    return answer, str(intent.structure)


def _compared(name: str, holds: bool, detail: str) -> CheckOutcome:
    return CheckOutcome(Check(name=name, outcome="pass" if holds else "fail", detail=detail))


def count_matches_regions(record: Record) -> CheckOutcome | None:
    """The number claimed equals the number of accepted regions of the structure asked about."""
    claim = _claim(record, ("count", "location"))
    if claim is None or isinstance(claim[0].value, bool) or not isinstance(claim[0].value, int):
        return None
    answer, key = claim
    found = len(of_structure(record, key))
    detail = f"{answer.value} {structures()[key].plural} claimed, {found} accepted"
    return _compared("count_matches_regions", answer.value == found, detail)


def presence_has_region(record: Record) -> CheckOutcome | None:
    """What is claimed to be there is pointed at: a positive answer has at least one accepted region (the zero case)."""
    claim = _claim(record, ("presence", "count", "location", "size"))
    if claim is None or not claim[0].value:
        return None
    found = len(of_structure(record, claim[1]))
    return _compared("presence_has_region", found > 0, f"claimed present; {found} regions accepted")


def absence_has_none(record: Record) -> CheckOutcome | None:
    """What is claimed to be absent is not pointed at: a negative answer has no accepted region."""
    claim = _claim(record, ("presence", "count", "location"))
    if claim is None or claim[0].value:
        return None
    found = len(of_structure(record, claim[1]))
    return _compared("absence_has_none", found == 0, f"claimed absent; {found} regions accepted")


CHECKS = [
    CheckSpec("count_matches_regions", str(count_matches_regions.__doc__), "ground", count_matches_regions),
    CheckSpec("presence_has_region", str(presence_has_region.__doc__), "ground", presence_has_region),
    CheckSpec("absence_has_none", str(absence_has_none.__doc__), "ground", absence_has_none),
]
