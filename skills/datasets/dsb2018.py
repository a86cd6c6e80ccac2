"""dsb2018: cell nuclei under several microscopes (2018 Data Science Bowl stage 1, CC0).

A sample: ``images/00071198d059ba7f.png`` with ``labels/00071198d059ba7f.png``, 16 bit, 0 for the background and 1 to n
for one nucleus each. No scale. The kind is told by the ground, which is dark under fluorescence.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from fiducial.skills.datasets.mask_folder import open_mask_folder
from fiducial.skills.datasets.sample import Sample

DARK_GROUND = 90  # median grey level


def open_dsb2018(root: Path, split: str) -> Iterator[Sample]:
    """Stream the samples of ``train`` or ``val``; the group is the image."""
    for sample in open_mask_folder(root, split, label="nucleus"):
        dark = float(np.median(sample.pixels())) < DARK_GROUND
        yield replace(sample, kind="nuclei_fluorescence" if dark else "nuclei_he")
