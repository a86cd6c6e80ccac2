"""MedMultiPoints: points, boxes and counts in endoscopy and microscopy (Point, Detect, Count, arXiv 2505.16647).

A record: ``{"image": "a.jpg", "image_sha256": "9f…", "img_size": [720, 576], "points": [[310.5, 200.0]], "bbox": [[280,
170, 341, 230]], "count": 1, "label": "polyp", "collection_method": "bounding box", "classification": "…", "organ":
"Lower GI"}``, absolute pixels; the instruction files are chat lines (``chat.py``). No scale.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from fiducial.skills.datasets.chat import read_chat
from fiducial.skills.datasets.objects import RawBox, located_ask, sound_objects
from fiducial.skills.datasets.pictures import picture, read_bytes_picture
from fiducial.skills.datasets.rows import Row, find_file, read_shards
from fiducial.skills.datasets.sample import Ask, Problem, Sample
from fiducial.skills.datasets.splits import drawn_split
from fiducial.skills.targets import CountTarget, LabelledPoint, PointsTarget, PromptTask, Query
from fiducial.tools.record import PointXY

FACTS = ("collection_method", "classification", "organ")
BOX_TASKS: tuple[PromptTask, ...] = ("detect", "count_and_box")


def row_picture(root: Path, row: Row, field: str = "image") -> tuple[str, Callable[[], np.ndarray]]:
    """Name and lazy pixels of a row's image: a path, or the bytes that a table holds."""
    value = row.fields.get(field)
    if isinstance(value, dict) and isinstance(value.get("bytes"), bytes):
        return str(value.get("path") or ""), partial(read_bytes_picture, value["bytes"], row.where)
    name = row.text(field)
    return name, picture(root, name, row.where)


def _point_asks(label: str, points: list[PointXY], count: int) -> Iterator[Ask]:
    """The questions that points answer."""
    named = tuple(LabelledPoint(label=label, point_xy_px=point) for point in points)
    yield Ask(Query(task="point", label=label), PointsTarget(points=named))
    yield Ask(Query(task="count", label=label), CountTarget(label=label, count=count))
    counted = CountTarget(label=label, count=count, points_xy_px=tuple(points))
    yield Ask(Query(task="count_and_point", label=label), counted)


def _sample(root: Path, row: Row) -> Sample:
    name, pixels = row_picture(root, row)
    label, count = row.text("label"), int(row.number("count"))
    ((width, height),) = Row(row.where, {"img_size": [row.fields.get("img_size")]}).rows("img_size", 2)
    points: list[PointXY] = [(p[0], p[1]) for p in row.rows("points", 2)]
    raw = [RawBox(label, (b[0], b[1], b[2], b[3])) for b in row.rows("bbox", 4)]
    boxes, problems = sound_objects(raw, (int(width), int(height)), row.where)
    asks: list[Ask] = []
    if any(not (0 <= x <= width and 0 <= y <= height) for x, y in points) or (points and len(points) != count):
        problems += (Problem("mismatch", f"{row.where}: count {count}, {len(points)} points, or a point outside"),)
    else:
        asks = list(_point_asks(label, points, count))
    if len(boxes) == len(raw) == count:
        asks += [ask for task in BOX_TASKS if (ask := located_ask(boxes, label, task))]
    elif raw:
        problems += (Problem("mismatch", f"{row.where}: count {count} and {len(boxes)} usable boxes of {len(raw)}"),)
    group = row.text("image_sha256", name)
    facts = {key: row.text(key, "") for key in FACTS}
    return Sample(
        f"{group[:16]}-{label}", group, "other", pixels, image=group, asks=tuple(asks), facts=facts, problems=problems
    )


def open_medmultipoints(root: Path, split: str) -> Iterator[Sample]:
    """Stream one sample a record; splits are drawn by image, for the publisher gives none for the records."""
    rows = read_shards(root, "*.arrow", "*.parquet", "*.jsonl", "records*.json", "*.json")
    yield from drawn_split((_sample(root, row) for row in rows), split)


def open_medmultipoints_chat(root: Path, split: str) -> Iterator[Sample]:
    """Stream the publisher's instruction lines, in its own split; several lines are about one image."""
    path = find_file(root, f"instruction_dataset/multi-task-{split}.jsonl", f"*{split}*.jsonl")
    images = next((folder for folder in (root / "images",) if folder.is_dir()), root)
    yield from read_chat(path, images, split)
