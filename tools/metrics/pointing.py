"""Points: matching accuracy and zero cases of Point, Detect, Count (arXiv 2505.16647), and a one-to-one matching."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fiducial.tools.geometry.matching import match_by_distance
from fiducial.tools.metrics.means import mean, ratio
from fiducial.tools.record import PointXY

NEAR_PX = 10.0


@dataclass(frozen=True)
class PointScores:
    """Scores of lists of points.

    distance_px, matching_accuracy, zero_cases: the paper's. Over the samples with a prediction, the mean distance from
    a predicted point to the nearest true one, and the share of predictions under ``near_px`` from some true point: many
    to one, misses unpunished; zero_cases counts the samples without a prediction, which are skipped.

    precision, recall, f1: the honest twin. One-to-one pairs under near_px, over the points of all samples; missed and
    invented are the points without a partner. right: share of samples in which every point has one, and which could be
    read. unread: samples that could not be read; all their true points are missed.
    """

    samples: int
    near_px: float
    distance_px: float
    matching_accuracy: float
    zero_cases: int
    precision: float
    recall: float
    f1: float
    missed: int
    invented: int
    right: float
    unread: int


def _nearest(predicted: Sequence[PointXY], true: Sequence[PointXY]) -> np.ndarray:
    """(N,) the distance of each predicted point to the nearest true one; infinite where there is none."""
    a, b = (np.asarray(points, dtype=np.float64).reshape(-1, 2) for points in (predicted, true))
    distance = np.linalg.norm(a[:, None] - b[None], axis=2)
    return np.asarray(distance.min(axis=1, initial=np.inf))


def point_scores(
    predicted: Sequence[Sequence[PointXY] | None], true: Sequence[Sequence[PointXY]], near_px: float = NEAR_PX
) -> PointScores:
    """Score points. predicted, true: points in stored pixels, a list a sample. Raises ValueError for other lengths."""
    accuracies, distances, right = [], [], []
    matched = missed = invented = zero = unread = 0
    for guess, truth in zip(predicted, true, strict=True):
        points = guess or ()
        unread += guess is None
        zero += not points
        if points:
            nearest = _nearest(points, truth)
            accuracies.append(float((nearest < near_px).mean()))
            if truth:
                distances.append(float(nearest.mean()))
        pairs = match_by_distance(points, truth, np.nextafter(near_px, 0.0)).pairs
        matched += len(pairs)
        missed += len(truth) - len(pairs)
        invented += len(points) - len(pairs)
        right.append(guess is not None and len(points) == len(truth) == len(pairs))
    return PointScores(
        samples=len(true),
        near_px=near_px,
        distance_px=mean(distances),
        matching_accuracy=mean(accuracies),
        zero_cases=zero,
        precision=ratio(matched, matched + invented),
        recall=ratio(matched, matched + missed),
        f1=ratio(2 * matched, 2 * matched + missed + invented),
        missed=missed,
        invented=invented,
        right=mean(right),
        unread=unread,
    )
