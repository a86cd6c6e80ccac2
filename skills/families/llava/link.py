"""From boxes on slices to boxes in a volume: candidates that overlap from slice to slice are one object.

Voxels of the slices' plane: x and y in stored pixels, z in slices, slice k from k to k + 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fiducial.tools.geometry.boxes import containment_matrix
from fiducial.tools.record import BoxXYXY, BoxXYZXYZ

NESTED = 0.6  # share of the smaller of two sections that lies in the other, from which they are of one object
PASSED_OVER = 1  # slices on which an object may be missed


@dataclass(frozen=True)
class Candidate:
    """One box on one slice. index: of the slice in the volume; score: 0 to 1."""

    index: int
    box_xyxy_px: BoxXYXY
    score: float


@dataclass(frozen=True)
class Linked:
    """One object. box_xyzxyz_voxel: what its sections span; score: its best section's; best: that section."""

    box_xyzxyz_voxel: BoxXYZXYZ
    score: float
    best: Candidate


def nested(first: BoxXYXY, second: BoxXYXY) -> float:
    """The share of the smaller box that lies in the other: sections of one body shrink towards its ends."""
    inside = containment_matrix([first], [second])[0, 0], containment_matrix([second], [first])[0, 0]
    return float(max(inside))


def link(candidates: Sequence[Candidate], indices: Sequence[int], threshold: float) -> list[Linked]:
    """Objects in order of falling score.

    indices: all slices that were looked at, rising; threshold: what an object's best section has to reach (its others
    may be a half as sure). In x and y an object spans what its surer sections span.
    """
    place = {index: n for n, index in enumerate(indices)}
    left = sorted(candidates, key=lambda c: -c.score)
    found: list[Linked] = []
    while left and left[0].score >= threshold:
        chain = _grown(left[0], [c for c in left[1:] if c.score >= threshold / 2], place)
        left = [c for c in left if c not in chain and not _within(c, chain)]
        found.append(_spanned(chain, indices, place))
    return found


def _grown(seed: Candidate, others: Sequence[Candidate], place: dict[int, int]) -> list[Candidate]:
    """The seed with the best fitting candidate of each slice above and below, until too many have none."""
    chain = [seed]
    for step in (1, -1):
        last, missed = seed, 0
        at = place[seed.index] + step
        while 0 <= at < len(place) and missed <= PASSED_OVER:
            near = [c for c in others if place[c.index] == at]
            best = max(near, key=lambda c: nested(last.box_xyxy_px, c.box_xyxy_px), default=None)
            if best is not None and nested(last.box_xyxy_px, best.box_xyxy_px) >= NESTED:
                chain.append(best)
                last, missed = best, 0
            else:
                missed += 1
            at += step
    return sorted(chain, key=lambda c: c.index)


def _within(candidate: Candidate, chain: Sequence[Candidate]) -> bool:
    """Whether it is a second candidate for a section of the chain."""
    same = [c for c in chain if c.index == candidate.index]
    return any(nested(c.box_xyxy_px, candidate.box_xyxy_px) >= NESTED for c in same)


def _spanned(chain: Sequence[Candidate], indices: Sequence[int], place: dict[int, int]) -> Linked:
    """Its box: the sections' outermost sides, and slices half-way to the next that was looked at and shows nothing."""
    best = max(chain, key=lambda c: c.score)
    sure = np.array([c.box_xyxy_px for c in chain if c.score >= best.score / 2])
    x0, y0 = (float(v) for v in sure[:, :2].min(axis=0))
    x1, y1 = (float(v) for v in sure[:, 2:].max(axis=0))
    first, last = place[chain[0].index], place[chain[-1].index]
    z0 = float(chain[0].index) - (_gap(indices, first, -1) - 1) / 2
    z1 = float(chain[-1].index) + 1 + (_gap(indices, last, 1) - 1) / 2
    return Linked((x0, y0, z0, x1, y1, z1), best.score, best)


def _gap(indices: Sequence[int], at: int, step: int) -> int:
    """How many slices on the next one is that was looked at; 1 at the end of the volume."""
    return abs(indices[at + step] - indices[at]) if 0 <= at + step < len(indices) else 1
