"""The wording of answers: structures, quantities, places and lengths in plain English."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fiducial.tools.positions import anchor_xy_px, place_of
from fiducial.tools.record import ImageInfo, Intent, Measurement, Quantity, Region
from fiducial.tools.structures import DOMAIN_NAMES, structures

MAX_LISTED = 8


def name(structure: str, number: int = 2) -> str:
    """The name of a structure, singular for ``number`` 1."""
    entry = structures()[structure]
    return entry.name if number == 1 else entry.plural


def counted(number: int, structure: str) -> str:
    """``3 platelets``, ``1 platelet``, ``no platelets``."""
    return f"{number or 'no'} {name(structure, number)}"


def there_are(number: int, structure: str) -> str:
    """A count in words: ``There are 3 platelets``."""
    return f"There {'is' if number == 1 else 'are'} {counted(number, structure)}."


def domain(kind: str) -> str:
    """``a blood smear``; for a kind that has no name, the kind itself."""
    return f"a {DOMAIN_NAMES.get(kind, kind)}"


def quantity(key: Quantity) -> str:
    """``head circumference``."""
    return key.replace("_", " ")


def can_be_asked() -> str:
    """What can be asked, from the structure table."""
    known = ", ".join(f"{s.plural} ({DOMAIN_NAMES.get(s.domain, s.domain)})" for s in structures().values())
    return (
        "you can ask whether there are, how many there are, where they are, how large they are, how two of them"
        f" compare, or what kind of image this is, for: {known}"
    )


def place(region: Region, image: ImageInfo) -> str:
    """Which third of the image, as it is displayed, a region's middle is in, by words such as ``upper left``."""
    x, y = anchor_xy_px(region)
    if not (0 <= x <= image.width_px and 0 <= y <= image.height_px):
        return "outside the image"
    return place_of(region, image.width_px, image.height_px, image.orientation)


def where(regions: Sequence[Region], image: ImageInfo) -> str:
    """``upper left (R1, R2), centre (R3)``, in the order of the first region of each place."""
    by_place: dict[str, list[str]] = {}
    for region in regions:
        by_place.setdefault(place(region, image), []).append(region.id)
    return ", ".join(f"{where} ({', '.join(ids)})" for where, ids in by_place.items())


def located(structure: str, regions: Sequence[Region], image: ImageInfo, ordinal: str = "") -> str:
    """The answer to where something is. ordinal: ``second largest``, of one that was chosen by its rank."""
    if len(regions) == 1:
        which = f"{ordinal} {name(structure, 1)}".strip()
        return f"The {which} ({regions[0].id}) is in this part of the image: {place(regions[0], image)}."
    return f"The {counted(len(regions), structure)} are in these parts of the image: {where(regions, image)}."


def rounded(value: float, uncertainty: float) -> str:
    """A value with the digits that its uncertainty leaves meaningful; three significant ones where there is none."""
    step = uncertainty if uncertainty > 0 else abs(value) / 100
    digits = 0 if step <= 0 else max(0, min(6, 1 - math.floor(math.log10(step))))
    if uncertainty >= 3:
        digits = 0
    return f"{value:.{digits}f}"


def with_unit(m: Measurement) -> str:
    """``312.4 mm (± 4.1 mm)``; the uncertainty is one standard deviation."""
    unit = "" if m.unit == "1" else f" {m.unit}"
    value, spread = rounded(m.value, m.uncertainty), rounded(m.uncertainty, m.uncertainty)
    return f"{value}{unit} (± {spread}{unit})"


def about(intent: Intent) -> str:
    """What an intent asks, for a person: ``count of platelets``."""
    if intent.task == "kind":
        return "kind of the image"
    what = quantity(intent.quantity) if intent.quantity and intent.task in ("size", "compare") else intent.task
    if intent.task == "compare":
        what = f"comparison of {'number' if intent.quantity in (None, 'count') else what}"
    names = " and ".join(name(s) for s in (intent.structure, intent.other_structure) if s in structures())
    if intent.task in ("size", "location") and intent.selector != "each":
        names = f"the {intent.selector.replace('_', ' ')} of the {names}"
    return f"{what} of {names}" if names else what


def label(region: Region) -> str:
    """A region's label for a person: a structure's name, or the label with spaces."""
    return name(region.label, 1) if region.label in structures() else region.label.replace("_", " ")
