"""The rule by which proposals are named: what serves F1 best on images kept back from training."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import cast

import numpy as np
from scipy.ndimage import uniform_filter

from fiducial.skills.base import CountResult, FindArgs, FindResult, Session, SubjectArgs
from fiducial.skills.datasets.sample import Sample
from fiducial.skills.families.llava.family import LlavaModel, load_llava
from fiducial.skills.families.llava.inclusion import Rule
from fiducial.skills.families.llava.tower import LABELS
from fiducial.skills.training.corpus import corpus
from fiducial.tools.frames import identity_map
from fiducial.tools.geometry.matching import match_by_iou
from fiducial.tools.images.image import Image
from fiducial.tools.record import ImageInfo

CELLS = LABELS[:3]
GRID = np.round(np.arange(0.25, 0.76, 0.05), 2)
WEIGHTS = np.array([0.0, 0.2, 0.35, 0.5, 0.65, 0.8])
MATCH_IOU = 0.5


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


def ranked(session: Session, structure: str) -> FindResult:
    """Every slot of an image as a region, with its inclusion probability."""
    return cast(FindResult, session.perform("detect", FindArgs(structure=structure, exactly_count=LAST)))


LAST = 40


def tallies(samples: Iterable[Sample], model: LlavaModel) -> dict[str, np.ndarray]:
    """For every structure, true positives, found and true of each threshold of the grid, (thresholds, 3)."""
    table = {structure: np.zeros((len(GRID), 3)) for structure in CELLS}
    for sample in samples:
        session = model.open(in_memory(sample))
        for structure in CELLS:
            regions = ranked(session, structure).regions
            truth = np.array([o.box_xyxy_px for o in sample.of(structure)]).reshape(-1, 4)
            for row, threshold in enumerate(GRID):
                boxes = np.array([r.box_xyxy_px for r in regions if r.score >= threshold]).reshape(-1, 4)
                matched = len(match_by_iou(truth, boxes, MATCH_IOU).pairs)
                table[structure][row] += (matched, len(boxes), len(truth))
    return table


def scores(samples: Iterable[Sample], base: Path, adapters: Path) -> dict[str, np.ndarray]:
    """For every structure the F1 of each decoder weight and threshold, (weights, thresholds)."""
    model = load_llava(base, adapters)
    held, found = list(samples), []
    for weight in WEIGHTS:
        rules = {structure: Rule(decoder_weight=float(weight)) for structure in CELLS}
        model.calibration = replace(model.calibration, inclusion=rules)
        table = tallies(held, model)
        found.append({k: 2 * rows[:, 0] / np.maximum(rows[:, 1] + rows[:, 2], 1) for k, rows in table.items()})
    return {structure: np.stack([row[structure] for row in found]) for structure in CELLS}


def count_errors(samples: Iterable[Sample], model: LlavaModel) -> dict[str, tuple[float, float]]:
    """For every structure the mean absolute error of the count skill, and of the number expected over all slots."""
    errors: dict[str, list[tuple[float, float]]] = {structure: [] for structure in CELLS}
    for sample in samples:
        session = model.open(in_memory(sample))
        for structure, rows in errors.items():
            claim = cast(CountResult, session.perform("count", SubjectArgs(structure=structure))).count
            expected = ranked(session, structure).expected_count
            truth = len(sample.of(structure))
            rows.append((abs((claim or 0) - truth), abs(round(expected or 0.0) - truth)))
    return {
        k: (float(np.mean([a for a, _ in rows])), float(np.mean([b for _, b in rows]))) for k, rows in errors.items()
    }


def tune_inclusion(base: Path, adapters: Path, root: Path) -> dict[str, Rule]:
    """Choose and write the rules into the base's ``calibration.json``; only real held-out smears count.

    The F1 of a few dozen images is rough: of its 3×3 neighbourhood's mean the best is taken. A structure is counted
    by expectation where that errs less than the count skill.
    """
    held = [s for s in corpus(root, "train", "calibrate", phantoms=0, drawn=0) if s.kind == "blood_smear"]
    chosen = {}
    for structure, f1 in scores(held, base, adapters).items():
        row, column = np.unravel_index(uniform_filter(f1, 3, mode="nearest").argmax(), f1.shape)
        chosen[structure] = Rule(float(GRID[column]), float(WEIGHTS[row]))
    model = load_llava(base, adapters)
    model.calibration = replace(model.calibration, inclusion=chosen)
    errors = count_errors(held, model)
    path = base / "calibration.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    document["inclusion"] = {structure: asdict(rule) for structure, rule in chosen.items()}
    document["policy"]["counted_by_expectation"] = [k for k, (claim, expected) in errors.items() if expected < claim]
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return chosen
