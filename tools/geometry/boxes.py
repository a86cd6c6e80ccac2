"""Boxes ``x0, y0, x1, y1``, half-open, in any one frame: validity, area, intersection over union, suppression."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def as_boxes(boxes_xyxy: ArrayLike) -> Floats:
    """Boxes as a float array (N, 4); an empty list gives (0, 4). Raises ValueError for any other shape."""
    boxes = np.asarray(boxes_xyxy, dtype=np.float64)
    if boxes.size == 0:
        return boxes.reshape(0, 4)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"boxes must have shape (N, 4), got {boxes.shape}")
    return boxes


def valid_boxes(boxes_xyxy: ArrayLike) -> NDArray[np.bool_]:
    """(N,) whether each box is finite and has x0 < x1 and y0 < y1.

    Written so that a NaN is invalid (``nan < 1`` is False) and so is an inverted box, whose naive area can be positive.
    """
    boxes = as_boxes(boxes_xyxy)
    ordered = (boxes[:, 0] < boxes[:, 2]) & (boxes[:, 1] < boxes[:, 3])
    return np.asarray(ordered & np.isfinite(boxes).all(axis=1))


def box_areas(boxes_xyxy: ArrayLike) -> Floats:
    """(N,) areas; 0 for an invalid box."""
    boxes = as_boxes(boxes_xyxy)
    with np.errstate(invalid="ignore"):
        areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return np.where(valid_boxes(boxes), areas, 0.0)


def iou_matrix(first_xyxy: ArrayLike, second_xyxy: ArrayLike) -> Floats:
    """Intersection over union of every pair, (N, M), in [0, 1]; 0 wherever one of the two boxes is invalid."""
    a, b = as_boxes(first_xyxy), as_boxes(second_xyxy)
    with np.errstate(invalid="ignore", divide="ignore"):
        width = np.minimum(a[:, None, 2], b[None, :, 2])
        width -= np.maximum(a[:, None, 0], b[None, :, 0])
        height = np.minimum(a[:, None, 3], b[None, :, 3])
        height -= np.maximum(a[:, None, 1], b[None, :, 1])
        np.maximum(width, 0.0, out=width)
        np.maximum(height, 0.0, out=height)
        inter = np.multiply(width, height, out=width)
        iou = inter / (box_areas(a)[:, None] + box_areas(b)[None, :] - inter)
    both_valid = valid_boxes(a)[:, None] & valid_boxes(b)[None, :]
    return np.where(both_valid, np.clip(iou, 0.0, 1.0), 0.0)


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
