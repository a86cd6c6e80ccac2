"""``fiducial pretrain``, ``train``, ``calibrate`` and ``recipes list``: making a base and its adapters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fiducial.agent.commands.data_sets import set_folder
from fiducial.agent.commands.terminal import command_group, process_rank, stdout_for_results
from fiducial.tools.errors import InputError

if TYPE_CHECKING:
    from fiducial.skills.datasets.sample import Sample

EMBEDDED, WATCH_ROWS = "embedded", 16
Out = Annotated[Path, typer.Option(help="The folder to write to; checkpoints too.")]
Data = Annotated[list[Path] | None, typer.Option(help="The folder that holds the data sets (bccd, hc18, …).")]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        help="A data set, as data list names it, and its folder: SET=FOLDER ($FIDUCIAL_DATA/SET by default); give it"
        " once for each. For the embedded model: the folder that holds the sets."
    ),
]
MaxSteps = Annotated[int | None, typer.Option(min=1, help="Stop after so many steps; the recipe's number by default.")]
Seed = Annotated[int, typer.Option(min=0, help="The seed of everything that is drawn.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from the newest checkpoint in --out.")]
Base = Annotated[str | None, typer.Option(help="A folder or a name on the model hub; the embedded model by default.")]
Limit = Annotated[int | None, typer.Option(min=1, help="At most so many samples of each set.")]
Activated = Annotated[
    bool, typer.Option("--activated", help="Activated LoRA: skills share what the base makes of image and question.")
]
Negatives = Annotated[
    float | None,
    typer.Option(min=0, max=0.9, help="Ask also for structures that an image lacks: that share of the questions."),
]
WatchEvery = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Steps between two looks at rows that are kept back from training: what cannot be read, zero cases, one"
        " answer to all; 0 for none; by default as many as cost about a tenth of the time.",
    ),
]
WatchRows = Annotated[int, typer.Option(min=1, help="Rows a task that are looked at.")]
ValSplit = Annotated[
    str | None,
    typer.Option(help="The split to look at: val by default, or a tenth of the groups where a set has none."),
]

recipes_app = command_group("Recipes of training: the papers' and our own.")


def pretrain(
    out: Out,
    data: Data = None,
    grow: Annotated[str | None, typer.Option(help="A base to begin from: embedded, or a folder.")] = None,
    max_steps: MaxSteps = None,
    seed: Seed = 0,
    resume: Resume = False,
) -> None:
    """Train the embedded base model from its data sets and phantoms."""
    with stdout_for_results():
        from fiducial.skills.training.embedded.commands import pretrain as run

        run(out=out, data=data or [], max_steps=max_steps, seed=seed, resume=resume, grow=grow)


def train(
    skills: Annotated[list[str], typer.Argument(metavar="SKILL...", help="Names of skills, as skills list has them.")],
    out: Out,
    recipe: Annotated[str, typer.Option(help="A recipe, as recipes list prints it, or a file of your own.")] = EMBEDDED,
    base: Base = None,
    data: Sets = None,
    split: Annotated[str, typer.Option(help="The split to train on.")] = "train",
    limit: Limit = None,
    negatives: Negatives = None,
    max_steps: MaxSteps = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Rows at once, where memory is short.")] = None,
    watch_every: WatchEvery = None,
    watch_rows: WatchRows = WATCH_ROWS,
    val_split: ValSplit = None,
    activated: Activated = False,
    seed: Seed = 0,
    resume: Resume = False,
) -> None:
    """Train skills on a base: one adapter for all those named, or a new base where the recipe trains everything.

    With the recipe "embedded" (or a file like it), one adapter for each skill of the embedded model. Start it with
    torchrun or accelerate launch for several processes: torchrun --nproc_per_node 2 -m fiducial.cli train …
    """
    numbers = {"max_steps": max_steps, "seed": seed, "resume": resume}
    watched = {"watch_every": watch_every, "val_split": val_split}
    others = {"negatives": negatives, "batch_size": batch_size}
    with stdout_for_results():
        from fiducial.skills.recipes.embedded import adapters_named

        if (embedded := adapters_named(recipe)) is not None:
            changed = {"split": split != "train", "watch_rows": watch_rows != WATCH_ROWS}
            foreign = watched | others | changed | {"limit": limit}
            _train_embedded(
                skills, out, base, data or [], foreign, {**numbers, "recipes": embedded, "activated": activated}
            )
            return
        sets = _Sets(named_sets(data or []), split, val_split, limit, negatives)
        chosen = {"batch_size": batch_size, "activated": activated, "watch_rows": watch_rows}
        folder = _train_by_recipe(skills, recipe, base, sets, watch_every, {"out": out, **chosen, **numbers})
    if process_rank() == 0:
        print(folder)


def _train_embedded(
    skills: Sequence[str],
    out: Path,
    base: str | None,
    data: Sequence[str],
    foreign: Mapping[str, Any],
    numbers: Mapping[str, Any],
) -> None:
    """An adapter of the embedded model for each skill. foreign: options that its recipe does not take."""
    if given := [name for name, value in foreign.items() if value]:
        raise InputError(f"the embedded model's recipes take no --{given[0].replace('_', '-')}; leave it out")
    for skill in skills:
        numbers["recipes"].of(skill)  # what it does not train is to be refused before the first is trained
    from fiducial.skills.training.embedded.commands import train as run

    for skill in skills:
        run(skill, out, base, [Path(one) for one in data], **numbers)


@dataclass(frozen=True)
class _Sets:
    """The data sets that were named, and which of their samples are wanted."""

    named: Sequence[tuple[str, Path | None]]
    split: str
    val_split: str | None
    limit: int | None
    negatives: float | None

    def train(self) -> dict[str, list[Sample]]:
        """Those to train on."""
        return {name: _samples(name, folder, self.split, self.limit, self.negatives) for name, folder in self.named}

    def held_out(self) -> dict[str, list[Sample]]:
        """Those to watch."""
        return {
            name: _held_out(name, folder, self.val_split, self.limit, self.negatives) for name, folder in self.named
        }


def _train_by_recipe(
    skills: Sequence[str],
    recipe: str,
    base: str | None,
    sets: _Sets,
    watch_every: int | None,
    options: Mapping[str, Any],
) -> Path:
    """An adapter for all of the skills, or a base. options: fields of the plan."""
    from fiducial.skills.load import base_place
    from fiducial.skills.recipes import recipe_named
    from fiducial.skills.training.run import Plan
    from fiducial.skills.training.run import train as run

    numbers, place = recipe_named(recipe), base_place(base)
    if not isinstance(place, Path):
        raise InputError(f"'{place}' is a server, which cannot be trained; give --base a folder or a hub name")
    held_out = sets.held_out() if watch_every != 0 else {}
    plan = Plan(tuple(skills), numbers, place, sets.train(), held_out=held_out, watch_every=watch_every, **options)
    return run(plan)


def named_sets(given: Sequence[str]) -> list[tuple[str, Path | None]]:
    """Names and folders of ``SET=FOLDER`` or ``SET``. InputError where none is given, or one is not there."""
    if not given:
        raise InputError("name what to train on: --data SET=FOLDER, once for each set; data list prints the sets")
    from fiducial.tools.hooks import registry

    pairs = [text.partition("=") for text in given]
    for name, _, _ in pairs:
        registry().get("datasets", name)
    return [(name, set_folder(name, Path(folder) if folder else None)) for name, _, folder in pairs]


def _samples(name: str, folder: Path | None, split: str, limit: int | None, negatives: float | None) -> list[Sample]:
    """A set's annotations; pixels are read when they are asked for."""
    from fiducial.skills.datasets.negatives import with_negatives
    from fiducial.tools.hooks import registry

    samples: list[Sample] = list(islice(registry().get("datasets", name).open(folder, split), limit))
    if negatives:
        labels = sorted({item.label for sample in samples for item in sample.objects})
        samples = list(with_negatives(samples, labels, negatives))
    return samples


