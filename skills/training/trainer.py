"""transformers' Trainer, with checkpoints that survive a kill and with losses weighed and watched a task.

Everything else is Trainer's own, so that ``torchrun`` and ``accelerate launch`` (DDP, FSDP, DeepSpeed) work as ever.
"""

from __future__ import annotations

import json
import shutil
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import SequentialSampler
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from fiducial.skills.training.balance import Balancer
from fiducial.skills.training.checkpoint import WRITING, put, remove, sweep
from fiducial.skills.training.encoding import IGNORED
from fiducial.skills.training.features import Features

BALANCE, STATE = "balance.json", "trainer_state.json"
KEPT = 2


def newest_complete(out: Path) -> Path | None:
    """The newest checkpoint that was written to its end; None where there is none."""
    complete = [path.parent for path in out.glob(f"checkpoint-*/{STATE}")]
    return max(complete, key=step_of) if complete else None


def step_of(checkpoint: Path) -> int:
    """The optimiser step of a checkpoint's folder."""
    return int(checkpoint.name.rpartition("-")[2])


class SkillTrainer(Trainer):
    """See the module's docstring. Batches hold ``task`` (B,), each row's task as a number of the balancer's.

    features: where the vision tower is frozen and nothing augments; batches then hold ``image`` (B,), each row's image.
    """

    loss_is_scaled_for_ga = True  # by the number of tokens of the whole optimiser step, in ``compute_loss``

    def __init__(self, *, balancer: Balancer, features: Features | None = None, **named: Any) -> None:
        super().__init__(**named)
        self.balancer, self.features = balancer, features
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
        tasks, images = inputs.pop("task"), inputs.pop("image", None)
        looking = nullcontext() if self.features is None else self.features.given(images, inputs)
        with looking:
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
            put(aside / name, run / name)
            shutil.rmtree(aside)
            for old in sorted(run.glob("checkpoint-*"), key=step_of)[:-KEPT]:
                remove(old, run)
        self.accelerator.wait_for_everyone()

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        """The weights of a checkpoint, every one of them.

        Trainer's own loads a whole model by the names in the file, which ``save_pretrained`` has changed, and only
        warns that it found none: the run would go on from fresh weights.
        """
        inner: Any = self.model
        if hasattr(inner, "peft_config") or self.is_fsdp_enabled:
            super()._load_from_checkpoint(resume_from_checkpoint, model)
            return
        saved = type(inner).from_pretrained(resume_from_checkpoint, local_files_only=True, dtype=inner.dtype)
        inner.load_state_dict(saved.state_dict())

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        """The optimiser's state, and the balancer's."""
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is not None and (kept := Path(checkpoint) / BALANCE).is_file():
            self.balancer.restore(json.loads(kept.read_text(encoding="utf-8")))


class _Balancing(TrainerCallback):
    """After each optimiser step the balancer sees what each task lost, over all processes."""

    def __init__(self, trainer: SkillTrainer) -> None:
        self.trainer = trainer

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if args.should_save:
            sweep(Path(str(args.output_dir)))

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        trainer = self.trainer
        seen = trainer.accelerator.reduce(trainer.seen.to(trainer.args.device), "sum").cpu()
        trainer.balancer.observe(seen[0], seen[1])
        trainer.seen = torch.zeros_like(trainer.seen)
