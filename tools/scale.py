"""Physical scale: parse what a user types, decide the unit a length may carry, and go from pixels to mm.

A scale is never defaulted. Angles, axes and areas are computed in mm, not in pixels: with rows 2 mm and columns 1 mm
apart, a line at 45° in pixels lies at 63.4° in the patient.
"""

from __future__ import annotations

import math
import re

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fiducial.tools.errors import InputError
from fiducial.tools.record import Scale, Unit

MM_PER_UNIT = {
    "nm": 1e-6,
    "µm": 1e-3,
    "μm": 1e-3,  # Greek mu beside the micro sign: both are typed
    "um": 1e-3,
    "micron": 1e-3,
    "microns": 1e-3,
    "mm": 1.0,
    "cm": 10.0,
}

_NUMBER = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?|[+-]?(?:nan|inf(?:inity)?)"
_UNIT = r"(?P<unit>[a-zA-Zµμ]+)\s*(?:/|per)\s*(?:px|pixels?)"
_ISOTROPIC = re.compile(rf"\s*(?P<both>{_NUMBER})\s*{_UNIT}\s*", re.IGNORECASE)
_BY_AXIS = re.compile(rf"\s*row\s+(?P<row>{_NUMBER})\s*,\s*column\s+(?P<column>{_NUMBER})\s*{_UNIT}\s*", re.IGNORECASE)
_MEND = 'write it as "0.1 mm/px" or "row 0.2, column 0.1 mm/px"'


def parse_scale(text: str) -> Scale:
    """Read a scale as a user types it; units nm, µm (um, micron), mm, cm a pixel. Raises InputError with the mend."""
    match = _ISOTROPIC.fullmatch(text) or _BY_AXIS.fullmatch(text)
    if match is None:
        if re.fullmatch(rf"\s*(?:{_NUMBER})\s*", text, re.IGNORECASE):
            raise InputError(f"scale {text!r} has no unit; {_MEND}")
        raise InputError(f"scale {text!r} is not a length a pixel; {_MEND}")
    groups = match.groupdict()
    factor = MM_PER_UNIT.get(groups["unit"]) or MM_PER_UNIT.get(groups["unit"].lower())
    if factor is None:
        raise InputError(f"scale {text!r} has the unknown unit {groups['unit']!r}; use mm, cm, µm or nm a pixel")
    row, column = (float(groups.get(axis) or groups.get("both") or "nan") * factor for axis in ("row", "column"))
    if not all(math.isfinite(value) and value > 0 for value in (row, column)):
        raise InputError(f"scale {text!r} is not positive and finite; {_MEND}")
    return Scale(row_mm=row, column_mm=column, source="user")


def length_unit(scale: Scale | None, microscopic: bool = False) -> Unit:
    """The unit a length may carry: px without a scale, else by the scale's source.

    A detector's scale (projection X-ray) measures the shadow and says so. ``microscopic`` is for structures well under
    a millimetre, whose lengths read in µm whatever the source.
    """
    if scale is None:
        return "px"
    if scale.source == "detector":
        return "mm at the detector"
    return "µm" if microscopic or scale.source == "microscope" else "mm"


_AREA_UNITS: dict[Unit, Unit] = {"px": "px²", "mm": "mm²", "µm": "µm²", "mm at the detector": "mm² at the detector"}


def area_unit(scale: Scale | None, microscopic: bool = False) -> Unit:
    """The unit an area may carry: the square of ``length_unit``."""
    return _AREA_UNITS[length_unit(scale, microscopic)]


def per_mm(unit: Unit) -> float:
    """How many of a unit a mm (or, of an area, a mm²) has: 1000 for µm. Raises ValueError for pixels and ratios."""
    factors: dict[str, float] = {"mm": 1.0, "mm²": 1.0, "µm": 1e3, "µm²": 1e6}
    factors |= {"mm at the detector": 1.0, "mm² at the detector": 1.0}
    if unit not in factors:
        raise ValueError(f"{unit} has no length in mm")
    return factors[unit]


def mm_from_px(scale: Scale, xy_px: ArrayLike) -> NDArray[np.float64]:
    """Vectors or points in stored pixels, (2,) or (N, 2) as x, y → mm: x by the column step, y by the row step."""
    return np.asarray(xy_px, np.float64) * (scale.column_mm, scale.row_mm)


def px_from_mm(scale: Scale, xy_mm: ArrayLike) -> NDArray[np.float64]:
    """The inverse of mm_from_px."""
    return np.asarray(xy_mm, np.float64) / (scale.column_mm, scale.row_mm)


def pixel_area_mm2(scale: Scale) -> float:
    """Area of one pixel in mm²."""
    return scale.row_mm * scale.column_mm
