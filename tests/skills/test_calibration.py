"""Calibration: the p-value of an image that belongs is valid, and both files come back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fiducial.skills.families.llava.calibration import DEFAULT_HEAD_SIGMA, Calibration, Cloud
from fiducial.skills.training.embedded.calibrate import FIT_PHANTOMS, across_folds, is_fitted
from fiducial.tools.errors import InputError

DIMENSIONS = 12


def embeddings(rng: np.random.Generator, count: int) -> np.ndarray:
    """Two clusters with correlated axes, of which one is rare."""
    mix = np.random.default_rng(99).normal(size=(DIMENSIONS, DIMENSIONS))
    centre = np.where(rng.random(count) < 0.2, 3.0, 0.0)[:, None]
    return rng.standard_t(5, size=(count, DIMENSIONS)) @ mix + centre


def calibrated(seed: int, held_out: int = 100) -> tuple[Calibration, np.random.Generator]:
    rng = np.random.default_rng(seed)
    clouds = Cloud.of(embeddings(rng, 60)), Cloud.of(embeddings(rng, 60))
    held = embeddings(rng, held_out)
    distances = np.sort(np.min([cloud.distance(held) for cloud in clouds], axis=0))
    return Calibration({"blood_smear": clouds}, {"blood_smear": distances}, 0.02), rng


def test_an_image_that_belongs_seldom_has_a_small_p_value() -> None:
    p = []
    for seed in range(60):
        calibration, rng = calibrated(seed)
        p += [calibration.typicality("blood_smear", x) for x in embeddings(rng, 40)]
    values = np.array(p)
    assert ((values > 0) & (values <= 1)).all()
    for t in (0.02, 0.05, 0.1, 0.3, 0.7):
        error = np.sqrt(t * (1 - t) * (1 / len(values) + 1 / (60 * 100)))
        assert t - 1 / 101 - 4 * error <= (values <= t).mean() <= t + 4 * error


def test_an_image_far_away_has_the_smallest_p_value_and_one_in_the_middle_a_large_one() -> None:
    calibration, _ = calibrated(1)
    assert calibration.typicality("blood_smear", np.full(DIMENSIONS, 1e3)) == 1 / 101
    assert calibration.typicality("blood_smear", np.full(DIMENSIONS, np.nan)) == 1 / 101
    assert calibration.typicality("blood_smear", calibration.clouds["blood_smear"][0].mean) > 0.95


def test_a_kind_without_calibration_refuses_nothing() -> None:
    assert calibrated(0)[0].typicality("head_ultrasound", np.zeros(DIMENSIONS)) == 1
    assert Calibration().typicality("blood_smear", np.zeros(DIMENSIONS)) == 1


def test_both_files_come_back(tmp_path: Path) -> None:
    calibration, rng = calibrated(3)
    calibration.save(tmp_path, {"typicality": 0.02})
    again = Calibration.load(tmp_path)
    assert again.head_sigma == 0.02
    assert set(again.clouds) == {"blood_smear"}
    assert len(again.clouds["blood_smear"]) == 2
    assert np.array_equal(again.distances["blood_smear"], calibration.distances["blood_smear"])
    for x in embeddings(rng, 50):  # half precision may move an image past a neighbour or two
        assert again.typicality("blood_smear", x) == pytest.approx(
            calibration.typicality("blood_smear", x), abs=2.5 / 101
        )


def test_an_uncalibrated_folder_and_a_spoiled_one(tmp_path: Path) -> None:
    assert Calibration.load(tmp_path).head_sigma == DEFAULT_HEAD_SIGMA
    calibrated(3)[0].save(tmp_path, {})
    (tmp_path / "calibration.npz").write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(InputError, match="calibrate the model again"):
        Calibration.load(tmp_path)
    calibrated(3)[0].save(tmp_path, {})
    (tmp_path / "calibration.json").write_text("{}")
    with pytest.raises(InputError, match="calibrate the model again"):
        Calibration.load(tmp_path)


def test_a_phantom_volume_counts_once_however_many_slices_it_gives() -> None:
    groups: set[str] = set()
    slices = [f"volume{n}" for n in range(FIT_PHANTOMS + 20) for _ in range(3)]
    kept = [group for group in slices if is_fitted(groups, group)]
    assert kept == slices[: 3 * FIT_PHANTOMS]


def test_where_few_images_are_kept_back_the_folds_tell_how_far_out_one_may_be() -> None:
    rng = np.random.default_rng(5)
    seen, new = embeddings(rng, 150), embeddings(rng, 400)
    distances = np.sort(across_folds(list(seen)))
    assert len(distances) == len(seen)
    calibration = Calibration({"radiology": (Cloud.of(seen),)}, {"radiology": distances})
    p = np.array([calibration.typicality("radiology", x) for x in new])
    assert (p <= 0.1).mean() <= 0.1 + 3 * np.sqrt(0.09 / 150)
    assert calibration.typicality("radiology", np.full(DIMENSIONS, 1e3)) < 0.02
