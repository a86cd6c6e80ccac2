"""PathVQA: questions about pathology images from textbooks (He et al., arXiv 2003.10286, MIT).

A row of ``qas/train/train_qa.pkl``: ``{"answer": "in the canals of hering", "image": "train_0422", "question": "where
are liver stem cells (oval cells) located?"}`` with ``images/train/train_0422.jpg``; the Parquet files of the hub hold
the image itself. The group is the image.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from fiducial.skills.datasets.medmultipoints import row_picture
from fiducial.skills.datasets.pictures import inside, read_named
from fiducial.skills.datasets.questions import question_ask
from fiducial.skills.datasets.rows import Row, read_shards
from fiducial.skills.datasets.sample import Sample


def _sample(root: Path, row: Row, number: int, split: str) -> Sample:
    value = row.fields.get("image")
    if isinstance(value, dict):
        _, pixels = row_picture(root, row)
        image = hashlib.sha256(value.get("bytes") or b"").hexdigest()[:16]
    else:
        image = row.text("image")
        folder = inside(root / "images" / split, image, row.where).parent
        pixels = partial(read_named, folder, image)
    ask = question_ask(row.text("question"), row.text("answer"))
    facts = {"answer_type": "CLOSED" if ask.query.options else "OPEN"}
    name = f"{split}-{number}"
    return Sample(name, image, "other", pixels, split=split, image=image, asks=(ask,), facts=facts)


def open_path_vqa(root: Path, split: str) -> Iterator[Sample]:
    """Stream the questions of a published split (``train``, ``val``, ``test``)."""
    rows = read_shards(
        root, f"qas/{split}/{split}_qa.pkl", f"**/{split}_qa.pkl", f"{split}*.jsonl", f"data/{split}*.parquet"
    )
    for number, row in enumerate(rows, 1):
        yield _sample(root, row, number, split)
