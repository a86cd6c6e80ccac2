"""Readings: independent ways to find a structure, one for each rung of the policy's ladders."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

from fiducial.agent import phrases
from fiducial.agent.policy import Failure, Rung
from fiducial.agent.run import Run, StepFailedError, rejected
from fiducial.skills.base import FindArgs, FindResult, Session
from fiducial.tools.errors import InputError
from fiducial.tools.hooks import CheckOutcome
from fiducial.tools.positions import anchor_xy_px
from fiducial.tools.record import Check, PointXY, Region
from fiducial.tools.structures import structures


@dataclass(frozen=True)
class Reading:
    """What one source says of a structure. regions: as the checks left them, accepted and rejected.

    readable: False where a model wrote what could not be read; then that nothing was found is no finding of nothing.
    expected: how many the source expects, over all its candidates, named or not; None if it does not say.
    """

    source: str
    regions: tuple[Region, ...]
    confidence: float = 0.0
    readable: bool = True
    expected: float | None = None

    @property
    def kept(self) -> tuple[Region, ...]:
        """The accepted regions that are not a part of another."""
        return tuple(r for r in self.regions if r.status == "accepted" and r.parent_id is None)

    @property
    def count(self) -> int:
        """How many are accepted."""
        return len(self.kept)


def finder(run: Run, structure: str) -> str:
    """The skill that finds a structure in full: boxes, in a volume too, outlines, or ellipse and landmarks."""
    if run.intent.task == "segment":
        return "segment"
    if run.context.stack is not None:
        return "detect_3d"
    known = structures().get(structure)
    return "detect" if known is None else run.policy.finders.get(known.domain, "detect")


def find(run: Run, structure: str, skill: str, exactly: int | None = None, session: Session | None = None) -> Reading:
    """One reading by a skill, with the checks that reject regions applied."""
    result: FindResult = run.skill(
        skill, FindArgs(structure=structure, exactly_count=exactly, language=run.language), session
    )
    if not result.parsed:
        run.check("output_parsed", "warn", f"what {skill} said of {phrases.name(structure)} is not well-formed")
    readable = result.parsed or bool(result.regions)
    regions = sift(run, structure, result.regions)
    return Reading(skill, regions, result.confidence, readable, result.expected_count)


def sift(run: Run, structure: str, regions: Iterable[Region]) -> tuple[Region, ...]:
    """Reject what is too uncertain or fails a check of its own; claims are compared later."""
    floor = run.policy.floor(structure)
    trial = run.record.model_copy(
        update={
            "answer": None,
            "regions": tuple(
                r.model_copy(update={"id": f"R{n}", "parent_id": _parent(r, regions)}) for n, r in enumerate(regions, 1)
            ),
        }
    )
    low = tuple(r.id for r in trial.regions if not r.score >= floor)
    check = Check(name="score_floor", outcome="warn" if low else "pass", detail=f"least score {floor:g}")
    trial = rejected(trial, CheckOutcome(check, low))
    for outcome in run.outcomes("ground", trial):
        trial = rejected(trial, outcome)
    return trial.regions


def _parent(region: Region, regions: Iterable[Region]) -> str | None:
    """The id that a region's parent has in the trial record."""
    ids = [r.id for r in regions]
    return f"R{ids.index(region.parent_id) + 1}" if region.parent_id in ids else None


def climb(run: Run, structure: str, failure: Failure, claimed: int | None) -> Iterable[tuple[Rung, Reading]]:
    """The readings of a failure's rungs, one after the other; a rung that cannot be taken is passed over, visibly."""
    for rung in run.policy.ladders.get(failure, {}).get(finder(run, structure), ()):  # type: ignore[call-overload]
        if rung.method == "constrained" and not claimed:
            continue
        try:
            yield rung, _reading(run, structure, rung, claimed)
        except (StepFailedError, InputError) as error:
            run.check(f"ladder_{rung.method}", "warn", f"could not be tried: {error}")


def _reading(run: Run, structure: str, rung: Rung, claimed: int | None) -> Reading:
    if rung.method == "constrained":
        return find(run, structure, finder(run, structure), exactly=claimed)
    if rung.method == "other_skill":
        return find(run, structure, rung.skill or "point")
    if rung.method == "zoom":
        return _zoomed(run, structure, rung)
    return _classical(run, structure)


def _zoomed(run: Run, structure: str, rung: Rung) -> Reading:
    """The finder on crops. What a crop cuts through is left to its neighbour, and what two crops see is kept once."""
    width, height = run.record.image.width_px, run.record.image.height_px
    seen: list[Region] = []
    confidence, readable = 1.0, True
    for n, (x, y, w, h) in enumerate(rung.crops_fraction):
        crop = (x * width, y * height, (x + w) * width, (y + h) * height)
        reading = find(run, structure, finder(run, structure), session=run.context.session.zoom(crop))
        confidence, readable = min(confidence, reading.confidence), readable and reading.readable
        cut = {r.id for r in reading.kept if _cut(r, crop, (width, height))}
        for region in reading.regions:
            if region.status == "accepted" and not {region.id, region.parent_id} & cut:
                own = {"id": f"Z{n}{region.id}", "parent_id": region.parent_id and f"Z{n}{region.parent_id}"}
                seen.append(region.model_copy(update=own))
    tops = sorted((r for r in seen if r.parent_id is None), key=lambda r: -r.score)
    once: list[Region] = []
    for region in tops:
        if not any(same_place(region, other) for other in once):
            once.append(region)
    ids = {r.id for r in once}
    return Reading("zoom", tuple(r for r in seen if r.id in ids or r.parent_id in ids), confidence, readable)


def _cut(region: Region, crop: tuple[float, float, float, float], size: tuple[int, int]) -> bool:
    """Whether a box touches an edge of the crop that is not an edge of the image (within 2 px)."""
    if region.box_xyxy_px is None:
        return False
    ends = (0.0, 0.0, float(size[0]), float(size[1]))
    pairs = zip(region.box_xyxy_px, crop, ends, strict=True)
    return any(abs(edge - limit) < 2 and abs(limit - end) > 2 for edge, limit, end in pairs)


def same_place(a: Region, b: Region) -> bool:
    """Whether the middle of either region lies in the middle half of the other (points: within 4 px of each other)."""
    return _holds(a, anchor_xy_px(b)) or _holds(b, anchor_xy_px(a))


def _holds(region: Region, point: PointXY) -> bool:
    (x, y), (cx, cy) = point, anchor_xy_px(region)
    if region.box_xyxy_px is not None:
        x0, y0, x1, y1 = region.box_xyxy_px
        half_w, half_h = (x1 - x0) / 4, (y1 - y0) / 4
    else:
        half_w = half_h = region.ellipse_px.semi_minor_px / 2 if region.ellipse_px else 4.0
    return abs(x - cx) <= half_w and abs(y - cy) <= half_h


def _classical(run: Run, structure: str) -> Reading:
    """Segmentation without a model: an independent reading, whose scores are no probabilities."""
    from fiducial.tools.segment.find_cells import find_cells

    cells = run.call("find_cells", "tool", partial(find_cells, run.context.image.stored_rgb_u8, structure))
    return Reading("classical", sift(run, structure, cells), 0.5)
