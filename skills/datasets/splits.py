"""Splits by patient, examination, video or image, and never by row: a function of the group's name alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from fiducial.skills.datasets.sample import Sample
from fiducial.tools.errors import InputError

SHARES: Mapping[str, float] = {"train": 0.8, "val": 0.1, "test": 0.1}


def share_of(text: str, salt: str) -> float:
    """A number in [0, 1) that depends on the text alone, evenly spread."""
    digest = hashlib.sha256(f"{salt}\0{text}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def split_of(group: str, shares: Mapping[str, float] = SHARES, salt: str = "split") -> str:
    """The split of a group: rows of one group never part, and a growing set keeps the splits it had.

    shares: of each split, adding up to 1. Raises InputError for shares that do not.
    """
    if any(share < 0 for share in shares.values()) or abs(sum(shares.values()) - 1) > 1e-9:
        raise InputError(
            f"the shares of the splits {dict(shares)} do not add up to 1; give shares such as 0.8, 0.1, 0.1"
        )
    drawn, edge = share_of(group, salt), 0.0
    for name, share in shares.items():
        edge += share
        if drawn < edge:
            return name
    return max(shares, key=lambda name: shares[name])  # the sum's rounding, at the very edge


def drawn_split(samples: Iterable[Sample], split: str, shares: Mapping[str, float] = SHARES) -> Iterator[Sample]:
    """The samples of one split of a set that publishes none, drawn by group; ``all`` gives every sample its split."""
    if split not in (*shares, "all"):
        raise InputError(f"unknown split '{split}'; there is: {', '.join(shares)}, all")
    for sample in samples:
        name = split_of(sample.group, shares)
        if split in (name, "all"):
            yield replace(sample, split=name)


def listed_names(root: Path, split: str) -> list[str] | None:
    """The names in ``split.txt``, one a line; None for a folder without any such list, whose splits are to be drawn.

    Raises InputError where the folder lists other splits but not this one: to draw it would take from those.
    """
    listing = root / f"{split}.txt"
    if listing.is_file():
        lines = (line.split() for line in listing.read_text(encoding="utf-8").splitlines())
        return [words[0] for words in lines if words]
    if any((root / f"{name}.txt").is_file() for name in SHARES):
        raise InputError(f"{listing} is missing, though the folder lists other splits; add it, or take those away")
    return None


def read_split(root: Path, split: str) -> list[str]:
    """The names in ``split.txt``, one a line. Raises InputError where there is no such list."""
    names = listed_names(root, split)
    if names is None:
        raise InputError(
            f"{root / f'{split}.txt'} is missing; give the folder of the data set that holds its {split}.txt"
        )
    return names


def require_split(split: str, names: Mapping[str, str] | Iterable[str], what: str) -> str:
    """The set's own name of a split. Raises InputError naming those that the set has."""
    table = names if isinstance(names, Mapping) else {name: name for name in names}
    if split not in table:
        raise InputError(f"{what} has no split '{split}'; there is: {', '.join(table)}")
    return table[split]
