"""One example of what the decoder is taught: an image as the tower has encoded it, and turns of prompt and target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from fiducial.skills.families.llava.dialect import HEARTS, render_report
from fiducial.skills.families.llava.flips import mean_over_flips
from fiducial.skills.families.llava.perform import RATIO, REPORTED
from fiducial.skills.families.llava.proposals import Proposals
from fiducial.skills.families.llava.tower import Tower, TowerConfig
from fiducial.skills.training.embedded.dense_data import Cached, boxes_of, make_batch
from fiducial.tools.geometry.matching import match_by_iou
from fiducial.tools.landmark_measures import above_normal, named_quantities

MATCH_IOU = 0.5
MARK_WITHIN = 0.04  # of the input's width: a landmark further off than this is not the one that is meant


Turn = tuple[str, str]


@dataclass(frozen=True)
class Encoded:
    """One (augmented) image as the decoder sees it.

    tokens (T, size); slots: those that name the true objects of each label; counts: the true numbers; labels: those
    that an image of its kind may show; marks: the slot of each landmark that it shows; ious: of each label, how well
    the slots overlap their objects; report: the line that reports it, empty for an image that none is written of;
    questions: what is asked of it in free words, and the answers.
    """

    kind: str
    tokens: Tensor
    slots: dict[str, tuple[int, ...]]
    counts: dict[str, int]
    labels: tuple[str, ...] = ()
    marks: dict[str, int] = field(default_factory=dict)
    ious: dict[str, tuple[float, ...]] = field(default_factory=dict)
    report: str = ""
    questions: tuple[Turn, ...] = ()


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


@torch.no_grad()
def encode_all(
    tower: Tower, items: Sequence[Cached], strengths: Sequence[float], seed: int = 0, mirror: bool = True
) -> list[Encoded]:
    """Encode every item once for each strength of augmentation, strength by strength."""
    config, out = tower.config, []
    for turn, strength in enumerate(strengths):
        for start in range(0, len(items), 16):
            chunk = items[start : start + 16]
            batch = make_batch(chunk, np.random.default_rng([seed, turn, start]), config, strength, mirror=mirror)
            with torch.autocast("cpu", torch.bfloat16):
                dense = mean_over_flips(tower, batch.pixels.contiguous(memory_format=torch.channels_last))
            result = tower.read(dense)
            for i, item in enumerate(chunk):
                tokens, kind = result.hidden_states[-1][i].to(torch.bfloat16), config.kinds[item.kind]
                objects = batch.objects[i]
                slots, counts, ious = named(boxes_of(objects, config), objects, result.proposals, i, config)
                marks = named_marks(batch.marks[i].numpy(), result.proposals, i, config)
                line = report_of(objects, batch.marks[i].numpy(), config) if kind == REPORTED else ""
                own = config.labels_of_kind.get(kind, ())
                out.append(Encoded(kind, tokens, slots, counts, own, marks, ious, line))
    return out


def report_of(objects: np.ndarray, marks: np.ndarray, config: TowerConfig) -> str:
    """The report's line of one chest film, from its objects (N, 6) and landmarks (M, 2); empty where one is missing.

    The patient's right is on the image's left, so an opacity left of the middle of the thorax is in the right lung.
    """
    between = named_quantities()[RATIO].of
    if not {*between} <= {*config.landmarks} or "opacity" not in config.labels:
        return ""
    right, left, far_right, far_left = (marks[config.landmarks.index(name), 0] for name in between)
    if not np.isfinite([right, left, far_right, far_left]).all():
        return ""
    spots = objects[objects[:, 0] == config.labels.index("opacity"), 1]
    side = "none" if not len(spots) else "right" if spots[0] < (far_right + far_left) / 2 else "left"
    enlarged = above_normal(RATIO, (left - right) / (far_left - far_right))
    return render_report(side, HEARTS[bool(enlarged)])


def named(
    boxes: np.ndarray, objects: np.ndarray, proposals: Proposals, row: int, config: TowerConfig
) -> tuple[dict[str, tuple[int, ...]], dict[str, int], dict[str, tuple[float, ...]]]:
    """The slots of one image's true objects (boxes (N, 4), labels in ``objects[:, 0]``), their number, their IoU."""
    proposed = valid_boxes(proposals, row)
    usable = proposals.label_scores[row, : len(proposed)].argmax(-1).numpy() < len(config.labels)
    own = {label: boxes[objects[:, 0] == index] for index, label in enumerate(config.labels)}
    places = np.flatnonzero(usable)
    matched = {label: match_by_iou(own[label], proposed[usable], MATCH_IOU) for label in config.labels}
    slots = {label: tuple(int(places[k]) for _, k in matched[label].pairs) for label in config.labels}
    ious = {label: tuple(matched[label].quality.tolist()) for label in config.labels}
    return slots, {label: len(own[label]) for label in config.labels}, ious


def named_marks(marks: np.ndarray, proposals: Proposals, row: int, config: TowerConfig) -> dict[str, int]:
    """The slot of each landmark (M, 2), NaN for none, that was placed near enough to the truth."""
    boxes, found = valid_boxes(proposals, row), {}
    labels = proposals.label_scores[row, : len(boxes)].argmax(-1).numpy()
    for index, name in enumerate(config.landmarks):
        at = np.flatnonzero(labels == len(config.labels) + index)
        if not len(at) or np.isnan(marks[index, 0]):
            continue
        centre = (boxes[at[0], :2] + boxes[at[0], 2:]) / 2
        if np.hypot(*(centre - marks[index])) <= MARK_WITHIN * config.width_px:
            found[name] = int(at[0])
    return found


def valid_boxes(proposals: Proposals, row: int) -> np.ndarray:
    """The boxes (K, 4) of one image's proposals; unused slots, which come last, are left out."""
    return proposals.box_xyxy_px[row][proposals.score[row] > 0].numpy()
