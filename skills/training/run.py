"""``fiducial train`` for the families of the model hub: sets, base and recipe in; an adapter or a base out."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from transformers import TrainingArguments, set_seed

from fiducial.skills.adapters import Manifest, base_hash, library_versions
from fiducial.skills.bases import write_base_manifest
from fiducial.skills.datasets.sample import Sample
from fiducial.skills.families.dialects import dialect
from fiducial.skills.families.hub.model import grow, load_network, processor_of
from fiducial.skills.families.hub.processor import HubProcessor
from fiducial.skills.families.hub.spec import HUB_SPECS, HubSpec
from fiducial.skills.recipes import Recipe
from fiducial.skills.training.balance import Balancer
from fiducial.skills.training.card import about_data, figures_of, write_card
from fiducial.skills.training.checkpoint import require_same_run, written_whole
from fiducial.skills.training.curves import CURVES, LOG, Log
from fiducial.skills.training.encoding import Encoder, Epochs, collate, of_volume
from fiducial.skills.training.features import Features, frozen_vision
from fiducial.skills.training.networks import activated_ids, save_adapter, save_base, task_tokens, trainable
from fiducial.skills.training.parity import BEFORE, as_inferred, check_parity
from fiducial.skills.training.progress import Monitor
from fiducial.skills.training.rows import Row, rows_of
from fiducial.skills.training.trainer import SkillTrainer, newest_complete, step_of
from fiducial.skills.training.watch import WATCHED_ROWS, Watcher, parted, watched_rows
from fiducial.tools.errors import InputError

WORK = "work"
SAVES = 10  # checkpoints of a whole run
NO_MEMORY = ("can't allocate memory", "Cannot allocate memory", "bad_alloc", "out of memory")


@dataclass(frozen=True)
class Plan:
    """One training. sets: the samples of each set, by its name; out: the folder for ``adapters`` or ``base``, ``work``.

    batch_size: in place of the recipe's, where memory is short; the effective batch stays. held_out: samples of the
    same sets to watch (``watch.parted``); watch_every: steps between two watches, 0 for none (and nothing kept back),
    None for as many as cost little; watch_rows: rows a task that are watched. activated: an activated LoRA, whose
    skills share what the base makes of image and question.
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
    held_out: Mapping[str, Iterable[Sample]] = field(default_factory=dict)
    watch_every: int | None = 0
    watch_rows: int = WATCHED_ROWS

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
    sets, kept = (plan.sets, {}) if plan.watch_every == 0 else parted(plan.sets, plan.held_out)
    rows = rows_of(sets, recipe, plan.skills)
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
    network = load_network(spec, plan.base, half=recipe.lora is not None)
    if task_ids := processor.add_task_tokens(task_tokens(recipe)):
        grow(network, task_ids)
    network = trainable(network, recipe, activated, task_ids or None)
    manifest = manifest_of(plan, spec, spoken.name, encoder.templates, rows)
    asked = as_inferred(spec, plan.base, network, manifest, recipe.lora is not None)
    check_parity(rows, encoder, asked, BEFORE).require()
    if first:
        require_same_run(plan.work, described(plan, manifest))
    trainer = trainer_of(plan, network, processor, encoder, rows)
    watched = watched_rows(kept, recipe, plan.skills, plan.watch_rows)
    watcher = Watcher(spec, plan.base, replace(encoder, augment=False), watched) if watched else None
    monitor = Monitor(trainer, Log(plan.work / LOG, head_of(trainer, rows, watched)), watcher, plan.watch_every)
    fit(trainer, plan)
    if trainer.is_world_process_zero():
        trained = trainer.accelerator.unwrap_model(trainer.model)
        parity = check_parity(rows, encoder, asked)
        print(parity)
        manifest.metrics.update(parity.metrics() | figures_of(monitor.scores))
        with written_whole(folder, plan.work) as aside:
            save_result(trained, aside, manifest, plan)
    trainer.accelerator.wait_for_everyone()
    return folder


def save_result(trained: Any, folder: Path, manifest: Manifest, plan: Plan) -> None:
    """The adapter, or the base, with its manifest, log, curves and card."""
    if plan.recipe.lora:
        save_adapter(trained, folder, manifest)
    else:
        save_base(trained, plan.base, folder)
        write_base_manifest(folder, plan.base, manifest.recipe, manifest.data_sha256, manifest.metrics)
    for name in (LOG, CURVES):
        if (plan.work / name).is_file():
            shutil.copyfile(plan.work / name, folder / name)
    write_card(folder)


def described(plan: Plan, manifest: Manifest) -> dict[str, Any]:
    """What must not change where a run goes on; rows at once and the number of steps may."""
    recipe = plan.recipe.model_dump(mode="json", exclude={"batch_size"})
    return {"recipe": recipe, "base": manifest.base_sha256, "data": manifest.data_sha256, "seed": plan.seed}


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
    reusable = frozen_vision(network) and not recipe.augment and not any(map(of_volume, rows))
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
        ddp_find_unused_parameters=not frozen_vision(network),  # the last layer of a LLaVA's vision tower is one
    )
    pad_id = processor.tokenizer.pad_token_id
    return SkillTrainer(
        model=network,
        args=arguments,
        train_dataset=data,
        data_collator=lambda batch: collate(batch, pad_id),
        features=Features(network) if reusable else None,
        balancer=Balancer(recipe.balance, data.tasks, window=max(1, steps // 20)),
    )


def fit(trainer: SkillTrainer, plan: Plan) -> None:
    """Train from the newest checkpoint or from the start. InputError, with what to change, where memory runs out."""
    newest = newest_complete(plan.work) if plan.resume else None
    try:
        trainer.train(resume_from_checkpoint=str(newest) if newest else None)
    except (MemoryError, RuntimeError) as error:
        short = isinstance(error, MemoryError | torch.OutOfMemoryError) or any(sign in str(error) for sign in NO_MEMORY)
        if not short:
            raise
        rows = plan.batch_size or plan.recipe.batch_size
        raise InputError(
            f"out of memory at step {trainer.state.global_step} with {rows} rows at once; go on with --resume and a"
            f" smaller --batch-size (the {plan.recipe.effective_batch} rows of a step are then accumulated), or lower"
            " the recipe's max_pixels"
        ) from None


def head_of(trainer: SkillTrainer, rows: Sequence[Row], watched: Sequence[Row]) -> dict[str, Any]:
    """What the log says of the whole run."""
    sets = Counter(row.id.partition("/")[0] for row in watched)
    run = {"steps": trainer.args.max_steps, "processes": trainer.args.world_size}
    return run | {"data": about_data(rows), "watched": dict(sets)}


def manifest_of(plan: Plan, spec: HubSpec, spoken: str, templates: str, rows: Sequence[Row]) -> Manifest:
    """The manifest of an adapter that was trained here and now."""
    recipe = replace_templates(plan.recipe, templates).model_dump(mode="json", exclude={"skills"})
    return Manifest(
        skills=plan.skills,
        family=spec.name,
        dialect=spoken,
        base=plan.base.name,
        base_sha256=base_hash(plan.base),
        recipe=recipe | {"seed": plan.seed, "max_steps": plan.max_steps, "task_tokens": task_tokens(plan.recipe)},
        data_sha256=data_hashes(rows),
        versions=library_versions(),
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
