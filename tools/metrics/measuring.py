"""Sizes, distances and angles: MedVision's errors (arXiv 2511.18676) over what could be read, and over everything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fiducial.tools.metrics.means import mean, ratio

WITHIN = (0.1, 0.2, 0.3)


@dataclass(frozen=True)
class NumberScores:
    """Scores of measurements.

    mae (in the unit given), mre (1 is 100 %): over the samples that could be read, as the paper has them; success:
    the share of those. within: the share of *all* samples whose relative error is below 0.1, 0.2, 0.3.

    honest_mae, honest_mre: over all samples, where one that could not be read counts as an answer of 0: its error is
    the true value, its relative error 1. distinct: how many different answers there were, commonest: the share of the
    commonest one. Few answers to many questions are a collapse that a mean does not show.
    """

    samples: int
    success: float
    mae: float
    mre: float
    within: dict[float, float]
    honest_mae: float
    honest_mre: float
    distinct: int
    commonest: float


def number_scores(predicted: Sequence[Sequence[float] | None], true: Sequence[Sequence[float]]) -> NumberScores:
    """Score measurements: one or more numbers a sample (the two axes), whose errors are averaged within the sample.

    An answer with another number of numbers, or one that is not finite, could not be read. Raises ValueError for a true
    value of 0, to which no error is relative, and for other lengths.
    """
    absolute, relative, read, answers = [], [], [], []
    for guess, truth in zip(predicted, true, strict=True):
        target = np.asarray(truth, dtype=np.float64)
        if not target.size or not np.isfinite(target).all() or (target == 0).any():
            raise ValueError(f"true values {list(truth)} are not finite and other than 0")
        value = None if guess is None else np.asarray(guess, dtype=np.float64)
        usable = value is not None and value.shape == target.shape and bool(np.isfinite(value).all())
        error = np.abs((value if usable and value is not None else np.zeros_like(target)) - target)
        absolute.append(float(error.mean()))
        relative.append(float((error / np.abs(target)).mean()))
        read.append(usable)
        if usable and value is not None:
            answers.append(tuple(value.tolist()))
    chosen = np.asarray(read, dtype=bool)
    counts = Counter(answers)
    return NumberScores(
        samples=len(read),
        success=mean(chosen),
        mae=mean(np.asarray(absolute)[chosen]),
        mre=mean(np.asarray(relative)[chosen]),
        within={limit: mean(chosen & (np.asarray(relative) < limit)) for limit in WITHIN},
        honest_mae=mean(absolute),
        honest_mre=mean(relative),
        distinct=len(counts),
        commonest=ratio(max(counts.values(), default=0), len(answers)),
    )
