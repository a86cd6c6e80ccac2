"""Calibration on images kept back from training: typicality of each kind, uncertainty of the head's ellipse."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from fiducial.skills.datasets.sample import held_out
from fiducial.skills.families.llava.calibration import DEFAULT_HEAD_SIGMA, Calibration, Cloud
from fiducial.skills.families.llava.processing import pixel_values
from fiducial.skills.training.embedded.corpus import corpus

if TYPE_CHECKING:
    from fiducial.skills.datasets.sample import Sample
    from fiducial.skills.families.llava.tower import Tower

PHANTOMS = 4500  # of all scenes, so that enough are kept back for a p-value below the least typicality
FIT_PHANTOMS = 150  # of a kind at most, which its cloud is fitted to, for looking takes long; all slices of each
LEAST_KEPT = 60  # images kept back of a kind: fewer have no p-value below the least typicality, and refuse nothing
FOLDS = 5
# On held-out smears the regions count platelets and white cells better than the count skill does, so decoding held to
# the count claimed proves nothing and confirms nothing.
POLICY: dict[str, Any] = {
    "region_floor": 0.2,
    "understand_confidence": 0.4,
    "unconfirmed_by_decoding": ["platelet", "white_cell"],
    "count_difference_relative": 0.5,
    "volume_slices": 256,  # a lesion of a few slices is not found on one in three of them
}


@torch.no_grad()
def look(tower: Tower, sample: Sample) -> tuple[np.ndarray, float | None]:
    """An image's embedding, and for a head the error of the mean radius relative to it."""
    values, frame_map = pixel_values(sample.pixels(), tower.config.width_px, tower.config.height_px)
    out = tower(values)
    heads = sample.of("head")
    error = None
    if heads and heads[0].ellipse_px is not None:
        truth = frame_map.ellipse(heads[0].ellipse_px)
        radius = float((out.proposals.ellipse[0, 2] + out.proposals.ellipse[0, 3]) / 2)
        error = radius / ((truth.semi_major_px + truth.semi_minor_px) / 2) - 1
    return out.dense.embedding[0].numpy(), error


def across_folds(embeddings: Sequence[np.ndarray]) -> np.ndarray:
    """(N,) the distance of each image of a kind to the cloud of the other folds.

    For a kind of which too few are kept back. The tower has seen these images, so what it has not seen is somewhat
    further out and refused somewhat more often than the p-value says.
    """
    x = np.array(embeddings)
    fold = np.arange(len(x)) % FOLDS
    return np.concatenate([Cloud.of(x[fold != k]).distance(x[fold == k]) for k in range(FOLDS)])


def is_fitted(groups: set[str], group: str) -> bool:
    """Whether a phantom is among the first FIT_PHANTOMS of its kind; enters it into those seen so far if it is."""
    if len(groups) < FIT_PHANTOMS:
        groups.add(group)
    return group in groups


def calibrate(base: Path, root: Path, policy: dict[str, Any] | None = None) -> Calibration:
    """Fit clouds on the images trained on, measure on those kept back, write both beside the base."""
    from transformers import LlavaForConditionalGeneration

    from fiducial.skills.families.llava import tower as _registers_the_tower  # noqa: F401

    tower = LlavaForConditionalGeneration.from_pretrained(
        base, local_files_only=True, dtype="float32"
    ).model.vision_tower
    tower.eval()
    found: dict[tuple[str, bool, bool], list[np.ndarray]] = {}
    errors: list[float] = []
    drawn: dict[str, set[str]] = {}
    for sample in corpus(root, "train", phantoms=PHANTOMS, drawn=0):
        if sample.kind == "other" or sample.kind not in tower.config.kinds:
            continue
        held = held_out(sample.group)
        rows = found.setdefault((sample.kind, held, sample.real), [])
        if not held and not sample.real and not is_fitted(drawn.setdefault(sample.kind, set()), sample.group):
            continue
        embedding, error = look(tower, sample)
        rows.append(embedding)
        if error is not None and held and sample.real:
            errors.append(error)
    clouds, distances = {}, {}
    for kind in tower.config.kinds:
        fitted = [found.get((kind, False, real), []) for real in (True, False)]
        kept = [e for real in (True, False) for e in found.get((kind, True, real), [])]
        if not kept or max(map(len, fitted)) < 2:
            continue
        clouds[kind] = tuple(Cloud.of(own) for own in fitted if len(own) > 1)
        apart = np.min([cloud.distance(kept) for cloud in clouds[kind]], axis=0)
        every = [embedding for part in (*fitted, kept) for embedding in part]
        distances[kind] = np.sort(apart if len(apart) >= LEAST_KEPT else across_folds(every))
    # The 68 % quantile of the errors is one standard deviation of a normal one, and heavy tails do not blow it up.
    sigma = float(np.quantile(np.abs(errors), 0.68)) if errors else DEFAULT_HEAD_SIGMA
    calibration = Calibration(clouds, distances, sigma)
    calibration.save(base, POLICY if policy is None else policy)
    return calibration
