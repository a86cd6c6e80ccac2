"""Comparing two structures: which has more, or is larger, by how much, and whether that can be told at all."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fiducial.agent import phrases
from fiducial.agent.answer import counts_side_by_side
from fiducial.agent.run import Run
from fiducial.tools.record import Language, Measurement
from fiducial.tools.structures import members

TWO_SIDED_95 = 1.96


def compare_counts(run: Run) -> None:
    """Numbers of two structures; where the readings of a count differed, each has the range of its readings."""
    first, second = str(run.intent.structure), str(run.intent.other_structure)
    numbers = {m: len(run.found(m)) for key in (first, second) for m in members(key)}
    a, b = (sum(numbers[m] for m in members(key)) for key in (first, second))
    (a_low, a_high), (b_low, b_high) = (_range(run, key, n) for key, n in ((first, a), (second, b)))
    lead, spoken = counts_side_by_side(run.intent, numbers), run.language
    if a != b and a_low <= b_high and b_low <= a_high:
        detail = f"{phrases.name(first)} {a_low} to {a_high}, {phrases.name(second)} {b_low} to {b_high}"
        run.downgrade("ranges_overlap", f"which are more cannot be told: {detail}")
        text = phrases.say("cannot_tell_more", spoken, lead=lead, detail=detail)
    elif a == b:
        text = phrases.say("as_many", spoken, lead=lead)
    else:
        more = phrases.name(first if a > b else second, abs(a - b), spoken)
        text = phrases.say("more_of", spoken, lead=lead, number=abs(a - b), name=more)
    run.put(answer=run.answer.model_copy(update={"text": text, "value": [float(a), float(b)]}))


def _range(run: Run, key: str, number: int) -> tuple[int, int]:
    """The lowest and highest reading of a structure's count, which include the number that was settled on."""
    spreads = [run.notes.spread.get(member, (number, number)) for member in members(key)]
    return min(number, sum(low for low, _ in spreads)), max(number, sum(high for _, high in spreads))


def compare_sizes(run: Run, first: Sequence[Measurement], second: Sequence[Measurement]) -> None:
    """Mean sizes of two structures, with the uncertainty of each mean; overlapping intervals cannot be told apart."""
    keys = (str(run.intent.structure), str(run.intent.other_structure))
    (a, sa), (b, sb) = _mean(first), _mean(second)
    unit, quantity, spoken = first[0].unit, phrases.quantity(first[0].quantity, run.language), run.language
    difference, spread = a - b, math.hypot(sa, sb)
    suffix = "" if unit == "1" else f" {unit}"
    means = [
        _told(keys[0], a, sa, len(first), suffix, spoken),
        _told(keys[1], b, sb, len(second), suffix, spoken),
    ]
    lead = phrases.say("means", spoken, quantity=quantity, first=means[0], second=means[1])
    if abs(difference) <= TWO_SIDED_95 * spread:
        told = phrases.quantity(first[0].quantity)
        run.downgrade("intervals_overlap", f"the difference of the {told}s is within its uncertainty")
        text = phrases.say("cannot_tell_larger", spoken, lead=lead)
    else:
        by = f"{phrases.rounded(abs(difference), spread)}{suffix}"
        name = phrases.name(keys[0] if difference > 0 else keys[1], language=spoken)
        about = f"{phrases.rounded(spread, spread)}{suffix}"
        text = phrases.say("larger", spoken, lead=lead, name=name, difference=by, spread=about)
    run.put(answer=run.answer.model_copy(update={"text": text, "value": [a, b]}))


def _told(key: str, mean: float, spread: float, number: int, suffix: str, language: Language) -> str:
    """``platelets 2.4 µm (± 0.2 µm, 3 measured)``."""
    values = {
        "mean": f"{phrases.rounded(mean, spread)}{suffix}",
        "spread": f"{phrases.rounded(spread, spread)}{suffix}",
    }
    return phrases.say("mean", language, name=phrases.name(key, language=language), number=number, **values)


def _mean(rows: Sequence[Measurement]) -> tuple[float, float]:
    """Mean and its standard deviation: that of each measurement, and the scatter between the regions."""
    n = len(rows)
    mean = sum(m.value for m in rows) / n
    own = math.sqrt(sum(m.uncertainty**2 for m in rows)) / n
    scatter = math.sqrt(sum((m.value - mean) ** 2 for m in rows) / (n - 1) / n) if n > 1 else 0.0
    return mean, math.hypot(own, scatter)
