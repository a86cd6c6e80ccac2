"""Fit the base or one skill's LoRA adapter: transformers' Trainer with PEFT, on images that were encoded once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, TaskType, get_peft_model
from peft.tuners.lora.variants import calculate_alora_offsets
from torch import Tensor, nn
from torch.utils.data import Dataset
from transformers import LlavaForConditionalGeneration, PreTrainedTokenizerFast, TrainingArguments

from fiducial.skills.families.llava.model import embed
from fiducial.skills.families.llava.prompting import invocation_ids, prompt_ids
from fiducial.skills.recipes.embedded import FitRecipe
from fiducial.skills.training.balance import Balancer
from fiducial.skills.training.embedded.examples import Encoded, Example
from fiducial.skills.training.embedded.tasks import draw_example
from fiducial.skills.training.encoding import IGNORED
from fiducial.skills.training.trainer import SkillTrainer, newest_complete

DECODER = r".*language_model\.layers\.\d+\.(self_attn|mlp)\.(q|k|v|o|gate|up|down)_proj"
LINEARS = rf"({DECODER}|.*multi_modal_projector\.linear_[12])"


class Drawn(Dataset[dict[str, Any]]):
    """Tokenised examples; item i is a function of seed and i. one_turn: only one of an example's turns."""

    def __init__(
        self,
        task: str,
        images: Sequence[Encoded],
        tokenizer: PreTrainedTokenizerFast,
        recipe: FitRecipe,
        one_turn: bool = False,
    ) -> None:
        self.task, self.images, self.tokenizer, self.recipe = task, images, tokenizer, recipe
        self.one_turn = one_turn

    def __len__(self) -> int:
        return self.recipe.steps * self.recipe.batch_size

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Ids, labels and image tokens of example ``index``."""
        example = draw_example(self.task, self.images, self.recipe.seed, index)
        if self.one_turn:
            example = Example.of([example.turns[index % len(example.turns)]], example.image)
        return tokenise(example, self.tokenizer)


def tokenise(example: Example, tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    """Ids and labels; only the targets are learned."""
    tokens = None if example.image is None else example.image.tokens
    ids: list[int] = []
    labels: list[int] = []
    for prompt, target in example.turns:
        asked = prompt_ids(tokenizer, prompt, 0 if tokens is None or ids else len(tokens))
        said = [*tokenizer(target, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
        asked = asked[1:] if ids else asked  # one <bos> for all turns
        ids += asked + said
        labels += [IGNORED] * len(asked) + said
    return {"input_ids": ids, "labels": labels, "image_tokens": tokens}


def collate(rows: Sequence[dict[str, Any]], pad: int) -> dict[str, Tensor]:
    """Pad to the longest; image tokens of the rows that have an image, in order."""
    length = max(len(row["input_ids"]) for row in rows)
    ids = torch.full((len(rows), length), pad)
    labels, mask = torch.full((len(rows), length), IGNORED), torch.zeros((len(rows), length), dtype=torch.long)
    for i, row in enumerate(rows):
        n = len(row["input_ids"])
        ids[i, :n], labels[i, :n], mask[i, :n] = torch.tensor(row["input_ids"]), torch.tensor(row["labels"]), 1
    task = torch.zeros(len(rows), dtype=torch.long)  # one task a fit
    batch = {"input_ids": ids, "labels": labels, "attention_mask": mask, "task": task}
    images = [row["image_tokens"] for row in rows if row["image_tokens"] is not None]
    if images:
        batch["image_tokens"] = torch.stack(images).float()
    return batch


class TokenTrainer(SkillTrainer):
    """A trainer whose images are tower tokens instead of pixels: the tower is frozen, so each image is encoded once."""

    def predicted(self, model: nn.Module, inputs: dict[str, Tensor]) -> tuple[Tensor, Tensor, Any]:
        """See the base class; the model is given embeddings."""
        peft: Any = self.accelerator.unwrap_model(model)
        inner = peft.get_base_model() if hasattr(peft, "get_base_model") else peft
        embedded = embed(inner, inputs["input_ids"], inputs.get("image_tokens"))
        given: dict[str, Any] = {
            "inputs_embeds": embedded,
            "attention_mask": inputs["attention_mask"],
            "labels": inputs["labels"],
        }
        if inner is not peft and peft.active_peft_config.alora_invocation_tokens:
            # From embeddings alone PEFT cannot tell where a row's prompt ends, and would switch the adapter off.
            given["alora_offsets"] = calculate_alora_offsets(peft.peft_config, peft.active_adapter, inputs["input_ids"])
        return super().predicted(model, given)


def lora(recipe: FitRecipe, activated_ids: list[int] | None = None) -> LoraConfig:
    """LoRA on every linear layer of the projector and the decoder.

    activated_ids: the tokens from which on an *activated* LoRA works, of the decoder alone, for the projector's work is
    done by then; None for a plain one.
    """
    return LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=recipe.dropout,
        target_modules=LINEARS if activated_ids is None else DECODER,
        task_type=None if activated_ids is None else TaskType.CAUSAL_LM,
        alora_invocation_tokens=activated_ids,
    )


def fit(
    model: LlavaForConditionalGeneration,
    tokenizer: PreTrainedTokenizerFast,
    task: str,
    images: Sequence[Encoded],
    recipe: FitRecipe,
    out: Path,
    resume: bool = False,
    activated: bool = False,
) -> nn.Module:
    """Train ``base`` (projector and decoder, tower frozen) or one skill's adapter. Returns the trained (PEFT) model.

    activated: an activated LoRA. Its rows are of one turn each: a second turn's prompt would be read with the adapter
    on, as it never is when it is asked.
    """
    torch.manual_seed(recipe.seed)
    model.model.vision_tower.requires_grad_(False).eval()
    ids = invocation_ids(tokenizer) if activated else None
    trained: nn.Module = get_peft_model(model, lora(recipe, ids)) if recipe.rank else model
    arguments = TrainingArguments(
        output_dir=str(out),
        max_steps=recipe.steps,
        per_device_train_batch_size=recipe.batch_size,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=int(recipe.warmup * recipe.steps),
        weight_decay=recipe.weight_decay,
        bf16=True,
        use_cpu=not torch.cuda.is_available(),
        logging_steps=50,
        save_steps=max(recipe.steps // 4, 1),
        seed=recipe.seed,
        report_to=[],
        remove_unused_columns=False,
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )
    trainer = TokenTrainer(
        model=trained,
        args=arguments,
        train_dataset=Drawn(task, images, tokenizer, recipe, one_turn=activated),
        data_collator=lambda rows: collate(rows, tokenizer.pad_token_id),
        balancer=Balancer("uniform", (task,)),
    )
    newest = newest_complete(out) if resume else None
    trainer.train(resume_from_checkpoint=str(newest) if newest else None)
    return trained.eval()
