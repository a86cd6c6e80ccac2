"""Finding a base by name or path and loading it with the family that recognises it."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from fiducial.skills.base import Model
from fiducial.tools.errors import InputError
from fiducial.tools.hooks import registry

EMBEDDED = "embedded"


def embedded_folder() -> Path:
    """The folder of the model that the package carries."""
    return Path(str(files("fiducial.skills").joinpath(EMBEDDED)))


def load_model(base: str | None = None, adapters: Path | None = None) -> Model:
    """Load a base (None or ``embedded`` for the package's own; else a path) with its adapters.

    adapters: a folder with one folder a skill; None for the ``adapters`` folder beside the base.
    Raises InputError for a base that no family recognises or that cannot be loaded.
    """
    path = embedded_folder() / "base" if base in (None, EMBEDDED) else Path(str(base)).expanduser()
    if not path.exists():
        raise InputError(f"unknown base '{base}'; give 'embedded' or the path of a model's folder")
    for family in registry().families.values():
        if family.recognises(path):
            model: Model = family.load(path, adapters)
            return model
    known = ", ".join(sorted(registry().families))
    raise InputError(
        f"the base {path} is of no known family ({known}); give a folder with a config.json of one of them"
    )
