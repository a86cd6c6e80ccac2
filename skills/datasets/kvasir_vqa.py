"""Kvasir-VQA-x1: questions of three complexities about endoscopy (arXiv 2506.09958, CC BY-NC 4.0).

A row: ``{"img_id": "cl8k2u1pr1dzn0832dry8fwxi", "complexity": 2, "question": "How many polyps are visible and where?",
"answer": "One polyp in the lower right.", "original": [{"q": "How many polyps are in the image?", "a": "1"}],
"question_class": ["polyp_count"]}``, JSON lines with the images beside them (``images/IMG_ID.jpg``), or a table that
holds the images. The group is the image.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from fiducial.skills.datasets.medmultipoints import row_picture
from fiducial.skills.datasets.pictures import inside, read_named
from fiducial.skills.datasets.questions import question_ask
from fiducial.skills.datasets.rows import Row, read_shards
from fiducial.skills.datasets.sample import Sample


def _plain(row: Row, field: str) -> str:
    """A field that is text, a list or an object, as text."""
    value = row.fields.get(field, "")
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _sample(root: Path, row: Row, number: int, split: str) -> Sample:
    image = row.text("img_id")
    if row.fields.get("image") is not None:
        _, pixels = row_picture(root, row)
    else:
        inside(root / "images", image, row.where)
        pixels = partial(read_named, root / "images", image)
    facts = {field: _plain(row, field) for field in ("original", "question_class")}
    facts["complexity"] = row.text("complexity", "")
    ask = question_ask(row.text("question"), row.text("answer"))
    name = f"{image}-{number}"
    return Sample(name, image, "other", pixels, split=split, image=image, asks=(ask,), facts=facts)


def open_kvasir_vqa(root: Path, split: str) -> Iterator[Sample]:
    """Stream the questions of a published split (``train``, ``test``)."""
    rows = read_shards(root, f"*{split}*.jsonl", f"*{split}*.json", f"data/{split}*.parquet", f"*{split}*.parquet")
    for number, row in enumerate(rows, 1):
        yield _sample(root, row, number, split)
