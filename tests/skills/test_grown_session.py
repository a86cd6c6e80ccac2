"""A session of a model that knows landmarks, films and volumes: with random weights it is right in form and frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fiducial.skills.base import (
    AnswerArgs,
    ClassifyArgs,
    FindArgs,
    LandmarkArgs,
    ReportArgs,
    SubjectArgs,
    opens_volumes,
    skills_of,
)
from fiducial.skills.families.llava import dialect
from fiducial.skills.families.llava.family import LlavaModel
from fiducial.skills.families.llava.perform import heart_ratio
from fiducial.skills.load import load_model
from fiducial.skills.stack import Stack
from fiducial.tests.skills.test_grown import tiny_grown
from fiducial.tools.errors import InputError
from fiducial.tools.images.open_image import open_image
from fiducial.tools.phantoms import SCENES
from fiducial.tools.record import Intent

SKILLS = ("understand", "landmark", "report")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, tokenizer: Any) -> LlavaModel:
    """A tiny model that knows all that the embedded one is trained to know, certain of films, with random adapters."""
    from peft import get_peft_model

    from fiducial.skills.families.llava.model import new_model
    from fiducial.skills.families.llava.tower import Tower
    from fiducial.skills.recipes.embedded import FitRecipe
    from fiducial.skills.training.embedded.commands import manifest_of, save_base
    from fiducial.skills.training.embedded.fit import lora
    from fiducial.skills.training.networks import save_adapter
    from fiducial.tests.skills.tiny import load_base

    torch.manual_seed(3)
    config = tiny_grown(slots=40, volumes=("abdomen_ct", "head_mr"))
    tower = Tower(config).eval()
    tower.kind_head.bias.data[config.kinds.index("chest_xray")] = 50.0
    folder = tmp_path_factory.mktemp("grown")
    save_base(new_model(tower, tokenizer, hidden_size=64, layers=2), tokenizer, folder / "base")
    for skill in SKILLS:
        trained = get_peft_model(load_base(folder / "base"), lora(FitRecipe(steps=1, rank=2)))
        save_adapter(trained, folder / "adapters" / skill, manifest_of(skill, folder / "base", {}, {}))
    return load_model(str(folder / "base"), folder / "adapters")  # type: ignore[return-value]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "film.dcm"
    SCENES["chest"](4).image.write(path)  # type: ignore[union-attr]
    return path


def test_it_says_what_it_performs_and_knows(model: LlavaModel) -> None:
    assert skills_of(model) == {*SKILLS, "detect_3d", "classify"}
    assert opens_volumes(model)
    assert {"nucleus", "red_cell", "opacity"} <= model.structures


def test_landmarks_lie_where_the_tower_places_them(model: LlavaModel, film: Path) -> None:
    session = model.open(open_image(film))
    found = session.perform("landmark", LandmarkArgs(structure=""))
    names = model.tower.config.landmarks_of_kind["chest_xray"]
    regions = found.regions  # type: ignore[attr-defined]
    assert {r.label for r in regions} <= {*names}
    for region in regions:
        placed = session.marks.xy_px[0, model.tower.config.landmarks.index(region.label)].double().numpy()
        assert session.stored_to_input.points([region.point_xy_px])[0] == pytest.approx(placed, abs=1e-3)
        assert region.sigma_px > 0
    some = session.perform("landmark", LandmarkArgs(structure="", names=["heart_left"])).regions  # type: ignore[attr-defined]
    assert {r.label for r in some} <= {"heart_left"}
    with pytest.raises(InputError, match="knows no structure"):
        session.perform("detect", FindArgs(structure="spleen"))


def test_a_film_is_reported_and_classified(model: LlavaModel, film: Path) -> None:
    session = model.open(open_image(film))
    result: Any = session.perform("report", ReportArgs(language="zh"))
    assert result.parsed
    assert dialect.parse_report(result.text) is not None
    ratio = heart_ratio(session)
    assert ("心胸比" in result.report) == (ratio is not None)
    options = ["chest_xray", "abdomen_ct", "something else"]
    chosen: Any = session.perform("classify", ClassifyArgs(options=options))
    assert chosen.choice == "chest_xray"
    assert sum(chosen.probabilities.values()) == pytest.approx(1)
    assert not session.perform("classify", ClassifyArgs(options=["a", "b"])).parsed  # type: ignore[attr-defined]


def test_a_volume_is_looked_at_slice_by_slice(model: LlavaModel, tmp_path: Path) -> None:
    path = tmp_path / "volume.nii.gz"
    SCENES["lesion_3d"](3).image.write(path)  # type: ignore[union-attr]
    stack = Stack(tuple(open_image(path, None, plane="axial", index=k) for k in (20, 21, 22)))
    session = model.open_volume(stack)
    found: Any = session.perform("detect_3d", FindArgs(structure="brain_lesion"))
    count: Any = session.perform("count", SubjectArgs(structure="brain_lesion"))
    there: Any = session.perform("answer", AnswerArgs(intent=Intent(task="presence", structure="brain_lesion")))
    assert count.count == len(found.regions)
    assert there.value == bool(found.regions)
    for region in found.regions:
        x0, y0, z0, x1, y1, z1 = region.box_xyzxyz_voxel
        assert x0 < x1
        assert y0 < y1
        assert 20 <= z0 < z1 <= 23
        assert np.isfinite(region.box_xyzxyz_mm).all()
    with pytest.raises(InputError, match="cannot be zoomed"):
        session.zoom((0, 0, 10, 10))
