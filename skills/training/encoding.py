"""From rows to tensors: the same prompt, resize and dialect as at inference, and augmentation drawn by a row's id."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from fiducial.skills.datasets.pictures import grey_rgb
from fiducial.skills.families.dialects import Dialect
from fiducial.skills.stack import VOLUME_SLICES, spread
from fiducial.skills.templates import fill, wordings
from fiducial.skills.training.rows import Row, order
from fiducial.tools.frames import FrameMap2D, crop_map, identity_map

if TYPE_CHECKING:
    from fiducial.skills.families.hub.processor import HubProcessor

IGNORED = -100
STACKED = ("pixel_values", "image_grid_thw")  # of a row's images, one after the other; all else is padded
NUMBERS = ("task", "image")  # one a row
PADDING = {"labels": IGNORED, "attention_mask": 0}
MARGIN = 0.12  # the widest border that augmentation puts beside an image, as a share of its side


@dataclass(frozen=True)
class Encoder:
    """Rows of one family in one dialect. seed and ``augment``: augmentation is a function of seed, epoch and row id.

    slices: how many of a volume are shown, each as an image of its own, evenly spaced as at inference.
    """

    processor: HubProcessor
    dialect: Dialect
    templates: str
    seed: int = 0
    augment: bool = False
    slices: int = VOLUME_SLICES

    def encode(self, row: Row, epoch: int) -> dict[str, Tensor]:
        """Tensors of one row, a batch of one, with ``labels``."""
        changed, to_shown = self.augment and not of_volume(row), None
        images, row = self.shown(row)
        if changed:
            images[0], to_shown = augmented(images[0], rng_of(self.seed, epoch, row.id))
        prompt, answer = self.texts(row, images[0].shape[:2], epoch, to_shown)
        return self.processor.encode(images, prompt, answer)

    def shown(self, row: Row) -> tuple[list[np.ndarray], Row]:
        """The images (H, W, 3) uint8 of a row, and the row, told which slices they are where it is about a volume."""
        if not of_volume(row):
            return [row.sample.pixels()], row
        volume = row.sample.volume() if row.sample.volume else np.empty((0, 0, 0))
        indices = tuple(spread(len(volume), self.slices))
        told = {"image_count": len(indices), "slices": indices, "slice_count": len(volume)}
        query = row.ask.query.model_copy(update=told)
        return [grey_rgb(volume[k]) for k in indices], replace(row, ask=row.ask._replace(query=query))

    def texts(
        self, row: Row, size_hw: tuple[int, ...], epoch: int, to_shown: FrameMap2D | None = None
    ) -> tuple[str, str]:
        """Prompt and answer of a row whose image, as shown, has this height and width.

        to_shown: from the sample's pixels to those shown, where they differ.
        """
        query, height, width = self.processor.harmless_query(row.ask.query), *size_hw[:2]
        to_model = self.processor.fit(width, height)
        to_model = to_model if to_shown is None else to_shown.then(to_model)
        pool = wordings(self.templates, query.task, query.language)
        variant = int(rng_of(self.seed, epoch, f"{row.id} prompt").integers(len(pool)))
        return fill(self.templates, query, to_model, variant), self.dialect.render(query, row.ask.target, to_model)


def of_volume(row: Row) -> bool:
    """Whether a row asks about a whole volume, and not about a slice of one."""
    return row.ask.query.image_count > 1 and row.sample.volume is not None


def rng_of(seed: int, epoch: int, name: str) -> np.random.Generator:
    """Random numbers that depend on seed, epoch and a name alone."""
    digest = hashlib.sha256(f"{seed}\0{epoch}\0{name}".encode("utf-8", "surrogatepass")).digest()
    return np.random.default_rng(np.frombuffer(digest, np.uint32))


def augmented(rgb_u8: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, FrameMap2D]:
    """A border of a random width on each side, and light; nothing is cut, mirrored or turned (sides have meaning)."""
    height, width = rgb_u8.shape[:2]
    left, right = (int(v) for v in rng.integers(0, round(MARGIN * width) + 1, 2))
    top, bottom = (int(v) for v in rng.integers(0, round(MARGIN * height) + 1, 2))
    gamma, gain = np.exp(rng.uniform(-0.2, 0.2)), np.exp(rng.uniform(-0.15, 0.15))
    curve = np.clip(255 * gain * (np.arange(256) / 255) ** gamma, 0, 255).astype(np.uint8)
    bordered = np.pad(curve[rgb_u8], ((top, bottom), (left, right), (0, 0)))
    if bordered.shape == rgb_u8.shape:
        return bordered, identity_map()
    return bordered, crop_map((-left, -top, width + right, height + bottom))


class Epochs(Dataset[dict[str, Any]]):
    """All epochs of a mixture, one after the other: item i is row ``i mod n`` of epoch ``i div n``."""

    def __init__(self, rows: Sequence[Row], encoder: Encoder, length: int, temperature: float = 1.0) -> None:
        self.rows, self.encoder, self.length, self.temperature = rows, encoder, length, temperature
        self._ordered: tuple[int, list[Row]] = (-1, [])

    def __len__(self) -> int:
        return self.length

    @cached_property
    def tasks(self) -> tuple[str, ...]:
        """The tasks of the mixture, in a fixed order."""
        return tuple(sorted({row.task for row in self.rows}))

    @cached_property
    def images(self) -> dict[str, int]:
        """A number for each image, by its set and name."""
        names = dict.fromkeys(image_of(row) for row in self.rows)
        return {name: number for number, name in enumerate(names)}

    def row(self, index: int) -> tuple[Row, int]:
        """The row at an index, and its epoch."""
        epoch, place = divmod(index, len(self.rows))
        if self._ordered[0] != epoch:
            self._ordered = epoch, order(self.rows, self.encoder.seed, epoch, self.temperature)
        return self._ordered[1][place], epoch

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Tensors of a row, and the numbers of its task and image."""
        row, epoch = self.row(index)
        numbers = {"task": self.tasks.index(row.task), "image": self.images[image_of(row)]}
        return {**self.encoder.encode(row, epoch), **numbers}


def image_of(row: Row) -> str:
    """The name of a row's image in the whole mixture."""
    return f"{row.id.partition('/')[0]}/{row.sample.image_name}"


def collate(rows: Sequence[Mapping[str, Any]], pad_id: int) -> dict[str, Tensor]:
    """Batches of one to one batch: sequences padded at their end, images one after the other."""
    batch = {name: torch.tensor([row[name] for row in rows]) for name in NUMBERS if name in rows[0]}
    for name in dict.fromkeys(key for row in rows for key in row if key not in NUMBERS):
        tensors = [row[name] for row in rows if name in row]
        if name in STACKED:
            batch[name] = torch.cat(tensors)
            continue
        length = max(t.shape[1] for t in tensors)
        fill_in = pad_id if name == "input_ids" else PADDING.get(name, 0)
        batch[name] = torch.cat([torch.nn.functional.pad(t, (0, length - t.shape[1]), value=fill_in) for t in tensors])
    return batch
