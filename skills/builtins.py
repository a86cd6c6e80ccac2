"""The built-ins of this room, registered through the same hooks as an outside plugin."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fiducial.tools.hooks import DatasetSpec, FamilySpec, SkillSpec, hookimpl


@hookimpl
def fiducial_skills() -> Iterable[SkillSpec]:
    """The seven skills."""
    from fiducial.skills.catalogue import SKILLS

    return SKILLS


def _is_llava(path: Path) -> bool:
    config = path / "config.json"
    return config.is_file() and '"llava"' in config.read_text(encoding="utf-8", errors="replace")


def _load_llava(path: Path, adapters: Path | None) -> Any:
    from fiducial.skills.families.llava.family import load_llava

    return load_llava(path, adapters or path.parent / "adapters")


@hookimpl
def fiducial_families() -> list[FamilySpec]:
    """The model families."""
    from fiducial.skills.families.recording import RECORDING

    description = "LLaVA over a convolutional tower that proposes regions: the embedded default"
    return [FamilySpec("llava", description, _is_llava, _load_llava), RECORDING]


@hookimpl
def fiducial_datasets() -> list[DatasetSpec]:
    """The data sets."""
    from fiducial.skills.datasets.specs import DATASETS

    return DATASETS
