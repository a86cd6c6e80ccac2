"""Training recipes: data files beside this one, checked when they are read; no number of a recipe is in code.

A paper's recipe says what of it is stated there and what had to be chosen (``chosen``).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from fiducial.skills.data_files import read_all, read_named
from fiducial.skills.families.dialects import DIALECTS
from fiducial.skills.targets import PromptTask
from fiducial.skills.templates import template_set
from fiducial.tools.errors import InputError
from fiducial.tools.record import Part

Balance = Literal["uniform", "temperature", "uncertainty", "dwa"]
Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, lt=1)]


class Lora(Part):
    """LoRA (Hu et al. 2106.09685) on linear layers. layers: of the language model, or of the whole model.

    embeddings: whether the embeddings and the output head are trained in full beside it.
    """

    rank: Count
    alpha: Positive
    dropout: Fraction = 0.0
    layers: Literal["language", "all"] = "language"
    embeddings: bool = False


class Recipe(Part):
    """One training.

    families: those it is for; dialects: spoken in place of the family's own; templates: the prompts, in place of the
    dialect's own; skills: the prompt tasks that each skill is asked by; lora: None trains all parameters but the
    frozen ones and writes a base; effective_batch: rows an optimiser step, whatever the number of processes;
    batch_size: rows that one process takes at once; chosen: what the source does not say.
    """

    name: str
    description: str
    source: str
    chosen: tuple[str, ...] = ()
    families: tuple[str, ...]
    dialects: dict[str, str] = Field(default_factory=dict)
    templates: str | None = None
    skills: dict[str, Annotated[tuple[PromptTask, ...], Field(min_length=1)]]
    lora: Lora | None
    frozen: tuple[Literal["vision"], ...] = ("vision",)
    epochs: Count
    learning_rate: Positive
    batch_size: Count
    effective_batch: Count
    warmup_ratio: Fraction = 0.0
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    schedule: Literal["linear", "cosine", "constant"] = "cosine"
    balance: Balance = "uniform"
    temperature: Annotated[float, Field(ge=1)] = 2.0
    augment: bool = False
    min_pixels: Count | None = None
    max_pixels: Count | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.effective_batch % self.batch_size:
            raise ValueError("effective_batch is no multiple of batch_size")
        if unknown := sorted(set(self.dialects.values()) - set(DIALECTS)):
            raise ValueError(f"unknown dialect '{unknown[0]}'")
        if unknown := sorted(set(self.dialects) - set(self.families)):
            raise ValueError(f"a dialect for '{unknown[0]}', which is not among the families")
        if self.templates is not None:
            template_set(self.templates)
        return self


def read_recipe(text: str, name: str) -> Recipe:
    """A recipe from its JSON text. InputError that names the recipe and the first field that is wrong."""
    return read_named(Recipe, "the recipe", text, name)


@cache
def recipes() -> dict[str, Recipe]:
    """Every recipe that the package carries, by its name."""
    return read_all(Recipe, "the recipe", "fiducial.skills.recipes")


def recipe_named(name: str) -> Recipe:
    """A recipe by its name, or a file of the user's own (``NAME.json``); InputError that names what there is."""
    path = Path(name)
    if path.suffix == ".json":
        try:
            return read_recipe(path.read_text(encoding="utf-8"), path.stem)
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot read the recipe {path} ({error}); name one of: {', '.join(recipes())}") from None
    if name not in recipes():
        raise InputError(f"unknown recipe '{name}'; there is: {', '.join(recipes())}")
    return recipes()[name]