def _held_out(
    name: str, folder: Path | None, split: str | None, limit: int | None, negatives: float | None
) -> list[Sample]:
    """The split to watch; none where the set has no ``val`` and no split was named."""
    try:
        return _samples(name, folder, split or "val", limit, negatives)
    except (InputError, KeyError):
        if split is not None:
            raise
        return []


def calibrate(
    base: Base = None,
    adapters: Annotated[Path | None, typer.Option(help="A folder of adapters, in place of the base's own.")] = None,
    data: Data = None,
) -> None:
    """Calibrate a base and its adapters on the images that were kept back from training."""
    with stdout_for_results():
        from fiducial.skills.training.embedded.commands import calibrate_all

        calibrate_all(base, adapters, data or [])


@recipes_app.command("list")
def recipes_list() -> None:
    """Print each recipe's name, the families it is for, and what it does."""
    from fiducial.skills.recipes import recipes
    from fiducial.skills.recipes.embedded import embedded_recipes

    every = {**embedded_recipes(), **recipes()}
    width = max(map(len, every))
    for name, recipe in every.items():
        print(f"{name:{width}}  {recipe.description} [{', '.join(recipe.families)}]")


@recipes_app.command("show")
def recipes_show(name: Annotated[str, typer.Argument(help="The recipe's name, as recipes list prints it.")]) -> None:
    """Print a recipe: its numbers, where they are from, and which of them its source does not say."""
    from fiducial.skills.recipes import recipe_named
    from fiducial.skills.recipes.embedded import embedded_recipes

    found = embedded_recipes()[name] if name in embedded_recipes() else recipe_named(name)
    print(found.model_dump_json(indent=2))


def add_training_commands(app: typer.Typer) -> None:
    """Put the commands of this file on the command line."""
    for command in (pretrain, train, calibrate):
        app.command()(command)
    app.add_typer(recipes_app, name="recipes")
