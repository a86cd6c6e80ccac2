"""From dense heads to proposals: peaks of the heat map, their boxes, one ellipse for the head. Model-input pixels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers.utils import ModelOutput

from fiducial.skills.families.llava.marks import Marks

BOX_STRIDE, ELLIPSE_STRIDE, MASK_STRIDE = 8, 16, 8
HEAD_LABEL = 3
NMS_IOU = 0.55
MARK_BOX_PX = 12.0  # side of the box that stands for a landmark, which has none


@dataclass
class Proposals(ModelOutput):
    """Candidate regions in order of falling score; slot k is row k. Coordinates in pixels of the letterboxed input.

    box_xyxy_px (B, K, 4); label_scores (B, K, labels + landmarks) in 0–1; score (B, K): the best label's; cell_index
    (B, K): the heat map cell, row-major; ellipse (B, 5): centre x, y, semi major, semi minor in px, angle in radians
    from +x to +y, the one head's; ellipse_spread (B,): disagreement of the cells that voted for it, relative to its
    mean radius.
    """

    box_xyxy_px: Tensor = None  # type: ignore[assignment]
    label_scores: Tensor = None  # type: ignore[assignment]
    score: Tensor = None  # type: ignore[assignment]
    cell_index: Tensor = None  # type: ignore[assignment]
    ellipse: Tensor = None  # type: ignore[assignment]
    ellipse_spread: Tensor = None  # type: ignore[assignment]


def decode_boxes(box: Tensor) -> Tensor:
    """(B, 4, H, W) log distances to (B, H × W, 4) boxes x0 y0 x1 y1."""
    _, _, height, width = box.shape
    distance = box.clamp(-4, 5).exp().flatten(2).transpose(1, 2) * BOX_STRIDE
    ys, xs = torch.meshgrid(
        torch.arange(height, device=box.device), torch.arange(width, device=box.device), indexing="ij"
    )
    centre = torch.stack([xs, ys], -1).reshape(1, -1, 2).to(box.dtype).add(0.5) * BOX_STRIDE
    return torch.cat([centre - distance[..., :2], centre + distance[..., 2:]], -1)


def iou_matrix(a: Tensor, b: Tensor) -> Tensor:
    """(…, N, 4) and (…, M, 4) boxes to (…, N, M) intersection over union."""
    low = torch.maximum(a[..., :, None, :2], b[..., None, :, :2])
    high = torch.minimum(a[..., :, None, 2:], b[..., None, :, 2:])
    overlap = (high - low).clamp(min=0).prod(-1)
    area_a = (a[..., 2:] - a[..., :2]).clamp(min=0).prod(-1)
    area_b = (b[..., 2:] - b[..., :2]).clamp(min=0).prod(-1)
    return overlap / (area_a[..., :, None] + area_b[..., None, :] - overlap).clamp(min=1e-6)


def propose(
    heat: Tensor,
    box: Tensor,
    ellipse: Tensor,
    mask: Tensor,
    slots: int,
    head: int = HEAD_LABEL,
    marks: Marks | None = None,
    floor: float = 0.0,
) -> Proposals:
    """Peaks of the heat map after non-maximum suppression, and the head's ellipse put in the place of its box.

    head: the index of its label; marks: landmarks, which are proposals too; floor: see ``TowerConfig``.
    """
    scores = heat.sigmoid()
    peak = scores * (F.max_pool2d(scores, 3, 1, 1) == scores)
    best = peak.amax(1).flatten(1)
    width = heat.shape[3]
    score, cell = best.topk(min(4 * slots, best.shape[1]), dim=1)
    per_cell = scores.flatten(2).transpose(1, 2)
    labels = per_cell.gather(1, cell[..., None].expand(-1, -1, heat.shape[1]))
    boxes = vote_boxes(decode_boxes(box), per_cell, cell, labels.argmax(-1), (heat.shape[2], width))
    score = torch.where(suppressed(boxes, score) | (score < floor), torch.zeros_like(score), score)
    if marks is not None:
        boxes, labels, cell, score = with_marks(boxes, labels, cell, score, marks, (heat.shape[2], width), floor)
    score, order = score.sort(dim=1, descending=True, stable=True)
    order, score = order[:, :slots], score[:, :slots]
    boxes = boxes.gather(1, order[..., None].expand(-1, -1, 4))
    labels = labels.gather(1, order[..., None].expand(-1, -1, labels.shape[-1]))
    labels = labels * (score > 0)[..., None]
    cell = cell.gather(1, order)
    voted, spread = vote_ellipse(ellipse, scores[:, head], width)
    fitted, apart = blend_with_mask(voted, mask)
    spread = torch.hypot(spread, apart)
    is_head = (labels.argmax(-1) == head) & (score > 0)
    boxes = torch.where(is_head[..., None], ellipse_box(fitted)[:, None].expand_as(boxes), boxes)
    return Proposals(
        box_xyxy_px=boxes, label_scores=labels, score=score, cell_index=cell, ellipse=fitted, ellipse_spread=spread
    )


def with_marks(
    boxes: Tensor, labels: Tensor, cell: Tensor, score: Tensor, marks: Marks, size: tuple[int, int], floor: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Boxes, label scores, cells and scores with one row more for each landmark, under a label of its own."""
    batch, count = marks.score.shape
    seen = torch.where(marks.score < floor, torch.zeros_like(marks.score), marks.score)
    xy, half = marks.xy_px, MARK_BOX_PX / 2
    column = (xy[..., 0] / BOX_STRIDE).long().clamp(0, size[1] - 1)
    row = (xy[..., 1] / BOX_STRIDE).long().clamp(0, size[0] - 1)
    own = torch.cat([seen.new_zeros(batch, count, labels.shape[-1]), torch.diag_embed(seen)], -1)
    padded = F.pad(labels, (0, count))
    return (
        torch.cat([boxes, torch.cat([xy - half, xy + half], -1)], 1),
        torch.cat([padded, own], 1),
        torch.cat([cell, row * size[1] + column], 1),
        torch.cat([score, seen], 1),
    )


