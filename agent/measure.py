"""The measure node: outlines what was found, measures it, and completes the answer from the measurements."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from fiducial.agent import phrases
from fiducial.agent.between import measure_landmarks
from fiducial.agent.compare import compare_counts, compare_sizes
from fiducial.agent.outline import outline
from fiducial.agent.run import Run, StepFailedError
from fiducial.agent.stated import hold, stated
from fiducial.tools.errors import InputError
from fiducial.tools.record import Measurement, Quantity, Region, Selector
from fiducial.tools.structures import members

MAX_RANKED = 12
EDGE_PX = 1.0
HEAD_SIZES = ("head_circumference", "biparietal_diameter", "occipitofrontal_diameter", "cephalic_index")
RANK: dict[Selector, int] = {"largest": 0, "second_largest": 1, "third_largest": 2, "smallest": -1}
# Why a measurement is withheld, by the check that rejected its region: the reason's code, and what is the matter.
WITHHELD = {
    "inside_scale_region": ("outside_scale_region", "reaches outside the part of the image where its scale holds"),
    "plausible_size": ("implausible_size", "has a size that is not plausible"),
}


def measure(run: Run) -> str:
    """Measure what a size, a comparison or a rank asks for; other questions pass."""
    intent = run.intent
    if intent.task == "compare" and run.notes.quantities == ("count",):
        compare_counts(run)
    elif intent.task == "compare":
        _compare(run)
    elif intent.task == "size":
        _size(run)
    elif intent.task == "location" and intent.selector != "each" and run.found():
        _locate(run)
    elif intent.task in ("angle", "distance"):
        measure_landmarks(run)
    elif intent.task in ("question", "segment") and run.record.image.scale is not None:
        _beside(run)
    return "verify"


def _size(run: Run) -> None:
    """One measurement a region, or of the one region that is asked for by its rank."""
    regions = _regions(run, str(run.intent.structure))
    _warn_of_cut(run, regions)
    kept = _plausible(run, [_measured(run, region) for region in regions])
    rows = _picked(run, kept) if run.intent.selector != "each" else kept
    if not rows:
        return
    run.put(measurements=tuple(m for row in rows for m in row))
    run.put(answer=run.answer.model_copy(update={"text": _told(run, rows), "value": _value(rows)}))
    _tell_left_out(run, len(regions), len(kept))
    if len(rows) == 1:
        hold(run, stated(run, str(run.intent.structure), run.notes.quantities), rows[0])


def _beside(run: Run) -> None:
    """Sizes of what an answer rests on, which are no part of the answer."""
    quantities: tuple[Quantity, ...] = ("area",) if run.intent.task == "segment" else ("long_axis",)
    run.note(quantities=quantities)
    regions = [r for r in run.found() if r.kind in ("box", "polygon", "ellipse", "box_3d")][:MAX_RANKED]
    rows = [row for region in regions if (row := _measured(run, region))]
    if rows:
        _plausible(run, rows)


def _locate(run: Run) -> None:
    """The place of the one region that is asked for by its rank; its size is no part of the answer."""
    regions = _regions(run, str(run.intent.structure))
    _warn_of_cut(run, regions)
    rows = [row for region in regions if (row := _measured(run, region))]
    if not rows:
        run.abstain("not_measurable", "nothing that was found could be measured, so that none is the largest")
        return
    for row in _picked(run, rows):
        chosen = next(region for region in regions if region.id == _id(run, row[0]))
        text = phrases.located(str(run.intent.structure), [chosen], run.record.image, _rank(run), run.language)
        run.put(answer=run.answer.model_copy(update={"text": text, "value": 1}))
        _tell_left_out(run, len(regions), len(rows))


def _picked(run: Run, rows: Sequence[list[Measurement]]) -> list[list[Measurement]]:
    """The one row that is asked for by its rank; none, and an abstention, where there are too few."""
    selector, structure = run.intent.selector, str(run.intent.structure)
    if not rows:
        return []
    ranked = sorted(rows, key=lambda row: -row[0].value)
    if RANK[selector] >= len(ranked):
        found = phrases.counted(len(ranked), structure)
        run.abstain("too_few_regions", f"the {phrases.ordinal(selector)} is asked for, but {found} could be measured")
        return []
    listed = ", ".join(f"{row[0].region_ids[0]} {phrases.with_unit(row[0])}" for row in ranked[:MAX_RANKED])
    run.check("selection", "pass", f"by {phrases.quantity(ranked[0][0].quantity)}, largest first: {listed}")
    return [ranked[RANK[selector]]]


def _compare(run: Run) -> None:
    """Sizes of two structures, all of whose regions are measured."""
    keys = [str(run.intent.structure), str(run.intent.other_structure)]
    regions = {key: _regions(run, key) for key in keys}
    rows = _plausible(run, [_measured(run, region) for found in regions.values() for region in found])
    ids = {key: {region.id for region in found} for key, found in regions.items()}
    pair = [[m for row in rows for m in row if _id(run, m) in ids[key]] for key in keys]
    if all(pair):
        compare_sizes(run, pair[0], pair[1])
        _tell_left_out(run, sum(map(len, regions.values())), len(rows))
    elif rows:
        run.abstain("not_measurable", "one of the two could not be measured")


def _tell_left_out(run: Run, found: int, measured: int) -> None:
    """Say in the answer of how many it is not: what could not be measured is seldom like the rest."""
    left = found - measured
    if left:
        are = "is" if left == 1 else "are"
        told = phrases.say("left_out", run.language, number=left, total=found, are=are)
        run.put(answer=run.answer.model_copy(update={"text": run.answer.text + told}))


def _warn_of_cut(run: Run, regions: Sequence[Region]) -> None:
    """Name the boxes that end at the image's edge: of those, only the part that is seen can be measured."""
    width, height = run.record.image.width_px, run.record.image.height_px
    ends = (0.0, 0.0, float(width), float(height))
    cut = [
        r.id
        for r in regions
        if r.box_xyxy_px and any(abs(a - b) < EDGE_PX for a, b in zip(r.box_xyxy_px, ends, strict=True))
    ]
    if cut:
        run.check("cut_by_edge", "warn", f"{', '.join(cut)} reach the image's edge; the part that is seen is measured")


