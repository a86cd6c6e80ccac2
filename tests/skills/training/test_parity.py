"""The parity check: what a family is trained on comes back through inference, and every planted error is caught."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fiducial.skills.adapters import Manifest
from fiducial.skills.datasets.sample import Ask, Sample
from fiducial.skills.families.dialects import DIALECTS, Dialect, dialect
from fiducial.skills.families.dialects.grid import Grid
from fiducial.skills.families.hub.model import HubModel, load_network, processor_of
from fiducial.skills.families.hub.spec import HUB_SPECS
from fiducial.skills.recipes import recipes
from fiducial.skills.targets import (
    Boxes3DTarget,
    BoxesTarget,
    ChoiceTarget,
    CountTarget,
    LabelledBox,
    LabelledBox3D,
    LabelledPoint,
    LabelledPolygon,
    LandmarksTarget,
    Number,
    NumbersTarget,
    PointsTarget,
    PolygonsTarget,
    Query,
    TextTarget,
)
from fiducial.skills.training.encoding import Encoder
from fiducial.skills.training.parity import as_inferred, check_parity
from fiducial.skills.training.rows import Row, rows_of
from fiducial.tests.skills.families.tiny_hub import BUILDERS
from fiducial.tools.errors import InputError
from fiducial.tools.frames import FrameMap2D

WIDTH, HEIGHT = 201, 150
SKILLS = ("answer", "classify", "count", "point", "detect", "detect_3d", "segment", "landmark", "size")


def pixels() -> np.ndarray:
    rng = np.random.default_rng(5)
    return np.kron(rng.integers(0, 256, (15, 21, 3)), np.ones((10, 10, 1)))[:HEIGHT, :WIDTH].astype(np.uint8)


def volume() -> np.ndarray:
    return np.stack([pixels()[..., 0].astype(np.float32) + k for k in range(9)])


def sample(boxes: int = 3) -> Sample:
    """One image with a question of every kind, its coordinates on no grid."""
    rng = np.random.default_rng(2)
    low = rng.uniform(0, (WIDTH - 40, HEIGHT - 40), (boxes, 2))
    xyxy = np.concatenate([low, low + rng.uniform(5, 40, (boxes, 2))], 1).tolist()
    found = tuple(LabelledBox(label="polyp", box_xyxy_px=tuple(b)) for b in xyxy)
    points = tuple(LabelledPoint(label="polyp", point_xy_px=(b[0], b[1])) for b in xyxy)
    outline = ((10.25, 12.5), (90.1, 14.7), (60.3, 99.9))
    skull = tuple(LabelledPoint(label=n, point_xy_px=p) for n, p in zip(("sella", "nasion"), outline[:2], strict=True))
    asks = (
        Ask(Query(task="answer", question="What is seen?"), TextTarget(text="Two polyps, 12 mm — «sessile»")),
        Ask(Query(task="choose", question="Which?", options=("polyp", "ulcer")), ChoiceTarget(choice="ulcer")),
        Ask(Query(task="count", label="polyp"), CountTarget(label="polyp", count=boxes)),
        Ask(Query(task="point", label="polyp"), PointsTarget(points=points)),
        Ask(Query(task="detect", label="polyp"), BoxesTarget(boxes=found)),
        Ask(Query(task="detect", label="ulcer"), BoxesTarget()),
        Ask(
            Query(task="detect_3d", label="lesion", image_count=9),
            Boxes3DTarget(boxes=(LabelledBox3D(label="lesion", box_xyzxyz_voxel=(3.1, 4.2, 5.0, 40.4, 50.5, 9.0)),)),
        ),
        Ask(
            Query(task="segment", label="polyp"),
            PolygonsTarget(polygons=(LabelledPolygon(label="polyp", polygon_xy_px=outline),)),
        ),
        Ask(Query(task="landmark", label="sella, nasion"), LandmarksTarget(landmarks=skull)),
        Ask(
            Query(task="measure_size", label="polyp", quantities=("long axis",), unit="mm"),
            NumbersTarget(numbers=(Number(name="long axis", value=12.3456, unit="mm"),)),
        ),
    )
    return Sample("one", "one", "other", pixels, asks=asks, volume=volume)


@dataclass
class Setting:
    """What training has, and what inference has."""

    encoder: Encoder
    model: HubModel
    rows: list[Row]

    def failed(self) -> dict[str, int]:
        return {task: one.failed for task, one in check_parity(self.rows, self.encoder, self.model).tasks.items()}


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Setting]:
    """A family as its training and its inference have it, once for each."""
    root, built = tmp_path_factory.mktemp("parity"), dict[str, Any]()

    def made(family: str, boxes: int = 3) -> Setting:
        spec = next(spec for spec in HUB_SPECS if spec.name == family)
        if family not in built:
            base = BUILDERS[family](root / family)
            built[family] = base, load_network(spec, base)
        base, network = built[family]
        spoken, recipe = dialect(spec.dialect), recipes()["lora"]
        manifest = Manifest(
            skills=SKILLS, family=family, dialect=spoken.name, base="base", base_sha256="", recipe=recipe.model_dump()
        )
        rows = rows_of({"set": [sample(boxes)]}, recipe, SKILLS)
        encoder = Encoder(processor_of(spec, base, {}), spoken, spoken.templates)
        return Setting(encoder, as_inferred(spec, base, network, manifest, lora=True), rows)

    return made


@pytest.mark.parametrize("family", list(BUILDERS))
def test_every_kind_of_target_comes_back_through_inference(family: str, setting: Callable[..., Setting]) -> None:
    it = setting(family)
    report = check_parity(it.rows, it.encoder, it.model)
    report.require()
    figures = report.metrics()
    tasks = {row.task for row in it.rows}
    assert set(report.tasks) == tasks and len(tasks) == 9
    assert all(figures[f"parity.{task}.texts_equal"] == figures[f"parity.{task}.rows"] for task in tasks)
    for task in ("point", "detect", "segment", "landmark", "detect_3d"):
        assert 0 < figures[f"parity.{task}.mean_half_steps"] <= figures[f"parity.{task}.worst_half_steps"] <= 1 + 1e-6
        assert 0 < figures[f"parity.{task}.worst_px"] < 8
    assert "parity.answer.worst_px" not in figures
    assert "rows come back" in str(report)


def shifted(encoder: Encoder, after: Callable[[FrameMap2D], FrameMap2D]) -> Encoder:
    """An encoder whose map to the model is another one than inference's."""
    fit = encoder.processor.fit
    encoder.processor.fit = lambda width, height: after(fit(width, height))  # type: ignore[method-assign]
    return encoder


