"""What is watched during a training: how often a model fails, and beside it the papers' averages with honest twins.

An average can improve while a model says nothing, writes what cannot be read or gives one answer to everything: so the
failures are counted first, a task and a size class of what is asked about.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fiducial.skills.datasets.check import is_negative
from fiducial.skills.datasets.sample import Ask, Sample
from fiducial.skills.families.dialects.base import Parsed
from fiducial.skills.targets import BoxesTarget, Query, Target
from fiducial.tools.geometry.boxes import box_areas, iou_matrix_3d
from fiducial.tools.geometry.matching import assign
from fiducial.tools.geometry.polygons import polygon_iou
from fiducial.tools.metrics.answers import answer_scores
from fiducial.tools.metrics.boxes import box_scores
from fiducial.tools.metrics.counting import count_scores
from fiducial.tools.metrics.means import mean, ratio
from fiducial.tools.metrics.measuring import number_scores
from fiducial.tools.metrics.pointing import point_scores
from fiducial.tools.metrics.size_classes import size_class

Scores = dict[str, float]

# Of each task: the paper's average, its honest twin, and whether less is better.
AVERAGES: dict[str, tuple[str, str, bool]] = {
    "point": ("matching_accuracy", "f1", False),
    "detect": ("iou", "true_iou", False),
    "detect_3d": ("iou", "true_iou", False),
    "segment": ("iou", "true_iou", False),
    "landmark": ("within_10_px", "honest_within_10_px", False),
    "count": ("mae", "honest_mae", True),
    "count_and_point": ("mae", "honest_mae", True),
    "count_and_box": ("mae", "honest_mae", True),
    "choose": ("read_accuracy", "accuracy", False),
    "answer": ("recall", "accuracy", False),
    "explain": ("recall", "accuracy", False),
    "report": ("recall", "accuracy", False),
    "measure_size": ("mre", "honest_mre", True),
    "measure_distance": ("mre", "honest_mre", True),
    "measure_angle": ("mre", "honest_mre", True),
}


@dataclass(frozen=True)
class Outcome:
    """One watched row and what the model said. size: the size class of what is asked about; None where it has none."""

    id: str
    query: Query
    target: Target
    said: Parsed
    text: str
    size: str | None = None

    @property
    def answer(self) -> str:
        """The answer by which two are told apart: what was read from the text, or else the text."""
        return self.said.target.model_dump_json() if self.said.target is not None else self.text.strip()

    @property
    def silent(self) -> bool:
        """Whether it says that there is nothing, or nothing that can be read."""
        target = self.said.target
        return target is None or is_negative(Ask(self.query, target)) is True


def size_of(sample: Sample, ask: Ask, size_px: tuple[int, int]) -> str | None:
    """The class of the median box among the objects asked about, by its share of the image (width and height)."""
    boxes = [item.box_xyxy_px for item in sample.objects if _asked(item.label, ask.query)]
    if isinstance(ask.target, BoxesTarget):
        boxes = [box.box_xyxy_px for box in ask.target.boxes]
    if not boxes or is_negative(ask) is True:
        return None
    return size_class(float(np.median(box_areas(boxes))) / (size_px[0] * size_px[1]))


def _asked(label: str, query: Query) -> bool:
    from fiducial.skills.datasets.objects import words_of

    return query.label is not None and query.label in (label, words_of(label))


def scores_of(outcomes: Iterable[Outcome]) -> dict[str, Scores]:
    """Scores by task (``detect``), and by task and size class (``detect <5 %``) where a class is known."""
    parts: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        parts[outcome.query.task].append(outcome)
        if outcome.size is not None:
            parts[f"{outcome.query.task} {outcome.size}"].append(outcome)
    return {name: task_scores(part) for name, part in sorted(parts.items())}


def task_scores(outcomes: Sequence[Outcome]) -> Scores:
    """Failures and averages of rows of one task; what is not defined on them (NaN) is left out."""
    found = failures(outcomes) | KINDS[outcomes[0].target.kind](outcomes)
    return {name: float(value) for name, value in found.items() if math.isfinite(value)}


def failures(outcomes: Sequence[Outcome]) -> Scores:
    """What goes wrong, whatever is asked.

    rows; unread: share of texts from which nothing could be read; truncated, salvaged: share that broke off, and that
    was mended or lost a part; zero: share of the rows about something there that are answered by nothing (the zero
    cases of arXiv 2505.16647: an unread text is one); invented: share of those about nothing that are answered by
    something; distinct, distinct_true: how many different answers there are, and how many true ones; commonest: the
    share of the commonest answer.
    """
    there = [o for o in outcomes if is_negative(Ask(o.query, o.target)) is False]
    absent = [o for o in outcomes if is_negative(Ask(o.query, o.target)) is True]
    answers = Counter(o.answer for o in outcomes)
    return {
        "rows": len(outcomes),
        "unread": mean([o.said.target is None for o in outcomes]),
        "truncated": mean(["truncated" in o.said.marks for o in outcomes]),
        "salvaged": mean([o.said.target is not None and bool(o.said.marks) for o in outcomes]),
        "zero": mean([o.silent for o in there]),
        "invented": mean([not o.silent for o in absent]),
        "distinct": len(answers),
        "distinct_true": len({o.target.model_dump_json() for o in outcomes}),
        "commonest": ratio(max(answers.values(), default=0), len(outcomes)),
    }


def _counts(outcomes: Sequence[Outcome]) -> Scores:
    found: list[Any] = [o.said.target for o in outcomes]
    true: list[Any] = [o.target for o in outcomes]
    scores = count_scores([None if f is None else f.count for f in found], [t.count for t in true])
    return {"mae": scores.mae, "honest_mae": scores.honest_mae, "exact": scores.exact}


def _points(outcomes: Sequence[Outcome]) -> Scores:
    scores = point_scores(*_lists(outcomes, "points", "point_xy_px"))
    names = ("matching_accuracy", "distance_px", "precision", "recall", "f1")
    return {name: getattr(scores, name) for name in names}


def _boxes(outcomes: Sequence[Outcome]) -> Scores:
    scores = box_scores(*_lists(outcomes, "boxes", "box_xyxy_px"))
    return {name: getattr(scores, name) for name in ("iou", "true_iou", "map50", "precision", "recall", "f1")}


def _lists(outcomes: Sequence[Outcome], items: str, field: str) -> tuple[list[Any], list[Any]]:
    """Coordinates that were read (None for an unread text), and the true ones, a list a row."""

    def taken(target: Any) -> Any:
        return None if target is None else [getattr(item, field) for item in getattr(target, items)]

    return [taken(o.said.target) for o in outcomes], [taken(o.target) for o in outcomes]


def _boxes_3d(outcomes: Sequence[Outcome]) -> Scores:
    return _overlaps(*_lists(outcomes, "boxes", "box_xyzxyz_voxel"), iou_matrix_3d)


def _polygons(outcomes: Sequence[Outcome]) -> Scores:
    def overlap(first: Sequence[Any], second: Sequence[Any]) -> Any:
        return np.array([[polygon_iou(a, b) for b in second] for a in first]).reshape(len(first), len(second))

    return _overlaps(*_lists(outcomes, "polygons", "polygon_xy_px"), overlap)


def _overlaps(found: Sequence[Any], true: Sequence[Any], overlap: Callable[[Any, Any], Any]) -> Scores:
    """``iou`` and ``true_iou`` as in ``box_scores``, of other shapes than boxes in a plane."""
    best: list[float] = []
    partners: list[float] = []
    for guess, truth in zip(found, true, strict=True):
        matrix = np.zeros((len(guess or ()), len(truth)))
        if matrix.size:
            matrix = overlap(guess, truth)
        pairs = assign(matrix, matrix > 0)
        if guess:
            best.append(mean(matrix.max(axis=1, initial=0.0)))
        partners += [*matrix[pairs[:, 0], pairs[:, 1]].tolist(), *[0.0] * (len(truth) - len(pairs))]
    return {"iou": mean(best), "true_iou": mean(partners)}


def _landmarks(outcomes: Sequence[Outcome]) -> Scores:
    """Each landmark by its name. Distances are in stored pixels: a millimetre needs a scale, which rows may lack."""
    found, true = [], []
    for outcome in outcomes:
        said: Any = outcome.said.target
        given = {} if said is None else {item.label: item.point_xy_px for item in said.landmarks}
        for item in outcome.target.landmarks:  # type: ignore[union-attr]
            found.append([given[item.label]] if item.label in given else None)
            true.append([item.point_xy_px])
    scores = point_scores(found, true)
    return {
        "distance_px": scores.distance_px,
        "within_10_px": scores.matching_accuracy,
        "honest_within_10_px": scores.right,
    }


def _words(outcomes: Sequence[Outcome]) -> Scores:
    """Choices and texts: accuracy in the true words, and the share of the true words that were said."""
    found = [_text(o.said.target) for o in outcomes]
    true = [_text(o.target) or "" for o in outcomes]
    closed = [bool(o.query.options) for o in outcomes]
    scores = answer_scores(found, true, closed, [o.id for o in outcomes])["all"]
    right = ratio(scores.accuracy, scores.answered)
    return {
        "read_accuracy": right,
        "accuracy": scores.accuracy,
        "majority": scores.majority,
        "recall": scores.recall,
    }


def _text(target: Any) -> str | None:
    return None if target is None else str(getattr(target, "choice", None) or getattr(target, "text", ""))


def _numbers(outcomes: Sequence[Outcome]) -> Scores:
    """Rows with a true value of 0 are left out: no error is relative to it."""
    pairs: list[tuple[Any, list[float]]] = []
    for outcome in outcomes:
        truth: Any = outcome.target
        said: Any = outcome.said.target
        values = [number.value for number in truth.numbers]
        if all(values):
            pairs.append((None if said is None else [number.value for number in said.numbers], values))
    scores = number_scores([p for p, _ in pairs], [t for _, t in pairs])
    return {"mre": scores.mre, "honest_mre": scores.honest_mre, "within_10_percent": scores.within[0.1]}


KINDS: dict[str, Callable[[Sequence[Outcome]], Scores]] = {
    "points": _points,
    "boxes": _boxes,
    "boxes_3d": _boxes_3d,
    "polygons": _polygons,
    "landmarks": _landmarks,
    "count": _counts,
    "choice": _words,
    "numbers": _numbers,
    "text": _words,
    "report": _words,
}
