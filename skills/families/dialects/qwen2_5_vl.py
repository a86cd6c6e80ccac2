"""Qwen2.5-VL: JSON in pixels of the smart-resized image; and the records of Point, Detect, Count, which are that."""

from __future__ import annotations

from typing import ClassVar

from fiducial.skills.families.dialects.grid import Grid
from fiducial.skills.families.dialects.json_lists import JsonDialect


class Qwen25VL(JsonDialect):
    """``[{"bbox_2d": [x0, y0, x1, y1], "label": …}]`` in whole pixels of the resized image."""

    name = "qwen2.5-vl"
    description = "JSON bbox_2d / point_2d, pixels of the smart-resized image (sides multiples of 28)"
    templates = "point-detect-count"
    source = "Qwen2.5-VL (2502.13923); its published grounding examples"
    grid: ClassVar[Grid] = Grid(extent=None)


class PointDetectCount(Qwen25VL):
    """The same with one digit after the point, as the paper's targets and outputs have."""

    name = "point-detect-count"
    description = "as qwen2.5-vl, with tenths of a pixel, as the MedMultiPoints records"
    source = "Point, Detect, Count (2505.16647): MedMultiPoints chat records and recorded outputs"
    grid: ClassVar[Grid] = Grid(extent=None, decimals=1)
