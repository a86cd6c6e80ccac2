"""transformers' Trainer, with checkpoints that survive a kill and with losses weighed and watched a task.

Everything else is Trainer's own, so that ``torchrun`` and ``accelerate launch`` (DDP, FSDP, DeepSpeed) work as ever.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import SequentialSampler
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from fiducial.skills.training.balance import Balancer
from fiducial.skills.training.encoding import IGNORED

BALANCE, STATE, WRITING = "balance.json", "trainer_state.json", ".writing"
KEPT = 2


def newest_complete(out: Path) -> Path | None:
    """The newest checkpoint that was written to its end; None where there is none."""
    complete = [path.parent for path in out.glob(f"checkpoint-*/{STATE}")]
    return max(complete, key=step_of) if complete else None


def step_of(checkpoint: Path) -> int:
    """The optimiser step of a checkpoint's folder."""
    return int(checkpoint.name.rpartition("-")[2])


def sync(folder: Path) -> None:
    """Have everything below a folder on the disk, and the folder's own list of names."""
    for path in [*folder.rglob("*"), folder]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class SkillTrainer(Trainer):
    """See the module's docstring. Batches hold ``task`` (B,), each row's task as a number of the balancer's."""

    loss_is_scaled_for_ga = True  # by the number of tokens of the whole optimiser step, in ``compute_loss``

    def __init__(self, *, balancer: Balancer, **named: Any) -> None:
        super().__init__(**named)
        self.balancer = balancer
        self.seen = torch.zeros(2, len(balancer.tasks))  # of this optimiser step: sums of losses, tokens
        self.model_accepts_loss_kwargs = True  # so that the tokens of the optimiser step are counted
        self._loss_shifts_labels = self.shifts
        self._aside: Path | None = None
        self.add_callback(_Balancing(self))

    @property
    def shifts(self) -> bool:
        """Whether a label is predicted at the place before it (decoder-only), or at its own (encoder-decoder)."""
        return not getattr(self.model.config, "is_encoder_decoder", False)  # type: ignore[union-attr]

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        """In the order of the data set, which is shuffled itself."""
        return SequentialSampler(train_dataset if train_dataset is not None else self.train_dataset)  # type: ignore[arg-type]

    def predicted(self, model: nn.Module, inputs: dict[str, Tensor]) -> tuple[Tensor, Tensor, Any]:
        """Logits (B, T, V), the labels (B, T) that they are to predict, and the model's whole output.

        Logits are made only where some row of the batch has a label: with a large vocabulary they are what costs most.
        """
        labels = inputs["labels"]
        if not self.shifts:
            out = model(**inputs)
            return out.logits, labels, out
        kept = (labels[:, 1:] != IGNORED).any(0).nonzero()[:, 0]
        out = model(**{k: v for k, v in inputs.items() if k != "labels"}, logits_to_keep=kept)
        return out.logits, labels[:, kept + 1], out

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Tensor | Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Tensor | tuple[Tensor, Any]:
        """Cross-entropy of the answers' tokens, weighed by task, over the number of tokens of the optimiser step."""
        inputs = dict(inputs)
        tasks = inputs.pop("task")
        logits, labels, out = self.predicted(model, inputs)
        flat = F.cross_entropy(logits.flatten(0, 1).float(), labels.flatten(), ignore_index=IGNORED, reduction="none")
        losses = flat.view(labels.shape).sum(1)
        tokens = (labels != IGNORED).sum(1)
        ones = torch.stack([losses.detach(), tokens.to(losses)]).cpu()
        self.seen.index_add_(1, tasks.cpu(), ones)
        weights = self.balancer.weights().to(losses.device)[tasks]
        count = tokens.sum() if num_items_in_batch is None else num_items_in_batch
        loss = (weights * losses).sum() / count
        if num_items_in_batch is not None and self.args.average_tokens_across_devices:
            loss = loss * self.accelerator.num_processes
        return (loss, out) if return_outputs else loss

    def _get_output_dir(self, trial: Any) -> str:
        return str(self._aside) if self._aside is not None else super()._get_output_dir(trial)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """Written aside, synced, renamed: a run that is killed meanwhile leaves the one before."""
        run = Path(self._get_output_dir(trial))
        name = f"checkpoint-{self.state.global_step}"
        self._aside = run / WRITING
        if self.args.should_save:
            shutil.rmtree(self._aside, ignore_errors=True)
        self.accelerator.wait_for_everyone()
        try:
            super()._save_checkpoint(model, trial)
        finally:
            aside, self._aside = self._aside, None
        self.accelerator.wait_for_everyone()
        if self.args.should_save:
            (aside / name / BALANCE).write_text(json.dumps(self.balancer.state()), encoding="utf-8")
            sync(aside)
            if (run / name).exists():  # a run that was taken up from an earlier checkpoint comes by again
                _remove(run / name)
            (aside / name).rename(run / name)
            sync(run)
            for old in sorted(run.glob("checkpoint-*"), key=step_of)[:-KEPT]:
                _remove(old)
        self.accelerator.wait_for_everyone()

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        """The weights of a checkpoint, every one of them.

        Trainer's own loads a whole model by the names in the file, which ``save_pretrained`` has changed, and only
        warns that it found none: the run would go on from fresh weights.
        """
        kept = Path(resume_from_checkpoint) / BALANCE
        if kept.is_file():
            self.balancer.restore(json.loads(kept.read_text(encoding="utf-8")))
        inner: Any = self.model
        if hasattr(inner, "peft_config"):
            super()._load_from_checkpoint(resume_from_checkpoint, model)
            return
        saved = type(inner).from_pretrained(resume_from_checkpoint, local_files_only=True, dtype=inner.dtype)
        inner.load_state_dict(saved.state_dict())


def _remove(folder: Path) -> None:
    """Delete a checkpoint; renamed first, so that half of one is never taken for a whole one."""
    away = folder.with_name(f".old-{folder.name}")
    shutil.rmtree(away, ignore_errors=True)
    folder.rename(away)
    shutil.rmtree(away)


class _Balancing(TrainerCallback):
    """After each optimiser step: the balancer sees what each task lost, over all processes."""

    def __init__(self, trainer: SkillTrainer) -> None:
        self.trainer = trainer

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        trainer = self.trainer
        seen = trainer.accelerator.reduce(trainer.seen.to(trainer.args.device), "sum").cpu()
        trainer.balancer.observe(seen[0], seen[1])
        trainer.seen = torch.zeros_like(trainer.seen)
