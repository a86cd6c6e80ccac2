"""The card says what manifest and log say, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fiducial.skills.adapters import Manifest
from fiducial.skills.bases import BaseManifest
from fiducial.skills.recipes import recipes
from fiducial.skills.training.card import about_data, card, figures_of, scores_in, write_card
from fiducial.skills.training.rows import rows_of
from fiducial.tests.skills.training.samples import samples
from fiducial.tools.errors import InputError

SCORES = {
    "count": {"rows": 16.0, "unread": 0.25, "zero": 0.5, "distinct": 3.0, "mae": 2.25, "honest_mae": 4.75},
    "count <5 %": {"rows": 4.0, "unread": 0.5, "within_10_percent": 0.5},
}


def manifest(**named: Any) -> Manifest:
    recipe = recipes()["point-detect-count"].model_dump(mode="json", exclude={"skills"})
    known = {"skills": ["count", "detect"], "family": "qwen2_5_vl", "dialect": "point-detect-count", "base": "qwen"}
    hashes = {"base_sha256": "b" * 64, "data_sha256": {"bccd": "d" * 64}, "versions": {"torch": "2.10"}}
    return Manifest.model_validate({**known, **hashes, "recipe": recipe, **named})


def head() -> dict[str, Any]:
    rows = rows_of({"bccd": samples(2)}, recipes()["point-detect-count"], ("count", "detect"))
    return {"steps": 100, "data": about_data(rows), "watched": {"bccd": 6}}


def test_figures_come_back_from_a_manifest() -> None:
    assert scores_in({**figures_of(SCORES), "parity.count.rows": 1.0}) == SCORES


def test_a_card_says_where_the_adapter_is_from_and_how_it_fails() -> None:
    made = manifest(metrics={**figures_of(SCORES), "parity.detect.max_half_steps": 0.5})
    text = card(made, head(), [{"step": 90, "kind": "watch", "scores": SCORES}], curves=True)
    for said in (
        "# count+detect: a LoRA adapter", "b" * 64, "d" * 64, "arXiv 2505.16647", "- alpha 32", "| LoRA rank | 16 |",
        "fiducial ask IMAGE QUESTION --base BASE --adapters FOLDER", "not a medical device", "BCCD, MIT", "en ",
        "| count | 16 | 25% |", "honest_mae 4.75", "mae 2.25", "| count <5 % | 4 | 50% |", "after step 90",
        "detect.max_half_steps | 0.5", "![", "| torch | 2.10 |", "| steps | 100 |", "2 count",
    ):  # fmt: skip
        assert said in text, said


def test_a_card_of_an_old_manifest_says_what_it_lacks() -> None:
    bare = manifest(recipe={}, data_sha256={}, versions={})
    text = card(bare, {}, [])
    assert "No rows were watched" in text
    assert "Not recorded" in text
    assert "## Recipe" not in text
    assert "![" not in text


def test_a_base_s_card(tmp_path: Path) -> None:
    made = BaseManifest(sha256="a" * 64, parent="qwen", parent_sha256="b" * 64, metrics=figures_of(SCORES))
    (tmp_path / "base_manifest.json").write_text(made.model_dump_json())
    text = write_card(tmp_path).read_text()
    assert "# A base trained from qwen" in text
    assert "a" * 64 in text
    assert "--base THIS_FOLDER" in text
    (tmp_path / "base_manifest.json").write_text("{}")
    with pytest.raises(InputError, match=r"base_manifest\.json"):
        write_card(tmp_path)
    with pytest.raises(InputError, match="no manifest"):
        write_card(tmp_path / "none")
