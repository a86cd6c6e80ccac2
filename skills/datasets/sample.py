"""One typed sample out of every data set."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from fiducial.tools.record import BoxXYXY, Ellipse, Scale


@dataclass(frozen=True)
class Object:
    """One annotated object. label: key of the structure table; coordinates in stored pixels."""

    label: str
    box_xyxy_px: BoxXYXY
    ellipse_px: Ellipse | None = None


@dataclass(frozen=True)
class Sample:
    """One annotated image.

    id: unique within the set; group: patient, examination or image, the unit by which splits are made;
    kind: a key of DOMAIN_NAMES or ``other``; pixels: returns (H, W, 3) uint8; objects: everything annotated;
    real: not drawn by us.
    """

    id: str
    group: str
    kind: str
    pixels: Callable[[], np.ndarray] = field(repr=False)
    objects: tuple[Object, ...] = ()
    scale: Scale | None = None
    real: bool = True

    def of(self, label: str) -> list[Object]:
        """The objects of one structure."""
        return [o for o in self.objects if o.label == label]


def held_out(group: str, share: float = 0.15) -> bool:
    """Whether a group of the training split is kept back for calibration: a function of its name alone."""
    digest = hashlib.sha256(group.encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32 < share
