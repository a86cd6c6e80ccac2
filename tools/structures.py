"""The structures that the built-in skills know: names, domain, quantities, plausible size (``structures.json``)."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

from fiducial.tools.record import Part, Quantity


class Structure(Part):
    """One structure. long_axis_mm: plausible range of the long axis, in mm; source: the citation of that range.

    domain, other_domains: the kinds of image that show it, the usual one and others; members: for a group (blood
    cells), the structures that it is made of; empty otherwise.
    """

    key: str
    name: str
    plural: str
    domain: str
    members: tuple[str, ...]
    long_axis_mm: tuple[float, float]
    quantities: tuple[Quantity, ...]
    source: str
    other_domains: tuple[str, ...] = ()

    @property
    def domains(self) -> tuple[str, ...]:
        """Every kind of image that shows it, the usual one first."""
        return (self.domain, *self.other_domains)


DOMAIN_NAMES = {
    "blood_smear": "blood smear",
    "head_ultrasound": "fetal head ultrasound",
    "nuclei_fluorescence": "fluorescence micrograph",
    "nuclei_he": "stained tissue section",
    "colonoscopy": "colonoscopy frame",
    "abdomen_ct": "CT slice of the abdomen",
    "head_mr": "MR slice of the head",
    "cephalogram": "lateral cephalogram",
    "chest_xray": "frontal chest X-ray",
    "radiology": "radiology image",
}
UNSKILLED = frozenset({"radiology"})  # kinds that are told, and of which no structure and no landmark is known


@cache
def structures() -> dict[str, Structure]:
    """Every known structure by its key."""
    rows = json.loads(files("fiducial.tools").joinpath("structures.json").read_text(encoding="utf-8"))
    return {key: Structure(key=key, **row) for key, row in rows.items()}


def members(key: str) -> tuple[str, ...]:
    """The elementary structures that ``key`` stands for: its members if it is a group, else itself, known or not."""
    return structures()[key].members or (key,) if key in structures() else (key,)
