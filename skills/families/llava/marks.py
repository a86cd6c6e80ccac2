"""From a map of logits for each landmark to its place: the mean place near the likeliest one. Model-input pixels.

A soft argmax (integral regression, Sun et al. 1711.08229) over the peak's neighbourhood alone: finer than a cell, and
a second, wrong peak far away does not draw it there.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from transformers.utils import ModelOutput

MARK_STRIDE = 4
REACH = 3  # cells around the likeliest one


@dataclass
class Marks(ModelOutput):
    """Every landmark once. xy_px (B, M, 2); spread_px (B, M): one standard deviation; score (B, M) in 0–1.

    The score is the probability that the image shows such a landmark, times how much of its map lies near the peak.
    """

    xy_px: Tensor = None  # type: ignore[assignment]
    spread_px: Tensor = None  # type: ignore[assignment]
    score: Tensor = None  # type: ignore[assignment]


def read_marks(logits: Tensor, prior: Tensor) -> Marks:
    """Landmarks of logits (B, M, H, W); prior (B, M): the probability that the image shows each."""
    _, _, height, width = logits.shape
    p = logits.flatten(2).softmax(-1)
    peak = p.argmax(-1, keepdim=True)
    row, column = peak.div(width, rounding_mode="floor"), peak % width
    cell = torch.arange(height * width, device=logits.device)
    rows, columns = cell.div(width, rounding_mode="floor"), cell % width
    near = ((rows - row).abs() <= REACH) & ((columns - column).abs() <= REACH)
    weight = p * near
    mass = weight.sum(-1)
    weight = weight / mass.clamp(min=1e-9)[..., None]
    x, y = (columns + 0.5) * MARK_STRIDE, (rows + 0.5) * MARK_STRIDE
    xy = torch.stack([(weight * x).sum(-1), (weight * y).sum(-1)], -1)
    apart = (x - xy[..., :1]) ** 2 + (y - xy[..., 1:]) ** 2
    return Marks(xy_px=xy, spread_px=((weight * apart).sum(-1) / 2).sqrt(), score=prior * mass)
