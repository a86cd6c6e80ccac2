"""``fiducial pretrain`` and ``fiducial train``: the base, and one LoRA adapter for one skill."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerFast

from fiducial.skills.adapters import Manifest, base_hash, library_versions
from fiducial.skills.datasets.language import closed_words
from fiducial.skills.datasets.sample import held_out
from fiducial.skills.families.llava.dialect import DIALECT
from fiducial.skills.families.llava.family import load_base, load_llava
from fiducial.skills.families.llava.model import new_model
from fiducial.skills.families.llava.tokenizer import train_tokenizer
from fiducial.skills.families.llava.tower import Tower
from fiducial.skills.load import embedded_folder
from fiducial.skills.recipes.embedded import AdapterRecipe, adapter_recipe, base_recipe
from fiducial.skills.training.embedded.base_tasks import said_words
from fiducial.skills.training.embedded.calibrate import calibrate
from fiducial.skills.training.embedded.corpus import corpus
from fiducial.skills.training.embedded.dense import grown, train_dense
from fiducial.skills.training.embedded.dense_data import cache_all
from fiducial.skills.training.embedded.examples import Encoded
from fiducial.skills.training.embedded.fit import fit
from fiducial.skills.training.embedded.grow import grown_model
from fiducial.skills.training.embedded.images import encoded_corpus, split_hashes
from fiducial.skills.training.embedded.inclusion import tune_inclusion
from fiducial.skills.training.embedded.parity import proposal_parity
from fiducial.skills.training.embedded.questions import (
    QUESTION,
    SET,
    cross_fit,
    open_answers,
    question_images,
    question_samples,
    to_fit,
)
from fiducial.skills.training.embedded.sights import sights
from fiducial.skills.training.embedded.tasks import SKILLS, draw_example
from fiducial.skills.training.networks import save_adapter
from fiducial.tools.errors import InputError
from fiducial.tools.structures import DOMAIN_NAMES

IMAGES, RECIPE = "encoded.pt", "recipe.json"


def data_root(data: Sequence[Path]) -> Path:
    """The one folder that holds the data sets (``bccd``, ``hc18``, …)."""
    if len(data) != 1 or not data[0].is_dir():
        raise InputError("give --data once: the folder that holds the data sets (bccd, hc18, …)")
    return data[0]


def pretrain(
    out: Path,
    data: Sequence[Path],
    max_steps: int | None = None,
    seed: int = 0,
    resume: bool = False,
    grow: str | None = None,
) -> None:
    """Train a base into ``out/base``: the tower densely, projector and decoder over it frozen; then calibrate.

    ``out/work`` keeps checkpoints; with ``resume`` a run goes on from there. max_steps bounds every stage. grow: a base
    that knows less, to begin from; the first, broad stage of the tower is then left out.
    """
    start = load_base(base_folder(grow)) if grow else None
    root, work = data_root(data), out / "work"
    if work.exists() and not resume:
        raise InputError(f"{work} holds an earlier run; give --resume to go on with it, or another --out")
    tower = dense_stages(root, work, max_steps, seed, start[0].model.vision_tower if start else None)
    tokenizer = tokenizer_of_the_language(seed)
    images = encoded_corpus(tower, root, work / IMAGES)
    numbers = base_recipe().grown if start else base_recipe().fresh
    recipe = replace(numbers, seed=seed, steps=bounded(numbers.steps, max_steps))
    fresh = grown_model(*start, tower, tokenizer) if start else new_model(tower, tokenizer)
    model = fit(fresh, tokenizer, "base", images, recipe, work / "base", resume)
    save_base(model, tokenizer, out / "base")
    calibrate(out / "base", root)


def bounded(steps: int, max_steps: int | None) -> int:
    """Steps of a stage under the user's bound."""
    return steps if max_steps is None else min(steps, max_steps)


def dense_stages(root: Path, work: Path, max_steps: int | None, seed: int, start: Tower | None = None) -> Tower:
    """The dense stages, each from its newest checkpoint; of a tower that grows from ``start``, all but the first."""
    tower = None if start is None else grown(start, sights())
    items, plan = None, base_recipe()
    for number, stage in enumerate(plan.tower):
        if number == 0 and start is not None:
            continue
        recipe = replace(stage, seed=stage.seed + seed, steps=bounded(stage.steps, max_steps))
        kept, numbers = work / f"tower-{number}", json.dumps(asdict(recipe))
        if (kept / RECIPE).is_file():
            if (kept / RECIPE).read_text(encoding="utf-8") != numbers:
                raise InputError(f"{kept} was trained by another recipe; go on with the same options or another --out")
            tower = Tower.from_pretrained(kept)
            continue
        if items is None:
            phantoms = bounded(plan.phantoms, None if max_steps is None else max_steps * recipe.batch_size)
            items = cache_all(corpus(root, "train", "fit", phantoms, plan.drawn, plan.crops), sights())
        tower = train_dense(items, recipe, work / f"dense-{number}", tower or Tower(sights()))
        aside = work / f".tower-{number}"
        tower.save_pretrained(aside)
        (aside / RECIPE).write_text(numbers, encoding="utf-8")
        aside.rename(kept)  # in one motion: a run that is killed meanwhile does not resume from half a tower
    if tower is None:
        raise InputError("the recipe has no dense stage")
    return tower.eval()  # type: ignore[no-any-return, no-untyped-call]


