"""SLAKE: questions about radiology images in English and Chinese, with boxes of the organs (Liu et al., ISBI 2021).

A row of ``train.json``: ``{"img_id": 1, "img_name": "xmlab1/source.jpg", "question": "What modality is used to take
this image?", "answer": "MRI", "q_lang": "en", "location": "Abdomen", "modality": "MRI", "answer_type": "OPEN",
"base_type": "vqa", "content_type": "Modality", "triple": ["vhead", "_", "_"], "qid": 0}``.
``imgs/xmlab1/detection.json`` holds ``[{"Liver": [10, 20, 200, 180]}]``: x, y, width, height. The group is the image.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from fiducial.skills.datasets.objects import RawBox, sound_objects
from fiducial.skills.datasets.pictures import inside, picture_size, read_picture
from fiducial.skills.datasets.questions import language_of, question_ask
from fiducial.skills.datasets.rows import Row, find_file, read_json, read_rows
from fiducial.skills.datasets.sample import Object, Problem, Sample
from fiducial.skills.datasets.splits import require_split
from fiducial.tools.errors import InputError

SPLITS = {"train": "train", "val": "valid", "test": "test"}  # validate.json in the archive, validation.json elsewhere
FACTS = ("location", "modality", "answer_type", "base_type", "content_type")


def read_organs(path: Path, size: tuple[int, int] | None) -> tuple[tuple[Object, ...], tuple[Problem, ...]]:
    """The organs' boxes of one image, from its ``detection.json``."""
    document = read_json(path)
    if not isinstance(document, list) or not all(isinstance(part, dict) for part in document):
        raise InputError(f'{path} is no list of objects such as {{"Liver": [x, y, width, height]}}; copy it again')
    boxes = []
    for part in document:
        for label, box in part.items():
            ((x, y, width, height),) = Row(f"{path}, {label}", {"box": [box]}).rows("box", 4)
            boxes.append(RawBox(label, (x, y, x + width, y + height)))
    return sound_objects(boxes, size, f"{path.parent.name}/{path.name}")


def _detections(file: Path, image: str, split: str) -> Sample | None:
    """The sample of an image's organs; None where the set has no boxes for it."""
    detection = file.parent / "detection.json"
    if not detection.is_file():
        return None
    objects, problems = read_organs(detection, picture_size(file) if file.is_file() else None)
    pixels = partial(read_picture, file)
    return Sample(f"{image}#organs", image, "other", pixels, objects, split=split, image=image, problems=problems)


def open_slake(root: Path, split: str) -> Iterator[Sample]:
    """Stream the questions of a split, in both languages, and once for each image its organs."""
    path = find_file(root, f"{require_split(split, SPLITS, 'slake')}*.json")
    seen: set[str] = set()
    for row in read_rows(path):
        image = row.text("img_name")
        file = inside(root / "imgs", image, row.where)
        if image not in seen:
            seen.add(image)
            organs = _detections(file, image, split)
            if organs is not None:
                yield organs
        ask = question_ask(
            row.text("question"), row.text("answer"), language=language_of(row.text("q_lang"), row.where)
        )
        facts = {name: row.text(name, "") for name in FACTS}
        name = f"q{row.text('qid')}"
        pixels = partial(read_picture, file)
        yield Sample(name, image, "other", pixels, split=split, image=image, asks=(ask,), facts=facts)
