"""M3D-Cap: CT volumes with the text of their report (Bai et al., arXiv 2404.00578).

A row of ``M3D_Cap.json``: ``{"train": [{"image": "M3D_Cap_npy/ct_quizze/000007/Axial_non_contrast.npy", "text":
"M3D_Cap_npy/ct_quizze/000007/text.txt"}], "validation": […], "test": […]}``. The image is (1, 32, 256, 256) float in 0
to 1: slices, rows, columns. No spacing, so no scale. The group is the case's folder: its phases share one text.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from fiducial.skills.datasets.pictures import inside, middle_slice, read_npy_volume
from fiducial.skills.datasets.questions import report_ask
from fiducial.skills.datasets.rows import AS_PUBLISHED, Row, find_file, read_json
from fiducial.skills.datasets.sample import Sample
from fiducial.skills.datasets.splits import require_split
from fiducial.tools.errors import InputError

SPLITS = {"train": "train", "val": "validation", "test": "test"}
SLICES = 32


def read_text(path: Path) -> str:
    """A report's text. Raises InputError for a file that is missing, empty or no text."""
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the text '{path}' ({error}); copy it again from the data set") from None
    if not text:
        raise InputError(f"the text '{path}' is empty; copy it again from the data set")
    return text


def _sample(root: Path, row: Row, split: str) -> Sample:
    image = row.text("image")
    volume = partial(read_npy_volume, inside(root, image, row.where))
    ask = report_ask(read_text(inside(root, row.text("text"), row.where)), image_count=SLICES)
    group, pixels = str(Path(image).parent), middle_slice(volume)
    return Sample(image, group, "other", pixels, split=split, image=image, asks=(ask,), volume=volume)


def open_m3d_cap(root: Path, split: str) -> Iterator[Sample]:
    """Stream the volumes of a published split."""
    published = require_split(split, SPLITS, "m3d_cap")
    path = find_file(root, "M3D_Cap.json", "*/M3D_Cap.json")
    document = read_json(path)
    rows = document.get(published) if isinstance(document, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError(f"{path} has no list '{published}'; {AS_PUBLISHED}")
    for number, fields in enumerate(rows, 1):
        yield _sample(root, Row(f"{path}, {published} {number}", fields), split)
