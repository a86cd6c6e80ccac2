"""Counts: mean absolute and squared error of Point, Detect, Count (arXiv 2505.16647), and with what was not read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fiducial.tools.metrics.means import mean


@dataclass(frozen=True)
class CountScores:
    """mae, mse: over the samples that could be read, as the paper has them. parsed: the share of those.

    honest_mae, honest_mse: over all samples; one that could not be read errs by its true count, and by 1 where that is
    0, so that saying nothing is never right. exact: share of all samples with the true count.
    """

    samples: int
    parsed: float
    mae: float
    mse: float
    honest_mae: float
    honest_mse: float
    exact: float


def count_scores(predicted: Sequence[int | None], true: Sequence[int]) -> CountScores:
    """Score counts. predicted, true: one a sample, in the same order. Raises ValueError for other lengths."""
    pairs = list(zip(predicted, true, strict=True))
    read = [abs(p - t) for p, t in pairs if p is not None]
    every = [max(t, 1) if p is None else abs(p - t) for p, t in pairs]
    return CountScores(
        samples=len(pairs),
        parsed=mean([p is not None for p, _ in pairs]),
        mae=mean(read),
        mse=mean(np.square(read)),
        honest_mae=mean(every),
        honest_mse=mean(np.square(every)),
        exact=mean([p == t for p, t in pairs]),
    )