def vote_boxes(boxes: Tensor, scores: Tensor, cell: Tensor, label: Tensor, size: tuple[int, int]) -> Tensor:
    """The boxes (B, K, 4) of the peaks ``cell``, each the mean of those that its 3×3 cells predict for the same object.

    boxes (B, H × W, 4) and scores (B, H × W, labels) of all cells; a neighbour votes with its score for the peak's
    label if its box has an IoU of at least a half with the peak's. Many guesses at one truth are better than one.
    """
    height, width = size
    y, x = cell.div(width, rounding_mode="floor"), cell % width
    own = boxes.gather(1, cell[..., None].expand(-1, -1, 4))
    total, mass = torch.zeros_like(own), torch.zeros_like(own[..., :1])
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            inside = (y + dy >= 0) & (y + dy < height) & (x + dx >= 0) & (x + dx < width)
            index = (y + dy).clamp(0, height - 1) * width + (x + dx).clamp(0, width - 1)
            other = boxes.gather(1, index[..., None].expand(-1, -1, 4))
            vote = scores.gather(1, index[..., None].expand(-1, -1, scores.shape[-1])).gather(2, label[..., None])
            same = iou_pairs(own, other)[..., None] >= 0.5
            weight = vote * same * inside[..., None]
            total, mass = total + weight * other, mass + weight
    return torch.where(mass > 0, total / mass.clamp(min=1e-6), own)


def iou_pairs(a: Tensor, b: Tensor) -> Tensor:
    """(…, 4) and (…, 4) boxes to (…) intersection over union, pair by pair."""
    return iou_matrix(a[..., None, :], b[..., None, :])[..., 0, 0]


def suppressed(boxes: Tensor, score: Tensor) -> Tensor:
    """(B, N) whether a better-scored box covers this one; boxes come in order of falling score."""
    overlaps = iou_matrix(boxes, boxes) > NMS_IOU
    count = boxes.shape[1]
    gone = torch.zeros_like(score, dtype=torch.bool)
    for i in range(1, count):
        gone[:, i] = (overlaps[:, i, :i] & ~gone[:, :i]).any(1)
    return gone


