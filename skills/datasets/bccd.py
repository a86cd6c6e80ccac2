"""BCCD: blood smears with Pascal VOC boxes of red cells, white cells and platelets (MIT licence).

A sample: ``BloodImage_00001``, 640×480 RGB, 12 boxes: ``red_cell (68, 315, 286, 480)``, ``white_cell (…)``.
No scale in the file.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image as PILImage

from fiducial.skills.datasets.sample import Object, Sample
from fiducial.tools.errors import InputError

LABELS = {"RBC": "red_cell", "WBC": "white_cell", "Platelets": "platelet"}


def read_rgb(path: Path) -> np.ndarray:
    """The pixels of a PNG or JPEG of a trusted training set, (H, W, 3) uint8."""
    with PILImage.open(path) as image:
        return np.asarray(image.convert("RGB"))


def read_split(root: Path, split: str) -> list[str]:
    """The names in ``root/split.txt``, one a line."""
    path = root / f"{split}.txt"
    if not path.is_file():
        raise InputError(f"{path} is missing; give the folder of the data set that holds its {split}.txt")
    return path.read_text(encoding="utf-8").split()


def read_boxes(path: Path) -> tuple[Object, ...]:
    """The boxes of one VOC file; empty and inverted ones, which BCCD has, are left out.

    VOC counts pixels from 1 and includes the last one, hence ``xmin - 1`` to ``xmax`` in corner coordinates.
    """
    objects = []
    for node in ET.parse(path).getroot().findall("object"):
        x0, y0, x1, y1 = (float(node.findtext(f"bndbox/{key}") or "nan") for key in ("xmin", "ymin", "xmax", "ymax"))
        if x1 > x0 and y1 > y0:
            objects.append(Object(LABELS[node.findtext("name") or ""], (max(x0 - 1, 0.0), max(y0 - 1, 0.0), x1, y1)))
    return tuple(objects)


def open_bccd(root: Path, split: str) -> Iterator[Sample]:
    """Stream the samples of ``train`` or ``val``."""
    for stem in read_split(root, split):
        yield Sample(
            id=stem,
            group=stem,
            kind="blood_smear",
            pixels=partial(read_rgb, root / "JPEGImages" / f"{stem}.jpg"),
            objects=read_boxes(root / "Annotations" / f"{stem}.xml"),
        )