def _plausible(run: Run, rows: Sequence[list[Measurement]]) -> list[list[Measurement]]:
    """Enter the measurements, run the checks on them, and withhold those whose regions a check rejects."""
    run.put(measurements=tuple(m for row in rows for m in row))
    if not run.record.measurements:
        run.abstain("not_measurable", "nothing that was found could be measured")
        return []
    _scale(run)
    run.run_checks("measure")
    rejected_by = {region.id: region.rejected_by for region in run.record.regions}
    kept = [row for row in rows if row and rejected_by[row[0].region_ids[0]] is None]
    run.put(measurements=tuple(m for row in kept for m in row))
    checks = [rejected_by[row[0].region_ids[0]] for row in rows if row]
    for check in dict.fromkeys(filter(None, checks)):
        code, what = WITHHELD.get(check, (check, "was rejected"))
        detail = f"a region that was measured {what}; see the checks"
        run.downgrade(code, detail, "partial" if kept else "abstained")
    return kept


def _regions(run: Run, structure: str) -> list[Region]:
    return [region for member in members(structure) for region in run.found(member)]


def _measured(run: Run, region: Region) -> list[Measurement]:
    """The asked quantities of one region, on its outline; empty where it has no extent that could be measured."""
    from fiducial.tools.measure import measure as measure_region
    from fiducial.tools.measure_box_3d import measure_box_3d

    outlined = outline(run, region)
    if outlined.status == "rejected":
        return []
    scale = run.record.image.scale
    found = []
    for quantity in run.notes.quantities:
        try:
            take = partial(measure_region, outlined, quantity, scale, region.label)
            if region.kind == "box_3d":
                take = partial(measure_box_3d, region, quantity, scale)
            found.append(run.call("measure", "tool", take))
        except (InputError, StepFailedError) as error:
            run.check("measurable", "warn", str(error))
    return found


def _value(rows: Sequence[Sequence[Measurement]]) -> float | list[float]:
    values = [m.value for row in rows for m in row]
    return values[0] if len(values) == 1 else values


def _told(run: Run, rows: Sequence[Sequence[Measurement]]) -> str:
    """The answer in words, one quantity after the other."""
    spoken, structure, m = run.language, str(run.intent.structure), rows[0][0]
    named = {"name": phrases.name(structure, 1, spoken), "id": _id(run, m), "value": phrases.with_unit(m, spoken)}
    quantity = phrases.quantity(m.quantity, spoken)
    if run.intent.selector != "each":
        with_article = phrases.with_article(quantity) if spoken == "en" else quantity
        return phrases.say("size_ranked", spoken, ordinal=_rank(run), quantity=with_article, **named)
    if len(rows) == 1 and (len(rows[0]) > 1 or m.quantity in HEAD_SIZES):
        parts = [(phrases.quantity(each.quantity, spoken), phrases.with_unit(each, spoken)) for each in rows[0]]
        told = [phrases.say("size_part", spoken, quantity=name, value=value) for name, value in parts]
        return phrases.say("size_parts", spoken, parts=_first_upper(phrases.listing(told, spoken)))
    if len(rows) == 1:
        return phrases.say("size_one", spoken, quantity=quantity, **named)
    first = [row[0] for row in rows]
    between = str(phrases.table(spoken)["semicolon"])
    listed = between.join(f"{_id(run, m)} {phrases.with_unit(m, spoken)}" for m in first[: phrases.MAX_LISTED])
    left = len(first) - phrases.MAX_LISTED
    return phrases.say(
        "size_each",
        spoken,
        quantity=quantity,
        counted=phrases.counted(len(rows), structure, spoken),
        listed=listed,
        more=phrases.say("more", spoken, number=left) if left > 0 else "",
        middle=phrases.with_unit(sorted(first, key=lambda m: m.value)[len(first) // 2], spoken),
    )


def _rank(run: Run) -> str:
    return phrases.ordinal(run.intent.selector, run.language)


def _id(run: Run, measurement: Measurement) -> str:
    """The id of the region as found: a measured outline names it as its parent."""
    region = next(r for r in run.record.regions if r.id == measurement.region_ids[0])
    return region.parent_id or region.id


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
