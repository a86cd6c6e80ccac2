"""What the embedded model is trained to know: the tower's configuration, from ``sights.json``."""

from __future__ import annotations

import json
from importlib.resources import files

from fiducial.skills.families.llava.tower import TowerConfig


def sights() -> TowerConfig:
    """The configuration that a new tower is trained with."""
    text = files("fiducial.skills.training.embedded").joinpath("sights.json").read_text(encoding="utf-8")
    return TowerConfig(**json.loads(text))
