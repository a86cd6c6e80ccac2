"""A training in two processes on the CPU must be that of one process with the same effective batch.

``torchrun --nproc_per_node 2 -m fiducial.cli train …`` on a tiny checkpoint without dropout against ``fiducial train``:
the loss of every step, and the weights at the end (one whose true gradient is zero, such as a key's bias, moves by the
optimiser's amplified rounding alone).
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fiducial.benchmarks.common import COMMAND, table, write
from fiducial.benchmarks.kill_training import SKILLS, forked, import_libraries, tensors
from fiducial.tests.skills.training.tiny_run import LORA, set_dropout, write_recipe, write_set

STEPS = 8
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
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
ACCELERATE = (sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2")


def run(given: list[str], out: Path, launcher: tuple[str, ...] | None, fork: bool) -> str:
    """Run a training to its end, in two processes where there is a launcher; what it printed, stdout first.

    fork: forks of this process, with the variables that the launcher would set, in place of new interpreters.
    RuntimeError where it fails.
    """
    words = [*given, "--out", str(out)]
    if not fork:
        command = [*(launcher or ()), *(COMMAND[1:] if launcher else COMMAND), *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
        return done.stdout + done.stderr
    ranks = range(2 if launcher else 1)
    logs = [out.with_suffix(f".{rank}.log") for rank in ranks]
    out.parent.mkdir(parents=True, exist_ok=True)
    port = str(free_port())
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2"} if launcher else {}
    own = [{"RANK": str(rank), "LOCAL_RANK": str(rank)} if launcher else {} for rank in ranks]
    pids = [forked(words, log, **shared, **mine) for log, mine in zip(logs, own, strict=True)]
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    said = "".join(log.read_text() for log in logs)
    if any(codes):
        raise RuntimeError(f"the processes ended with {codes}:\n{said}")
    return said


def free_port() -> int:
    """A port of this machine that nothing listens at."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def history(out: Path) -> tuple[list[float], int]:
    """The loss of every step, and the number of processes, as the run itself logged them."""
    newest = max(out.glob("work/*/checkpoint-*"), key=lambda path: int(path.name.partition("-")[2]))
    state = json.loads((newest / "trainer_state.json").read_text())
    processes = len(list(newest.glob("rng_state*.pth")))  # each process keeps its own
    return [entry["loss"] for entry in state["log_history"] if "loss" in entry], processes


def build(family: str, base: Path) -> None:
    """A tiny checkpoint without dropout, made in a fork: this process computes nothing before it forks again."""
    if (pid := os.fork()) == 0:
        from fiducial.tests.skills.families.tiny_hub import BUILDERS

        set_dropout(BUILDERS[family](base), 0.0)
        os._exit(0)
    os.waitpid(pid, 0)


def measure(name: str, root: Path, launcher: tuple[str, ...], fork: bool) -> dict[str, Any]:
    """One case: the largest differences between one process and two."""
    family, changes, rows = CASES[name]
    base = root / family / "base"
    if not base.exists():
        build(family, base)
    stem = name.replace(" ", "-").replace(",", "")
    recipe = write_recipe(root / f"{stem}.json", learning_rate=RATE, **changes)
    given = ["train", *SKILLS, "--recipe", str(recipe), "--base", str(base), "--data", f"coco={root / 'set'}"]
    given += ["--max-steps", str(STEPS)]
    one, two = root / stem / "one", root / stem / "two"
    run([*given, "--batch-size", "4"], one, None, fork)
    said = run([*given, "--batch-size", str(rows)], two, launcher, fork)
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
    made.add_argument("--fork", action="store_true", help="fork the processes, without a launcher, which is faster")
    made.add_argument("--out", type=Path, help="write the figures to this JSON file")
    args = made.parse_args()
    launcher = ACCELERATE if args.accelerate else TORCHRUN
    if args.fork:
        import_libraries()
    found = []
    with tempfile.TemporaryDirectory() as folder:
        write_set(Path(folder) / "set")
        for name in args.cases:
            found.append(measure(name, Path(folder), launcher, args.fork))
            print(found[-1], flush=True)
    print(table(list(found[0]), [list(row.values()) for row in found]))
    write(args.out, {"cases": found})


if __name__ == "__main__":
    main()
