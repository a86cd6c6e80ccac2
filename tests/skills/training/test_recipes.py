"""Every recipe fits the code, and trains each family that it names, on a tiny checkpoint of that architecture."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PILImage
from safetensors.torch import load_file
from typer.testing import CliRunner

from fiducial.cli import app
from fiducial.skills.adapters import WEIGHTS
from fiducial.skills.families.dialects import DIALECTS
from fiducial.skills.families.hub.model import load_network
from fiducial.skills.families.hub.spec import HUB_SPECS
from fiducial.skills.recipes import Recipe, read_recipe, recipe_named, recipes
from fiducial.skills.recipes.embedded import BaseRecipe, FitRecipe, adapter_recipe, adapters_named, base_recipe
from fiducial.skills.templates import wordings
from fiducial.skills.training.embedded.fit import lora
from fiducial.skills.training.embedded.sights import sights
from fiducial.skills.training.embedded.tasks import SKILLS
from fiducial.skills.training.networks import VISION, lora_config, trainable
from fiducial.skills.training.run import Plan, train
from fiducial.tests.skills.training.samples import draw, samples
from fiducial.tools.errors import InputError
from fiducial.tools.hooks import registry

Checkpoint = Callable[[str], Path]
Trained = Callable[[str, str], tuple[Path, Path]]
SPECS = {spec.name: spec for spec in HUB_SPECS}
PAIRS = [(family, name) for name, recipe in recipes().items() for family in recipe.families]
# A fresh process for each pair takes ten seconds; the rest of them run under ``make bars``.
ASKED = PAIRS if os.environ.get("FIDUCIAL_MATRIX") == "all" else [PAIRS[0], PAIRS[-1]]


@pytest.mark.parametrize("name", recipes())
def test_what_a_recipe_names_is_there(name: str) -> None:
    recipe = recipe_named(name)
    assert {*recipe.families} <= {*SPECS}
    assert {*recipe.skills} <= {*registry().skills}
    assert recipe.source
    for family in recipe.families:
        spoken = DIALECTS[recipe.dialects.get(family, SPECS[family].dialect)]
        for tasks in recipe.skills.values():
            for task in tasks:
                assert wordings(recipe.templates or spoken.templates, task, "en")


# What the papers say, in their order: rank, alpha, dropout, epochs, learning rate, warm-up, effective batch, frozen.
STATED = {
    "point-detect-count": {"lora.rank": 16, "epochs": 5, "learning_rate": 2e-4, "batch_size": 4, "frozen": ("vision",)},
    "gi-vqa": {
        "lora.rank": 128,
        "lora.alpha": 256,
        "learning_rate": 5e-5,
        "warmup_ratio": 0.1,
        "effective_batch": 12,
        "epochs": 1,
    },
    "umit-align": {"lora": None, "frozen": (), "epochs": 1},
    "umit-instruct": {"lora": None, "frozen": ("vision",), "epochs": 4},
    "medvision": {
        "lora.rank": 16,
        "lora.alpha": 16,
        "lora.dropout": 0.05,
        "lora.layers": "all",
        "lora.embeddings": True,
    },
}


@pytest.mark.parametrize("name", STATED)
def test_a_papers_numbers_are_those_of_its_recipe(name: str) -> None:
    for path, stated in STATED[name].items():
        value: object = recipe_named(name)
        for part in path.split("."):
            value = getattr(value, part)
        assert value == stated, path


def learned(network: object) -> set[str]:
    return {name for name, parameter in network.named_parameters() if parameter.requires_grad}  # type: ignore[attr-defined]


@pytest.mark.parametrize("family", SPECS)
def test_what_is_trained_is_what_the_recipe_says(checkpoint: Checkpoint, family: str) -> None:
    for recipe in recipes().values():
        if family not in recipe.families:
            continue
        network = load_network(SPECS[family], checkpoint(family))
        whole = {name for name, _ in network.named_parameters()}
        names = learned(trainable(network, recipe))
        if recipe.lora is None:
            assert names == {n for n in whole if not (recipe.frozen and VISION.search(n))}
            continue
        assert all("lora_" in name or "modules_to_save" in name or "trainable_tokens" in name for name in names)
        assert any("language_model" in name for name in names)
        assert any(VISION.search(name) for name in names) == (recipe.lora.layers == "all")
        assert any("modules_to_save" in name for name in names) == recipe.lora.embeddings
        config = lora_config(load_network(SPECS[family], checkpoint(family)), recipe.lora)
        assert (config.r, config.lora_alpha, config.lora_dropout) == (
            recipe.lora.rank, recipe.lora.alpha, recipe.lora.dropout,
        )  # fmt: skip


def small(recipe: Recipe) -> Recipe:
    """Two rows a step, so that a few steps take a second."""
    return recipe.model_copy(update={"batch_size": 1, "effective_batch": 2})


@pytest.fixture(scope="module")
def trained(
    checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, str], tuple[Path, Path]]:
    """Base and result of a recipe's few steps on all its skills, made once."""
    made: dict[tuple[str, str], tuple[Path, Path]] = {}

    def train_once(family: str, name: str) -> tuple[Path, Path]:
        if (family, name) not in made:
            recipe, out = small(recipe_named(name)), tmp_path_factory.mktemp(f"{family}-{name}")
            plan = Plan(tuple(recipe.skills), recipe, checkpoint(family), {"discs": samples()}, out, max_steps=2)
            made[family, name] = checkpoint(family), train(plan)
        return made[family, name]

    return train_once


