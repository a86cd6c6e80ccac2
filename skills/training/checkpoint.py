"""Checkpoints that survive a kill: written aside, synced, renamed; the newest complete one is taken."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from fiducial.tools.errors import InputError

RUN = "run.json"
WRITING, OLD = ".writing", ".old-"  # folders that are not complete, or are being deleted


@contextmanager
def written_whole(target: Path, scratch: Path) -> Iterator[Path]:
    """A folder to write into, which takes the place of ``target`` when all of it is on the disk.

    scratch: a folder on the same disk, for what is not complete.
    """
    around = scratch / f"{WRITING}-{target.name}"
    shutil.rmtree(around, ignore_errors=True)
    aside = around / target.name  # which may say something to those who write there
    aside.mkdir(parents=True)
    yield aside
    target.parent.mkdir(parents=True, exist_ok=True)
    put(aside, target)
    around.rmdir()


def put(written: Path, target: Path) -> None:
    """Move a folder to its place in one motion once it is on the disk, instead of an earlier one there."""
    sync(written, *written.rglob("*"))
    if target.exists():
        remove(target, written.parent)
    written.rename(target)
    sync(target.parent)


def remove(folder: Path, scratch: Path) -> None:
    """Delete a folder; moved away first, so that half of one is never taken for a whole one."""
    away = scratch / f"{OLD}{folder.name}"
    shutil.rmtree(away, ignore_errors=True)
    folder.rename(away)
    shutil.rmtree(away)


def sweep(folder: Path) -> None:
    """Delete what a kill has left in a folder: what was being written or deleted."""
    for left in (*folder.glob(f"{WRITING}*"), *folder.glob(f"{OLD}*")):
        shutil.rmtree(left, ignore_errors=True)


def require_same_run(folder: Path, described: Mapping[str, Any]) -> None:
    """Write down what a run is of, or compare where it goes on. InputError that names what is not as it was."""
    path, now = folder / RUN, json.loads(json.dumps(described))
    if path.is_file():
        before = json.loads(path.read_text(encoding="utf-8"))
        if other := next((name for name in now if now[name] != before.get(name)), None):
            raise InputError(f"{folder} holds a run with another {other}; give the same as then, or another --out")
        return
    folder.mkdir(parents=True, exist_ok=True)
    aside = folder / f"{WRITING}-{RUN}"
    aside.write_text(json.dumps(now, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    sync(aside)
    aside.rename(path)


def sync(*paths: Path) -> None:
    """Have files, and the lists of names of folders, on the disk."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def save_checkpoint(folder: Path, step: int, state: dict[str, Any], recipe: dict[str, Any]) -> None:
    """Write ``checkpoint-STEP.pt`` in one motion and remove older ones but the last."""
    folder.mkdir(parents=True, exist_ok=True)
    target, aside = folder / f"checkpoint-{step}.pt", folder / f".checkpoint-{step}.tmp"
    with aside.open("wb") as file:
        torch.save({"step": step, "recipe": recipe, **state}, file)
        file.flush()
        os.fsync(file.fileno())
    aside.rename(target)
    for old in sorted(checkpoints(folder))[:-2]:
        checkpoints(folder)[old].unlink(missing_ok=True)


def checkpoints(folder: Path) -> dict[int, Path]:
    """Complete checkpoints by their step."""
    found = {path: re.fullmatch(r"checkpoint-(\d+)\.pt", path.name) for path in folder.glob("checkpoint-*.pt")}
    return {int(match[1]): path for path, match in found.items() if match}


def latest(folder: Path) -> dict[str, Any] | None:
    """The newest complete checkpoint, or None. Loaded without executing anything that is in it."""
    found = checkpoints(folder)
    if not found:
        return None
    state: dict[str, Any] = torch.load(found[max(found)], weights_only=True, map_location="cpu")
    return state
