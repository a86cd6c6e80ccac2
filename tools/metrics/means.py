"""Means that say NaN where there is nothing, and their intervals over groups."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

Interval = tuple[float, float]


def mean(values: ArrayLike) -> float:
    """The mean of a list of numbers; NaN for an empty one."""
    array = np.asarray(values, dtype=np.float64)
    return float(array.mean()) if array.size else float("nan")


def ratio(part: float, whole: float, none: float = float("nan")) -> float:
    """Part / whole; ``none`` where whole is 0."""
    return part / whole if whole else none


def group_interval(
    values: Sequence[float], groups: Sequence[Hashable], level: float = 0.95, draws: int = 2000, seed: int = 0
) -> Interval:
    """A percentile bootstrap interval of the mean that draws whole groups: rows about one image are not independent.

    values, groups: one a row. NaN for no row; of a single group there is nothing to draw, and the interval is the mean.
    """
    if len(values) != len(groups):
        raise ValueError(f"{len(values)} values but {len(groups)} groups")
    if not values:
        return float("nan"), float("nan")
    names: dict[Hashable, int] = {}
    index = np.array([names.setdefault(group, len(names)) for group in groups])
    sums = np.bincount(index, weights=np.asarray(values, dtype=np.float64))
    counts = np.bincount(index)
    rng = np.random.default_rng(seed)
    drawn: Any = rng.integers(0, len(names), (draws, len(names)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def paired_interval(own: Sequence[float], others: Sequence[float], groups: Sequence[Hashable]) -> Interval:
    """``group_interval`` of own - others, row by row: the error of both counts, and what they have in common does not.

    own, others, groups: one a row.
    """
    return group_interval([a - b for a, b in zip(own, others, strict=True)], groups)
