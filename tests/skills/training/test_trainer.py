"""The trainer: its loss is the families' own, accumulation changes nothing, and a killed run ends where it should."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import TrainingArguments

from fiducial.skills.families.dialects import dialect
from fiducial.skills.families.hub.model import load_network, processor_of
from fiducial.skills.families.hub.spec import HUB_SPECS
from fiducial.skills.recipes import Recipe
from fiducial.skills.training.balance import Balancer
from fiducial.skills.training.checkpoint import OLD, WRITING
from fiducial.skills.training.encoding import Encoder, Epochs, collate
from fiducial.skills.training.rows import rows_of
from fiducial.skills.training.run import Plan, train
from fiducial.skills.training.trainer import SkillTrainer, newest_complete
from fiducial.tests.skills.training.samples import samples
from fiducial.tests.skills.training.tiny_run import LORA, RECIPE, set_dropout, write_recipe, write_set
from fiducial.tools.errors import InputError

SKILLS = ("count", "detect")
KILLED_BASE = "qwen2_5_vl"


def recipe(**changes: Any) -> Recipe:
    return Recipe.model_validate({"name": "tiny", **RECIPE, **changes})


def plan(base: Path, out: Path, used: Recipe, **named: Any) -> Plan:
    return Plan(SKILLS, used, base, {"discs": named.pop("samples", samples(4))}, out, **named)


def result(folder: Path) -> dict[str, torch.Tensor]:
    return {name: value for file in folder.glob("*.safetensors") for name, value in load_file(file).items()}


@pytest.mark.parametrize("family", [spec.name for spec in HUB_SPECS])
def test_the_loss_is_that_of_the_family(checkpoint: Callable[[str], Path], family: str, tmp_path: Path) -> None:
    spec, base = next(spec for spec in HUB_SPECS if spec.name == family), checkpoint(family)
    network, processor = load_network(spec, base).eval(), processor_of(spec, base, {})
    spoken = dialect(spec.dialect)
    data = Epochs(rows_of({"discs": samples(3)}, recipe(), SKILLS), Encoder(processor, spoken, spoken.templates), 6)
    batch = collate([data[k] for k in range(3)], processor.tokenizer.pad_token_id)
    trainer = SkillTrainer(
        model=network,
        args=TrainingArguments(output_dir=str(tmp_path), use_cpu=True, report_to=[]),
        balancer=Balancer("uniform", data.tasks),
    )
    with torch.no_grad():
        ours = trainer.compute_loss(network, dict(batch))
        theirs = network(**{name: value for name, value in batch.items() if name not in ("task", "image")}).loss
    assert float(ours) == pytest.approx(float(theirs), rel=1e-5)
    tokens = (batch["labels"] != -100).sum() - (0 if family == "florence2" else (batch["labels"][:, 0] != -100).sum())
    assert int(trainer.seen[1].sum()) == int(tokens)
    assert float(trainer.seen[0].sum() / tokens) == pytest.approx(float(theirs), rel=1e-5)


@pytest.mark.parametrize("balance", ["uniform", "uncertainty"])
def test_rows_that_are_accumulated_count_like_rows_at_once(
    checkpoint: Callable[[str], Path], tmp_path: Path, balance: str
) -> None:
    used = recipe(lora={**LORA, "dropout": 0.0}, balance=balance)
    made = [
        result(train(plan(checkpoint("qwen2_5_vl"), tmp_path / str(size), used, max_steps=3, batch_size=size)))
        for size in (1, 2, 4)
    ]
    assert made[0]
    for other in made[1:]:
        assert all(torch.allclose(value, other[name], atol=1e-5) for name, value in made[0].items())


@pytest.mark.parametrize(
    ("family", "changes"),
    [
        ("qwen2_5_vl", {"balance": "dwa", "lora": {**LORA, "embeddings": True}}),
        ("florence2", {"balance": "uncertainty", "lora": None, "frozen": []}),
    ],
)
def test_a_run_that_is_cut_off_ends_in_the_same_weights(
    checkpoint: Callable[[str], Path], tmp_path: Path, family: str, changes: dict[str, Any]
) -> None:
    used, base = recipe(augment=True, **changes), checkpoint(family)
    begun = plan(base, tmp_path / "cut", used, max_steps=6, samples=(cutting := samples(4)))

    def cut(draw: Callable[[], Any]) -> Callable[[], Any]:
        def look() -> Any:
            if (begun.work / "checkpoint-3").exists():
                raise KeyboardInterrupt
            return draw()

        return look

    for sample in cutting:
        object.__setattr__(sample, "pixels", cut(sample.pixels))
    whole = result(train(plan(base, tmp_path / "whole", used, max_steps=6)))
    with pytest.raises(KeyboardInterrupt):
        train(begun)
    assert newest_complete(begun.work) is not None
    for left in (WRITING, f"{WRITING}-{'+'.join(SKILLS)}", f"{OLD}checkpoint-1"):  # as kills leave them
        (begun.work / left / "checkpoint-9").mkdir(parents=True)
    again = result(train(plan(base, tmp_path / "cut", used, max_steps=6, resume=True)))
    assert whole
    assert all(torch.equal(value, again[name]) for name, value in whole.items())
    assert not list(begun.work.glob(".*"))


def test_a_finished_run_is_not_trained_again(checkpoint: Callable[[str], Path], tmp_path: Path, capsys: Any) -> None:
    used, base = recipe(), checkpoint("qwen2_5_vl")
    folder = train(plan(base, tmp_path, used, max_steps=2))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert train(plan(base, tmp_path, used, max_steps=2, resume=True)) == folder
    assert f"this run is finished; its result is in {folder}" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()} == before
    with pytest.raises(InputError, match="holds an earlier run; give --resume"):
        train(plan(base, tmp_path, used, max_steps=2))
    with pytest.raises(InputError, match="holds a run with another seed; give the same as then"):
        train(plan(base, tmp_path, used, max_steps=3, resume=True, seed=1))
    with pytest.raises(InputError, match="holds a run with another recipe"):
        train(plan(base, tmp_path, recipe(learning_rate=1e-3), max_steps=3, resume=True))
    train(plan(base, tmp_path, used, max_steps=3, resume=True, batch_size=1))
    newest = newest_complete(tmp_path / "work" / "+".join(SKILLS))
    assert newest is not None
    assert newest.name == "checkpoint-3"


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is of POSIX")
def test_a_run_that_is_killed_while_it_saves_ends_in_the_same_weights(
    checkpoint: Callable[[str], Path], tmp_path: Path
) -> None:
    """As ``benchmarks/kill_training.py`` does it ten times over."""
    import shutil

    base = set_dropout(Path(shutil.copytree(checkpoint("qwen2_5_vl"), tmp_path / "base")), 0.1)
    data = write_set(tmp_path / "set", 4)
    used = write_recipe(tmp_path / "killed.json", augment=True, balance="uncertainty")
    words = [sys.executable, "-m", "fiducial.cli", "train", *SKILLS, "--recipe", str(used), "--base", str(base)]
    words += ["--data", f"coco={data}", "--max-steps", "6", "--resume"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    def run(out: str, kill: bool = False) -> None:
        work = tmp_path / out / "work" / "+".join(SKILLS)
        process = subprocess.Popen([*words, "--out", str(tmp_path / out)], env=environment, stderr=subprocess.PIPE)
        while kill and process.poll() is None:
            if (work / "checkpoint-2").exists() and any(work.glob(f"{WRITING}/checkpoint-*")):
                process.send_signal(signal.SIGKILL)
            time.sleep(0.0005)
        said = process.communicate()[1].decode()
        assert process.returncode == (-signal.SIGKILL if kill else 0), said

    run("whole")
    run("cut", kill=True)
    run("cut")
    whole, again = (result(tmp_path / out / "adapters" / "+".join(SKILLS)) for out in ("whole", "cut"))
    assert whole
    assert all(torch.equal(value, again[name]) for name, value in whole.items())
