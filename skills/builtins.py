"""The built-ins of this room, registered through the same hooks as an outside plugin."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fiducial.tools.hooks import DatasetSpec, FamilySpec, SkillSpec, ToolSpec, hookimpl

if TYPE_CHECKING:
    from fiducial.skills.families.hub.spec import HubSpec


@hookimpl
def fiducial_tools() -> list[ToolSpec]:
    """The tools that lean on a model of the user's."""
    from fiducial.skills.segmenters.promptable import segment_promptable

    return [segment_promptable]


@hookimpl
def fiducial_skills() -> Iterable[SkillSpec]:
    """The skills."""
    from fiducial.skills.catalogue import SKILLS

    return SKILLS


def _is_llava(path: Path) -> bool:
    config = path / "config.json"
    return config.is_file() and '"llava"' in config.read_text(encoding="utf-8", errors="replace")


def _load_llava(path: Path, adapters: Path | None) -> Any:
    from fiducial.skills.families.llava.family import load_llava

    return load_llava(path, adapters or path.parent / "adapters")


def _hub_family(spec: HubSpec) -> FamilySpec:
    def load(path: Path, adapters: Path | None) -> Any:
        from fiducial.skills.families.hub.model import load_hub_model

        return load_hub_model(spec, path, adapters)

    return FamilySpec(spec.name, f"{spec.description}; dialect {spec.dialect}", spec.recognises, load)


@hookimpl
def fiducial_families() -> list[FamilySpec]:
    """The model families. Those of the hub come first: what a LLaVA is, its tower tells."""
    from fiducial.skills.families.hub.spec import HUB_SPECS
    from fiducial.skills.families.recording import RECORDING
    from fiducial.skills.families.server import SERVER

    description = "LLaVA over a convolutional tower that proposes regions: the embedded default"
    embedded = FamilySpec("llava", description, _is_llava, _load_llava)
    return [SERVER, RECORDING, *map(_hub_family, HUB_SPECS), embedded]


@hookimpl
def fiducial_datasets() -> list[DatasetSpec]:
    """The data sets."""
    from fiducial.skills.datasets.specs import DATASETS

    return DATASETS
