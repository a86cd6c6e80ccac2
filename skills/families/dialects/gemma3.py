"""Gemma 3 and MedGemma: JSON with y before x, 0–1000 of the square-padded image."""

from __future__ import annotations

from typing import ClassVar

from fiducial.skills.families.dialects.grid import Grid
from fiducial.skills.families.dialects.items import Shape
from fiducial.skills.families.dialects.json_lists import JsonDialect


class Gemma3(JsonDialect):
    """``[{"box_2d": [y0, x0, y1, x1], "label": …}]``. Known from secondary sources only."""

    name = "gemma3"
    description = "JSON box_2d y0 x0 y1 x1, 0–1000 of the square-padded image (unverified)"
    templates = "gemma3"
    source = "secondary sources on MedGemma 1.5; no record of the family itself was seen"
    verified = False
    grid: ClassVar[Grid] = Grid(extent=1000)
    y_first = True
    keys: ClassVar[dict[Shape, tuple[str, ...]]] = {
        "point": ("point",),
        "box": ("box_2d",),
        "box_3d": ("box_3d",),
        "polygon": ("polygon",),
    }
