"""Comparing two structures: which has more, or is larger, by how much, and whether that can be told at all."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fiducial.agent import phrases
from fiducial.agent.answer import counts_side_by_side
from fiducial.agent.run import Run
from fiducial.tools.record import Measurement
from fiducial.tools.structures import members

TWO_SIDED_95 = 1.96


def compare_counts(run: Run) -> None:
    """Numbers of two structures; where the readings of a count differed, each has the range of its readings."""
    first, second = str(run.intent.structure), str(run.intent.other_structure)
    numbers = {m: len(run.found(m)) for key in (first, second) for m in members(key)}
    a, b = (sum(numbers[m] for m in members(key)) for key in (first, second))
    (a_low, a_high), (b_low, b_high) = (_range(run, key, n) for key, n in ((first, a), (second, b)))
    lead = counts_side_by_side(run.intent, numbers)
    if a != b and a_low <= b_high and b_low <= a_high:
        detail = f"{phrases.name(first)} {a_low} to {a_high}, {phrases.name(second)} {b_low} to {b_high}"
        run.downgrade("ranges_overlap", f"which are more cannot be told: {detail}")
        text = f"{lead} Which are more cannot be told, for the readings overlap ({detail})."
    elif a == b:
        text = f"{lead} They are as many."
    else:
        more = first if a > b else second
        text = f"{lead} There are {abs(a - b)} more {phrases.name(more, abs(a - b))}."
    run.put(answer=run.answer.model_copy(update={"text": text, "value": [float(a), float(b)]}))


def _range(run: Run, key: str, number: int) -> tuple[int, int]:
    """The lowest and highest reading of a structure's count, which include the number that was settled on."""
    spreads = [run.notes.spread.get(member, (number, number)) for member in members(key)]
    return min(number, sum(low for low, _ in spreads)), max(number, sum(high for _, high in spreads))


def compare_sizes(run: Run, first: Sequence[Measurement], second: Sequence[Measurement]) -> None:
    """Mean sizes of two structures, with the uncertainty of each mean; overlapping intervals cannot be told apart."""
    keys = (str(run.intent.structure), str(run.intent.other_structure))
    (a, sa), (b, sb) = _mean(first), _mean(second)
    unit, quantity = first[0].unit, phrases.quantity(first[0].quantity)
    difference, spread = a - b, math.hypot(sa, sb)
    suffix = "" if unit == "1" else f" {unit}"
    lead = (
        f"Mean {quantity}: {_told(keys[0], a, sa, len(first), suffix)}, {_told(keys[1], b, sb, len(second), suffix)}."
    )
    if abs(difference) <= TWO_SIDED_95 * spread:
        run.downgrade("intervals_overlap", f"the difference of the {quantity}s is within its uncertainty")
        text = f"{lead} Which are larger cannot be told: the difference is within its uncertainty."
    else:
        by = f"{phrases.rounded(abs(difference), spread)}{suffix} (± {phrases.rounded(spread, spread)}{suffix})"
        text = f"{lead} The {phrases.name(keys[0] if difference > 0 else keys[1])} are larger by {by}."
    run.put(answer=run.answer.model_copy(update={"text": text, "value": [a, b]}))


def _told(key: str, mean: float, spread: float, number: int, suffix: str) -> str:
    """``platelets 2.4 µm (± 0.2 µm, 3 measured)``."""
    plus_minus = f"± {phrases.rounded(spread, spread)}{suffix}"
    return f"{phrases.name(key)} {phrases.rounded(mean, spread)}{suffix} ({plus_minus}, {number} measured)"


def _mean(rows: Sequence[Measurement]) -> tuple[float, float]:
    """Mean and its standard deviation: that of each measurement, and the scatter between the regions."""
    n = len(rows)
    mean = sum(m.value for m in rows) / n
    own = math.sqrt(sum(m.uncertainty**2 for m in rows)) / n
    scatter = math.sqrt(sum((m.value - mean) ** 2 for m in rows) / (n - 1) / n) if n > 1 else 0.0
    return mean, math.hypot(own, scatter)
