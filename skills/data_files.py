"""Data files that the package carries, one a named thing: read whole, checked, and refused with the field's name."""

from __future__ import annotations

from importlib.resources import files
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from fiducial.tools.errors import InputError
from fiducial.tools.hooks import first_problem

T = TypeVar("T", bound=BaseModel)


def read_named(kind: type[T], what: str, text: str, name: str) -> T:
    """One thing from its JSON text. what: how to call it in a sentence ("the recipe").

    Raises InputError that names it and the first field that is wrong, or where it has another name than its file.
    """
    try:
        found = kind.model_validate_json(text)
    except ValidationError as error:
        raise InputError(f"{what} '{name}' cannot be used: {first_problem(error)}") from None
    own = getattr(found, "name", None)
    if own != name:
        raise InputError(f"{what} '{name}' has another name inside, '{own}'; give it one name")
    return found


def read_all(kind: type[T], what: str, package: str) -> dict[str, T]:
    """Every JSON file of a package of ours, by its name."""
    found = {}
    for file in sorted(files(package).iterdir(), key=lambda f: f.name):
        if file.name.endswith(".json"):
            name = file.name.removesuffix(".json")
            found[name] = read_named(kind, what, file.read_text(encoding="utf-8"), name)
    return found
