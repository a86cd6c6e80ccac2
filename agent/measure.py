"""The measure node: outlines what was found, measures it, and completes the answer from the measurements."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from fiducial.agent import phrases
from fiducial.agent.compare import compare_counts, compare_sizes
from fiducial.agent.outline import outline
from fiducial.agent.run import Run, StepFailedError
from fiducial.tools.errors import InputError
from fiducial.tools.record import Measurement, Quantity, Region, Selector
from fiducial.tools.structures import members

RANK: dict[Selector, int] = {"largest": 0, "second_largest": 1, "third_largest": 2, "smallest": -1}
ORDINAL: dict[Selector, str] = {
    "largest": "largest", "second_largest": "second largest", "third_largest": "third largest", "smallest": "smallest",
}  # fmt: skip


def measure(run: Run) -> str:
    """Measure what a size or a comparison asks for; other questions pass."""
    intent = run.intent
    if intent.task == "compare" and run.notes.quantities == ("count",):
        compare_counts(run)
    elif intent.task == "compare":
        pair = [_all(run, str(key)) for key in (intent.structure, intent.other_structure)]
        if all(pair):
            run.put(measurements=tuple(m for found in pair for m in found))
            compare_sizes(run, pair[0], pair[1])
    elif intent.task == "size":
        _size(run)
    else:
        return "verify"
    _scale(run)
    run.run_checks("measure")
    return "verify"


def _size(run: Run) -> None:
    """One measurement a region, or of the one region that is asked for by its rank."""
    intent = run.intent
    rows = [_measured(run, region) for region in _regions(run, str(intent.structure))]
    rows = [row for row in rows if row]
    if not rows:
        run.abstain("not_measurable", f"none of the {phrases.name(str(intent.structure))} could be measured")
        return
    if intent.selector != "each":
        ranked = sorted(rows, key=lambda row: -row[0].value)
        place = RANK[intent.selector]
        if place >= len(ranked):
            found = phrases.counted(len(ranked), str(intent.structure))
            run.abstain("too_few_regions", f"the {ORDINAL[intent.selector]} is asked for, but there is only {found}")
            return
        listed = ", ".join(f"{row[0].region_ids[0]} {phrases.with_unit(row[0])}" for row in ranked)
        run.check("selection", "pass", f"by {phrases.quantity(ranked[0][0].quantity)}: {listed}"[:500])
        rows = [ranked[place]]
    run.put(measurements=tuple(m for row in rows for m in row))
    run.put(answer=run.answer.model_copy(update={"text": _told(run, rows), "value": _value(rows)}))


def _all(run: Run, structure: str) -> list[Measurement]:
    rows = [_measured(run, region) for region in _regions(run, structure)]
    if not any(rows):
        run.abstain("not_measurable", f"none of the {phrases.name(structure)} could be measured")
    return [m for row in rows for m in row]


def _regions(run: Run, structure: str) -> list[Region]:
    return [region for member in members(structure) for region in run.found(member)]


def _measured(run: Run, region: Region) -> list[Measurement]:
    """The asked quantities of one region, on its outline; empty where it has no extent that could be measured."""
    from fiducial.tools.measure import measure as measure_region

    outlined = outline(run, region)
    scale = run.record.image.scale
    found = []
    for quantity in run.notes.quantities:
        try:
            found.append(run.call("measure", "tool", partial(measure_region, outlined, quantity, scale, region.label)))
        except (InputError, StepFailedError) as error:
            run.check("measurable", "warn", str(error))
    return found


def _value(rows: Sequence[Sequence[Measurement]]) -> float | list[float]:
    values = [m.value for row in rows for m in row]
    return values[0] if len(values) == 1 else values


def _told(run: Run, rows: Sequence[Sequence[Measurement]]) -> str:
    """The answer in words, one quantity after the other."""
    intent = run.intent
    name = phrases.name(str(intent.structure), 1)
    if intent.selector != "each":
        m = rows[0][0]
        size = f"{_quantity(m.quantity)} of {phrases.with_unit(m)}"
        return f"The {ORDINAL[intent.selector]} {name} ({_id(run, m)}) has {size}."
    if len(rows) == 1:
        parts = [f"the {phrases.quantity(m.quantity)} is {phrases.with_unit(m)}" for m in rows[0]]
        text = f"Of the {name} ({_id(run, rows[0][0])}), {', '.join(parts)}."
        return text if not parts[0].startswith("the head circumference") else f"{_first_upper(', '.join(parts))}."
    first = [row[0] for row in rows]
    listed = "; ".join(f"{_id(run, m)} {phrases.with_unit(m)}" for m in first[: phrases.MAX_LISTED])
    more = f"; and {len(first) - phrases.MAX_LISTED} more" if len(first) > phrases.MAX_LISTED else ""
    middle = sorted(first, key=lambda m: m.value)[len(first) // 2]
    return (
        f"The {phrases.quantity(first[0].quantity)} of the {phrases.counted(len(rows), str(intent.structure))}:"
        f" {listed}{more}. In the middle of them {phrases.with_unit(middle)}."
    )


def _id(run: Run, measurement: Measurement) -> str:
    """The id of the region as found: a measured outline names it as its parent."""
    region = next(r for r in run.record.regions if r.id == measurement.region_ids[0])
    return region.parent_id or region.id


def _quantity(key: Quantity) -> str:
    word = phrases.quantity(key)
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def _first_upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _scale(run: Run) -> None:
    """A size without a scale is in pixels, which is at most a part of what was asked."""
    lengths = [m for m in run.record.measurements if m.quantity not in ("count", "cephalic_index")]
    if any(m.scale_source == "none" for m in lengths):
        why = run.record.image.scale_refused or "the image carries none"
        detail = f"there is no physical scale ({why}); lengths are in px; give one with --scale"
        run.check("scale_known", "warn", detail)
        run.downgrade("no_scale", detail)
