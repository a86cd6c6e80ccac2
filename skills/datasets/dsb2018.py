"""dsb2018: cell nuclei under several microscopes (2018 Data Science Bowl stage 1, CC0).

A sample: ``images/00071198d059ba7f.png`` with ``labels/00071198d059ba7f.png``, 16 bit, 0 for the background and 1 to n
for one nucleus each. No scale.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fiducial.skills.datasets.mask_folder import open_mask_folder
from fiducial.skills.datasets.sample import Sample


def open_dsb2018(root: Path, split: str) -> Iterator[Sample]:
    """Stream the samples of ``train`` or ``val``; the group is the image."""
    yield from open_mask_folder(root, split, label="nucleus")
