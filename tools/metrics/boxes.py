"""Boxes: the average precisions and best-IoU of Point, Detect, Count, and the overlaps of MedVision by size class.

Both papers flatter: the first skips samples without a prediction, the second those that could not be read. Beside each
stands a figure over all samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fiducial.tools.geometry.boxes import box_areas, iou_matrix
from fiducial.tools.geometry.matching import match_by_iou
from fiducial.tools.metrics.means import mean, ratio
from fiducial.tools.metrics.size_classes import SIZE_CLASSES, size_class
from fiducial.tools.record import BoxXYXY

THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
RECALLS = np.linspace(0.0, 1.0, 101)
Boxes = Sequence[BoxXYXY]


@dataclass(frozen=True)
class BoxScores:
    """Scores of lists of boxes.

    map, map50, map75, iou: the paper's (arXiv 2505.16647), class-agnostic, every score 1: predictions keep their order.
    iou: over the samples with a prediction, the mean over predictions of the best IoU with a true box; zero_cases
    counts the samples without one.

    precision, recall, f1: one-to-one pairs at IoU 0.5 over the boxes of all samples; missed, invented: boxes without a
    partner; true_iou: the mean over all true boxes of the IoU with their partner, 0 for a missed one. unread: samples
    that could not be read.
    """

    samples: int
    map: float
    map50: float
    map75: float
    iou: float
    zero_cases: int
    precision: float
    recall: float
    f1: float
    missed: int
    invented: int
    true_iou: float
    unread: int


def average_precision(predicted: Sequence[Boxes], true: Sequence[Boxes], min_iou: float) -> float:
    """COCO's average precision at 101 recalls, of predictions that all have the score 1, taken in the order given.

    Each takes the free true box of its sample that it overlaps most, if by at least min_iou. NaN without a true box.
    """
    total = sum(len(boxes) for boxes in true)
    if not total:
        return float("nan")
    hits: list[bool] = []
    for guess, truth in zip(predicted, true, strict=True):
        overlap = iou_matrix(guess, truth)
        for row in overlap:
            best = int(row.argmax()) if row.size else -1
            hit = best >= 0 and bool(row[best] >= min_iou)
            hits.append(hit)
            if hit:
                overlap[:, best] = -1.0
    found = np.cumsum(hits)
    recall = found / total
    precision = found / np.arange(1, len(hits) + 1)
    best_after = np.maximum.accumulate(precision[::-1])[::-1]
    place = np.searchsorted(recall, RECALLS, side="left")
    return float(np.append(best_after, 0.0)[place].mean())


def box_scores(predicted: Sequence[Boxes | None], true: Sequence[Boxes]) -> BoxScores:
    """Score boxes in stored pixels, a list a sample. Raises ValueError for other lengths."""
    read = [guess or () for guess in predicted]
    by_threshold = [average_precision(read, true, threshold) for threshold in THRESHOLDS]
    matched = missed = invented = 0
    best, of_true = [], []
    for guess, truth in zip(read, true, strict=True):
        if guess:
            best.append(mean(iou_matrix(guess, truth).max(axis=1, initial=0.0)))
        half = len(match_by_iou(guess, truth, 0.5).pairs)
        matched, missed, invented = matched + half, missed + len(truth) - half, invented + len(guess) - half
        partners = match_by_iou(guess, truth, 0.0).quality
        of_true += [*map(float, partners), *[0.0] * (len(truth) - len(partners))]
    return BoxScores(
        samples=len(true),
        map=mean(by_threshold),
        map50=by_threshold[0],
        map75=by_threshold[THRESHOLDS.index(0.75)],
        iou=mean(best),
        zero_cases=sum(not guess for guess in read),
        precision=ratio(matched, matched + invented),
        recall=ratio(matched, matched + missed),
        f1=ratio(2 * matched, 2 * matched + missed + invented),
        missed=missed,
        invented=invented,
        true_iou=mean(of_true),
        unread=sum(guess is None for guess in predicted),
    )


@dataclass(frozen=True)
class OverlapScores:
    """MedVision's (arXiv 2511.18676), of one box a sample, by areas.

    precision is the shared part of the predicted box, recall that of the true one, f1 the Dice coefficient; each the
    mean over the samples that could be read (``read``) and over all of them, where one that could not be read has 0
    (``all``). success: share that could be read.
    """

    samples: int
    success: float
    read: dict[str, float]
    all: dict[str, float]


NAMES = ("precision", "recall", "f1", "iou")


def overlap(predicted: BoxXYXY, true: BoxXYXY) -> tuple[float, float, float, float]:
    """Precision, recall, Dice and IoU of two boxes by their areas; zeros for an unsound predicted box."""
    area, area_true = (float(box_areas([box])[0]) for box in (predicted, true))
    iou = float(iou_matrix([predicted], [true])[0, 0])
    shared = iou * (area + area_true) / (1.0 + iou)
    return ratio(shared, area, 0.0), ratio(shared, area_true, 0.0), 2.0 * iou / (1.0 + iou), iou


def overlap_scores(
    predicted: Sequence[BoxXYXY | None], true: Sequence[BoxXYXY], sizes_px: Sequence[tuple[int, int]]
) -> dict[str, OverlapScores]:
    """Scores over all samples (key ``all``) and by the true box's share of the image. sizes_px: width and height."""
    by_class: dict[str, list[tuple[float, ...] | None]] = {"all": [], **{name: [] for name in SIZE_CLASSES}}
    for guess, truth, (width, height) in zip(predicted, true, sizes_px, strict=True):
        score = None if guess is None else overlap(guess, truth)
        share = float(box_areas([truth])[0]) / (width * height)
        for name in ("all", size_class(share)):
            by_class[name].append(score)
    return {name: _summary(scores) for name, scores in by_class.items()}


def _summary(scores: Sequence[tuple[float, ...] | None]) -> OverlapScores:
    read = [score for score in scores if score is not None]
    every = [score or (0.0,) * len(NAMES) for score in scores]
    return OverlapScores(
        samples=len(scores),
        success=ratio(len(read), len(scores)),
        read={name: mean([score[i] for score in read]) for i, name in enumerate(NAMES)},
        all={name: mean([score[i] for score in every]) for i, name in enumerate(NAMES)},
    )