def moved(given: FrameMap2D) -> FrameMap2D:
    """The same map with pixels half a pixel away from where they are, as if their centres were corners."""
    away = np.eye(3)
    away[:2, 2] = 0.5
    return replace(given, matrix=given.matrix @ away)


def swapped(given: FrameMap2D) -> FrameMap2D:
    """The same map with x and y exchanged."""
    return replace(given, matrix=given.matrix[[1, 0, 2]])


COORDINATES = {"point", "detect", "segment", "landmark", "detect_3d"}


@pytest.mark.parametrize("family", ["qwen2_5_vl", "gemma3", "florence2"])
@pytest.mark.parametrize("error", [moved, swapped])
def test_a_map_of_training_that_is_not_inference_s_is_caught(
    error: Callable[[FrameMap2D], FrameMap2D], family: str, setting: Callable[..., Setting]
) -> None:
    it = setting(family)
    shifted(it.encoder, error)
    failed = it.failed()
    assert {task for task, number in failed.items() if number} == COORDINATES
    with pytest.raises(InputError, match=r"1 of .* \(row set/one/\d: expected \(.*\) px, found .*half steps away"):
        check_parity(it.rows, it.encoder, it.model).require()


def test_another_resize_in_training_is_caught(setting: Callable[..., Setting]) -> None:
    it = setting("qwen2_5_vl")
    it.encoder.processor.image_processor.size["longest_edge"] //= 4
    assert all(it.failed().values())  # not even the pixels are the same
    it = setting("llava_hub")
    see = it.encoder.processor.see  # type: ignore[attr-defined]
    it.encoder.processor.see = lambda images: see([rgb[:, ::-1] for rgb in images])  # type: ignore[attr-defined]
    assert all(it.failed().values())


