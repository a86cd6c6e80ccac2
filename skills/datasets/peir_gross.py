"""PEIR Gross: photographs of gross pathology with a caption each (Pavlopoulos et al., SiVL 2019).

A row of ``train_images.tsv``, without a head: ``00181214.jpg<TAB>KIDNEY: Arteriosclerosis: Gross natural color…``, and
the images in ``peir_gross_images/``. The group is the image: the set does not say which are of one case.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fiducial.skills.datasets.pictures import picture
from fiducial.skills.datasets.questions import report_ask
from fiducial.skills.datasets.rows import find_file
from fiducial.skills.datasets.sample import Sample
from fiducial.tools.errors import InputError


def open_peir_gross(root: Path, split: str) -> Iterator[Sample]:
    """Stream the captioned photographs of a published split (``train``, ``test``)."""
    path = find_file(root, f"{split}_images*.tsv", f"{split}*.tsv")
    folder = next((root / name for name in ("peir_gross_images", "images") if (root / name).is_dir()), root)
    for number, line in enumerate(_lines(path), 1):
        name, tab, caption = line.strip().partition("\t")
        if not tab or not caption.strip():
            raise InputError(f"{path}, line {number} is not an image's name, a tab and a caption; mend that line")
        pixels = picture(folder, name, f"{path}, line {number}")
        yield Sample(name, name, "other", pixels, split=split, asks=(report_ask(caption.strip()),))


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8") as lines:
            yield from lines
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read '{path}' as text in UTF-8 ({error}); copy it again from the data set") from None
