"""A training in two processes on the CPU must be that of one process with the same effective batch.

``torchrun --nproc_per_node 2 -m fiducial.cli train …`` on a tiny checkpoint without dropout against ``fiducial train``:
the loss of every step, and the weights at the end. A weight whose true gradient is zero (a key's bias) moves by the
optimiser's amplified rounding alone, so the weights are also compared as changes relative to the learning rate.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fiducial.benchmarks.common import COMMAND, table, write
from fiducial.benchmarks.kill_training import SKILLS, tensors
from fiducial.tests.skills.families.tiny_hub import BUILDERS
from fiducial.tests.skills.training.tiny_run import LORA, set_dropout, write_recipe, write_set

STEPS = 12
PLAIN = {**LORA, "dropout": 0.0}
RATE = 1e-3
# family, recipe, rows at once in two processes (in one process: 4, all of a step)
CASES: Mapping[str, tuple[str, Mapping[str, Any], int]] = {
    "lora": ("qwen2_5_vl", {"lora": PLAIN}, 2),
    "lora, accumulated, uncertainty": ("qwen2_5_vl", {"lora": PLAIN, "balance": "uncertainty"}, 1),
    "lora of all layers, temperature": (
        "llava_hub",
        {"lora": {**PLAIN, "layers": "all", "embeddings": True}, "balance": "temperature", "frozen": []},
        2,
    ),
    "all parameters, accumulated": ("qwen2_vl", {"lora": None, "frozen": []}, 1),
    "all parameters, dwa": ("florence2", {"lora": None, "frozen": ["vision"], "balance": "dwa", "augment": True}, 2),
}
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", "0")
ACCELERATE = (sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2")


def run(words: list[str], out: Path) -> str:
    """Run a command to its end; what it printed, stdout first. RuntimeError where it fails."""
    done = subprocess.run([*words, "--out", str(out)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout + done.stderr


def history(out: Path) -> tuple[list[float], int]:
    """The loss of every step, and the number of processes, as the run itself logged them."""
    newest = max(out.glob("work/*/checkpoint-*"), key=lambda path: int(path.name.partition("-")[2]))
    state = json.loads((newest / "trainer_state.json").read_text())
    processes = len(list(newest.glob("rng_state*.pth")))  # each process keeps its own
    return [entry["loss"] for entry in state["log_history"] if "loss" in entry], processes


def measure(name: str, root: Path, launcher: tuple[str, ...]) -> dict[str, Any]:
    """One case: the largest differences between one process and two."""
    family, changes, rows = CASES[name]
    base = root / family / "base"
    if not base.exists():
        set_dropout(BUILDERS[family](base), 0.0)
    stem = name.replace(" ", "-").replace(",", "")
    recipe = write_recipe(root / f"{stem}.json", learning_rate=RATE, **changes)
    given = ["train", *SKILLS, "--recipe", str(recipe), "--base", str(base), "--data", f"coco={root / 'set'}"]
    given += ["--max-steps", str(STEPS)]
    one, two = root / stem / "one", root / stem / "two"
    run([*COMMAND, *given, "--batch-size", "4"], one)
    said = run([*launcher, *given, "--batch-size", str(rows)], two)
    (alone, _), (together, processes) = history(one), history(two)
    if processes != 2:
        raise RuntimeError(f"{processes} processes were started, not 2")
    expected, found = tensors(one), tensors(two)
    apart = {key: float((value - found[key]).abs().max()) for key, value in expected.items()}
    lines = [line for line in said.splitlines() if line.startswith(("step ", "{'loss'"))]
    return {
        "case": name,
        "family": family,
        "world size": processes,
        "steps": len(together),
        "largest difference of loss": max(abs(a - b) for a, b in zip(alone, together, strict=True)),
        "of a weight": max(apart.values()),
        "weights apart by more than 1e-5": sum(value > 1e-5 for value in apart.values()),
        "weights": len(apart),
        "which": ", ".join(sorted(key for key, value in apart.items() if value > 1e-5)[:3]),
        "loss lines printed": len(lines),
    }


def main() -> None:
    """Measure and print."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--cases", nargs="*", default=list(CASES), choices=list(CASES))
    made.add_argument("--accelerate", action="store_true", help="start by accelerate launch instead of torchrun")
    made.add_argument("--out", type=Path, help="write the figures to this JSON file")
    args = made.parse_args()
    launcher = (*(ACCELERATE if args.accelerate else TORCHRUN), "-m", "fiducial.cli")
    found = []
    with tempfile.TemporaryDirectory() as folder:
        write_set(Path(folder) / "set")
        for name in args.cases:
            found.append(measure(name, Path(folder), launcher))
            print(found[-1], flush=True)
    print(table(list(found[0]), [list(row.values()) for row in found]))
    write(args.out, {"cases": found})


if __name__ == "__main__":
    main()
