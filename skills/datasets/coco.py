"""COCO: boxes and outlines of all images of a split in one JSON file (Lin et al., 2014; also what many tools export).

A sample: ``annotations/instances_val.json`` has ``{"images": [{"id": 9, "file_name": "a.png", "width": 640, "height":
480}], "annotations": [{"id": 1, "image_id": 9, "category_id": 2, "bbox": [10.5, 20, 30, 40], "iscrowd": 0,
"segmentation": [[10.5, 20, 40.5, 20, 40.5, 60]]}], "categories": [{"id": 2, "name": "polyp"}]}``. A bbox is x, y,
width, height in continuous pixels from the corner of the first one, so this one is (10.5, 20, 40.5, 60).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fiducial.skills.datasets.objects import RawBox, sound_objects
from fiducial.skills.datasets.pictures import inside, read_picture
from fiducial.skills.datasets.rows import AS_PUBLISHED, Row, find_file, read_json
from fiducial.skills.datasets.sample import Problem, Sample
from fiducial.tools.errors import InputError
from fiducial.tools.record import PointXY


def _table(document: Any, name: str, path: Path) -> list[Row]:
    rows = document.get(name) if isinstance(document, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError(f"{path}: '{name}' is missing or no list of objects; {AS_PUBLISHED}")
    return [Row(f"{path}, {name} {number}", row) for number, row in enumerate(rows, 1)]


def _outline(row: Row) -> tuple[PointXY, ...] | None:
    """The largest polygon by its number of corners; None for a run-length mask or none at all."""
    parts = row.fields.get("segmentation")
    if not isinstance(parts, list) or not parts or not all(isinstance(part, list) for part in parts):
        return None
    flat = max(parts, key=len)
    if len(flat) < 6 or len(flat) % 2 or not all(isinstance(v, int | float) for v in flat):
        return None
    return tuple((float(x), float(y)) for x, y in zip(flat[::2], flat[1::2], strict=True))


def _box(row: Row, name: str) -> RawBox:
    (box,) = Row(row.where, {"bbox": [row.fields.get("bbox")]}).rows("bbox", 4)
    x, y, width, height = box
    return RawBox(name, (x, y, x + width, y + height), _outline(row))


def _read(root: Path, file: Path, split: str, name: str) -> np.ndarray:
    """The pixels of an image beside the file, or in one of the folders that COCO and its exporters use."""
    for folder in (file.parent, root / "images" / split, root / split, root / "images", root):
        if (folder / name).is_file():
            return read_picture(folder / name)
    raise InputError(f"{file} names the image '{name}', which is in none of {split}/, images/{split}/, images/")


def open_coco(root: Path, split: str) -> Iterator[Sample]:
    """Stream the samples of a split; the group is the image. The annotations, not the images, are held in memory."""
    path = find_file(
        root, f"annotations/instances_{split}*.json", f"{split}/_annotations.coco.json", f"annotations/{split}.json",
        f"{split}.json",
    )  # fmt: skip
    document = read_json(path)
    names = {row.text("id"): row.text("name") for row in _table(document, "categories", path)}
    images = _table(document, "images", path)
    known = {row.text("id") for row in images}
    annotations: dict[str, list[Row]] = defaultdict(list)
    for row in _table(document, "annotations", path):
        if row.text("image_id") not in known or row.text("category_id") not in names:
            raise row.bad("image_id", "or 'category_id' names nothing in the file")
        annotations[row.text("image_id")].append(row)
    for image in images:
        yield _sample(root, path, split, image, annotations.pop(image.text("id"), []), names)


def _sample(root: Path, path: Path, split: str, image: Row, rows: list[Row], names: dict[str, str]) -> Sample:
    name, size = image.text("file_name"), (int(image.number("width")), int(image.number("height")))
    crowds = [row for row in rows if row.fields.get("iscrowd")]
    boxes = [_box(row, names[row.text("category_id")]) for row in rows if not row.fields.get("iscrowd")]
    objects, problems = sound_objects(boxes, size, name)
    crowded = tuple(Problem("crowd", f"{row.where}: a crowd without single boxes was left out") for row in crowds)
    inside(root, name, image.where)
    pixels = partial(_read, root, path, split, name)
    return Sample(name, name, "other", pixels, objects, split=split, problems=problems + crowded)
