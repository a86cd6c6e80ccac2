"""The built-in data sets as plugins; a reader is imported when it is opened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from fiducial.tools.hooks import DatasetSpec

if TYPE_CHECKING:
    from fiducial.skills.datasets.sample import Sample


def _reader(module: str, function: str) -> Callable[[Path, str], Iterator[Sample]]:
    def read(root: Path, split: str) -> Iterator[Sample]:
        samples: Iterator[Sample] = getattr(import_module(f"fiducial.skills.datasets.{module}"), function)(root, split)
        return samples

    return read


BCCD = DatasetSpec(
    "bccd", "Blood smears: boxes of red cells, white cells and platelets (BCCD, MIT)", _reader("bccd", "open_bccd")
)
HC18 = DatasetSpec(
    "hc18",
    "Fetal head ultrasound: the head's ellipse and circumference (HC18, CC BY 4.0)",
    _reader("hc18", "open_hc18"),
)
PHANTOMS = DatasetSpec(
    "phantoms", "Phantoms of blood smears and fetal heads, drawn with exact truth", _reader("phantoms", "open_phantoms")
)
