"""What the embedded model is trained on: the real sets that are at hand, phantoms, and pictures of no domain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import numpy as np

from fiducial.skills.datasets import distractors
from fiducial.skills.datasets.bccd import open_bccd
from fiducial.skills.datasets.cropped import cropped
from fiducial.skills.datasets.dsb2018 import open_dsb2018
from fiducial.skills.datasets.hc18 import open_hc18
from fiducial.skills.datasets.phantoms import open_phantoms
from fiducial.skills.datasets.sample import Sample, held_out

READERS = {"bccd": open_bccd, "hc18": open_hc18, "dsb2018": open_dsb2018}
# Not smears: windows would teach to box every cell that an edge cuts, many of which the annotators leave out.
CROPPED = ("hc18", "dsb2018")


def corpus(
    root: Path, split: str, part: str | None = None, phantoms: int = 400, drawn: int = 300, crops: int = 0
) -> Iterator[Sample]:
    """Stream every set below ``root``. part ``fit`` or ``calibrate`` takes that share of the split; None takes all.

    crops: so many random windows of each real image of CROPPED with it, of other proportions and magnifications.
    """
    streams = [
        *(
            with_crops(read(root / name, split), crops if name in CROPPED else 0)
            for name, read in READERS.items()
            if (root / name).is_dir()
        ),
        open_phantoms(None, split, phantoms),
        distractors.real(root, split),
        distractors.drawn(drawn, 0 if split == "train" else 10**6),
    ]
    for sample in chain(*streams):
        if part is None or held_out(sample.group) == (part == "calibrate"):
            yield sample


def with_crops(samples: Iterable[Sample], crops: int) -> Iterator[Sample]:
    """Each sample, then so many windows of it."""
    for sample in samples:
        yield sample
        for turn in range(crops):
            seed = [turn, *sample.id.encode()]
            yield cropped(sample, np.random.default_rng(seed))
