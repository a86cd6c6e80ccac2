"""What the embedded model is trained on: the real sets that are at hand, phantoms, and pictures of no domain."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from fiducial.skills.datasets import distractors
from fiducial.skills.datasets.bccd import open_bccd
from fiducial.skills.datasets.hc18 import open_hc18
from fiducial.skills.datasets.phantoms import open_phantoms
from fiducial.skills.datasets.sample import Sample, held_out


def corpus(root: Path, split: str, part: str | None = None, phantoms: int = 400, drawn: int = 300) -> Iterator[Sample]:
    """Stream every set below ``root``. part ``fit`` or ``calibrate`` takes that share of the split; None takes all."""
    streams = [
        open_bccd(root / "bccd", split) if (root / "bccd").is_dir() else iter(()),
        open_hc18(root / "hc18", split) if (root / "hc18").is_dir() else iter(()),
        open_phantoms(None, split, phantoms),
        distractors.real(root, split),
        distractors.drawn(drawn, 0 if split == "train" else 10**6),
    ]
    for sample in chain(*streams):
        if part is None or held_out(sample.group) == (part == "calibrate"):
            yield sample
