"""One typed sample out of every data set."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from fiducial.tools.record import BoxXYXY, Ellipse, PointXY, Scale

if TYPE_CHECKING:
    from fiducial.skills.targets import Query, Target

ProblemKind = Literal[
    "empty box", "absurd box", "clipped box", "whole image", "crowd", "unreadable target", "no text", "mismatch"
]


@dataclass(frozen=True)
class Object:
    """One annotated object. label: key of the structure table or the set's own word; coordinates in stored pixels.

    polygon_xy_px: the outline (of its largest part) where the set has one, not closed by repetition.
    """

    label: str
    box_xyxy_px: BoxXYXY
    ellipse_px: Ellipse | None = None
    polygon_xy_px: tuple[PointXY, ...] | None = None


class Ask(NamedTuple):
    """One question about a sample, and the typed target that answers it."""

    query: Query
    target: Target


class Problem(NamedTuple):
    """What is wrong with an annotation: it was left out or mended, never used silently. detail: one sentence."""

    kind: ProblemKind
    detail: str


@dataclass(frozen=True)
class Sample:
    """One annotated image, or one row of questions about an image.

    id: unique within the set; group: patient, examination, video or image, the unit by which splits are made;
    kind: a key of DOMAIN_NAMES or ``other``; pixels: returns (H, W, 3) uint8; objects: everything annotated;
    real: not drawn by us.
    split: as published or drawn by group; image: names the pixels within the set, so that rows about one image share
    it (the sample's id by default); asks: questions with typed targets, beside those that follow from the objects
    (``objects.asks_of`` gives both); volume: of a slice of a volume, all of it, (slices, H, W) float; facts: what else
    the set says, in its own words; problems: annotations that were left out or mended; synthetic: whether a model
    wrote the text.
    """

    id: str
    group: str
    kind: str
    pixels: Callable[[], np.ndarray] = field(repr=False)
    objects: tuple[Object, ...] = ()
    scale: Scale | None = None
    real: bool = True
    split: str = ""
    image: str = ""
    asks: tuple[Ask, ...] = ()
    volume: Callable[[], np.ndarray] | None = field(default=None, repr=False)
    facts: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    synthetic: bool = False

    @property
    def image_name(self) -> str:
        """The name of the pixels: two samples of one set with the same name show the same image."""
        return self.image or self.id

    def of(self, label: str) -> list[Object]:
        """The objects of one structure."""
        return [o for o in self.objects if o.label == label]


def held_out(group: str, share: float = 0.15) -> bool:
    """Whether a group of the training split is kept back for calibration: a function of its name alone."""
    digest = hashlib.sha256(group.encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32 < share
