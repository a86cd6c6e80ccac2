"""BCCD: blood smears with Pascal VOC boxes of red cells, white cells and platelets (MIT licence).

A sample: ``BloodImage_00001``, 640×480 RGB, 12 boxes: ``red_cell (68, 315, 286, 480)``, ``white_cell (…)``.
No scale in the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fiducial.skills.datasets.sample import Sample
from fiducial.skills.datasets.voc import open_voc

LABELS = {"RBC": "red_cell", "WBC": "white_cell", "Platelets": "platelet"}


def open_bccd(root: Path, split: str) -> Iterator[Sample]:
    """Stream the samples of ``train`` or ``val``; the group is the image."""
    yield from open_voc(root, split, LABELS, "blood_smear")
