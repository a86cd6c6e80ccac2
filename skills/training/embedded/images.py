"""Images for the decoder's training: encoded by the frozen tower, several augmentations of each."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import torch

from fiducial.skills.families.llava.tower import Tower, TowerConfig
from fiducial.skills.training.embedded.corpus import corpus
from fiducial.skills.training.embedded.dense_data import Cached, cache_all
from fiducial.skills.training.embedded.examples import Encoded, encode_all

# Real images are few and seen often, phantoms and distractors are many and seen once or twice.
NUCLEI = (0.0, *[0.25] * 2, *[0.5] * 2, 1.0)
TURNS = {
    ("blood_smear", True): (0.0, *[0.25] * 5, *[0.5] * 4, *[1.0] * 2),
    ("head_ultrasound", True): (0.0, 0.5, 1.0),
    ("nuclei_fluorescence", True): NUCLEI,
    ("nuclei_he", True): NUCLEI,
}
OTHER_TURNS = (0.0, 0.5)
PHANTOMS, DRAWN = 3000, 200  # a slice of a volume counts as one


def encoded_corpus(tower: Tower, root: Path, kept: Path | None = None, part: str = "fit") -> list[Encoded]:
    """Encode the training corpus below ``root``.

    kept: a file to keep the result in, or to take it from if it is of this tower, these splits and augmentations.
    """
    key = key_of(tower, root, part)
    if kept is not None and kept.is_file():
        found = torch.load(kept, weights_only=True)
        if found["key"] == key:
            return [Encoded(**row) for row in found["rows"]]
    samples = corpus(root, "train", part, phantoms=PHANTOMS, drawn=DRAWN)
    known = (sample for sample in samples if sample.real or sample.kind in tower.config.kinds)
    items = cache_all(known, tower.config)
    images: list[Encoded] = []
    for group, turns in grouped(items, tower.config):
        images += encode_all(tower, group, turns)
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        aside = kept.with_suffix(".tmp")
        torch.save({"key": key, "rows": [vars(image) for image in images]}, aside)
        aside.rename(kept)  # in one motion: a run that is killed meanwhile does not resume from half a file
    return images


def key_of(tower: Tower, root: Path, part: str) -> str:
    """What encoded images depend on: the tower's weights, the lists of the splits, the augmentations."""
    digest = hashlib.sha256(f"{part} {TURNS} {OTHER_TURNS} {PHANTOMS} {DRAWN} {split_hashes(root)}".encode())
    for name, value in tower.state_dict().items():
        digest.update(name.encode() + value.detach().to(torch.float16).numpy().tobytes())
    return digest.hexdigest()


def split_hashes(root: Path, split: str = "train") -> dict[str, str]:
    """SHA-256 of the list of a split in each set below ``root``: ``{"bccd/train.txt": …}``."""
    lists = sorted(root.glob(f"*/{split}.txt"))
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in lists}


def grouped(items: Sequence[Cached], config: TowerConfig) -> list[tuple[list[Cached], tuple[float, ...]]]:
    """Items with the augmentation strengths that their group gets."""
    groups: dict[tuple[float, ...], list[Cached]] = {}
    for item in items:
        groups.setdefault(TURNS.get((config.kinds[item.kind], item.real), OTHER_TURNS), []).append(item)
    return [(group, turns) for turns, group in groups.items()]
