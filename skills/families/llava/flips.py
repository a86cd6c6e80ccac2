"""The mean of what the dense heads say of an image and of its mirror images: each errs a little differently."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from fiducial.skills.families.llava.tower import Dense, Tower

FLIPS = ((False, False), (True, False), (False, True), (True, True))
MAPS = ("heat", "box", "ellipse", "mask", "features")


def mean_over_flips(tower: Tower, pixel_values: Tensor) -> Dense:
    """The dense heads on (B, 3, H, W), averaged over the four mirror images after each is turned back."""
    marks = exchanged(tower.config.landmarks, tower.config.mirrored)
    seen = [turned_back(tower.dense(pixel_values.flip(dims_of(*flip))), *flip, marks) for flip in FLIPS]
    parts = {name: torch.stack([getattr(dense, name) for dense in seen]).mean(0) for name in seen[0]}
    return type(seen[0])(**parts)


def dims_of(horizontal: bool, vertical: bool) -> list[int]:
    """The dimensions of (B, C, H, W) that a mirror turns round."""
    return [3] * horizontal + [2] * vertical


def exchanged(landmarks: Sequence[str], mirrored: Sequence[tuple[str, str]]) -> list[int]:
    """For each landmark the index of the one that it is in a mirror which exchanges left and right."""
    partner = {a: b for pair in mirrored for a, b in (pair, pair[::-1])}
    return [landmarks.index(partner.get(name, name)) for name in landmarks]


def turned_back(dense: Dense, horizontal: bool, vertical: bool, marks: Sequence[int] = ()) -> Dense:
    """The heads of a mirrored image as those of the image itself: places, left and right, up and down, angles.

    marks: for each landmark the one that it is in the mirror.
    """
    dims = dims_of(horizontal, vertical)
    maps = {name: dense[name].flip(dims) for name in MAPS}
    left, top, right, bottom = (2, 1, 0, 3) if horizontal else (0, 1, 2, 3)
    top, bottom = (bottom, top) if vertical else (top, bottom)
    maps["box"] = maps["box"][:, [left, top, right, bottom]]
    x, y = (-1.0 if horizontal else 1.0), (-1.0 if vertical else 1.0)
    sign = torch.tensor([x, y, 1, 1, 1, x * y], device=maps["ellipse"].device)  # cos 2θ stays, sin 2θ turns
    maps["ellipse"] = maps["ellipse"] * sign[:, None, None]
    if dense.marks is not None:
        turned = dense.marks.flip(dims)
        maps["marks"] = turned[:, list(marks)] if horizontal else turned
    return type(dense)(**{**dict(dense), **maps})
