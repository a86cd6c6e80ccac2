"""Qwen3-VL: the JSON of Qwen2.5-VL in 0–1000 of the image."""

from __future__ import annotations

from typing import ClassVar

from fiducial.skills.families.dialects.grid import Grid
from fiducial.skills.families.dialects.json_lists import JsonDialect


class Qwen3VL(JsonDialect):
    """``[{"bbox_2d": [x0, y0, x1, y1], "label": …}]`` in 0–1000."""

    name = "qwen3-vl"
    description = "JSON bbox_2d / point_2d, 0–1000 of the image"
    templates = "point-detect-count"
    source = "Qwen3-VL's published grounding examples"
    grid: ClassVar[Grid] = Grid(extent=1000)
