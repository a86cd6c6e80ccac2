"""Bases that training made: a manifest beside the weights says from which parent, how, on what.

A recipe that trains all parameters writes a base and not an adapter; it is then given as ``--base`` like any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fiducial.skills.adapters import base_hash, library_versions
from fiducial.tools.errors import InputError
from fiducial.tools.hooks import first_problem

BASE_MANIFEST = "base_manifest.json"


class BaseManifest(BaseModel):
    """Where a base comes from.

    sha256: of its own weights (``adapters.base_hash``, by which adapters name it); parent, parent_sha256: the name and
    the same hash of the base that it was trained from; recipe: the numbers it was trained with; data_sha256: of the
    list of each split it was trained on; versions: of the libraries; metrics: on the split that was kept back.
    """

    model_config = ConfigDict(extra="forbid")

    sha256: str
    parent: str
    parent_sha256: str
    recipe: dict[str, Any] = Field(default_factory=dict)
    data_sha256: dict[str, str] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=dict)
    metrics: dict[str, float] = Field(default_factory=dict)


def weights_hash(base: Path) -> str:
    """``base_hash`` of a folder that has weights. Raises InputError for one without."""
    if not any(base.glob("*.safetensors")):
        raise InputError(f"the base {base} has no weights (*.safetensors); give the folder of a base")
    return base_hash(base)


def write_base_manifest(
    folder: Path,
    parent: Path,
    recipe: Mapping[str, Any],
    data_sha256: Mapping[str, str],
    metrics: Mapping[str, float] | None = None,
) -> BaseManifest:
    """Write the manifest of a base whose weights lie in ``folder``; parent: the folder it was trained from.

    Raises InputError where either has no weights.
    """
    manifest = BaseManifest(
        sha256=weights_hash(folder),
        parent=parent.resolve().name,
        parent_sha256=weights_hash(parent),
        recipe=dict(recipe),
        data_sha256=dict(data_sha256),
        versions=library_versions(),
        metrics=dict(metrics or {}),
    )
    (folder / BASE_MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return manifest


def read_base_manifest(folder: Path) -> BaseManifest | None:
    """The manifest of a base that training made; None for one without, such as a publisher's.

    Raises InputError for one that cannot be read, or is not of the weights beside it.
    """
    path = folder / BASE_MANIFEST
    if not path.exists():
        return None
    try:
        manifest = BaseManifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"cannot read the manifest {path} ({error}); train or copy the base again") from None
    except ValidationError as error:
        raise InputError(f"the manifest {path}: {first_problem(error)}; train or copy the base again") from None
    found = weights_hash(folder)
    if found != manifest.sha256:
        raise InputError(
            f"the weights of the base {folder} are not those that its {BASE_MANIFEST} names ({found[:12]}, not"
            f" {manifest.sha256[:12]}); train or copy the base again"
        )
    return manifest