def tokenizer_of_the_language(seed: int, samples: int = 60000) -> PreTrainedTokenizerFast:
    """A tokenizer trained on questions, explanations and the dialect's own words."""
    rng = random.Random(seed)
    texts = [draw_example("understand", (), seed, i).turns[0][0] for i in range(samples)]
    for i in range(samples // 4):
        texts += draw_example("explain", (), seed, i).turns[0]
    own = [word for word in said_words() if "<" not in word] + [f"R{i}" for i in range(41, 61)]
    texts += [" ".join(own)] * (samples // 60)
    rng.shuffle(texts)
    keys = sorted({word for word in closed_words() if "_" in word} | {kind for kind in DOMAIN_NAMES if "_" in kind})
    return train_tokenizer(texts, keys)


def save_base(model: Any, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Weights in float16 (half the size; the figures in the model card are of these), configuration and tokenizer."""
    import torch

    model.config.vision_config._name_or_path = ""  # else the path of this machine goes with the weights
    model.to(torch.float16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def calibrate_all(base: str | None, adapters: Path | None, data: Sequence[Path]) -> None:
    """Typicality, the head's uncertainty and the rules of inclusion, written beside the base."""
    root, folder = data_root(data), base_folder(base)
    adapters = adapters or folder.parent / "adapters"
    load_llava(folder, adapters)  # what cannot be loaded is to be refused before the first file is written anew
    calibrate(folder, root)
    tune_inclusion(folder, adapters, root)


def base_folder(base: str | None) -> Path:
    """The folder of a base given by name or path. Raises InputError where there is none."""
    folder = Path(base) if base and base != "embedded" else embedded_folder() / "base"
    if not (folder / "config.json").is_file():
        raise InputError(f"unknown base '{base}'; give 'embedded' or the path of a model's folder")
    return folder


def train(
    skill: str,
    out: Path,
    base: str | None,
    data: Sequence[Path],
    max_steps: int | None = None,
    seed: int = 0,
    resume: bool = False,
    recipes: AdapterRecipe | None = None,
    activated: bool = False,
) -> None:
    """Train one skill's adapter on a base into ``out/SKILL``, with its manifest. recipes: the shipped ones for None."""
    if skill not in SKILLS:
        raise InputError(f"unknown skill '{skill}'; there is: {', '.join(SKILLS)}")
    numbers = (recipes or adapter_recipe()).of(skill)
    root, folder = data_root(data), base_folder(base)
    recipe = replace(numbers, seed=seed, steps=bounded(numbers.steps, max_steps))
    named = f"{skill}-activated" if activated else skill

    def fitted(images: Sequence[Encoded], part: str = "") -> Any:
        model, tokenizer = load_base(folder)
        return fit(model, tokenizer, skill, images, recipe, out / "work" / (named + part), resume, activated)

    tower = load_base(folder)[0].model.vision_tower
    asked = question_samples(root) if skill == QUESTION else []
    encoded = question_images(tower, asked)
    images = to_fit(encoded) if asked else encoded_corpus(tower, root, out / "work" / IMAGES)
    trained = fitted(images)
    lists = {name: own for name, own in split_hashes(root).items() if not asked or name.startswith(f"{SET}/")}
    manifest = manifest_of(skill, folder, asdict(recipe), lists, activated)
    manifest.metrics.update(proposal_parity(images))
    if asked:
        answers = open_answers(sample for sample in asked if not held_out(sample.group))
        evidence = cross_fit(folder, asked, encoded, fitted)
        manifest = manifest.model_copy(update={"evidence": evidence, "answers": answers})
    save_adapter(trained.half(), out / skill, manifest)


def manifest_of(
    skill: str, base: Path, recipe: dict[str, Any], data_sha256: dict[str, str], activated: bool = False
) -> Manifest:
    """The manifest of an adapter that was trained here and now."""
    return Manifest(
        skills=(skill,),
        family="llava",
        dialect=DIALECT,
        base=base.name,
        base_sha256=base_hash(base),
        recipe=recipe,
        data_sha256=data_sha256,
        versions=library_versions(),
        activated=activated,
    )
