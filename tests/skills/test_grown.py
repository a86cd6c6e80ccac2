"""A tower that knows more: its weights, its landmarks, and the samples that it learns from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fiducial.skills.datasets.cropped import cropped
from fiducial.skills.datasets.phantoms import MAKERS, samples_of
from fiducial.skills.datasets.sample import Sample
from fiducial.skills.families.llava.family import load_base
from fiducial.skills.families.llava.flips import exchanged, turned_back
from fiducial.skills.families.llava.grammar import known_lines
from fiducial.skills.families.llava.marks import MARK_STRIDE, read_marks
from fiducial.skills.families.llava.tower import KINDS, LABELS, Dense, Tower, TowerConfig
from fiducial.skills.load import embedded_folder
from fiducial.skills.recipes.embedded import DenseRecipe
from fiducial.skills.targets import LandmarksTarget
from fiducial.skills.training.embedded.dense import draw, grown, losses
from fiducial.skills.training.embedded.dense_data import cache, make_batch, moved_marks
from fiducial.skills.training.embedded.examples import encode_all
from fiducial.skills.training.embedded.grow import columns_of, grown_model
from fiducial.skills.training.embedded.sights import sights
from fiducial.tests.skills.tiny import tiny_config, tiny_tower
from fiducial.tools.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

SMALL: dict[str, Any] = {"channels": (8, 8, 16, 16, 24), "blocks": (1, 1, 1, 1), "feature_size": 16, "grid": (2, 2)}


def tiny_grown(**more: Any) -> TowerConfig:
    """A small tower that knows all that the embedded one is trained to know."""
    known = {
        name: getattr(sights(), name)
        for name in ("labels", "landmarks", "kinds", "labels_of_kind", "landmarks_of_kind", "mirrored", "floor")
    }
    return TowerConfig(**{"width_px": 192, "height_px": 144, "slots": 24, "packing": "best", **SMALL, **known, **more})


def test_the_shipped_tower_loads_with_what_it_knew_and_keeps_it_when_it_grows() -> None:
    tower: Any = load_base(embedded_folder() / "base")[0].model.vision_tower
    config = tower.config
    assert config.names[:4] == LABELS
    assert config.kinds[:3] == KINDS
    new = grown(tower, sights()).eval()
    pixels = torch.randn(1, 3, 240, 320, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        old, now = tower.dense(pixels), new.dense(pixels)
        out = new(pixels)
    assert torch.equal(now.heat[:, : len(config.labels)], old.heat)
    torch.testing.assert_close(now.kind[:, : len(config.kinds)], old.kind)  # a product of another width
    for name in ("box", "ellipse", "mask", "embedding"):
        assert torch.equal(now[name], old[name]), name
    assert out.last_hidden_state.shape == (1, sights().tokens, sights().hidden_size)


def test_a_grown_base_keeps_the_words_and_the_decoder_that_it_grew_from(
    tiny_base: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    old, words = load_base(tiny_base)
    new = grown_model(old, words, Tower(tiny_grown()), tokenizer)  # type: ignore[call-arg]
    ours, theirs = new.model.language_model.state_dict(), old.model.language_model.state_dict()
    assert all(torch.equal(ours[name], value) for name, value in theirs.items() if "embed" not in name)
    for word in ("red_cell", "<r3>", "none"):
        pair = [model.get_input_embeddings().weight[t.convert_tokens_to_ids(word)]
                for model, t in ((new, tokenizer), (old, words))]  # fmt: skip
        assert torch.equal(*pair), word
    for config in (tiny_grown(), tiny_config(), TowerConfig(), sights()):
        assert [column for _, column in columns_of(config)] == list(range(config.region_size))


def test_a_configuration_whose_names_do_not_fit_is_one_sentence() -> None:
    for wrong in (
        {"labels": ("red_cell",)},
        {"labels_of_kind": {"nowhere": ("head",)}},
        {"mirrored": (("left", "right"),)},
        {"packing": "none"},
        {"hidden_size": 64},
    ):
        with pytest.raises(InputError) as refused:
            TowerConfig(**wrong)
        assert "\n" not in str(refused.value)


@settings(max_examples=60, deadline=None)
@given(x=st.floats(12, 180), y=st.floats(12, 130), strength=st.floats(4, 40))
def test_a_planted_landmark_is_read_finer_than_a_cell(x: float, y: float, strength: float) -> None:
    rows, columns = (torch.arange(36) + 0.5) * MARK_STRIDE, (torch.arange(48) + 0.5) * MARK_STRIDE
    logits = -((rows[:, None] - y) ** 2 + (columns - x) ** 2) / (2 * 3.2**2)
    found = read_marks(logits[None, None], torch.tensor([[0.7]]))
    assert found.xy_px[0, 0].tolist() == pytest.approx([x, y], abs=0.25)
    assert found.score.item() == pytest.approx(0.7, abs=0.02)
    assert found.spread_px.item() == pytest.approx(3.2, abs=0.5)
    second = logits + 0.0
    second[2, 2] = strength + 40  # a far peak that is higher takes it there, and is not averaged with the first
    there = read_marks(second[None, None], torch.tensor([[1.0]])).xy_px[0, 0]
    assert there.tolist() == pytest.approx([10, 10], abs=0.5)


def test_landmarks_of_a_pair_change_names_in_a_mirror_and_no_others() -> None:
    config = tiny_grown()
    swap = exchanged(config.landmarks, config.mirrored)
    assert [swap[k] for k in swap] == list(range(len(swap)))
    marks = torch.randn(1, len(swap), 36, 48)
    names = ("heat", "box", "ellipse", "mask", "features")
    maps = {name: torch.zeros(1, 6 if name == "ellipse" else 4, 4, 4) for name in names}
    dense = Dense(**maps, kind=torch.zeros(1, 3), embedding=torch.zeros(1, 3), marks=marks)
    turned = turned_back(dense, horizontal=True, vertical=False, marks=swap).marks
    assert turned is not None
    left, right = config.landmarks.index("thorax_left"), config.landmarks.index("thorax_right")
    assert torch.equal(turned[0, left], marks[0, right].flip(-1))
    sella = config.landmarks.index("sella")
    assert torch.equal(turned[0, sella], marks[0, sella].flip(-1))
    width = config.width_px
    points = np.full((len(swap), 2), np.nan)
    points[left], points[right] = (100.0, 40.0), (30.0, 44.0)
    mirror = np.array([[-1.0, 0, width], [0, 1, 0]])
    out = moved_marks(points, mirror, config)
    assert out[right].tolist() == [width - 100.0, 40.0]
    assert np.isnan(out[sella]).all()


@pytest.fixture(scope="module")
def scenes() -> dict[str, Sample]:
    return {scene: next(samples_of(scene, 2_000_007)) for scene in MAKERS}


def test_every_scene_is_a_sample_that_a_grown_tower_learns_from(scenes: dict[str, Sample]) -> None:
    config = tiny_grown()
    items = [cache(sample, config) for sample in scenes.values()]
    assert {config.kinds[item.kind] for item in items} == {*config.kinds} - {"other", "radiology"}
    for sample in scenes.values():
        height, width = sample.pixels().shape[:2]
        targets = [ask.target for ask in sample.asks if isinstance(ask.target, LandmarksTarget)]
        marks = [mark.point_xy_px for target in targets for mark in target.landmarks]
        assert all(0 <= x <= width and 0 <= y <= height for x, y in marks)
        assert bool(marks) == (sample.kind in config.landmarks_of_kind)
    recipe = DenseRecipe(batch_size=len(items), mixture=tuple(1 / 11 for _ in range(11)))
    batch = make_batch(*draw(items, recipe, 0), config)
    tower = Tower(config)  # type: ignore[call-arg]
    parts = losses(tower.dense(batch.pixels), batch)
    assert {"heat", "box", "ellipse", "kind", "marks"} <= {*parts}
    assert all(torch.isfinite(part) for part in parts.values())


def test_an_encoded_cephalogram_names_the_slots_of_landmarks_that_lie_right(scenes: dict[str, Sample]) -> None:
    config = tiny_grown(slots=40)
    item = cache(scenes["cephalogram"], config)
    tower = Tower(config).eval()  # type: ignore[call-arg]
    tower.kind_head.bias.data[config.kinds.index("cephalogram")] = 50.0
    truth = make_batch([item], np.random.default_rng(0), config, strength=0).marks[0]

    def planted(_: Any, __: Any, logits: torch.Tensor) -> torch.Tensor:
        rows, columns = (torch.arange(36) + 0.5) * MARK_STRIDE, (torch.arange(48) + 0.5) * MARK_STRIDE
        far = truth.nan_to_num(50)
        near = -((rows[:, None] - far[:, 1, None, None]) ** 2 + (columns - far[:, 0, None, None]) ** 2) / 20
        flipped = [near, near.flip(-1), near.flip(-2), near.flip(-1, -2)]
        planted.turn = (planted.turn + 1) % 4  # type: ignore[attr-defined]
        return flipped[planted.turn][None].to(logits)  # type: ignore[attr-defined]

    planted.turn = -1  # type: ignore[attr-defined]
    tower.mark_head.register_forward_hook(planted)
    (image,) = encode_all(tower, [item], (0.0,))
    assert {*image.marks} == {*config.landmarks_of_kind["cephalogram"]}
    assert len({*image.marks.values()}) == len(image.marks)
    assert not any(image.slots.values())


def test_a_window_shows_what_the_whole_shows_there(scenes: dict[str, Sample]) -> None:
    for name in ("blood_smear", "fetal_head", "cephalogram"):
        whole = scenes[name]
        part = cropped(whole, np.random.default_rng(3))
        x0, y0, x1, y1 = (int(v) for v in part.id.rpartition("@")[2].split(","))
        assert np.array_equal(part.pixels(), whole.pixels()[y0:y1, x0:x1])
        assert len(part.asks) == len(whole.asks)
        for box in (o.box_xyxy_px for o in part.objects if o.label != "head"):
            assert box[0] >= 0
            assert box[1] >= 0
            assert box[2] <= x1 - x0
            assert box[3] <= y1 - y0
        for before, after in zip(whole.of("head"), part.of("head"), strict=True):
            assert after.box_xyxy_px == pytest.approx(np.subtract(before.box_xyxy_px, (x0, y0, x0, y0)))


def test_a_model_says_nothing_of_what_it_was_not_trained_on() -> None:
    few = {*known_lines(tiny_config())}
    assert "count red_cell" in few
    assert "count nucleus" not in few
    assert few <= {*known_lines(tiny_grown())}
    assert tiny_tower().config.names == LABELS
