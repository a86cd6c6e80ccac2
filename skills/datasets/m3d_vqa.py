"""M3D-VQA: questions with four options about the volumes of M3D-Cap (Bai et al., arXiv 2404.00578).

A row of ``M3D_VQA_train.csv``: ``Image Path`` (``M3D_Cap_npy/ct_quizze/000007/Axial_non_contrast.npy``), ``Text``,
``Question Type`` (1 plane, 2 phase, 3 organ, 4 abnormality, 5 location), ``Question``, ``Choice A`` to ``Choice D``,
``Answer``, ``Answer Choice`` (``B``). The group is the case's folder, as in M3D-Cap.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from fiducial.skills.datasets.m3d_cap import SLICES
from fiducial.skills.datasets.pictures import inside, middle_slice, read_npy_volume
from fiducial.skills.datasets.questions import question_ask
from fiducial.skills.datasets.rows import Row, find_file, read_rows
from fiducial.skills.datasets.sample import Sample
from fiducial.skills.datasets.splits import require_split

LETTERS = "ABCD"
TYPES = {"1": "plane", "2": "phase", "3": "organ", "4": "abnormality", "5": "location"}


def _sample(root: Path, row: Row, number: int, split: str) -> Sample:
    image, letter = row.text("Image Path"), row.text("Answer Choice").upper()
    if len(letter) != 1 or letter not in LETTERS:
        raise row.bad("Answer Choice", f"is '{letter}', not one of A, B, C, D")
    options = [row.text(f"Choice {name}") for name in LETTERS]
    ask = question_ask(row.text("Question"), options[LETTERS.index(letter)], options, image_count=SLICES)
    kind = row.text("Question Type", "")
    volume = partial(read_npy_volume, inside(root, image, row.where))
    return Sample(
        f"{split}-{number}", str(Path(image).parent), "other", middle_slice(volume), split=split, image=image,
        asks=(ask,), volume=volume, facts={"question_type": TYPES.get(kind, kind), "answer_type": "CLOSED"},
    )  # fmt: skip


def open_m3d_vqa(root: Path, split: str) -> Iterator[Sample]:
    """Stream the questions of a published split."""
    path = find_file(root, f"M3D_VQA_{require_split(split, ('train', 'val', 'test'), 'm3d_vqa')}.csv")
    for number, row in enumerate(read_rows(path), 1):
        yield _sample(root, row, number, split)
