"""A skill alone on one annotated image: its arguments, and a score of its result between 0 and 1."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from fiducial.benchmarks.common import CELLS, box_of, matched, precision_recall_f1
from fiducial.benchmarks.explanations import agreement
from fiducial.benchmarks.phantom_skills import right_facts
from fiducial.skills.base import AnswerArgs, ExplainArgs, FindArgs, LandmarkArgs, ReportArgs, SubjectArgs
from fiducial.skills.landmarks import regions_of_head
from fiducial.tools.geometry.ellipses import ellipse_from_axes
from fiducial.tools.geometry.matching import match_by_distance
from fiducial.tools.landmark_measures import landmark_named
from fiducial.tools.record import Answer, Ellipse, ImageInfo, Intent, Record, Region, Understanding
from fiducial.tools.structures import structures

OF_KIND = {
    "blood_smear": CELLS,
    "head_ultrasound": ("head",),
    "nuclei_fluorescence": ("nucleus",),
    "nuclei_he": ("nucleus",),
}
PLACED_WITHIN_MM = 2.0  # what counts as found of a cephalogram's landmark (Wang et al., MedIA 31:63, 2016)


@dataclass(frozen=True)
class Trial:
    """One call of a skill, and how its result is scored."""

    args: BaseModel
    score: Callable[[Any], float]


def trials(skill: str, sample: Any, size_px: tuple[int, int]) -> Iterator[Trial]:
    """The calls of a skill on one sample, of the structures of its kind; none where the skill does not apply."""
    for structure in OF_KIND[sample.kind]:
        yield from MAKERS[skill](sample, structure, size_px)
    if skill == "answer":
        yield Trial(AnswerArgs(intent=Intent(task="kind", scope="image")), lambda r: float(r.value == sample.kind))


def _answer(sample: Any, structure: str, _: Any) -> Iterator[Trial]:
    there = bool(sample.of(structure))
    yield Trial(AnswerArgs(intent=Intent(task="presence", structure=structure)), lambda r: float(r.value is there))


def _count(sample: Any, structure: str, _: Any) -> Iterator[Trial]:
    """1 for the right number, falling to 0 at an error of the number itself."""
    there = len(sample.of(structure))

    def score(result: Any) -> float:
        return 0.0 if result.count is None else max(0.0, 1 - abs(result.count - there) / max(1, there))

    yield Trial(SubjectArgs(structure=structure), score)


def _detect(sample: Any, structure: str, _: Any) -> Iterator[Trial]:
    """F1 at IoU 0.5."""
    truth = [o.box_xyxy_px for o in sample.of(structure)]

    def score(result: Any) -> float:
        found = [
            b for r in result.regions if r.label == structure and r.parent_id is None and (b := box_of(r)) is not None
        ]
        return precision_recall_f1(matched(found, truth), len(found), len(truth))["f1"] if result.parsed else 0.0

    if sample.kind != "head_ultrasound":
        yield Trial(FindArgs(structure=structure), score)


def _point(sample: Any, structure: str, _: Any) -> Iterator[Trial]:
    """F1 of points: one to one, each within half the mean radius of the object's middle."""
    boxes = [o.box_xyxy_px for o in sample.of(structure)]
    middles = [((x0 + x1) / 2, (y0 + y1) / 2) for x0, y0, x1, y1 in boxes]
    sides = [(x1 - x0 + y1 - y0) / 2 for x0, y0, x1, y1 in boxes]
    reach = sum(sides) / len(sides) / 4 if sides else 1.0

    def score(result: Any) -> float:
        found = [r.point_xy_px for r in result.regions if r.label == structure and r.point_xy_px is not None]
        return match_by_distance(found, middles, reach).f1 if result.parsed else 0.0

    if sample.kind != "head_ultrasound":
        yield Trial(FindArgs(structure=structure), score)


