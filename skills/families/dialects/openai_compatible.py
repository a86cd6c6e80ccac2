"""An OpenAI-compatible server: whatever model is behind it, JSON as the prompt asks for, 0–1000 of the image."""

from __future__ import annotations

from typing import ClassVar

from fiducial.skills.families.dialects.grid import Grid
from fiducial.skills.families.dialects.json_lists import JsonDialect


class OpenAICompatible(JsonDialect):
    """The JSON of Qwen3-VL, unfenced, asked for in the prompt: 0–1000 needs no knowledge of the server's resize."""

    name = "openai-compatible"
    description = "JSON as asked for in the prompt, 0–1000 of the image"
    templates = "openai-compatible"
    source = "this project's own prompt"
    grid: ClassVar[Grid] = Grid(extent=1000)
    fenced = False