@pytest.mark.parametrize(("family", "name"), PAIRS)
def test_every_family_trains_by_every_recipe_that_names_it(trained: Trained, family: str, name: str) -> None:
    base, folder = trained(family, name)
    if recipe_named(name).lora is None:
        before, after = load_network(SPECS[family], base), load_network(SPECS[family], folder)
        frozen = bool(recipe_named(name).frozen)
        for (key, old), (_, new) in zip(before.named_parameters(), after.named_parameters(), strict=True):
            if frozen and VISION.search(key):
                assert old.equal(new), key
        assert any(not old.equal(new) for old, new in zip(before.parameters(), after.parameters(), strict=True))
        return
    weights = load_file(folder / WEIGHTS)
    assert all(np.isfinite(w.float().numpy()).all() for w in weights.values())
    assert any(float(w.abs().max()) > 0 for key, w in weights.items() if "lora_B" in key), "nothing was learned"
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["family"] == family
    assert {*manifest["skills"]} == {*recipe_named(name).skills}


@pytest.mark.parametrize(("family", "name"), ASKED)
def test_a_fresh_process_asks_what_was_trained(trained: Trained, family: str, name: str, tmp_path: Path) -> None:
    base, folder = trained(family, name)
    PILImage.fromarray(draw(1)).save(tmp_path / "discs.png")
    model = ["--base", base, "--adapters", folder.parent] if recipe_named(name).lora else ["--base", folder]
    command = [sys.executable, "-m", "fiducial.cli", "ask", tmp_path / "discs.png", "How many platelets are there?"]
    ran = subprocess.run([*map(str, [*command, *model, "--json"])], check=False, capture_output=True, text=True)
    assert ran.returncode in (0, 3), ran.stderr
    record = json.loads(ran.stdout)
    assert record["verdict"]["status"] in ("answered", "partial", "abstained")
    assert any(step["kind"] == "skill" and step["name"] == "count" for step in record["steps"]), (
        "the base was not asked"
    )


def test_a_recipe_that_cannot_be_is_refused_with_its_field() -> None:
    good = recipe_named("lora").model_dump(mode="json")
    for change, said in (
        ({"epochs": 0}, "epochs"),
        ({"effective_batch": 6}, "effective_batch"),
        ({"dialects": {"gemma3": "latin"}}, "latin"),
        ({"lora": {"rank": 4, "alpha": 8, "dropout": 1.5}}, "dropout"),
        ({"sped": 1}, "sped"),
    ):
        with pytest.raises(InputError, match=said):
            read_recipe(json.dumps(good | change), "lora")
    with pytest.raises(InputError, match="point-detect-count"):
        recipe_named("medvison")
    with pytest.raises(InputError, match="cannot read"):
        recipe_named("mine.json")


def test_the_embedded_recipes_fit_the_code() -> None:
    assert {*adapter_recipe().skills} == {*SKILLS} <= {*registry().skills}
    for recipe in adapter_recipe().skills.values():
        config = lora(recipe)
        assert (config.r, config.lora_alpha, config.lora_dropout) == (recipe.rank, recipe.alpha, recipe.dropout)
    base = base_recipe()
    assert {len(stage.mixture) for stage in base.tower} == {len(sights().kinds)}
    seeds = [stage.seed for stage in base.tower]
    assert len({*seeds}) == len(seeds), "two stages would draw the same"
    # What the shipped weights were trained with: a base that grows takes fewer and smaller steps.
    assert (base.fresh.steps, base.fresh.learning_rate) == (2200, 1.2e-3)
    assert (base.grown.steps, base.grown.learning_rate) == (1400, 8e-4)
    assert (base.tower[-1].steps, base.tower[-1].real, base.tower[-1].seed) == (900, 30.0, 15)


def test_an_embedded_recipe_of_ones_own_is_read_and_a_bad_one_is_refused_with_its_field(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    good = {**adapter_recipe().model_dump(mode="json"), "name": "mine", "skills": {"count": {"steps": 7, "rank": 2}}}
    path.write_text(json.dumps(good))
    mine = adapters_named(str(path))
    assert mine is not None
    assert mine.of("count") == FitRecipe(steps=7, rank=2)
    with pytest.raises(InputError, match="'mine' does not train the skill 'point'; it trains: count"):
        mine.of("point")
    for numbers, said in (
        ({"steps": 0, "rank": 2}, "steps"),
        ({"steps": 7, "rank": 2, "sped": 1}, "sped"),
        ({"steps": 7}, "'count' needs a rank"),
        ({"steps": 7, "rank": 2, "learning_rate": "fast"}, "learning_rate"),
    ):
        path.write_text(json.dumps({**good, "skills": {"count": numbers}}))
        with pytest.raises(InputError, match=said):
            adapters_named(str(path))
    path.write_text("{")
    assert adapters_named("lora") is adapters_named(str(path)) is adapters_named("missing.json") is None
    with pytest.raises(InputError, match="fiducial pretrain"):
        adapters_named("embedded-base")


def test_every_recipe_is_listed_and_shown() -> None:
    listed = CliRunner().invoke(app, ["recipes", "list"])
    assert [line.split()[0] for line in listed.stdout.splitlines()] == ["embedded", "embedded-base", *recipes()]
    shown = CliRunner().invoke(app, ["recipes", "show", "embedded-base"])
    assert BaseRecipe.model_validate_json(shown.stdout) == base_recipe()


def test_a_recipe_refuses_a_family_and_a_skill_that_it_does_not_name(checkpoint: Checkpoint, tmp_path: Path) -> None:
    recipe = recipe_named("gi-vqa")
    with pytest.raises(InputError, match="florence2"):
        train(Plan(("count",), recipe, checkpoint("gemma3"), {"discs": samples()}, tmp_path))
    with pytest.raises(InputError, match="does not train the skill 'point'"):
        train(Plan(("point",), recipe, checkpoint("florence2"), {"discs": samples()}, tmp_path))
