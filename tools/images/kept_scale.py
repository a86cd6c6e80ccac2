"""What fiducial keeps in a PNG beside its pixels, as data from a stranger: validated, and held against itself."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field

from fiducial.tools.record import BoxXYXY, Finite, Part, Scale

Vector = tuple[Finite, Finite, Finite]


class KeptScale(Part):
    """A scale, the size of the image that it is of, where in it the scale holds, and its place in the world.

    world_mm: origin (corner of the first pixel), step of one pixel right, step of one pixel down; (x, y, z), mm, LPS.
    """

    scale: Scale
    width_px: Annotated[int, Field(gt=0)]
    height_px: Annotated[int, Field(gt=0)]
    scale_box_xyxy_px: BoxXYXY | None = None
    world_mm: tuple[Vector, Vector, Vector] | None = None

    @property
    def consistent(self) -> bool:
        """Whether the steps in the world are as long as the scale says, and the box is one."""
        box = self.scale_box_xyxy_px
        if box is not None and not (box[0] < box[2] and box[1] < box[3]):
            return False
        if self.world_mm is None:
            return True
        stated = (self.scale.column_mm, self.scale.row_mm)
        steps = (math.hypot(*step) for step in self.world_mm[1:])
        return all(math.isclose(step, mm, rel_tol=1e-6) for step, mm in zip(steps, stated, strict=True))
