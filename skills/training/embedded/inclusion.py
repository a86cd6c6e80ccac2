"""The rule by which proposals are named: what serves F1 best on images kept back from training."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
from scipy.ndimage import uniform_filter1d
from scipy.optimize import minimize

from fiducial.skills.base import CountResult, SubjectArgs
from fiducial.skills.datasets.sample import Sample
from fiducial.skills.families.llava import dialect
from fiducial.skills.families.llava.family import LlavaModel, load_llava
from fiducial.skills.families.llava.inclusion import Rule, log_odds
from fiducial.skills.training.embedded.corpus import corpus
from fiducial.tools.frames import identity_map
from fiducial.tools.geometry.matching import match_by_iou
from fiducial.tools.images.image import Image
from fiducial.tools.record import ImageInfo

CELLS = ("red_cell", "white_cell", "platelet")
GRID = np.round(np.arange(0.25, 0.76, 0.05), 2)
MATCH_IOU, ROUNDS = 0.5, 2
HELD_PHANTOMS, MOST_HELD = 2500, 60  # drawn, of which some 15 % are kept back; looked at for one structure
PLAIN = np.array([0.5, 0.5, 0.0])  # what the fit is drawn to: both readings alike, no shift


def in_memory(sample: Sample) -> Image:
    """A sample as an opened image."""
    rgb = sample.pixels()
    info = ImageInfo(path=sample.id, sha256="", width_px=rgb.shape[1], height_px=rgb.shape[0], scale=sample.scale)
    return Image(
        info=info,
        rgb_u8=rgb,
        stored_to_display=identity_map(),
        values=None,
        values_unit=None,
        format="memory",
        modality=None,
        orientation="as stored",
        stored_to_world=None,
        slice_count=1,
        slice_index=0,
    )


@dataclass(frozen=True)
class Slots:
    """The slots of one image for one structure.

    tower, decoder (K,): the two readings of each; box_xyxy_px (K, 4); hit (K,): whether it is a true object's;
    truth_xyxy_px (N, 4).
    """

    tower: np.ndarray
    decoder: np.ndarray
    box_xyxy_px: np.ndarray
    hit: np.ndarray
    truth_xyxy_px: np.ndarray

    def pooled(self, rule: Rule) -> np.ndarray:
        """The probability of each slot."""
        return np.array([rule.probability(t, d) for t, d in zip(self.tower, self.decoder, strict=True)])


def read_slots(model: LlavaModel, sample: Sample, structure: str) -> Slots:
    """Both readings of every slot of an image, decided by the model's rule so far."""
    session = model.open(in_memory(sample))
    proposals = session.proposals
    used = int((proposals.score[0] > 0).sum())
    evidence = proposals.label_scores[0, :used, model.tower.config.labels.index(structure)].tolist()
    inclusion = model.inclusion(structure, evidence)
    session.generate("detect", dialect.find_prompt("detect", structure), decider=inclusion)
    order = sorted(inclusion.decoder)
    boxes = session.stored_to_input.inverse().boxes_xyxy(proposals.box_xyxy_px[0, :used].double().numpy())[order]
    truth = np.array([o.box_xyxy_px for o in sample.of(structure)]).reshape(-1, 4)
    hit = np.zeros(len(order))
    hit[[slot for _, slot in match_by_iou(truth, boxes, MATCH_IOU).pairs]] = 1
    tower, decoder = np.array(evidence)[order], np.array([inclusion.decoder[slot] for slot in order])
    return Slots(tower, decoder, boxes, hit, truth)


def fit_rule(images: Sequence[Slots]) -> Rule:
    """Logistic regression of the slots' truth on both log odds, drawn a little to equal weights; then the threshold."""
    odds = [
        np.array([[log_odds(t), log_odds(d), 1.0] for t, d in zip(i.tower, i.decoder, strict=True)]) for i in images
    ]
    x, sign = np.concatenate(odds), 2 * np.concatenate([i.hit for i in images]) - 1

    def loss(weights: np.ndarray) -> float:
        return float(np.logaddexp(0, -sign * (x @ weights)).sum() + 0.5 * ((weights - PLAIN) ** 2).sum())

    tower, decoder, shift = (float(v) for v in minimize(loss, PLAIN).x)
    rule = Rule(round(tower, 4), round(decoder, 4), round(shift, 4))
    # The F1 of a few dozen images is rough: its neighbours count as well, and a hundredth is no difference.
    smooth = uniform_filter1d([f1_at(images, rule, float(t)) for t in GRID], 3, mode="nearest")
    good = GRID[smooth >= smooth.max() - 0.01]
    return replace(rule, threshold=float(good[np.abs(good - 0.5).argmin()]))


def f1_at(images: Sequence[Slots], rule: Rule, threshold: float) -> float:
    """F1 at IoU 0.5 over all images of the slots that reach a threshold."""
    matched = named = true = 0
    for image in images:
        boxes = image.box_xyxy_px[image.pooled(rule) >= threshold]
        matched += len(match_by_iou(image.truth_xyxy_px, boxes, MATCH_IOU).pairs)
        named, true = named + len(boxes), true + len(image.truth_xyxy_px)
    return 2 * matched / max(named + true, 1)


def claimed_count(model: LlavaModel, sample: Sample, structure: str) -> int:
    """What the count skill says."""
    args = SubjectArgs(structure=structure)
    return cast(CountResult, model.open(in_memory(sample)).perform("count", args)).count or 0


def held_for(samples: Sequence[Sample]) -> list[Sample]:
    """The real ones, or where there are none the phantoms; not more than are needed."""
    real = [sample for sample in samples if sample.real]
    return (real or list(samples))[:MOST_HELD]


def tune_inclusion(base: Path, adapters: Path, root: Path) -> dict[str, Rule]:
    """Fit and write the rules into the base's ``calibration.json``.

    Where real images of a structure are at hand only held-out ones of those count, else held-out phantoms.

    A structure is counted by expectation where that errs less than the count skill; the two agree if they are no
    further apart than on nine in ten of these images.
    """
    model = load_llava(base, adapters)
    config = model.tower.config
    phantoms = 0 if {*config.labels} <= {*CELLS, "head"} else HELD_PHANTOMS
    every = list(corpus(root, "train", "calibrate", phantoms=phantoms, drawn=0))
    chosen: dict[str, Rule] = {}
    by_expectation: dict[str, float] = {}
    for structure in (label for label in config.labels if label != "head"):
        kinds = [kind for kind, labels in config.labels_of_kind.items() if structure in labels]
        held = held_for([sample for sample in every if sample.kind in kinds])
        if not held:
            continue
        for _ in range(ROUNDS):  # what the decoder says of a slot hangs on the slots that the rule named before it
            images = [read_slots(model, sample, structure) for sample in held]
            rule = chosen[structure] = fit_rule(images)
            model.calibration = replace(model.calibration, inclusion={**model.calibration.inclusion, structure: rule})
        true = np.array([len(image.truth_xyxy_px) for image in images])
        expected = np.array([round(image.pooled(rule).sum()) for image in images])
        claimed = np.array([claimed_count(model, sample, structure) for sample in held])
        if np.abs(expected - true).mean() < np.abs(claimed - true).mean():
            apart = np.abs(expected - claimed) / np.maximum(np.maximum(expected, claimed), 1)
            by_expectation[structure] = round(float(np.quantile(apart, 0.9)), 2)
    path = base / "calibration.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    document["inclusion"] = {structure: asdict(rule) for structure, rule in chosen.items()}
    document["policy"] |= {"counted_by_expectation": list(by_expectation), "count_agreement_of": by_expectation}
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return chosen
