"""The watched rows: which are kept back from a training, and what the model in training says to them.

They are asked as at inference (prompt, resize, greedy generation, dialect, frame maps), and asking leaves no trace:
random states and modes are put back, so that a run is the same, to the bit, with or without it.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from fiducial.skills.datasets.sample import Sample
from fiducial.skills.datasets.splits import share_of, split_of
from fiducial.skills.families.hub.model import HubModel
from fiducial.skills.families.hub.session import most_new_tokens
from fiducial.skills.recipes import Recipe
from fiducial.skills.templates import fill
from fiducial.skills.training.failures import Outcome, Scores, scores_of, size_of
from fiducial.skills.training.rows import Row, rows_of
from fiducial.tools.errors import InputError

if TYPE_CHECKING:
    from fiducial.skills.families.hub.spec import HubSpec
    from fiducial.skills.training.encoding import Encoder

WATCHED_ROWS = 16  # a task
KEPT_BACK: Mapping[str, float] = {"train": 0.9, "watch": 0.1}
SALT = "watch"
LONGER, MORE = 1.5, 16  # tokens that an answer may have: times those of the longest true one of its task, and more

Sets = dict[str, list[Sample]]


def parted(sets: Mapping[str, Iterable[Sample]], held_out: Mapping[str, Iterable[Sample]]) -> tuple[Sets, Sets]:
    """The samples to train on and those to watch, of each set; no group (patient, image) is in both.

    held_out: another split of a set. A set without one has a tenth of its groups kept back, by their names alone.
    """
    train: Sets = {}
    watch: Sets = {}
    for name, samples in sets.items():
        train[name] = list(samples)
        groups = {sample.group for sample in train[name]}
        watch[name] = [sample for sample in held_out.get(name, ()) if sample.group not in groups]
        if watch[name]:
            continue
        kept = {group for group in groups if split_of(group, KEPT_BACK, SALT) == "watch"}
        if kept < groups:
            watch[name] = [sample for sample in train[name] if sample.group in kept]
            train[name] = [sample for sample in train[name] if sample.group not in kept]
    return train, watch


def watched_rows(sets: Sets, recipe: Recipe, skills: Sequence[str], count: int) -> list[Row]:
    """At most so many rows a task of the sets to watch; a skill that they do not ask for has none."""
    found: dict[str, Row] = {}
    for skill in skills if sets else ():
        with suppress(InputError):
            for row in rows_of(sets, recipe, (skill,)):
                found.setdefault(f"{row.id} {row.task}", row)
    return chosen(found.values(), count)


def chosen(rows: Iterable[Row], count: int) -> list[Row]:
    """At most so many rows a task, drawn by their ids; other groups before more rows of one."""
    tasks: dict[str, list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: share_of(row.id, SALT)):
        tasks[row.task].append(row)
    found: list[Row] = []
    for task in sorted(tasks):
        turn: dict[str, int] = defaultdict(int)
        ranked: list[tuple[int, int, Row]] = []
        for row in tasks[task]:
            ranked.append((turn[row.sample.group], len(ranked), row))
            turn[row.sample.group] += 1
        found += [row for *_, row in sorted(ranked, key=lambda entry: entry[:2])[:count]]
    return found


@contextmanager
def undisturbed(network: torch.nn.Module) -> Iterator[None]:
    """Within, the network is in evaluation; after it, modes, random states and what generation left are as before."""
    modes = {module: module.training for module in network.modules()}
    left = {module: module.rope_deltas for module in network.modules() if "rope_deltas" in vars(module)}
    python, numpy = random.getstate(), np.random.get_state()
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    try:
        with torch.random.fork_rng(devices):
            network.eval()
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        for module, training in modes.items():
            module.training = training
        for module, value in left.items():
            module.rope_deltas = value


@dataclass
class Watcher:
    """Asks the rows of a model in training. rows: those of ``chosen``."""

    spec: HubSpec
    base: Path
    encoder: Encoder
    rows: Sequence[Row]
    _limits: dict[str, int] = field(default_factory=dict)

    def watch(self, network: Any) -> dict[str, Scores]:
        """``failures.scores_of`` over all rows. With several processes each asks its share; each gets all scores."""
        import torch.distributed as dist

        many = dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
        place, processes = (dist.get_rank(), dist.get_world_size()) if many else (0, 1)
        own = list(self.rows[place::processes])
        turns = -(-len(self.rows) // processes)  # sharded weights need every process in every generation
        with undisturbed(network):
            model = HubModel(self.spec, self.base, network, self.encoder.processor, {})
            said = [self.outcome(model, row) for row in own or self.rows[:1]]
            for _ in range(turns - len(said)):
                self.outcome(model, self.rows[0])
        outcomes = said if own else []
        if many:
            gathered: list[Any] = [None] * processes
            dist.all_gather_object(gathered, outcomes)
            outcomes = [outcome for part in gathered for outcome in part]
        return scores_of(sorted(outcomes, key=lambda outcome: outcome.id))

    def outcome(self, model: HubModel, row: Row) -> Outcome:
        """What the model says to one row."""
        images, row = self.encoder.shown(row)
        height, width = images[0].shape[:2]
        query, to_model = (
            self.encoder.processor.harmless_query(row.ask.query),
            self.encoder.processor.fit(width, height),
        )
        prompt = fill(self.encoder.templates, query, to_model)
        inputs = self.encoder.processor.encode(images, prompt)
        text = model.write(row.skill, inputs, self.limit(row.task)).text
        said = self.encoder.dialect.parse(query, text, to_model)
        return Outcome(row.id, query, row.ask.target, said, text, size_of(row.sample, row.ask, (width, height)))

    def limit(self, task: str) -> int:
        """Tokens that an answer may have: a list that runs away is cut, and counts as such, long before inference's."""
        if task not in self._limits:
            longest = max(self._tokens(row) for row in self.rows if row.task == task)
            most = most_new_tokens(task)
            self._limits[task] = min(most, round(LONGER * longest) + MORE)
        return self._limits[task]

    def _tokens(self, row: Row) -> int:
        images, row = self.encoder.shown(row)
        _, answer = self.encoder.texts(row, images[0].shape[:2], 0)
        return len(self.encoder.processor.tokenizer(answer, add_special_tokens=False)["input_ids"])
