"""Boxes ``x0, y0, x1, y1`` (or ``x0, y0, z0, x1, y1, z1``), half-open, in any one frame.

Validity, area, volume, intersection over union, containment, gaps, suppression; everything for all pairs at once.
``shapely`` has none of it in three dimensions, takes an inverted box for a good one (trap 15), and builds an object a
box: its IoU of all pairs is hundreds of times slower (``benchmarks/geometry_speed.py``).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
BLOCK = 1 << 15  # pairs at a time
FEW = 1 << 10  # pairs
TINY = np.finfo(np.float64).tiny
VAST = 1e300  # of a size: beyond, a sum of sizes may not be finite; such a box is treated as one that is not


def as_boxes(boxes_xyxy: ArrayLike, dimensions: int = 2) -> Floats:
    """Boxes as a float array (N, 2 · dimensions); an empty list gives no rows. Raises ValueError for other shapes."""
    boxes = np.asarray(boxes_xyxy, dtype=np.float64)
    if boxes.size == 0:
        return boxes.reshape(0, 2 * dimensions)
    if boxes.ndim != 2 or boxes.shape[1] != 2 * dimensions:
        raise ValueError(f"boxes must have shape (N, {2 * dimensions}), got {boxes.shape}")
    return boxes


def valid_boxes(boxes: ArrayLike, dimensions: int = 2) -> NDArray[np.bool_]:
    """(N,) whether each box is finite and has x0 < x1, y0 < y1 (and z0 < z1).

    Written so that a NaN is invalid (``nan < 1`` is False) and so is an inverted box, whose naive area can be positive.
    """
    array = as_boxes(boxes, dimensions)
    ordered = (array[:, :dimensions] < array[:, dimensions:]).all(axis=1)
    return np.asarray(ordered & np.isfinite(array).all(axis=1))


def box_areas(boxes_xyxy: ArrayLike) -> Floats:
    """(N,) areas; 0 for an invalid box."""
    return _valid_sizes(as_boxes(boxes_xyxy), 2)


def box_volumes(boxes_xyzxyz: ArrayLike) -> Floats:
    """(N,) volumes, in the cubed unit of the boxes; 0 for an invalid box."""
    return _valid_sizes(as_boxes(boxes_xyzxyz, 3), 3)


def _valid_sizes(boxes: Floats, dimensions: int) -> Floats:
    with np.errstate(invalid="ignore", over="ignore"):
        return np.where(valid_boxes(boxes, dimensions), _sizes(boxes.T, dimensions), 0.0)


def iou_matrix(first_xyxy: ArrayLike, second_xyxy: ArrayLike) -> Floats:
    """Intersection over union of every pair, (N, M), in [0, 1]; 0 wherever one of the two boxes is invalid."""
    return _iou(as_boxes(first_xyxy), as_boxes(second_xyxy), 2)


def iou_matrix_3d(first_xyzxyz: ArrayLike, second_xyzxyz: ArrayLike) -> Floats:
    """The same of upright boxes in space, (N, 6) and (M, 6)."""
    return _iou(as_boxes(first_xyzxyz, 3), as_boxes(second_xyzxyz, 3), 3)


def _iou(a: Floats, b: Floats, dimensions: int) -> Floats:
    """All pairs. What is not finite would spoil its row, and is taken out only where it shows in a sum."""
    with np.errstate(invalid="ignore", over="ignore"):
        iou = (_iou_few if len(a) * len(b) <= FEW else _iou_many)(a, b, dimensions)
    return _iou(_finite(a, dimensions), _finite(b, dimensions), dimensions) if iou is None else iou


def _iou_few(a: Floats, b: Floats, dimensions: int) -> Floats | None:
    """Numpy spends more on setting up one broadcast than on a hundred pairs, so the boxes are spread once for all."""
    both = np.empty((2, 2 * dimensions, len(a), len(b)))
    both[0], both[1] = a.T[:, :, None], b.T[:, None]
    starts, ends = both[:, :dimensions], both[:, dimensions:]
    extents = ends - starts
    sizes = extents[:, 0]
    for axis in range(1, dimensions):
        sizes *= extents[:, axis]
    if not math.isfinite(np.add.reduce(sizes, axis=None)):
        return None
    sides = np.minimum(ends[0], ends[1])
    sides -= np.maximum(starts[0], starts[1])
    np.maximum(sides, 0.0, out=sides)
    shared = sides[0]
    for axis in range(1, dimensions):
        shared *= sides[axis]
    return _share(shared, np.add(sizes[0], sizes[1], out=sizes[0]))


def _iou_many(a: Floats, b: Floats, dimensions: int) -> Floats | None:
    """Block by block of rows, so that what is computed of a block stays in the processor's cache."""
    size_a, size_b = _sizes(a.T[:, :, None], dimensions), _sizes(b.T, dimensions)
    if not math.isfinite(size_a.sum() + size_b.sum()):
        return None
    first, second = a.T[:, :, None], np.ascontiguousarray(b.T)[:, None]
    iou = np.empty((len(a), len(b)))
    rows = max(1, BLOCK // len(b))
    for start in range(0, len(a), rows):
        part = slice(start, start + rows)
        np.add(size_a[part], size_b, out=iou[part])
        _share(_overlap(first[:, part], second), iou[part])
    return iou


def _share(shared: Floats, sizes: Floats) -> Floats:
    """What is shared over the union, into ``sizes``. At most 1, rounding included: shared is at most half of sizes."""
    sizes -= shared
    np.maximum(sizes, TINY, out=sizes)  # of two boxes without an area: 0, not 0/0
    return np.divide(shared, sizes, out=sizes)


def _overlap(a: Floats, b: Floats) -> Floats:
    """(N, M) the part that each pair shares: the product over the axes of min(ends) - max(starts), if positive.

    An inverted box overlaps nothing by itself: its sides end before they begin.
    """
    half = len(b) // 2
    shared: Floats | None = None
    for start, end in zip(range(half), range(half, 2 * half), strict=True):
        side = np.minimum(a[end], b[end])
        side -= np.maximum(a[start], b[start])
        np.maximum(side, 0.0, out=side)
        shared = side if shared is None else np.multiply(shared, side, out=shared)
    return np.asarray(shared)


def _sizes(coordinates: Floats, dimensions: int) -> Floats:
    """The product of the sides, of coordinates (2 · dimensions, …): negative or positive for an inverted box."""
    size = coordinates[dimensions] - coordinates[0]
    for axis in range(1, dimensions):
        size *= coordinates[dimensions + axis] - coordinates[axis]
    return np.asarray(size)


def _finite(boxes: Floats, dimensions: int) -> Floats:
    """Boxes with nothing at the origin in place of each that is not finite, which would spoil a whole row."""
    with np.errstate(invalid="ignore", over="ignore"):
        sound = valid_boxes(boxes, dimensions) & (_sizes(boxes.T, dimensions) < VAST)
    return np.where(sound[:, None], boxes, 0.0)


def containment_matrix(inner_xyxy: ArrayLike, outer_xyxy: ArrayLike) -> Floats:
    """(N, M) the share of each inner box's area that lies in each outer box, in [0, 1]; 0 where one is invalid."""
    inner, outer = as_boxes(inner_xyxy), as_boxes(outer_xyxy)
    inner, outer = _finite(inner, 2), _finite(outer, 2)
    size = np.maximum(_sizes(inner.T, 2), TINY)
    return np.asarray(np.minimum(_overlap(inner.T[:, :, None], outer.T[:, None]) / size[:, None], 1.0))


def gap_matrix(first_xyxy: ArrayLike, second_xyxy: ArrayLike, row_mm: float = 1.0, column_mm: float = 1.0) -> Floats:
    """(N, M) the shortest distance between each pair of boxes, in world space; 0 where they touch or overlap.

    NaN wherever one of the two is invalid: such a box is nowhere.
    """
    step = np.array([column_mm, row_mm, column_mm, row_mm])
    a, b = as_boxes(first_xyxy) * step, as_boxes(second_xyxy) * step
    with np.errstate(invalid="ignore"):
        gaps = np.maximum(a[:, None, :2] - b[None, :, 2:], b[None, :, :2] - a[:, None, 2:])
        distance = np.hypot(*np.moveaxis(np.maximum(gaps, 0.0), 2, 0))
    return np.where(valid_boxes(a)[:, None] & valid_boxes(b)[None], distance, np.nan)


def non_maximum_suppression(boxes_xyxy: ArrayLike, scores: ArrayLike, max_iou: float) -> NDArray[np.intp]:
    """Indices of the boxes kept, best score first: each overlaps every better kept box by at most ``max_iou``.

    boxes_xyxy: (N, 4); scores: (N,). Invalid boxes and NaN scores are never kept; ties keep the earlier box.
    """
    boxes, score = as_boxes(boxes_xyxy), np.asarray(scores, dtype=np.float64)
    usable = np.flatnonzero(valid_boxes(boxes) & ~np.isnan(score))
    order = usable[np.argsort(-score[usable], kind="stable")]
    clash = iou_matrix(boxes[order], boxes[order]) > max_iou
    kept: list[int] = []
    suppressed = np.zeros(len(order), dtype=bool)
    for position in range(len(order)):
        if not suppressed[position]:
            kept.append(position)
            suppressed |= clash[position]
    return np.asarray(order[kept], dtype=np.intp)
