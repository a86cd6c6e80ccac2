"""Angles, lengths and ratios between named landmarks, as measurements: ``landmark_measures.json`` says which.

SNA, SNB and ANB are Steiner's (Am J Orthod 39:729, 1953), ANB with its sign (SNA less SNB); the cardiothoracic ratio is
Danzer's (Am J Med Sci 157:513, 1919). Landmarks have the names of the ISBI 2015 challenge (Wang et al., MedIA 31:63).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Literal

from fiducial.tools.errors import InputError
from fiducial.tools.geometry import quantities as geometry
from fiducial.tools.geometry.uncertainty import CoordinateErrors, Estimate
from fiducial.tools.measure import INTERVAL_METHOD, UNKNOWN_SIGMA_PX, unit_of
from fiducial.tools.record import Interval, Language, Measurement, Part, Quantity, Region, Scale

Form = Literal[
    "angle_at_vertex", "difference_at_vertex", "angle_between_lines", "length", "width", "width_ratio"
]  # fmt: skip
POINTS: dict[Form, int] = {
    "angle_at_vertex": 3,
    "difference_at_vertex": 4,
    "angle_between_lines": 4,
    "length": 2,
    "width": 2,
    "width_ratio": 4,
}
ANGLES: frozenset[Form] = frozenset({"angle_at_vertex", "difference_at_vertex", "angle_between_lines"})


class BetweenLandmarks(Part):
    """A quantity that has a name. of: its landmarks, in the order of the form; en, zh: what it is called.

    largest_normal: the limit that the field goes by, where there is one (of the cardiothoracic ratio 0.5: Danzer).
    """

    form: Form
    of: tuple[str, ...]
    en: tuple[str, ...]
    zh: tuple[str, ...]
    largest_normal: float | None = None

    @property
    def task(self) -> Literal["angle", "distance"]:
        """What is asked who asks for it; a ratio counts as a distance."""
        return "angle" if self.form in ANGLES else "distance"

    @property
    def ends(self) -> tuple[str, ...]:
        """The landmarks that a question names in its place, outer ones in either order; none of a ratio of widths.

        The angle at the vertex between the outer two stands for a difference of angles: of ANB, its sign kept.
        """
        if self.form == "width_ratio":
            return ()
        return (self.of[2], self.of[1], self.of[3]) if self.form == "difference_at_vertex" else self.of


@cache
def named_quantities() -> Mapping[Quantity, BetweenLandmarks]:
    """The quantities between landmarks that have a name."""
    return {key: BetweenLandmarks.model_validate(row) for key, row in _table()["quantities"].items()}


@cache
def _table() -> Mapping[str, Mapping[Quantity, dict[str, list[str]]]]:
    text = files("fiducial.tools").joinpath("landmark_measures.json").read_text(encoding="utf-8")
    found: dict[str, dict[Quantity, dict[str, list[str]]]] = json.loads(text)
    return found


def landmark_named(words: str) -> str:
    """The landmark of a name in either language; words that name none that is known stay as they are."""
    said = words.strip()
    for exact in (True, False):  # B is a landmark, b a letter; and yet sella may be written Sella
        for key, names in _table()["landmarks"].items():
            every = [name for row in names.values() for name in row]
            if said in every if exact else len(said) > 2 and said.casefold() in map(str.casefold, every):
                return str(key)
    return said


@cache
def landmark_keys() -> tuple[str, ...]:
    """The landmarks that are known by name, in the order of their table."""
    return tuple(map(str, _table()["landmarks"]))


def is_landmark(key: str) -> bool:
    """Whether this is the key of a known landmark."""
    return key in landmark_keys()


def landmark_words(key: str, language: Language = "en") -> str:
    """What a landmark is called when it is asked for."""
    names: dict[str, dict[str, list[str]]] = {str(k): v for k, v in _table()["landmarks"].items()}
    return names[key][language][0] if key in names else key.replace("_", " ")


def quantity_words(quantity: Quantity, language: Language = "en") -> str | None:
    """What a quantity between landmarks is called; None for one that has no name here."""
    known = named_quantities().get(quantity)
    return None if known is None else (known.zh if language == "zh" else known.en)[0]


def above_normal(quantity: Quantity, value: float) -> bool | None:
    """Whether a value is above the limit that the field goes by; None where there is no such limit."""
    known = named_quantities().get(quantity)
    return None if known is None or known.largest_normal is None else value > known.largest_normal


def quantity_between(landmarks: Sequence[str]) -> Quantity | None:
    """The quantity with a name that is taken between two landmarks in any order, or at the middle one of three.

    At nasion between A and B it is ANB, with its sign, and across the heart its width, not the slanted distance.
    """
    asked = tuple(landmarks)
    return next((q for q, known in named_quantities().items() if asked in (known.ends, known.ends[::-1])), None)


def landmarks_in(text: str) -> frozenset[str]:
    """The landmarks that a text mentions by a name of three letters or more, or in Chinese."""
    found = set()
    for key, names in _table()["landmarks"].items():
        latin = "|".join(re.escape(name) for name in names["en"] if len(name) > 2)
        if re.search(rf"(?<!\w)(?:{latin})(?!\w)", text, re.IGNORECASE) or any(name in text for name in names["zh"]):
            found.add(str(key))
    return frozenset(found)


def form_of(quantity: Quantity, count: int) -> Form:
    """How a quantity is taken between so many landmarks. InputError for a number of them that it cannot be."""
    known = named_quantities().get(quantity)
    general: dict[tuple[Quantity, int], Form] = {
        ("angle", 3): "angle_at_vertex", ("angle", 4): "angle_between_lines", ("distance", 2): "length"
    }  # fmt: skip
    form = known.form if known else general.get((quantity, count))
    if form is None or POINTS[form] != count:
        raise InputError(f"{quantity.replace('_', ' ')} cannot be taken between {count} landmarks; name 2, 3 or 4")
    return form


def measure_between(quantity: Quantity, landmarks: Sequence[Region], scale: Scale | None) -> Measurement:
    """The quantity between landmarks (points, in the order of its form), in world units, with its uncertainty.

    An angle needs no scale, but the ratio of the steps: without a scale pixels are taken as square, and a note says so.
    Raises InputError for points that give no value.
    """
    form = form_of(quantity, len(landmarks))
    row_mm, column_mm = (scale.row_mm, scale.column_mm) if scale else (1.0, 1.0)
    sigmas = [UNKNOWN_SIGMA_PX if r.sigma_px is None else r.sigma_px for r in landmarks]
    errors = CoordinateErrors(sigma_px=max(sigmas), tolerance_ratio=scale.tolerance if scale else 0.0)
    points = [r.point_xy_px or (float("nan"), float("nan")) for r in landmarks]
    try:
        found = FORMS[form](points, errors, row_mm, column_mm)
    except ValueError as error:
        raise InputError(f"the {quantity.replace('_', ' ')} cannot be measured: {error}") from None
    power = 1 if form in ("length", "width") else 0
    unit, factor = ("°", 1.0) if form in ANGLES else unit_of(power, scale, None)
    return Measurement(
        quantity=quantity,
        value=found.value * factor,
        unit=unit,
        uncertainty=found.uncertainty * factor,
        interval=Interval(low=found.low * factor, high=found.high * factor, level=0.95, method=INTERVAL_METHOD),
        scale_source=scale.source if scale else "none",
        region_ids=tuple(r.id for r in landmarks),
        note=_note(form, scale),
    )


def _note(form: Form, scale: Scale | None) -> str | None:
    if scale is None:
        return None if form == "width_ratio" else (
            "pixels are taken as square: the image carries no physical scale" if form in ANGLES else
            "in pixels: the image carries no physical scale"
        )  # fmt: skip
    if scale.source == "detector" and form in ("length", "width"):
        return "at the detector: the projection magnifies, so the structure itself is smaller"
    return None


FORMS: dict[Form, Callable[..., Estimate]] = {
    "angle_at_vertex": geometry.angle_at_vertex,
    "difference_at_vertex": geometry.angle_difference,
    "angle_between_lines": geometry.angle_between_lines,
    "length": geometry.length,
    "width": geometry.width,
    "width_ratio": geometry.width_ratio,
}
