"""One-to-one matching of two sets, optimal in the number of pairs first and in their quality second."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fiducial.tools.geometry.boxes import iou_matrix

FEW = 1 << 14  # entries: below, sorting out what is decided takes longer than deciding
CONTESTED = 0.6  # allowed pairs for each row and column: above, hardly anything is decided


@dataclass(frozen=True)
class Matching:
    """pairs: (K, 2) indices (first, second); quality: (K,) IoU or distance of each pair, in the order of ``pairs``."""

    pairs: NDArray[np.intp]
    quality: NDArray[np.float64]
    first_count: int
    second_count: int

    @property
    def unmatched_first(self) -> list[int]:
        """Indices of the first set that have no partner."""
        return sorted(set(range(self.first_count)) - {int(i) for i in self.pairs[:, 0]})

    @property
    def unmatched_second(self) -> list[int]:
        """Indices of the second set that have no partner."""
        return sorted(set(range(self.second_count)) - {int(i) for i in self.pairs[:, 1]})

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, in [0, 1]; 1 where both sets are empty."""
        total = self.first_count + self.second_count
        return 2.0 * len(self.pairs) / total if total else 1.0


def assign(benefit: NDArray[np.float64], allowed: NDArray[np.bool_]) -> NDArray[np.intp]:
    """(K, 2) pairs: the most allowed pairs possible and, among those, the greatest sum of benefit.

    benefit, allowed: (N, M); a benefit is 0 to 1, also where it is not allowed. In a large matrix, what is decided
    already is not asked about: a row and a column that allow only each other are a pair, and only the others go to
    ``scipy.optimize.linear_sum_assignment``, whose time grows with the cube of its side
    (``benchmarks/geometry_speed.py`` has the ratio).
    """
    if allowed.size <= FEW or np.count_nonzero(allowed) > CONTESTED * sum(allowed.shape):
        return _most(benefit, allowed)
    rows, columns = np.divmod(np.flatnonzero(allowed), max(1, allowed.shape[1]))
    if not len(rows):
        return np.empty((0, 2), dtype=np.intp)
    alone = (np.bincount(rows)[rows] == 1) & (np.bincount(columns)[columns] == 1)
    pairs = np.stack([rows, columns], axis=1)
    if alone.all():
        return pairs
    rest = pairs[~alone]
    rows, columns = np.unique(rest[:, 0]), np.unique(rest[:, 1])
    block = np.ix_(rows, columns)
    contested = _most(benefit[block], allowed[block])
    found = np.concatenate([pairs[alone], np.stack([rows[contested[:, 0]], columns[contested[:, 1]]], axis=1)])
    return found[np.argsort(found[:, 0], kind="stable")]


def _most(benefit: NDArray[np.float64], allowed: NDArray[np.bool_]) -> NDArray[np.intp]:
    """``assign`` for a matrix that is contested throughout."""
    from scipy.optimize import linear_sum_assignment

    # One more allowed pair must outweigh any change of benefit among the others, which is at most their number.
    # As costs, made in place: scipy copies a matrix that it is to maximise, and ``np.where`` branches at every entry.
    cost = np.subtract(-1.0 - min(benefit.shape), benefit)
    cost *= allowed
    rows, columns = linear_sum_assignment(cost)
    kept = allowed[rows, columns]
    return np.array([rows[kept], columns[kept]], dtype=np.intp).T


def match_by_iou(first_xyxy: ArrayLike, second_xyxy: ArrayLike, min_iou: float = 0.5) -> Matching:
    """Match boxes one to one; a pair needs an IoU of at least ``min_iou`` (and above 0).

    first_xyxy: (N, 4); second_xyxy: (M, 4); invalid boxes stay unmatched.
    """
    iou = iou_matrix(first_xyxy, second_xyxy)
    pairs = assign(iou, (iou >= min_iou) & (iou > 0.0))
    return Matching(pairs, iou[pairs[:, 0], pairs[:, 1]], *iou.shape)


def match_by_distance(first_xy: ArrayLike, second_xy: ArrayLike, max_distance: float) -> Matching:
    """Match points one to one; a pair may be at most ``max_distance`` apart (unit of the points).

    first_xy: (N, 2); second_xy: (M, 2); non-finite points stay unmatched. Of as many pairs, the least sum of distances.
    """
    a = np.asarray(first_xy, dtype=np.float64).reshape(-1, 2)
    b = np.asarray(second_xy, dtype=np.float64).reshape(-1, 2)
    distance = np.linalg.norm(a[:, None] - b[None], axis=2)
    allowed = distance <= max_distance  # False for NaN
    # By the greatest distance that there is, not by the limit, which may be endless and would make all alike.
    most = float(distance.max(where=allowed & np.isfinite(distance), initial=np.finfo(float).tiny))
    benefit = 1.0 - np.divide(distance, most, where=allowed, out=np.ones_like(distance))
    pairs = assign(benefit, allowed)
    return Matching(pairs, distance[pairs[:, 0], pairs[:, 1]], *distance.shape)
