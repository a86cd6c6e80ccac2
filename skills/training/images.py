"""Images for the decoder's training: encoded by the frozen tower, several augmentations of each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from fiducial.skills.families.llava.tower import KINDS, Tower
from fiducial.skills.training.corpus import corpus
from fiducial.skills.training.dense_data import Cached, cache_all
from fiducial.skills.training.examples import Encoded, encode_all

# Real images are few and seen often, phantoms and distractors are many and seen once or twice.
TURNS = {("blood_smear", True): (0.0, *[0.25] * 5, *[0.5] * 4, *[1.0] * 2), ("head_ultrasound", True): (0.0, 0.5, 1.0)}
OTHER_TURNS = (0.0, 0.5)


def encoded_corpus(tower: Tower, root: Path, kept: Path | None = None, part: str = "fit") -> list[Encoded]:
    """Encode the training corpus below ``root``. kept: a file to keep the result in, or to take it from."""
    if kept is not None and kept.is_file():
        rows = torch.load(kept, weights_only=True)
        return [Encoded(**row) for row in rows]
    items = cache_all(corpus(root, "train", part, phantoms=400, drawn=200), tower.config)
    images: list[Encoded] = []
    for group, turns in grouped(items):
        images += encode_all(tower, group, turns)
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        aside = kept.with_suffix(".tmp")
        torch.save([vars(image) for image in images], aside)
        aside.rename(kept)  # in one motion: a run that is killed meanwhile does not resume from half a file
    return images


def grouped(items: Sequence[Cached]) -> list[tuple[list[Cached], tuple[float, ...]]]:
    """Items with the augmentation strengths that their group gets."""
    groups: dict[tuple[float, ...], list[Cached]] = {}
    for item in items:
        groups.setdefault(TURNS.get((KINDS[item.kind], item.real), OTHER_TURNS), []).append(item)
    return [(group, turns) for turns, group in groups.items()]
