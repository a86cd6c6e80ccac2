"""VQA-RAD: questions about radiology images by clinicians (Lau et al., Scientific Data 2018, CC0).

A sample: ``{"qid": 7, "image_name": "synpic28602.jpg", "image_organ": "CHEST", "answer": "yes", "answer_type":
"CLOSED", "question_type": "PRES", "question": "Is the trachea midline?", "phrase_type": "freeform"}``. Paraphrases of
one question repeat, so the group is the image. Splits are lists of images (``train.txt``), else drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fiducial.skills.datasets.pictures import picture
from fiducial.skills.datasets.questions import question_ask, without_mark
from fiducial.skills.datasets.rows import Row, find_file, read_rows
from fiducial.skills.datasets.sample import Sample
from fiducial.skills.datasets.splits import drawn_split, listed_names

FACTS = ("answer_type", "question_type", "image_organ", "phrase_type")


def _sample(root: Path, row: Row, split: str) -> Sample:
    image = row.text("image_name")
    ask = question_ask(without_mark(row.text("question")), without_mark(row.text("answer")))
    facts = {name: row.text(name, "").strip() for name in FACTS}
    pixels = picture(root / "images", image, row.where)
    return Sample(f"{row.text('qid')}", image, "other", pixels, split=split, image=image, asks=(ask,), facts=facts)


def open_vqa_rad(root: Path, split: str) -> Iterator[Sample]:
    """Stream the questions of a split."""
    path, listed = find_file(root, "train.json", "VQA_RAD*.json", "*.json"), listed_names(root, split)
    if listed is None:
        yield from drawn_split((_sample(root, row, "") for row in read_rows(path)), split)
        return
    names = set(listed)
    for row in read_rows(path):
        if row.text("image_name") in names:
            yield _sample(root, row, split)
