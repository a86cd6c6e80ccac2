"""Areas, boxes and ellipses of one label in every slice of one plane, all slices at once.

A mask is summed along each of its axes, with and without the index along that axis as a weight; every count, first and
second moment of every slice follows from these sums. That is a few matrix products a label in place of one
``regionprops`` a slice and plane (``benchmarks/derive_speed.py`` has the ratio).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class AxisSums:
    """A mask (I, J, K) summed along each axis: counts[a] has the other two axes, firsts[a] is Σ index along a."""

    counts: tuple[Floats, Floats, Floats]
    firsts: tuple[Floats, Floats, Floats]


def axis_sums(mask: NDArray[np.bool_]) -> AxisSums:
    """Sums of a mask along its axes. Exact: in single precision up to 2^24, which 4,096 voxels in a row stay under."""
    values = np.ascontiguousarray(mask, dtype=np.float32)
    i, j, k = values.shape
    weights = [np.stack([np.ones(side), np.arange(side)]).astype(np.float32) for side in (i, j, k)]
    first = (weights[0] @ values.reshape(i, j * k)).reshape(2, j, k)
    second = np.matmul(weights[1], values).swapaxes(0, 1)
    third = (values.reshape(i * j, k) @ weights[2].T).reshape(i, j, 2)
    counts = (first[0], second[0], third[..., 0])
    firsts = (first[1], second[1], third[..., 1])
    return AxisSums(
        (counts[0].astype(np.float64), counts[1].astype(np.float64), counts[2].astype(np.float64)),
        (firsts[0].astype(np.float64), firsts[1].astype(np.float64), firsts[2].astype(np.float64)),
    )


@dataclass(frozen=True, eq=False)
class PlaneFits:
    """One label in the slices of one plane that hold it. Pixels are those of the slice, its axes two of the volume's.

    slices: (N,) indices. area_px: (N,) pixels. box_xyxy_px: (N, 4), half-open. center_xy_px: (N, 2).
    axes: (N, 2) full major and minor axis, and angle_deg: (N,) from +x towards +y to the major one, of the ellipse
    with the same area moments, in world space (mm).
    """

    slices: Ints
    area_px: Ints
    box_xyxy_px: Ints
    center_xy_px: Floats
    axes: Floats
    angle_deg: Floats


def plane_fits(
    sums: AxisSums, offset: tuple[int, int, int], axes: tuple[int, int, int], steps_mm: tuple[float, float]
) -> PlaneFits:
    """The fits of a mask, cut out of its volume at ``offset`` (i, j, k), in the slices across ``axes[0]``.

    axes: the voxel axes across, along x and along y. steps_mm: (column_mm, row_mm), the steps along x and y.
    """
    across, along_x, along_y = axes
    by_x = _oriented(sums.counts[along_y], across, along_x)  # (slice, x): summed along y
    by_y = _oriented(sums.counts[along_x], across, along_y)
    y_by_x = _oriented(sums.firsts[along_y], across, along_x)  # (slice, x): Σ y
    kept = np.flatnonzero(by_x.any(axis=1))
    by_x, by_y, y_by_x = by_x[kept], by_y[kept], y_by_x[kept]
    x, y = np.arange(by_x.shape[1], dtype=np.float64), np.arange(by_y.shape[1], dtype=np.float64)
    area = by_x.sum(axis=1)
    mean_x, mean_y = by_x @ x / area, by_y @ y / area
    xx, yy = by_x @ x**2 / area - mean_x**2, by_y @ y**2 / area - mean_y**2
    xy = y_by_x @ x / area - mean_x * mean_y
    box = np.stack([*_reach(by_x, offset[along_x]), *_reach(by_y, offset[along_y])], axis=1)[:, [0, 2, 1, 3]]
    center = np.stack([mean_x + offset[along_x], mean_y + offset[along_y]], axis=1) + 0.5
    world_axes, angle = _ellipses(xx, yy, xy, *steps_mm)
    return PlaneFits(kept + offset[across], area.astype(np.int64), box, center, world_axes, angle)


def _oriented(sums: Floats, first: int, second: int) -> Floats:
    """Sums over two axes, in their order, turned so that ``first`` comes first."""
    return sums if first < second else sums.T


def _reach(counts: Floats, offset: int) -> tuple[Ints, Ints]:
    """First index and last index + 1 of what is there in each row."""
    there = counts > 0
    first = there.argmax(axis=1)
    last = there.shape[1] - there[:, ::-1].argmax(axis=1)
    return first + offset, last + offset


def _ellipses(xx: Floats, yy: Floats, xy: Floats, column_mm: float, row_mm: float) -> tuple[Floats, Floats]:
    """Full axes (N, 2) and angles (N,) of the ellipses of these index moments, each pixel a rectangle (1/12)."""
    a = (np.maximum(xx, 0.0) + 1 / 12) * column_mm**2
    b = (np.maximum(yy, 0.0) + 1 / 12) * row_mm**2
    c = xy * column_mm * row_mm
    half, spread = (a + b) / 2, np.hypot((a - b) / 2, c)
    axes = 4.0 * np.sqrt(np.stack([half + spread, np.maximum(half - spread, 0.0)], axis=1))
    return axes, np.degrees(np.arctan2(2 * c, a - b)) / 2 % 180.0