def vote_ellipse(ellipse: Tensor, head_score: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """The head's ellipse (B, 5) and its spread (B,): the mean over the cells around the best head cell.

    Neighbouring cells are many guesses at one truth: their mean is better than any, their spread is an uncertainty.
    """
    _, _, height16, width16 = ellipse.shape
    best = head_score.flatten(1).argmax(1)
    cy, cx = best.div(width, rounding_mode="floor").float().add(0.5) / 2, (best % width).float().add(0.5) / 2
    ys, xs = torch.meshgrid(
        torch.arange(height16, device=ellipse.device), torch.arange(width16, device=ellipse.device), indexing="ij"
    )
    centres = torch.stack([xs, ys]).add(0.5)
    near = (centres[0] - cx[:, None, None]) ** 2 + (centres[1] - cy[:, None, None]) ** 2
    weight = (near <= 1.6**2).float()
    weight = weight / weight.sum((1, 2), keepdim=True).clamp(min=1e-6)

    def mean(x: Tensor) -> Tensor:
        return (x * weight).sum((1, 2))

    x, y = centres[0] + ellipse[:, 0], centres[1] + ellipse[:, 1]
    axes = ellipse[:, 2:4].clamp(-3, 4)
    mx, my, la, lb = mean(x), mean(y), mean(axes[:, 0]), mean(axes[:, 1])
    angle = 0.5 * torch.atan2(mean(ellipse[:, 5]), mean(ellipse[:, 4]))
    radius = ((la + lb) / 2).exp()
    spread = (
        mean((axes[:, 0] - la[:, None, None]) ** 2)
        + mean((axes[:, 1] - lb[:, None, None]) ** 2)
        + (mean((x - mx[:, None, None]) ** 2) + mean((y - my[:, None, None]) ** 2)) / radius**2
    ).sqrt()
    major, minor = torch.maximum(la, lb).exp(), torch.minimum(la, lb).exp()
    return torch.stack(
        [mx * ELLIPSE_STRIDE, my * ELLIPSE_STRIDE, major * ELLIPSE_STRIDE, minor * ELLIPSE_STRIDE, angle], 1
    ), spread


def shape_matrix(ellipse: Tensor) -> Tensor:
    """(B, 5) ellipses to their shape matrices S (B, 2, 2): {c + S^(1/2) u : |u| = 1}."""
    _, _, a, b, t = ellipse.unbind(1)
    axes = torch.stack([torch.stack([a * t.cos(), -b * t.sin()], -1), torch.stack([a * t.sin(), b * t.cos()], -1)], -2)
    return axes @ axes.transpose(1, 2)


def blend_with_mask(voted: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """The mean of the voted ellipse (B, 5) and the ellipse of the soft mask's moments, and how far apart they are (B,).

    Regression and segmentation err differently: on held-out heads the mean of the two halves neither's tail. A mask
    whose area is not within a third of the voted one's is left out.
    """
    height, width = mask.shape[-2:]
    ys, xs = torch.meshgrid(
        torch.arange(height, device=mask.device), torch.arange(width, device=mask.device), indexing="ij"
    )
    at = torch.stack([xs, ys], -1).add(0.5).mul(MASK_STRIDE).reshape(1, -1, 2).to(voted.dtype)
    shape = shape_matrix(voted)
    offset = at - voted[:, None, :2]
    inside = ((offset @ torch.linalg.inv(shape)) * offset).sum(-1) < 1.35**2
    weight = mask.sigmoid().flatten(1) * inside
    mass = weight.sum(1).clamp(min=1e-3)
    centre = (weight[..., None] * at).sum(1) / mass[:, None]
    spread = at - centre[:, None]
    moments = 4 * torch.einsum("bn,bni,bnj->bij", weight, spread, spread) / mass[:, None, None]
    area = torch.pi * voted[:, 2] * voted[:, 3]
    ratio = mass * MASK_STRIDE**2 / area
    trust = ((ratio > 0.67) & (ratio < 1.5)).to(voted.dtype) * 0.5
    mixed = shape * (1 - trust)[:, None, None] + moments * trust[:, None, None]
    values, vectors = torch.linalg.eigh(mixed)
    angle = torch.atan2(vectors[:, 1, 1], vectors[:, 0, 1])
    xy = voted[:, :2] * (1 - trust)[:, None] + centre * trust[:, None]
    axes = values.clamp(min=1e-3).sqrt()
    apart = torch.where(trust > 0, ratio.log().abs() / 2, torch.full_like(ratio, 0.2))
    return torch.stack([xy[:, 0], xy[:, 1], axes[:, 1], axes[:, 0], angle], 1), apart


def ellipse_box(ellipse: Tensor) -> Tensor:
    """(B, 5) ellipses to their bounding boxes (B, 4)."""
    x, y, a, b, t = ellipse.unbind(1)
    half_x = torch.hypot(a * t.cos(), b * t.sin())
    half_y = torch.hypot(a * t.sin(), b * t.cos())
    return torch.stack([x - half_x, y - half_y, x + half_x, y + half_y], 1)
