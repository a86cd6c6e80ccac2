"""The log survives a kill without a gap or a repeat, and its picture shows every curve."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fiducial.skills.training.curves import Log, draw_curves, read_log
from fiducial.skills.training.plot import OKABE_ITO, ticks


def train_entry(step: int) -> dict[str, object]:
    return {"loss": 4.0 / step, "losses": {"count": 3.0 / step, "detect": 5.0 / step}, "learning_rate": 1e-4}


def watched(share: float) -> dict[str, object]:
    scores = {"unread": share, "zero": share, "commonest": 0.5, "rows": 8.0}
    return {"scores": {"count": {**scores, "mae": 2.0, "honest_mae": 3.0}, "detect": {**scores, "true_iou": 0.1}}}


def test_a_resumed_log_goes_on_without_a_repeat(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    log = Log(path, {"steps": 6})
    log.resume(0)
    for step in range(1, 6):
        log.add(step, "train", train_entry(step))
    log.add(4, "watch", watched(0.5))
    with path.open("a") as file:
        file.write('{"step": 6, "kind": "tr')  # killed
    again = Log(path, {"steps": 6})
    again.resume(4)
    assert again.last("watch") == {"step": 4, "kind": "watch", **watched(0.5)}
    assert again.has(4, "train")
    assert not again.has(5, "train")
    for step in (5, 6):
        again.add(step, "train", train_entry(step))
    head, entries = read_log(path)
    assert head == {"steps": 6}
    assert [entry["step"] for entry in entries if entry["kind"] == "train"] == [1, 2, 3, 4, 5, 6]
    assert all(json.loads(line) for line in path.read_text().splitlines())
    again.resume(0)
    assert read_log(path)[1] == []
    assert read_log(tmp_path / "none") == ({}, [])


def test_the_picture_has_every_task_in_its_colour(tmp_path: Path) -> None:
    path = tmp_path / "curves.png"
    draw_curves([], path)
    assert not path.exists()
    entries = [{"step": step, "kind": "train", **train_entry(step)} for step in range(1, 31)]
    draw_curves(entries, path)
    alone = Image.open(path).size
    entries += [{"step": step, "kind": "watch", **watched(step / 30)} for step in (10, 20, 30)]
    draw_curves(entries, path)
    pixels = np.asarray(Image.open(path).convert("RGB")).reshape(-1, 3).astype(int)
    assert Image.open(path).size[0] > alone[0]
    for color in ((0, 0, 0), OKABE_ITO[0], OKABE_ITO[1]):
        assert (np.abs(pixels - color).max(axis=1) < 12).sum() > 100


@given(st.floats(1e-6, 1e6))
def test_ticks_are_round_and_reach_over_the_values(high: float) -> None:
    found = ticks(0.0, high)
    assert found[0] == 0.0
    assert found[-1] >= high * (1 - 1e-6)
    assert 2 <= len(found) <= 7
    assert np.allclose(np.diff(found), found[1])


@pytest.mark.parametrize("value", [0.0, -0.0])
def test_a_loss_of_nothing_has_ticks_too(value: float) -> None:
    assert len(ticks(0.0, value)) >= 2
