"""Finding a base by name or path and loading it with the family that recognises it."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

from fiducial.skills.base import Model
from fiducial.tools.errors import InputError
from fiducial.tools.hooks import registry

EMBEDDED = "embedded"
HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def embedded_folder() -> Path:
    """The folder of the model that the package carries."""
    return Path(str(files("fiducial.skills").joinpath(EMBEDDED)))


def load_model(base: str | None = None, adapters: Path | None = None) -> Model:
    """Load a base with its adapters.

    base: None or ``embedded`` for the package's own; a path; a name on the model hub (``owner/name``, downloaded once,
    or found in the cache where the hub is out of reach); or a server's address (``http://host:port/v1``).
    adapters: a folder with one folder a skill; None for the ``adapters`` folder beside the base.
    Raises InputError for a base that no family recognises or that cannot be loaded.
    """
    where = base_place(base)
    for family in registry().families.values():
        if family.recognises(where):
            model: Model = family.load(where, adapters)
            return model
    known = ", ".join(sorted(registry().families))
    raise InputError(
        f"the base {where} is of no known family ({known}); give a folder with a config.json of one of them"
    )


def base_place(base: str | None) -> Path | str:
    """The folder or file of a base; a server's address as it is. InputError for a base that is nowhere."""
    if base is None or base == EMBEDDED:
        return embedded_folder() / "base"
    if base.startswith(("http://", "https://")):
        return base
    path = Path(base).expanduser()
    if path.exists():
        return path
    if HUB_NAME.fullmatch(base):
        from fiducial.skills.families.hub.download import hub_folder

        return hub_folder(base)
    raise InputError(f"unknown base '{base}'; give 'embedded', the path of a model's folder or a name on the model hub")
