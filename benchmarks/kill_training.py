"""A training that is killed again and again: its result must equal, bit for bit, that of one that ran through.

``fiducial train`` on a tiny checkpoint with dropout, augmentation and balanced losses, killed (SIGKILL) at random
moments and at moments when a checkpoint or the result is being written, and resumed until it is done; on the CPU.
Each start is a new interpreter; with ``--fork``, a fork of one that has only imported the libraries.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fiducial.benchmarks.common import COMMAND, table, write
from fiducial.tests.skills.training.tiny_run import LORA, set_dropout, write_recipe, write_set

STEPS = 39  # the last number of steps at which each is logged; a checkpoint is then written every 3
SKILLS = ("detect", "count")
RECIPES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "lora": ("qwen2_5_vl", {"lora": LORA, "balance": "dwa", "augment": True}),
    "full": ("qwen2_vl", {"lora": None, "balance": "uncertainty", "augment": True, "frozen": []}),
}


@dataclass(frozen=True)
class Run:
    """One training. arguments: of ``fiducial``; out: its folder; log: what it prints; fork: see the module."""

    arguments: tuple[str, ...]
    out: Path
    fork: bool

    @property
    def work(self) -> Path:
        """The folder of its checkpoints."""
        return self.out / "work" / "+".join(SKILLS)

    @property
    def log(self) -> Path:
        """What the present process prints."""
        return self.out.with_suffix(".log")

    def start(self) -> int:
        """Start it, or go on with it; returns the process's id."""
        words = ("train", *SKILLS, *self.arguments, "--out", str(self.out), "--resume")
        self.log.write_text("")
        if self.fork:
            return forked(words, self.log)
        with self.log.open("w") as file:
            return subprocess.Popen([*COMMAND, *words], stdout=file, stderr=file).pid

    def logged(self) -> int:
        """The last step that the present process has logged; 0 before its first."""
        steps = re.findall(rf"^step ([0-9]+)/{STEPS} ", self.log.read_text(), re.MULTILINE)
        return int(steps[-1]) if steps else 0

    def newest(self) -> int:
        """The step of the newest checkpoint."""
        return max((int(path.name.partition("-")[2]) for path in self.work.glob("checkpoint-*")), default=0)

    def being_written(self) -> bool:
        """Whether something is being written or deleted, aside."""
        return any(self.work.glob(".writing/checkpoint-*")) or any(self.work.glob(".[ow]*-*"))


