"""The embedded model's recipes: data files beside this one, of its base (``pretrain``) and its adapters (``train``).

They are what the shipped weights were trained with. A file of the user's own has the form of ``embedded.json``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from fiducial.skills.data_files import read_named
from fiducial.tools.errors import InputError
from fiducial.tools.record import Part

FAMILY = "llava"
ADAPTERS, BASE = "embedded", "embedded-base"

Count = Annotated[int, Field(ge=1)]
NotNegative = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Decay = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@dataclass(frozen=True)
class DenseRecipe:
    """Numbers of a dense stage. mixture: share of a batch that each kind gets, in the order of the tower's kinds.

    real: how much likelier a real image is drawn than a phantom of its kind; gentle: share of gently augmented images.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    steps: Count = 3000
    batch_size: Count = 16
    learning_rate: Positive = 1.6e-3
    weight_decay: Decay = 0.05
    mixture: tuple[Share, ...] = (0.45, 0.4, 0.15)
    real: Positive = 1.0
    gentle: Share = 0.0
    average: Share = 0.995
    seed: NotNegative = 0


@dataclass(frozen=True)
class FitRecipe:
    """Numbers of one fit. rank 0 trains projector and decoder in full, which makes a base."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    steps: Count
    batch_size: Count = 32
    learning_rate: Positive = 1e-3
    warmup: Share = 0.05
    weight_decay: Decay = 0.01
    rank: NotNegative = 0
    alpha: Count = 32
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    seed: NotNegative = 0


class Described(Part):
    """What every recipe of the embedded model says of itself; see ``Recipe`` for the other families'."""

    name: str
    description: str
    source: str
    chosen: tuple[str, ...] = ()
    families: tuple[Literal["llava"]]


class AdapterRecipe(Described):
    """The numbers of each skill's adapter, by skill."""

    skills: Annotated[dict[str, FitRecipe], Field(min_length=1)]

    @model_validator(mode="after")
    def _trains_adapters(self) -> Self:
        if without := sorted(skill for skill, recipe in self.skills.items() if not recipe.rank):
            raise ValueError(f"the skill '{without[0]}' needs a rank of at least 1")
        return self

    def of(self, skill: str) -> FitRecipe:
        """The numbers of one skill. InputError where there are none."""
        if skill not in self.skills:
            known = ", ".join(self.skills)
            raise InputError(f"the recipe '{self.name}' does not train the skill '{skill}'; it trains: {known}")
        return self.skills[skill]


class BaseRecipe(Described):
    """The numbers of the base. tower: the dense stages; a tower that grows from another leaves out the first.

    phantoms, drawn: how many phantoms of all scenes and pictures of no domain the tower learns from beside the real
    images; crops: random windows of each real image; fresh, grown: the projector and the decoder, from nothing and
    from a base that knows less.
    """

    phantoms: Count
    drawn: NotNegative
    crops: NotNegative
    tower: Annotated[tuple[DenseRecipe, ...], Field(min_length=2)]
    fresh: FitRecipe
    grown: FitRecipe

    @model_validator(mode="after")
    def _trains_a_base(self) -> Self:
        if self.fresh.rank or self.grown.rank:
            raise ValueError("a base is trained in full; give it no rank")
        for number, stage in enumerate(self.tower):
            if abs(sum(stage.mixture) - 1) > 1e-6:
                raise ValueError(f"the shares of the mixture of tower stage {number} do not add up to 1")
        return self


def read_adapters(text: str, name: str) -> AdapterRecipe:
    """A recipe of adapters from its JSON text. InputError that names the recipe and the first field that is wrong."""
    return read_named(AdapterRecipe, "the recipe", text, name)


@cache
def base_recipe() -> BaseRecipe:
    """The recipe of ``pretrain``."""
    return read_named(BaseRecipe, "the recipe", _text(BASE), BASE)


@cache
def adapter_recipe() -> AdapterRecipe:
    """The recipe of ``train`` for the embedded model."""
    return read_adapters(_text(ADAPTERS), ADAPTERS)


def embedded_recipes() -> dict[str, AdapterRecipe | BaseRecipe]:
    """Both, by name."""
    return {ADAPTERS: adapter_recipe(), BASE: base_recipe()}


def adapters_named(name: str) -> AdapterRecipe | None:
    """The recipe of adapters of that name, or in a file (``NAME.json``) for this family; None where it is neither."""
    if name == ADAPTERS:
        return adapter_recipe()
    if name == BASE:
        raise InputError(f"the recipe '{BASE}' makes a base, not an adapter; run: fiducial pretrain")
    path = Path(name)
    try:
        text = path.read_text(encoding="utf-8") if path.suffix == ".json" else ""
        families = json.loads(text).get("families")
    except (OSError, ValueError, AttributeError):
        return None  # whoever reads the other families' recipes says what is wrong with it
    return read_adapters(text, path.stem) if families == [FAMILY] else None


def _text(name: str) -> str:
    return files("fiducial.skills.recipes.embedded").joinpath(f"{name}.json").read_text(encoding="utf-8")
