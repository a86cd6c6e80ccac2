"""``fiducial adapters``: the manifests of the adapters in a folder, or of those that the package carries."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from fiducial.tools.errors import InputError

MANIFEST = "manifest.json"


def manifests(folder: Path | None) -> dict[str, dict[str, Any]]:
    """Each adapter's manifest by the name of its folder. Raises InputError where there is none or one is unreadable."""
    root = folder or Path(str(files("fiducial.skills")))
    paths = sorted(root.rglob(MANIFEST if folder else f"adapters/*/{MANIFEST}"))
    if not paths:
        raise InputError(f"{root} holds no adapter (a folder with a {MANIFEST}); name one with --adapters")
    return {path.parent.name: _manifest(path) for path in paths}


def manifest(name: str, folder: Path | None) -> dict[str, Any]:
    """One adapter's manifest. Raises InputError that names what there is."""
    found = manifests(folder)
    if name not in found:
        raise InputError(f"unknown adapter '{name}'; there is: {', '.join(found)}")
    return found[name]


def _manifest(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read the manifest {path} ({error}); train or copy the adapter again") from None
    if not isinstance(data, dict):
        raise InputError(f"the manifest {path} is not a JSON object; train or copy the adapter again")
    return data