def forked(words: Sequence[str], log: Path, **environment: str) -> int:
    """A process of its own that runs ``fiducial`` with these arguments, and these variables of the environment."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        with log.open("w") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        sys.argv = ["fiducial", *words]
        os.environ.update(environment)
        from fiducial.cli import main

        main()
    except SystemExit as ended:
        code = int(ended.code or 0)
    finally:
        os._exit(code)


def import_libraries() -> None:
    """What a training imports, so that a fork need not."""
    import peft
    import transformers.trainer

    import fiducial.skills.training.run

    assert peft and transformers.trainer and fiducial.skills.training.run


def ended(pid: int) -> bool:
    """Whether a process has ended. RuntimeError where it has failed."""
    done, status = os.waitpid(pid, os.WNOHANG)
    if done and os.waitstatus_to_exitcode(status):
        raise RuntimeError(f"the training failed with {os.waitstatus_to_exitcode(status)}")
    return bool(done)


def killed(run: Run, pid: int, saves: int | None, pause_s: float) -> bool:
    """Kill a process, a pause after training goes on, or in the save after so many more; False: it was done before."""
    after = run.newest() + 3 * (saves or 0)
    while not (run.logged() and (saves is None or (run.newest() >= after and run.being_written()))):
        if ended(pid):
            return False
        time.sleep(0.0005)
    time.sleep(pause_s)
    if ended(pid):
        return False
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return True


def through(run: Run) -> float:
    """Run to the end; returns the seconds. RuntimeError, with what it printed, where it fails."""
    begun, pid = time.monotonic(), run.start()
    try:
        while not ended(pid):
            time.sleep(0.02)
    except RuntimeError as error:
        raise RuntimeError(f"{error}:\n{run.log.read_text()}") from None
    return time.monotonic() - begun


def tensors(out: Path) -> dict[str, Any]:
    """Every tensor of a result."""
    from safetensors.torch import load_file

    files = [*out.glob("adapters/*/*.safetensors"), *out.glob("base/*.safetensors")]
    return {name: value for file in files for name, value in load_file(file).items()}


def compare(whole: Path, other: Path) -> str:
    """What differs between two results. RuntimeError where there is nothing to compare."""
    import torch

    expected, found = tensors(whole), tensors(other)
    if not expected or expected.keys() != found.keys():
        raise RuntimeError(f"{other} does not hold the weights that {whole} does")
    apart = [name for name, value in expected.items() if not torch.equal(value, found[name])]
    most = max((float((expected[name] - found[name]).abs().max()) for name in apart), default=0.0)
    return f"{len(expected) - len(apart)} of {len(expected)} tensors equal, largest difference {most:g}"


def kills(runs: list[Run], rng: random.Random, number: int, saves: int, window_s: float) -> Iterator[dict[str, Any]]:
    """Kill a training ``number`` times, ``saves`` of them or more during a save; where it is done, add another run.

    window_s: the longest that it goes on before a kill at a random moment.
    """
    done = in_save = 0
    run, pid = runs[0], runs[0].start()
    while done < number or in_save < saves:
        aimed = done % 2 == 0 or done >= number
        waited = (rng.randint(0, 2), rng.uniform(0, 0.02)) if aimed else (None, rng.uniform(0, window_s))
        if not killed(run, pid, *waited):
            run = replace(run, out=run.out.with_name(f"cut-{len(runs) + 1}"))
            runs.append(run)
            pid = run.start()
            continue
        hit = run.being_written() and run.logged() > 0  # what an earlier kill left is swept before the first step
        done, in_save = done + 1, in_save + hit
        at = {"logged step": run.logged(), "during a save": hit, "newest checkpoint": run.newest()}
        yield {"run": run.out.name, **at}
        pid = run.start()
    while not ended(pid):
        time.sleep(0.02)


def measure(name: str, args: argparse.Namespace, root: Path) -> dict[str, Any]:
    """One recipe: run through, killed, compared."""
    family, changes = RECIPES[name]
    base, recipe = root / family / "base", write_recipe(root / f"{name}.json", **changes)
    if (pid := os.fork()) == 0:  # this process itself computes nothing before it forks
        from fiducial.tests.skills.families.tiny_hub import BUILDERS

        set_dropout(BUILDERS[family](base), 0.1)
        os._exit(0)
    os.waitpid(pid, 0)
    given = ("--recipe", recipe, "--base", base, "--data", f"coco={root / 'set'}", "--max-steps", STEPS)
    whole, first = [Run(tuple(map(str, given)), root / name / part, args.fork) for part in ("whole", "cut-1")]
    (root / name).mkdir()
    seconds = through(whole)
    cut: list[Run] = [first]
    rows: list[dict[str, Any]] = []
    for row in kills(cut, random.Random(args.seed), args.kills, args.saves, seconds / 4):
        rows.append({"kill": len(rows) + 1, **row})
        print(name, rows[-1], flush=True)
    results = {run.out.name: compare(whole.out, run.out) for run in cut}
    left = [str(path.relative_to(root)) for run in cut for path in run.work.glob(".*")]
    summary = {"kills": len(rows), "during a save": sum(row["during a save"] for row in rows), "left behind": left}
    print(name, {**summary, "seconds uninterrupted": round(seconds, 1)}, flush=True)
    print(table(["recipe", "run", "against the uninterrupted one"], [(name, *pair) for pair in results.items()]))
    return {**summary, "results": results, "rows": rows}


def main() -> None:
    """Measure and print."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--kills", type=int, default=10)
    made.add_argument("--saves", type=int, default=3, help="at least so many of them during a save")
    made.add_argument("--recipes", nargs="*", default=list(RECIPES), choices=list(RECIPES))
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--fork", action="store_true", help="start by a fork, which is faster")
    made.add_argument("--out", type=Path, help="write the figures and every row to this JSON file")
    args = made.parse_args()
    if args.fork:
        import_libraries()
    with tempfile.TemporaryDirectory() as folder:
        write_set(Path(folder) / "set")
        found = {name: measure(name, args, Path(folder)) for name in args.recipes}
    write(args.out, found)


if __name__ == "__main__":
    main()
