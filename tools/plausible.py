"""How large a named structure can be: the cited table ``plausible_sizes.json``, and a table of the user's own.

FIDUCIAL_SIZES names a JSON file of the same form, whose entries add to the built-in ones or replace them:

    {"adrenal mass": {"long_axis_mm": [3, 200], "source": "our own series, 2019 to 2024"}}
"""

from __future__ import annotations

import json
import os
import re
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from fiducial.tools.errors import InputError
from fiducial.tools.hooks import first_problem
from fiducial.tools.record import Part
from fiducial.tools.structures import structures

VARIABLE = "FIDUCIAL_SIZES"
Millimetres = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class PlausibleSize(Part):
    """The range that the long axis of a structure can have, in mm, and where that is known from."""

    name: str = ""
    long_axis_mm: tuple[Millimetres, Millimetres]
    source: Annotated[str, Field(min_length=1)]

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.long_axis_mm[0] > self.long_axis_mm[1]:
            raise ValueError("the range must be given as least, greatest")
        return self


Table = TypeAdapter(dict[str, PlausibleSize])


def plausible_size_of(label: str) -> PlausibleSize | None:
    """The range of a region's label, its side left out (``left_kidney``); None where nothing is known."""
    own = os.environ.get(VARIABLE)
    changed = Path(own).stat().st_mtime_ns if own and Path(own).exists() else 0
    words = re.split(r"[ _-]+", label.lower())
    names = [" ".join(words), " ".join(w for w in words if w not in ("left", "right"))]
    for table in (_own(own, changed) if own else {}, _built_in()):
        for name in names:
            if name in table:
                return table[name]
    return None


@cache
def _built_in() -> dict[str, PlausibleSize]:
    """The known structures by key and by name, and the cited table."""
    text = files("fiducial.tools").joinpath("plausible_sizes.json").read_text(encoding="utf-8")
    found = _named(json.loads(text))
    for key, s in structures().items():
        size = PlausibleSize(name=s.name, long_axis_mm=s.long_axis_mm, source=s.source)
        found |= {key.replace("_", " "): size, s.name: size}
    return found


@cache
def _own(path: str, changed: int) -> dict[str, PlausibleSize]:
    """The user's table. changed: when the file was last changed, so that a long-running process reads it again."""
    try:
        return _named(json.loads(Path(path).read_text(encoding="utf-8")))
    except OSError as error:
        raise InputError(f"cannot read {VARIABLE}={path}: {error.strerror}; check the path") from None
    except (ValueError, RecursionError) as error:
        what = first_problem(error) if isinstance(error, ValidationError) else str(error).splitlines()[0]
        mend = 'write it as {"name": {"long_axis_mm": [least, greatest], "source": "..."}}'
        raise InputError(f"{VARIABLE}={path} is not a table of sizes ({what}); {mend}") from None


def _named(rows: object) -> dict[str, PlausibleSize]:
    table = Table.validate_python(rows)
    return {
        " ".join(re.split(r"[ _-]+", name.lower())): size.model_copy(update={"name": size.name or name})
        for name, size in table.items()
    }