def _landmark(sample: Any, structure: str, size_px: tuple[int, int]) -> Iterator[Trial]:
    """Dice overlap of the head's ellipse."""
    from fiducial.benchmarks.hc18_val import dice, inside

    def score(result: Any) -> float:
        ellipse = ellipse_of(result.regions)
        truth = sample.of(structure)[0].ellipse_px
        return dice(inside(ellipse, *size_px), inside(truth, *size_px)) if ellipse else 0.0

    if sample.kind == "head_ultrasound":
        yield Trial(FindArgs(structure=structure), score)


def ellipse_of(regions: list[Region]) -> Ellipse | None:
    """The ellipse of a landmark result: its own, else that of its first four points as the ends of two axes."""
    for region in regions:
        if region.ellipse_px is not None:
            return region.ellipse_px
    points = [r.point_xy_px for r in regions if r.point_xy_px is not None]
    try:
        return ellipse_from_axes(points[:2], points[2:4]) if len(points) >= 4 else None
    except ValueError:
        return None


def _explain(sample: Any, structure: str, size_px: tuple[int, int]) -> Iterator[Trial]:
    """Share of the claims that agree with the true record; 0 for a text that claims nothing."""
    record = true_record(sample, structure, size_px)
    args = ExplainArgs(
        intent=record.understanding.intent,  # type: ignore[union-attr]
        answer=record.answer,
        regions=list(record.regions),
        width_px=size_px[0],
        height_px=size_px[1],
    )

    def score(result: Any) -> float:
        agreed, total = agreement(result.text, record)
        return agreed / total if total else 0.0

    yield Trial(args, score)


def true_record(sample: Any, structure: str, size_px: tuple[int, int]) -> Record:
    """The record of a count that the annotation gives: of a head its ellipse and the ends of its axes, else boxes."""
    objects = sample.of(structure)
    regions: list[Region] = []
    for o in objects:
        if structure == "head" and o.ellipse_px is not None:
            regions += regions_of_head(o.ellipse_px, 0.95, len(regions))
            continue
        name = f"R{len(regions) + 1}"
        regions.append(
            Region(id=name, label=structure, kind="box", box_xyxy_px=o.box_xyxy_px, score=0.95, skill="detect")
        )
    n, names = len(objects), structures()[structure]
    text = f"There {'is' if n == 1 else 'are'} {n or 'no'} {names.name if n == 1 else names.plural}."
    return Record(
        run_id="truth",
        question="",
        image=ImageInfo(path="", sha256="", width_px=size_px[0], height_px=size_px[1]),
        understanding=Understanding(intent=Intent(task="count", structure=structure), confidence=1.0),
        answer=Answer(text=text, value=n, confidence=0.95),
        regions=tuple(regions),
    )


def report_trial(made: Any) -> Trial:
    """The report of a phantom of a chest film: the share of its facts that are right."""

    def score(result: Any) -> float:
        facts = right_facts(result.report, made.truth)
        return sum(facts.values()) / len(facts)

    return Trial(ReportArgs(), score)


def landmarks_trial(made: Any) -> Trial:
    """The landmarks of a phantom of a cephalogram: the share that is named and placed within 2 mm."""
    truth = {landmark_named(k): xy for k, xy in made.truth.landmarks_xy_px.items()}
    scale = made.scale

    def score(result: Any) -> float:
        near = 0
        for region in result.regions:
            (x, y), (at_x, at_y) = region.point_xy_px, truth.get(region.label, (math.inf, math.inf))
            near += math.hypot((x - at_x) * scale.column_mm, (y - at_y) * scale.row_mm) <= PLACED_WITHIN_MM
        return near / len(truth)

    return Trial(LandmarkArgs(structure=""), score)


# Of the scenes that phantoms alone taught: the skill, the scenes in turn, and the one call of an image.
ON_PHANTOMS: dict[str, tuple[tuple[str, ...], Callable[[Any], Trial]]] = {
    "report": (("chest", "chest", "chest_clear"), report_trial),
    "landmark": (("cephalogram",), landmarks_trial),
}
MAKERS: dict[str, Callable[[Any, str, tuple[int, int]], Iterator[Trial]]] = {
    "answer": _answer,
    "count": _count,
    "detect": _detect,
    "point": _point,
    "landmark": _landmark,
    "explain": _explain,
}
