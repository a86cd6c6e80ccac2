"""The structures that the built-in skills know: names, domain, quantities, plausible size (``structures.json``)."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

from fiducial.tools.record import Part, Quantity


class Structure(Part):
    """One structure. long_axis_mm: plausible range of the long axis, in mm; source: the citation of that range.

    members: for a group (blood cells), the structures that it is made of; empty otherwise.
    """

    key: str
    name: str
    plural: str
    domain: str
    members: tuple[str, ...]
    long_axis_mm: tuple[float, float]
    quantities: tuple[Quantity, ...]
    source: str


DOMAIN_NAMES = {"blood_smear": "blood smear", "head_ultrasound": "fetal head ultrasound"}


@cache
def structures() -> dict[str, Structure]:
    """Every known structure by its key."""
    rows = json.loads(files("fiducial.tools").joinpath("structures.json").read_text(encoding="utf-8"))
    return {key: Structure(key=key, **row) for key, row in rows.items()}


def members(key: str) -> tuple[str, ...]:
    """The elementary structures that ``key`` stands for: its members if it is a group, else itself, known or not."""
    return structures()[key].members or (key,) if key in structures() else (key,)
