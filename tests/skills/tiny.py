"""A tower and a base of the embedded architecture small enough for tests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fiducial.skills.families.llava.tower import Tower, TowerConfig


def tiny_config() -> TowerConfig:
    from fiducial.skills.families.llava.tower import TowerConfig

    return TowerConfig(
        width_px=192,
        height_px=144,
        channels=(8, 8, 16, 16, 24),
        blocks=(1, 1, 1, 1),
        feature_size=16,
        slots=12,
        grid=(2, 2),
        hidden_size=128,
    )


def tiny_tower(seed: int = 0) -> Tower:
    import torch

    from fiducial.skills.families.llava.tower import LABELS, Tower

    torch.manual_seed(seed)
    tower = Tower(tiny_config()).eval()
    # Every peak that is a head gets the one head's ellipse for its box; without heads the slots differ.
    tower.heat_head[-1].bias.data[LABELS.index("head")] = -12.0
    return tower


def load_base(folder: Path) -> Any:
    from transformers import LlavaForConditionalGeneration

    from fiducial.skills.families.llava import tower as _registers_the_tower  # noqa: F401

    return LlavaForConditionalGeneration.from_pretrained(folder, local_files_only=True, dtype="float32").eval()
