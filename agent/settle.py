"""Settling one structure: the claim and the regions either agree, or further readings decide, or nothing does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from fiducial.agent import phrases
from fiducial.agent.ladder import Reading, climb, find, finder, same_place
from fiducial.agent.run import Run
from fiducial.agent.state import Claim
from fiducial.tools.record import Region


@dataclass(frozen=True)
class Settled:
    """How a structure was settled.

    reading: whose regions are kept; None when contradicted. code: the typed reason for a downgrade, None if the claim
    holds or was revised by two agreeing sources; revised: what revised it; spread: lowest and highest reading;
    superseded: regions of the first reading that were not kept, and the check that they failed.
    """

    reading: Reading | None
    code: str | None = None
    detail: str = ""
    revised: str | None = None
    spread: tuple[int, int] = (0, 0)
    first: Reading | None = None
    superseded_by: str = "count_matches_regions"
    readings: tuple[tuple[str, int], ...] = field(default=())


def settle(run: Run, structure: str, claim: Claim) -> Settled:
    """Ground one elementary structure against its claim."""
    first = find(run, structure, finder(run, structure))
    if run.intent.task in ("count", "compare") and run.notes.quantities in ((), ("count",)):
        return _count(run, structure, claim.count, first)
    if claim.present:
        return _present(run, structure, first)
    return _absent(run, structure, claim, first)


def _count(run: Run, structure: str, claimed: int | None, first: Reading) -> Settled:
    """A count: equal at once, or as two independent sources have it, or close, or contradicted."""
    readings = [first]
    numbers = {"claim": claimed} if claimed is not None else {}
    numbers[first.source] = first.count
    if (settled := _expected(run, structure, claimed, first)) is not None:
        return settled
    if claimed == first.count and first.readable:
        return Settled(first, spread=(first.count, first.count))
    confirms = structure not in run.policy.unconfirmed_by_decoding
    for rung, reading in climb(run, structure, "count_mismatch", claimed if confirms else None):
        numbers[f"{reading.source} {rung.method}" if rung.method == "constrained" else reading.source] = reading.count
        if rung.method == "constrained":
            if reading.count == claimed:
                return Settled(reading, spread=_spread(numbers), first=first, readings=tuple(numbers.items()))
            continue
        readings.append(reading)
        if (agreed := _agreed(run, claimed, readings)) is not None:
            by = " and ".join(source for source, number in numbers.items() if number == agreed.count)
            revised = None if agreed.count == claimed else by
            told = tuple(numbers.items())
            return Settled(agreed, revised=revised, spread=_spread(numbers), first=first, readings=told)
    said = ", ".join(f"{source} {number}" for source, number in numbers.items())
    detail = f"the readings of the number of {phrases.name(structure)} differ: {said}"
    told = tuple(numbers.items())
    if claimed is not None and first.readable and run.policy.close(claimed, first.count):
        return Settled(first, "count_uncertain", detail, spread=_spread(numbers), readings=told)
    return Settled(None, "count_contradicted", detail, spread=_spread(numbers), first=first, readings=told)


def _expected(run: Run, structure: str, claimed: int | None, first: Reading) -> Settled | None:
    """The number that is expected over all candidates, each in or out by its probability.

    None where the policy does not count so, or if not so many stand. Where many are uncertain, the number of those
    likelier than not is no good estimate of how many there are.
    """
    if structure not in run.policy.counted_by_expectation or first.expected is None:
        return None
    number = round(first.expected)
    if number == 0 and claimed:  # a number that is denied altogether needs more than an average
        return None
    reading = first if first.count == number else find(run, structure, finder(run, structure), exactly=number)
    if reading.count != number:
        return None
    numbers = {"claim": claimed} if claimed is not None else {}
    numbers |= {first.source: first.count, "expected": number}
    said = ", ".join(f"{source} {told}" for source, told in numbers.items())
    agree = claimed is None or run.policy.agree(structure, claimed, number)
    return Settled(
        reading,
        None if agree else "count_uncertain",
        "" if agree else f"the readings of the number of {phrases.name(structure)} differ: {said}",
        revised=None if claimed == number else f"the number expected over all candidates of {first.source}",
        spread=_spread(numbers),
        first=first,
        readings=tuple(numbers.items()) if len({*numbers.values()}) > 1 else (),  # all alike: nothing to tell
    )


def _spread(numbers: dict[str, int]) -> tuple[int, int]:
    return min(numbers.values()), max(numbers.values())


def _agreed(run: Run, claimed: int | None, readings: Sequence[Reading]) -> Reading | None:
    """The reading whose count two independent sources have, boxes before points.

    Zero only if nothing is confident, also not what a check has rejected: that is no finding of nothing.
    """
    last = readings[-1]
    votes = [r for r in readings if r.count == last.count and r.readable]
    if not last.readable or len(votes) + (claimed == last.count) < 2:
        return None
    seen = (region for reading in readings for region in reading.regions)
    if last.count == 0 and any(r.score >= run.policy.region_confident for r in seen):
        return None
    return votes[0]


def _confident(run: Run, reading: Reading) -> bool:
    """Whether a reading holds a region that could not be overlooked."""
    return any(r.score >= run.policy.region_confident for r in reading.kept)


def _present(run: Run, structure: str, first: Reading) -> Settled:
    """A presence claimed needs a region; it is never turned into an absence."""
    if first.count:
        return Settled(first)
    for _, reading in climb(run, structure, "presence_without_region", 1):
        if reading.count:
            return Settled(reading, first=first)
    detail = f"{phrases.name(structure)} are claimed, but nothing could be pointed at"
    return Settled(None, "positive_without_region", detail, first=first)


def _absent(run: Run, structure: str, claim: Claim, first: Reading) -> Settled:
    """An absence claimed (or nothing readable) against confident regions: a second source decides, or nothing does."""
    none = Reading("none", ())
    if not _confident(run, first):
        if claim.present is None or not first.readable:
            detail = f"no answer about {phrases.name(structure)} could be read, and nothing confident was found"
            return Settled(None, "unparsed_answer", detail, first=first)
        return Settled(none, first=first, superseded_by="absence_has_none")
    for _, reading in climb(run, structure, "absence_with_regions", None):
        if reading.count:
            return Settled(first, revised=f"{first.source} and {reading.source}")
    if claim.present is None:
        return Settled(first, revised=first.source)
    detail = f"{phrases.name(structure)} are claimed absent, {first.source} found {first.count}, nothing decided"
    return Settled(None, "absence_contradicted", detail, first=first)


def enter(run: Run, settled: Settled) -> None:
    """Enter the kept regions, and as rejected those of the first reading that were not kept."""
    kept = settled.reading.regions if settled.reading else ()
    run.add_regions(_recheck(run, r) for r in kept)
    if settled.first is None or settled.first is settled.reading:
        return
    tops = settled.reading.kept if settled.reading else ()
    gone = {r.id for r in settled.first.kept if not any(same_place(r, other) for other in tops)}
    if settled.reading is None:
        # Contradicted: the regions stay accepted, for they were found; it is the answer that is withheld.
        run.add_regions(_recheck(run, r) for r in settled.first.regions)
        return
    before = (r for r in settled.first.regions if r.status == "rejected" or {r.id, r.parent_id} & gone)
    gone_by = {"status": "rejected", "rejected_by": settled.superseded_by}
    run.add_regions(r if r.status == "rejected" else r.model_copy(update=gone_by) for r in before)


def _recheck(run: Run, region: Region) -> Region:
    """A region that a registered check rejected on trial is entered as found, for that check to reject under its id."""
    if region.rejected_by not in run.context.registry.checks:
        return region
    return region.model_copy(update={"status": "accepted", "rejected_by": None})
