"""``fiducial adapters``: the manifests of the adapters in a folder, or of those that the package carries."""

from __future__ import annotations

from pathlib import Path

from fiducial.skills.adapters import Manifest, adapter_folders, read_manifest
from fiducial.skills.load import embedded_folder
from fiducial.tools.errors import InputError


def manifests(folder: Path | None) -> dict[str, Manifest]:
    """Each adapter's manifest by its skill. Raises InputError where there is none or one is unreadable."""
    root = folder or embedded_folder() / "adapters"
    found = {skill: read_manifest(path) for skill, path in adapter_folders(root).items()}
    if not found:
        raise InputError(f"{root} holds no adapter (a folder with a manifest.json); name one with --adapters")
    return found


def manifest(name: str, folder: Path | None) -> Manifest:
    """One adapter's manifest. Raises InputError that names what there is."""
    found = manifests(folder)
    if name not in found:
        raise InputError(f"unknown adapter '{name}'; there is: {', '.join(found)}")
    return found[name]
