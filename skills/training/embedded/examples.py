"""One example of what the decoder is taught: an image as the tower has encoded it, and turns of prompt and target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fiducial.skills.families.llava.flips import mean_over_flips
from fiducial.skills.families.llava.proposals import Proposals
from fiducial.skills.families.llava.tower import KINDS, LABELS, Tower
from fiducial.skills.training.embedded.dense_data import Cached, boxes_of, make_batch
from fiducial.tools.geometry.matching import match_by_iou

MATCH_IOU = 0.5
CELLS = LABELS[:3]


@dataclass(frozen=True)
class Encoded:
    """One (augmented) image as the decoder sees it.

    tokens (T, size); slots: those that name the true objects of each label; counts: the true numbers.
    """

    kind: str
    tokens: Tensor
    slots: dict[str, tuple[int, ...]]
    counts: dict[str, int]


Turn = tuple[str, str]


@dataclass(frozen=True)
class Example:
    """Turns of prompt and target about one image (None for language alone).

    An image's tokens are most of a sequence, so that a turn more costs little.
    """

    turns: tuple[Turn, ...]
    image: Encoded | None = None

    @classmethod
    def of(cls, turns: Sequence[Turn], image: Encoded | None = None) -> Example:
        """From any sequence of turns."""
        return cls(tuple(turns), image)


def labels_of(kind: str) -> tuple[str, ...]:
    """The structures that an image of a kind may show."""
    return {"blood_smear": CELLS, "head_ultrasound": ("head",)}.get(kind, ())


@torch.no_grad()
def encode_all(tower: Tower, items: Sequence[Cached], strengths: Sequence[float], seed: int = 0) -> list[Encoded]:
    """Encode every item once for each strength of augmentation."""
    config, out = tower.config, []
    for turn, strength in enumerate(strengths):
        for start in range(0, len(items), 16):
            chunk = items[start : start + 16]
            batch = make_batch(chunk, np.random.default_rng([seed, turn, start]), config, strength)
            with torch.autocast("cpu", torch.bfloat16):
                dense = mean_over_flips(tower, batch.pixels.contiguous(memory_format=torch.channels_last))
            result = tower.read(dense)
            for i, (item, objects) in enumerate(zip(chunk, batch.objects, strict=True)):
                boxes, proposed = boxes_of(objects, config), valid_boxes(result.proposals, i)
                own = {label: boxes[objects[:, 0] == index] for index, label in enumerate(LABELS)}
                pairs = {label: match_by_iou(own[label], proposed, MATCH_IOU).pairs for label in LABELS}
                slots = {label: tuple(int(k) for _, k in pairs[label]) for label in LABELS}
                counts = {label: len(own[label]) for label in LABELS}
                out.append(Encoded(KINDS[item.kind], result.hidden_states[-1][i].to(torch.bfloat16), slots, counts))
    return out


def valid_boxes(proposals: Proposals, row: int) -> np.ndarray:
    """The boxes (K, 4) of one image's proposals; unused slots, which come last, are left out."""
    return proposals.box_xyxy_px[row][proposals.score[row] > 0].numpy()
