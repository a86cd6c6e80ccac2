"""Checkpoints survive a kill, and a dense run that was cut off ends in the same weights as one that was not."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from fiducial.skills.recipes.embedded import DenseRecipe
from fiducial.skills.training.checkpoint import checkpoints, latest, save_checkpoint
from fiducial.skills.training.embedded import dense
from fiducial.skills.training.embedded.dense import train_dense
from fiducial.skills.training.embedded.dense_data import Cached
from fiducial.tests.skills.tiny import tiny_tower
from fiducial.tools.errors import InputError

RECIPE = DenseRecipe(steps=4, batch_size=3, seed=2)


def test_the_newest_two_are_kept_and_the_newest_is_read(tmp_path: Path) -> None:
    assert latest(tmp_path) is None
    for step in (5, 10, 100):
        save_checkpoint(
            tmp_path, step, {"tower": {"w": torch.full((3,), float(step))}}, {"steps": 7, "mixture": (0.5, 0.5)}
        )
    assert sorted(checkpoints(tmp_path)) == [10, 100]
    state = latest(tmp_path)
    assert state is not None
    assert state["step"] == 100
    assert state["tower"]["w"].tolist() == [100] * 3
    assert state["recipe"] == {"steps": 7, "mixture": (0.5, 0.5)}


def test_half_a_file_beside_a_checkpoint_is_not_taken(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, 1, {"tower": {"w": torch.ones(1000)}}, {})
    whole = (tmp_path / "checkpoint-1.pt").read_bytes()
    (tmp_path / ".checkpoint-2.tmp").write_bytes(whole[: len(whole) // 2])
    state = latest(tmp_path)
    assert state is not None
    assert state["step"] == 1
    save_checkpoint(tmp_path, 2, {"tower": {"w": torch.zeros(1000)}}, {})
    state = latest(tmp_path)
    assert state is not None
    assert state["step"] == 2


KILLED = """
import resource, signal, sys
from pathlib import Path
import torch
from fiducial.skills.training.checkpoint import save_checkpoint
folder = Path(sys.argv[1])
save_checkpoint(folder, 1, {"tower": {"w": torch.ones(1000)}}, {})
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # the kernel kills the process in the middle of its next large write
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
save_checkpoint(folder, 2, {"tower": {"w": torch.ones(1_000_000)}}, {})
"""


def test_a_process_that_is_killed_while_writing_leaves_the_older_checkpoint(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False, capture_output=True)
    assert done.returncode == -signal.SIGXFSZ, done.stderr.decode()
    assert (tmp_path / ".checkpoint-2.tmp").stat().st_size == 200_000
    state = latest(tmp_path)
    assert state is not None
    assert state["step"] == 1
    assert state["tower"]["w"].sum() == 1000


class CutOff(list[Cached]):
    """Items of which a run gets no more after so many looks at them."""

    looks = 0

    def __iter__(self) -> Iterator[Cached]:
        self.looks += 1
        if self.looks > 3 * 3:  # a step looks once for each of the three kinds
            raise KeyboardInterrupt
        return super().__iter__()


def test_a_run_that_is_cut_off_and_resumed_ends_in_the_same_weights(
    items: list[Cached], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dense, "SAVE_EVERY", 2)
    whole = train_dense(items, RECIPE, tmp_path / "whole", tiny_tower())
    with pytest.raises(KeyboardInterrupt):
        train_dense(CutOff(items), RECIPE, tmp_path / "cut", tiny_tower())
    assert sorted(checkpoints(tmp_path / "cut")) == [2]
    resumed = train_dense(items, RECIPE, tmp_path / "cut", tiny_tower(seed=9))
    start = tiny_tower().state_dict()
    assert all(torch.equal(value, resumed.state_dict()[name]) for name, value in whole.state_dict().items())
    assert not any(torch.equal(value, start[name]) for name, value in whole.named_parameters())
    rows = [json.loads(line) for line in (tmp_path / "cut" / "dense.jsonl").read_text().splitlines()]
    assert rows[-1]["step"] == 4
    assert all(math.isfinite(value) for value in rows[-1].values())


def test_a_checkpoint_of_another_recipe_is_refused(items: list[Cached], tmp_path: Path) -> None:
    one_step = DenseRecipe(steps=1, batch_size=2)
    train_dense(items, one_step, tmp_path, tiny_tower())
    with pytest.raises(InputError, match="another recipe"):
        train_dense(items, RECIPE, tmp_path, tiny_tower())


def test_a_finished_run_is_read_back_and_not_trained_on(items: list[Cached], tmp_path: Path) -> None:
    one_step = DenseRecipe(steps=1, batch_size=2)
    done = train_dense(items, one_step, tmp_path, tiny_tower())
    again = train_dense(items, one_step, tmp_path, tiny_tower(seed=9))
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in done.state_dict().items())
