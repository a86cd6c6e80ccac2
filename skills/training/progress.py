"""What a person sees while a model trains: one line a log step with an honest time left, and warnings of failures."""

from __future__ import annotations

import statistics
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any

import torch
from transformers import PrinterCallback, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.utils.logging import disable_progress_bar

from fiducial.skills.training.curves import CURVES, Log, draw_curves
from fiducial.skills.training.failures import AVERAGES, Scores

if TYPE_CHECKING:
    from fiducial.skills.training.trainer import SkillTrainer
    from fiducial.skills.training.watch import Watcher

RECENT = 50  # steps, by whose median the time left is reckoned
WATCHES = 8  # of a whole run, where nothing else is asked for
MOST_SHARE = 0.1  # of the time, that watching may take where nothing else is asked for
MOST_UNREAD = 0.2
FEWEST_ROWS = 4  # below, one answer to all of them says nothing


@dataclass
class Pace:
    """Seconds that steps, watching and saving took, and what is still to come of each.

    ``watches``: the steps after which rows are watched; ``every_save``: steps between two checkpoints.
    """

    steps: int
    watches: Sequence[int] = ()
    every_save: int = 0
    step_s: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))
    watch_s: list[float] = field(default_factory=list)
    save_s: list[float] = field(default_factory=list)

    def left_s(self, step: int) -> tuple[float, bool]:
        """Seconds left after a step, and whether everything still to come was timed once: else it is a least."""
        seconds, known = (self.steps - step) * _median(self.step_s), bool(self.step_s)
        saves = 0
        if self.every_save:  # the last step is saved too
            saves = -(-self.steps // self.every_save) - step // self.every_save
        for count, taken in ((sum(at > step for at in self.watches), self.watch_s), (saves, self.save_s)):
            seconds += count * _median(taken)
            known = known and (bool(taken) or not count)
        return seconds, known

    def left(self, step: int) -> str:
        """``about 12 min``; ``at least 12 min`` while a cost that is still to come was never seen."""
        seconds, known = self.left_s(step)
        return f"{'about' if known else 'at least'} {duration(seconds)}" if self.step_s else "time left unknown"


def _median(values: Sequence[float] | deque[float]) -> float:
    return statistics.median(values) if values else 0.0


def duration(seconds: float) -> str:
    """A time as a person says it: ``40 s``, ``12 min``, ``3 h 20 min``."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, rest = divmod(5 * round(minutes / 5), 60)
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def step_line(step: int, steps: int, entry: Mapping[str, Any], rows_per_s: float, left: str) -> str:
    """One log step: ``step 40/100  loss 2.13 (count 1.20, detect 2.51)  12 rows/s  about 12 min left``."""
    losses = ", ".join(f"{task} {loss:.3g}" for task, loss in entry.get("losses", {}).items())
    tasks = f" ({losses})" if len(entry.get("losses", {})) > 1 else ""
    rate = f"  {rows_per_s:.3g} rows/s" if rows_per_s else ""
    end = f"  {left}" if left.endswith("unknown") else f"  {left} left"
    return f"step {step}/{steps}  loss {entry['loss']:.4g}{tasks}{rate}{end if step < steps else ''}"


def watch_line(task: str, scores: Scores) -> str:
    """The failures and averages of one task, such as ``watched count: 6 % unread, 0 % zero cases, honest_mae 3.1``."""
    parts = [f"{scores['unread']:.0%} unread"]
    if "zero" in scores:
        parts.append(f"{scores['zero']:.0%} zero cases")
    parts.append(f"{scores['distinct']:.0f} different answers to {scores['rows']:.0f} rows")
    average, honest, _ = AVERAGES[task]
    if honest in scores:
        flattering = f" (over what could be read: {average} {scores[average]:.3g})" if average in scores else ""
        parts.append(f"{honest} {scores[honest]:.3g}{flattering}")
    return f"watched {task}: {', '.join(parts)}"


def warnings_of(task: str, now: Scores, before: Scores | None) -> list[str]:
    """Plain sentences on what goes wrong with a task, where an average may hide it. before: the watch before this."""
    found = []
    if now["unread"] > MOST_UNREAD:
        found.append(f"{task}: {now['unread']:.0%} of the answers cannot be read")
    collapsed = now["distinct"] == 1 and now["rows"] >= FEWEST_ROWS and now["distinct_true"] > 1
    if collapsed:
        found.append(f"{task}: all {now['rows']:.0f} rows get the same answer")
    if before and now.get("zero", 0) > before.get("zero", 0) and _improves(task, now, before):
        found.append(
            f"{task}: zero cases rise from {before.get('zero', 0):.0%} to {now['zero']:.0%} while {AVERAGES[task][0]}"
            " improves; the average leaves them out"
        )
    return found


def _improves(task: str, now: Scores, before: Scores) -> bool:
    average, _, less = AVERAGES[task]
    if average not in now or average not in before:
        return False
    return now[average] < before[average] if less else now[average] > before[average]


def watched_steps(steps: int, every: int | None) -> tuple[int, ...]:
    """After which steps rows are watched; the last is always one of them. every: None for ``WATCHES`` of a run."""
    if every == 0:
        return ()
    every = every or max(1, -(-steps // WATCHES))
    return tuple(dict.fromkeys([*range(every, steps, every), steps]))


class Monitor(TrainerCallback):
    """Watches, logs, draws and reports in place of Trainer's own lines.

    every: steps between two watches; None for as many as cost no more than ``MOST_SHARE`` of the time, beside the last,
    which is always made. clock, say: for tests.
    """

    def __init__(
        self,
        trainer: SkillTrainer,
        log: Log,
        watcher: Watcher | None = None,
        every: int | None = None,
        clock: Callable[[], float] = time.perf_counter,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self.trainer, self.log, self.watcher, self.every, self.clock = trainer, log, watcher, every, clock
        self.say = say or (lambda line: print(line, file=sys.stderr, flush=True))
        arguments = trainer.args
        steps = arguments.max_steps
        self.pace = Pace(steps, watched_steps(steps, every) if watcher else (), int(arguments.save_steps))
        processes = arguments.world_size * arguments.gradient_accumulation_steps
        self.rows_a_step = arguments.per_device_train_batch_size * processes
        self.begun = self.mark = 0.0
        self.totals = trainer.balancer.totals.clone()
        disable_progress_bar()  # of files written, between the lines
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(self)

    @property
    def reports(self) -> bool:
        """Whether this process is the one that reports."""
        return self.trainer.is_world_process_zero()

    @property
    def scores(self) -> dict[str, Scores]:
        """Those of the last watch; empty where nothing was watched."""
        last = self.log.last("watch")
        return last["scores"] if last else {}

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Take up the log where the checkpoint was made."""
        if self.reports:
            self.log.resume(state.global_step)
        self.totals = self.trainer.balancer.totals.clone()
        self.begun = self.mark = self.clock()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Time the step, and watch where it is time to."""
        self.pace.step_s.append(self.clock() - self.mark)
        if state.global_step in self.pace.watches[:-1] and self._affordable():
            self.watch(state.global_step)
        self.mark = self.clock()

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """One line, and one entry of the log."""
        if not logs or "loss" not in logs:  # the summary at the end
            return
        seen = self.trainer.balancer.totals - self.totals
        self.totals = self.trainer.balancer.totals.clone()
        means = seen[0] / seen[1]
        losses = {
            task: float(mean) for task, mean in zip(self.trainer.balancer.tasks, means, strict=True) if isfinite(mean)
        }
        entry = {"loss": float(logs["loss"]), "losses": losses, "learning_rate": float(logs["learning_rate"])}
        if self.reports:
            self.log.add(state.global_step, "train", entry)
            rate = self.rows_a_step / (_median(self.pace.step_s) or float("inf"))
            left = self.pace.left(state.global_step)
            self.say(step_line(state.global_step, self.pace.steps, entry, rate, left))
        self.mark = self.clock()

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Draw the curves beside the checkpoint."""
        if self.reports:
            draw_curves(self.log.entries, self.log.path.with_name(CURVES))
        self.pace.save_s.append(self.clock() - self.mark)
        self.mark = self.clock()

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """The last watch, whose figures go into the manifest, and the last picture."""
        if self.pace.watches and not self._agreed(self.log.has(state.global_step, "watch")):
            self.watch(state.global_step)
        if self.reports:
            draw_curves(self.log.entries, self.log.path.with_name(CURVES))

    def watch(self, step: int) -> None:
        """Ask the watched rows, log what comes out, and warn."""
        assert self.watcher is not None
        start = self.clock()
        scores = self.watcher.watch(self.trainer.accelerator.unwrap_model(self.trainer.model))
        self.pace.watch_s.append(self.clock() - start)
        if not self.reports:
            return
        before = self.log.last("watch")
        self.log.add(step, "watch", {"scores": scores})
        for task, now in scores.items():
            if task in AVERAGES:  # a size class is in the log and the card
                self.say(watch_line(task, now))
                for warning in warnings_of(task, now, before["scores"].get(task) if before else None):
                    self.say(f"warning: {warning}")

    def _affordable(self) -> bool:
        """Whether one more watch, and the last, keep within their share of the time; always where steps were given."""
        now = self.clock()
        seconds = sum(self.pace.watch_s) + 2 * _median(self.pace.watch_s)
        left, _ = Pace(self.pace.steps, step_s=self.pace.step_s).left_s(self.trainer.state.global_step)
        whole = now - self.begun + left
        return self._agreed(self.every is not None or seconds <= MOST_SHARE * whole)

    def _agreed(self, mine: bool) -> bool:
        """What the first process says: clocks and files differ, and the processes must stay in step."""
        import torch.distributed as dist

        if not (dist.is_available() and dist.is_initialized()):
            return mine
        said = [mine]
        device = self.trainer.args.device if torch.cuda.is_available() else None
        dist.broadcast_object_list(said, src=0, device=device)
        return said[0]
