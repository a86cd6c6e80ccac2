"""``fiducial train`` for the families of the model hub: sets, base and recipe in; an adapter or a base out."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import TrainingArguments, set_seed

from fiducial.skills.adapters import Manifest, base_hash
from fiducial.skills.bases import write_base_manifest
from fiducial.skills.datasets.sample import Sample
from fiducial.skills.families.dialects import dialect
from fiducial.skills.families.hub.model import load_network, processor_of
from fiducial.skills.families.hub.processor import HubProcessor
from fiducial.skills.families.hub.spec import HUB_SPECS, HubSpec
from fiducial.skills.recipes import Recipe
from fiducial.skills.training.balance import Balancer
from fiducial.skills.training.checkpoint import written_whole
from fiducial.skills.training.encoding import Encoder, Epochs, collate
from fiducial.skills.training.features import Features, frozen_vision
from fiducial.skills.training.networks import activated_ids, save_adapter, save_base, trainable
from fiducial.skills.training.parity import BEFORE, as_inferred, check_parity
from fiducial.skills.training.rows import Row, rows_of
from fiducial.skills.training.trainer import SkillTrainer, newest_complete, step_of
from fiducial.tools.errors import InputError

WORK = "work"
SAVES = 10  # checkpoints of a whole run


@dataclass(frozen=True)
class Plan:
    """One training. sets: the samples of each set, by its name; out: the folder for ``adapters`` or ``base``, ``work``.

    batch_size: in place of the recipe's, where memory is short; the effective batch stays.
    """

    skills: tuple[str, ...]
    recipe: Recipe
    base: Path
    sets: Mapping[str, Iterable[Sample]]
    out: Path
    max_steps: int | None = None
    seed: int = 0
    resume: bool = False
    batch_size: int | None = None
    activated: bool = False

    @property
    def work(self) -> Path:
        """The folder of the checkpoints."""
        return self.out / WORK / "+".join(self.skills)


def spec_of(base: Path, recipe: Recipe) -> HubSpec:
    """The family of a base. InputError where it is none of the hub's, or not one of the recipe's."""
    spec = next((spec for spec in HUB_SPECS if spec.recognises(base)), None)
    known = ", ".join(recipe.families)
    if spec is None:
        raise InputError(f"the base {base} is of no family that the recipe '{recipe.name}' trains ({known})")
    if spec.name not in recipe.families:
        raise InputError(
            f"the recipe '{recipe.name}' is for {known}, not for the family '{spec.name}'; see recipes list"
        )
    return spec


def train(plan: Plan) -> Path:
    """Train, and save an adapter (``out/adapters/NAME``) or a base (``out/base``). Returns its folder."""
    recipe, spec = plan.recipe, spec_of(plan.base, plan.recipe)
    first = os.environ.get("RANK", "0") == "0"  # of several processes
    if first and plan.work.exists() and not plan.resume:
        raise InputError(f"{plan.work} holds an earlier run; give --resume to go on with it, or another --out")
    rows = rows_of(plan.sets, recipe, plan.skills)
    folder = folder_of(plan)
    if finished(plan, folder, len(rows)):
        if first:
            print(f"this run is finished; its result is in {folder}")
        return folder
    set_seed(plan.seed)
    processor = processor_of(spec, plan.base, pixel_limits(recipe))
    spoken = dialect(recipe.dialects.get(spec.name, spec.dialect))
    encoder = Encoder(processor, spoken, recipe.templates or spoken.templates, plan.seed, recipe.augment)
    activated = activated_ids(recipe, spec, processor) if plan.activated else None
    network = trainable(load_network(spec, plan.base, half=recipe.lora is not None), recipe, activated)
    manifest = manifest_of(plan, spec, spoken.name, encoder.templates, rows)
    asked = as_inferred(spec, plan.base, network, manifest, recipe.lora is not None)
    check_parity(rows, encoder, asked, BEFORE).require()
    trainer = trainer_of(plan, network, processor, encoder, rows)
    fit(trainer, plan)
    if trainer.is_world_process_zero():
        trained = trainer.accelerator.unwrap_model(trainer.model)
        parity = check_parity(rows, encoder, asked)
        print(parity)
        manifest.metrics.update(parity.metrics())
        with written_whole(folder, plan.work) as aside:
            if recipe.lora:
                save_adapter(trained, aside, manifest)
            else:
                save_base(trained, plan.base, aside)
                write_base_manifest(aside, plan.base, manifest.recipe, manifest.data_sha256, manifest.metrics)
    trainer.accelerator.wait_for_everyone()
    return folder


def folder_of(plan: Plan) -> Path:
    """Where the result of a plan goes."""
    return plan.out / "adapters" / "+".join(plan.skills) if plan.recipe.lora else plan.out / "base"


def finished(plan: Plan, folder: Path, rows: int) -> bool:
    """Whether an earlier run of the plan went to its end, its result saved."""
    newest = newest_complete(plan.work)
    return folder.exists() and newest is not None and step_of(newest) >= steps_of(plan, rows)


def pixel_limits(recipe: Recipe) -> dict[str, int]:
    """The recipe's limits on the model's input, where it has them."""
    limits = {"min_pixels": recipe.min_pixels, "max_pixels": recipe.max_pixels}
    return {name: value for name, value in limits.items() if value is not None}


def steps_of(plan: Plan, rows: int) -> int:
    """Optimiser steps: the recipe's epochs, or the user's bound."""
    steps = max(1, plan.recipe.epochs * rows // plan.recipe.effective_batch)
    return steps if plan.max_steps is None else min(steps, plan.max_steps)


def accumulation_of(plan: Plan, batch_size: int) -> int:
    """Batches a process accumulates, so that the effective batch is the recipe's. InputError where it cannot be."""
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    effective = plan.recipe.effective_batch
    if effective % (batch_size * processes):
        raise InputError(
            f"{processes} processes of {batch_size} rows do not add up to the recipe's {effective} rows a step;"
            " give a --batch-size that divides it"
        )
    return effective // (batch_size * processes)


