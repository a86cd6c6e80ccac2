"""A tiny embedded model with random weights, saved by the package's own commands, and images to look at."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image as PILImage

from fiducial.tests.skills.families.tiny_hub import BUILDERS
from fiducial.tests.skills.tiny import load_base, tiny_config, tiny_tower

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from fiducial.skills.datasets.sample import Sample
    from fiducial.skills.families.llava.family import LlavaModel
    from fiducial.skills.training.embedded.dense_data import Cached
    from fiducial.skills.training.embedded.examples import Encoded

DATA = Path(__file__).parents[2].parent / "shared" / "data"


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The real data sets beside the clone."""
    if not DATA.is_dir():
        pytest.skip("the real data sets are not beside this clone (../shared/data)")
    return DATA


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    from fiducial.skills.training.embedded.commands import tokenizer_of_the_language

    return tokenizer_of_the_language(seed=0, samples=400)


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory, tokenizer: PreTrainedTokenizerFast) -> Path:
    """The folder of the tiny base."""
    import torch

    from fiducial.skills.families.llava.model import new_model
    from fiducial.skills.training.embedded.commands import save_base

    tower = tiny_tower()
    torch.manual_seed(1)
    folder = tmp_path_factory.mktemp("model") / "base"
    save_base(new_model(tower, tokenizer, hidden_size=64, layers=2), tokenizer, folder)
    return folder


@pytest.fixture(scope="session")
def tiny_adapters(tiny_base: Path) -> Path:
    """A folder of adapters beside the tiny base, one a skill, whose weights are random and not zero."""
    import torch
    from peft import get_peft_model

    from fiducial.skills.recipes.embedded import FitRecipe
    from fiducial.skills.training.embedded.commands import manifest_of
    from fiducial.skills.training.embedded.fit import lora
    from fiducial.skills.training.embedded.tasks import SKILLS
    from fiducial.skills.training.networks import save_adapter

    folder = tiny_base.parent / "adapters"
    for number, skill in enumerate(SKILLS):
        torch.manual_seed(100 + number)
        trained = get_peft_model(load_base(tiny_base), lora(FitRecipe(steps=1, rank=2)))
        for name, weight in trained.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weight, std=0.1)
        save_adapter(trained, folder / skill, manifest_of(skill, tiny_base, {}, {}))
    return folder


@pytest.fixture(scope="session")
def tiny_model(tiny_base: Path, tiny_adapters: Path) -> LlavaModel:
    from fiducial.skills.load import load_model

    return load_model(str(tiny_base), tiny_adapters)  # type: ignore[return-value]


@pytest.fixture
def adapter_copy(tiny_adapters: Path, tmp_path: Path) -> Path:
    """A folder with one adapter, ``count``, to spoil."""
    shutil.copytree(tiny_adapters / "count", tmp_path / "adapters" / "count")
    return tmp_path / "adapters"


@pytest.fixture(scope="session")
def smear() -> Sample:
    from fiducial.skills.datasets.phantoms import sample_of

    return sample_of(2_000_001)


@pytest.fixture(scope="session")
def ultrasound() -> Sample:
    from fiducial.skills.datasets.phantoms import sample_of

    return sample_of(2_000_002)


@pytest.fixture(scope="session")
def items(smear: Sample, ultrasound: Sample) -> list[Cached]:
    """An image of each kind, cached for the tiny tower."""
    from fiducial.skills.datasets.distractors import drawn
    from fiducial.skills.training.embedded.dense_data import cache_all

    return cache_all([smear, ultrasound, *drawn(1)], tiny_config())


@pytest.fixture(scope="session")
def encoded(tiny_base: Path, items: list[Cached]) -> list[Encoded]:
    """The same images as the tiny base's decoder sees them."""
    from fiducial.skills.training.embedded.examples import encode_all

    return encode_all(load_base(tiny_base).model.vision_tower, items, (0.0, 0.5))


@pytest.fixture
def picture(tmp_path: Path) -> Callable[..., Path]:
    """Writes pixels as a PNG file."""

    def write(rgb_u8: np.ndarray, name: str = "picture", **options: Any) -> Path:
        path = tmp_path / f"{name}.png"
        PILImage.fromarray(rgb_u8).save(path, **options)
        return path

    return write


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a family's tiny checkpoint."""
    root, built = tmp_path_factory.mktemp("hub"), dict[str, Path]()

    def folder(family: str) -> Path:
        if family not in built:
            built[family] = BUILDERS[family](root / family / "base")
        return built[family]

    return folder
