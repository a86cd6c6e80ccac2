"""A part of a sample's image as a sample of its own: other proportions and another magnification, from the same truth.

A cut-out of 300×480 px of a smear of 640×480: its cells, those that the cut leaves a third of cut with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from fiducial.skills.datasets.sample import Ask, Object, Sample
from fiducial.skills.targets import LandmarksTarget
from fiducial.tools.record import BoxXYXY

LEAST_SHARE, LEAST_VISIBLE = 0.5, 0.33


def _cut(pixels: Callable[[], np.ndarray], window: tuple[int, int, int, int]) -> np.ndarray:
    x0, y0, x1, y1 = window
    return pixels()[y0:y1, x0:x1]


def cropped(sample: Sample, rng: np.random.Generator) -> Sample:
    """A random window of at least half of each side, that holds every ellipse and landmark whole.

    Boxes are cut at the window as annotators cut them at the picture's edge; what less than a third of is left of is
    dropped. Facts about the whole image are dropped.
    """
    height, width = sample.pixels().shape[:2]
    keep = _kept_whole(sample, width, height)
    x0, x1 = _side(rng, width, keep[0], keep[2])
    y0, y1 = _side(rng, height, keep[1], keep[3])
    objects = tuple(o for item in sample.objects if (o := _inside(item, (x0, y0, x1, y1))) is not None)
    asks = tuple(_moved(ask, x0, y0) for ask in sample.asks if isinstance(ask.target, LandmarksTarget))
    name = f"{sample.id}@{x0},{y0},{x1},{y1}"
    pixels = partial(_cut, sample.pixels, (x0, y0, x1, y1))
    return replace(sample, id=name, pixels=pixels, objects=objects, asks=asks, image="", facts={}, volume=None)


def _kept_whole(sample: Sample, width: int, height: int) -> BoxXYXY:
    """The box of all that must not be cut; an empty one in the middle of nowhere where there is no such thing."""
    boxes = [o.box_xyxy_px for o in sample.objects if o.ellipse_px is not None and o.label == "head"]
    targets = [ask.target for ask in sample.asks if isinstance(ask.target, LandmarksTarget)]
    points = [mark.point_xy_px for target in targets for mark in target.landmarks]
    boxes += [(x - 4, y - 4, x + 4, y + 4) for x, y in points]
    if not boxes:
        return float(width), float(height), 0.0, 0.0
    low, high = np.min(boxes, axis=0), np.max(boxes, axis=0)
    return float(low[0]), float(low[1]), float(high[2]), float(high[3])


def _side(rng: np.random.Generator, length: int, low: float, high: float) -> tuple[int, int]:
    """First and last pixel of a window of at least half of a side."""
    wanted = int(length * rng.uniform(LEAST_SHARE, 1))
    start = int(rng.integers(0, length - wanted + 1))
    return max(0, min(start, int(low))), min(length, max(start + wanted, int(np.ceil(high))))


def _inside(item: Object, window: tuple[int, int, int, int]) -> Object | None:
    """An object in the window's own pixels, or None."""
    x0, y0, x1, y1 = window
    bx0, by0, bx1, by1 = item.box_xyxy_px
    cut = max(bx0, x0), max(by0, y0), min(bx1, x1), min(by1, y1)
    whole, left = (bx1 - bx0) * (by1 - by0), max(0.0, cut[2] - cut[0]) * max(0.0, cut[3] - cut[1])
    if left <= LEAST_VISIBLE * whole:
        return None
    ellipse = item.ellipse_px
    if ellipse is not None and (item.label == "head" or left == whole):
        (x, y) = ellipse.center_xy_px
        ellipse = ellipse.model_copy(update={"center_xy_px": (x - x0, y - y0)})
        cut = item.box_xyxy_px
    else:
        ellipse = None
    return Object(item.label, (cut[0] - x0, cut[1] - y0, cut[2] - x0, cut[3] - y0), ellipse)


def _moved(ask: Ask, x0: int, y0: int) -> Ask:
    """A landmark in the window's own pixels."""
    target = ask.target
    if not isinstance(target, LandmarksTarget):
        return ask
    marks = tuple(
        mark.model_copy(update={"point_xy_px": (mark.point_xy_px[0] - x0, mark.point_xy_px[1] - y0)})
        for mark in target.landmarks
    )
    return ask._replace(target=target.model_copy(update={"landmarks": marks}))
