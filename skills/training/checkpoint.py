"""Checkpoints that survive a kill: written aside, synced, renamed; the newest complete one is taken."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import torch


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
