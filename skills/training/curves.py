"""What a training wrote down, one JSON object a line, and its picture."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

from fiducial.skills.training.failures import AVERAGES
from fiducial.skills.training.plot import BLACK, GREY, Curve, Panel, Style, draw_panels, style_of

LOG, CURVES = "metrics.jsonl", "curves.png"
Kind = Literal["train", "watch"]
Entry = dict[str, Any]


def read_log(path: Path) -> tuple[Entry, list[Entry]]:
    """What a log says first of its run (``data``, ``steps`` …), and its entries; a line that broke off is left out.

    Each entry has ``step`` and ``kind``: ``train`` (loss, losses by task, learning rate) or ``watch`` (scores by task
    and size class, as ``failures.scores_of`` gives them). Empty where there is no log.
    """
    head: Entry = {}
    entries: list[Entry] = []
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    for line in lines:
        try:
            read = json.loads(line)
        except ValueError:  # the process was killed while it wrote
            continue
        if isinstance(read, dict) and "step" in read and "kind" in read:
            entries.append(read)
        elif isinstance(read, dict):
            head = read
    return head, entries


class Log:
    """The log of one run. head: what it says of the run as a whole."""

    def __init__(self, path: Path, head: Mapping[str, Any] | None = None) -> None:
        self.path, self.head = path, dict(head or {})
        self.entries: list[Entry] = []

    def resume(self, step: int) -> None:
        """Go on from a step: what was written after it is made again, and is forgotten. From 0 all of it is."""
        _, entries = read_log(self.path)
        self.entries = [entry for entry in entries if step > 0 and entry["step"] <= step]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        aside = self.path.with_name(f".{self.path.name}")
        aside.write_text("".join(_line(part) for part in (self.head, *self.entries)), encoding="utf-8")
        aside.rename(self.path)

    def add(self, step: int, kind: Kind, entry: Mapping[str, Any]) -> None:
        """Write an entry down at once, so that a kill loses none."""
        made = {"step": step, "kind": kind, **entry}
        self.entries.append(made)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(_line(made))
            file.flush()
            os.fsync(file.fileno())

    def last(self, kind: Kind) -> Entry | None:
        """The newest entry of a kind."""
        return next((entry for entry in reversed(self.entries) if entry["kind"] == kind), None)

    def has(self, step: int, kind: Kind) -> bool:
        """Whether there is an entry of this kind at this step."""
        return any(entry["step"] == step and entry["kind"] == kind for entry in self.entries)


def _line(part: Mapping[str, Any]) -> str:
    return json.dumps(part, ensure_ascii=False, allow_nan=False) + "\n"


FAILURES = (
    ("unread", "Answers that cannot be read", "share of the watched rows"),
    ("zero", "Zero cases", "share of rows about something there that get nothing"),
    ("commonest", "Commonest answer", "its share of the answers; 100 % is a collapse"),
)
UNITS = {
    "mae": "error of the count (objects)",
    "iou": "intersection over union",
    "matching_accuracy": "share of points within 10 px",
    "within_10_px": "share of landmarks within 10 px",
    "read_accuracy": "share of right answers",
    "recall": "share of the true words, and of right answers",
    "mre": "relative error (1 is 100 %)",
}
WATCHED = "over what could be read (the paper's)"
HONEST = "over all rows (honest)"


def draw_curves(entries: Iterable[Entry], path: Path) -> None:
    """Write the picture of a log: loss, failures and averages over steps. Nothing where there is no entry yet."""
    entries = list(entries)
    trained = [entry for entry in entries if entry["kind"] == "train"]
    watched = [entry for entry in entries if entry["kind"] == "watch"]
    if not trained and not watched:
        return
    named = {task for entry in trained for task in entry["losses"]} | {t for e in watched for t in e["scores"]}
    tasks = {task: style_of(number) for number, task in enumerate(t for t in AVERAGES if t in named)}
    panels = [_losses(trained, tasks)] if trained else []
    panels += [_failure(watched, tasks, *failure) for failure in FAILURES]
    panels += [_averages(watched, task, style) for task, style in tasks.items()]
    legend = [("all tasks", Style(BLACK, "circle")), *tasks.items()]
    if watched:
        legend += [(WATCHED, Style(GREY, "circle")), (HONEST, Style(GREY, "circle", dashed=True))]
    picture = draw_panels([panel for panel in panels if panel.curves], legend, max(e["step"] for e in entries))
    aside = path.with_name(f".{path.name}")
    picture.save(aside, format="PNG")
    aside.rename(path)


def _curve(entries: Sequence[Entry], style: Style, value: Callable[[Entry], Any]) -> list[Curve]:
    """One curve, or none where nothing has the value."""
    found = ((entry["step"], value(entry)) for entry in entries)
    points = tuple((step, number) for step, number in found if number is not None)
    return [Curve(style, points)] if points else []


def _losses(trained: Sequence[Entry], tasks: Mapping[str, Style]) -> Panel:
    curves: list[Curve] = []
    for task, style in tasks.items() if len(tasks) > 1 else ():
        curves += _curve(trained, style, partial(_loss, task=task))
    curves += _curve(trained, Style(BLACK, "circle"), lambda entry: entry["loss"])
    return Panel("Loss of training", "cross-entropy (nat a token)", tuple(curves))


def _failure(watched: Sequence[Entry], tasks: Mapping[str, Style], name: str, title: str, y_label: str) -> Panel:
    curves: list[Curve] = []
    for task, style in tasks.items():
        curves += _curve(watched, style, partial(_score, task=task, name=name))
    return Panel(title, y_label, tuple(curves), share=True)


def _averages(watched: Sequence[Entry], task: str, style: Style) -> Panel:
    average, honest, less = AVERAGES[task]
    curves = _curve(watched, style, lambda entry: _score(entry, task, average))
    curves += _curve(watched, style._replace(dashed=True), lambda entry: _score(entry, task, honest))
    return Panel(f"{task}: {'less' if less else 'more'} is better", UNITS[average], tuple(curves), share=not less)


def _loss(entry: Entry, task: str) -> float | None:
    found: float | None = entry["losses"].get(task)
    return found


def _score(entry: Entry, task: str, name: str) -> float | None:
    found: float | None = entry["scores"].get(task, {}).get(name)
    return found