def trainer_of(
    plan: Plan, network: Any, processor: HubProcessor, encoder: Encoder, rows: Sequence[Row]
) -> SkillTrainer:
    """The trainer of a plan."""
    recipe, steps = plan.recipe, steps_of(plan, len(rows))
    batch_size = plan.batch_size or recipe.batch_size
    on_gpu = torch.cuda.is_available()
    temperature = recipe.temperature if recipe.balance == "temperature" else 1.0
    data = Epochs(rows, encoder, steps * recipe.effective_batch, temperature)
    arguments = TrainingArguments(
        output_dir=str(plan.work),
        max_steps=steps,
        per_device_train_batch_size=batch_size,
        gradient_accumulation_steps=accumulation_of(plan, batch_size),
        learning_rate=recipe.learning_rate,
        lr_scheduler_type=recipe.schedule,
        warmup_steps=int(recipe.warmup_ratio * steps),
        weight_decay=recipe.weight_decay,
        bf16=on_gpu,
        use_cpu=not on_gpu,
        logging_steps=max(1, min(10, steps // 20)),
        save_steps=max(1, steps // SAVES),
        seed=plan.seed,
        report_to=[],
        remove_unused_columns=False,
        disable_tqdm=True,
        dataloader_pin_memory=on_gpu,
        ddp_find_unused_parameters=False,
    )
    pad_id = processor.tokenizer.pad_token_id
    return SkillTrainer(
        model=network,
        args=arguments,
        train_dataset=data,
        data_collator=lambda batch: collate(batch, pad_id),
        features=Features(network) if frozen_vision(network) and not recipe.augment else None,
        balancer=Balancer(recipe.balance, data.tasks, window=max(1, steps // 20)),
    )


def fit(trainer: SkillTrainer, plan: Plan) -> None:
    """Train from the newest checkpoint or from the start. InputError, with what to change, where memory runs out."""
    newest = newest_complete(plan.work) if plan.resume else None
    try:
        trainer.train(resume_from_checkpoint=str(newest) if newest else None)
    except (MemoryError, RuntimeError) as error:
        short = isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)
        if not short:
            raise
        rows = plan.batch_size or plan.recipe.batch_size
        raise InputError(
            f"out of memory at step {trainer.state.global_step} with {rows} rows at once; go on with --resume and a"
            f" smaller --batch-size (the {plan.recipe.effective_batch} rows of a step are then accumulated), or lower"
            " the recipe's max_pixels"
        ) from None


def manifest_of(plan: Plan, spec: HubSpec, spoken: str, templates: str, rows: Sequence[Row]) -> Manifest:
    """The manifest of an adapter that was trained here and now."""
    recipe = replace_templates(plan.recipe, templates).model_dump(mode="json", exclude={"skills"})
    return Manifest(
        skills=plan.skills,
        family=spec.name,
        dialect=spoken,
        base=plan.base.name,
        base_sha256=base_hash(plan.base),
        recipe=recipe | {"seed": plan.seed, "max_steps": plan.max_steps},
        data_sha256=data_hashes(rows),
        versions={name: importlib.metadata.version(name) for name in ("torch", "transformers", "peft")},
        activated=plan.activated,
    )


def replace_templates(recipe: Recipe, templates: str) -> Recipe:
    """The recipe with the templates that were used, by which inference asks."""
    return recipe.model_copy(update={"templates": templates})


def data_hashes(rows: Sequence[Row]) -> dict[str, str]:
    """SHA-256 of the list of questions of each set: ``{"bccd": …}``."""
    digests: dict[str, Any] = {}
    for row in rows:
        digests.setdefault(row.id.partition("/")[0], hashlib.sha256()).update(row.id.encode() + b"\n")
    return {name: digest.hexdigest() for name, digest in digests.items()}