@pytest.mark.parametrize("family", ["qwen3_vl", "llava_hub"])
def test_shares_of_one_against_thousandths_are_caught(family: str, setting: Callable[..., Setting]) -> None:
    it = setting(family)

    def other() -> Dialect:
        kind = type(it.encoder.dialect)
        grid = kind.grid
        extent, decimals = (1.0, 3) if grid.extent == 1000 else (1000.0, 0)
        return type("Other", (kind,), {"grid": Grid(extent, decimals)})()  # type: ignore[no-any-return]

    it.encoder = replace(it.encoder, dialect=other())
    failed = it.failed()
    assert {task for task, number in failed.items() if number} == COORDINATES


def test_another_dialect_or_prompt_than_the_manifest_s_is_caught(setting: Callable[..., Setting]) -> None:
    it = setting("qwen2_5_vl")
    it.encoder = replace(it.encoder, dialect=DIALECTS["llava-1.5"])
    assert {task for task, number in it.failed().items() if number} >= COORDINATES
    it.encoder = replace(it.encoder, dialect=DIALECTS["qwen2.5-vl"], templates="umit")
    assert it.failed()["detect"]


def test_a_text_that_the_tokenizer_does_not_keep_is_caught(setting: Callable[..., Setting]) -> None:
    it = setting("qwen2_5_vl")
    ask = Ask(Query(task="answer", question="What is seen?"), TextTarget(text="a polyp<|im_end|> and more"))
    it.rows = [Row("set/odd/0", "answer", replace(sample(), asks=(ask,)), ask)]
    assert it.failed() == {"answer": 1}


def test_a_list_longer_than_the_model_may_write_is_counted(setting: Callable[..., Setting]) -> None:
    it = setting("qwen2_5_vl", boxes=40)
    figures = check_parity(it.rows, it.encoder, it.model).metrics()
    assert figures["parity.detect.failed"] == 0 and figures["parity.detect.cut_rows"] == 1
    assert 30 < figures["parity.detect.cut_things"] < 40  # the base of the tests writes 120 tokens of bytes
    assert figures["parity.count.cut_rows"] == 0
    assert "lose" in str(check_parity(it.rows, it.encoder, it.model))


def test_the_row_with_the_longest_target_is_among_the_few_that_are_checked_before(tmp_path: Path) -> None:
    from fiducial.skills.training.parity import chosen

    rows = rows_of({"set": [replace(sample(n), id=str(n)) for n in (1, 2, 9, 3, 4)]}, recipes()["lora"], ("point",))
    few = list(chosen(rows, 2))
    assert len(few) == 2 and few[0].sample.id == "9" and few == list(chosen(rows[::-1], 2))


def test_a_dialect_that_names_proposals_reports_the_share_that_it_can_name() -> None:
    import torch

    from fiducial.skills.training.embedded.examples import Encoded
    from fiducial.skills.training.embedded.parity import proposal_parity

    tokens = torch.zeros(1, 1)
    images = [
        Encoded("blood_smear", tokens, {"platelet": (4, 7), "white_cell": ()}, {"platelet": 3, "white_cell": 1}, (), {},
                {"platelet": (0.6, 0.9), "white_cell": ()}),
        Encoded("blood_smear", tokens, {"platelet": (2,), "white_cell": ()}, {"platelet": 1, "white_cell": 0}, (), {},
                {"platelet": (0.75,), "white_cell": ()}),
    ]  # fmt: skip
    assert proposal_parity(images) == {
        "parity.platelet.targets": 4,
        "parity.platelet.share_with_proposal": 0.75,
        "parity.platelet.mean_iou": 0.75,
        "parity.white_cell.targets": 1,
        "parity.white_cell.share_with_proposal": 0,
    }
