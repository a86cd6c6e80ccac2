"""Batches of the dense stage: objects move as the pixels do, and targets lead back to the objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fiducial.skills.datasets.sample import Object, Sample
from fiducial.skills.families.llava.processing import pixel_values
from fiducial.skills.families.llava.proposals import propose
from fiducial.skills.families.llava.tower import KINDS, LABELS, TowerConfig
from fiducial.skills.recipes.embedded import DenseRecipe
from fiducial.skills.training.embedded.dense import draw, giou_loss
from fiducial.skills.training.embedded.dense_data import (
    CACHE_SCALE,
    boxes_of,
    cache,
    make_batch,
    moved,
    random_affine,
    targets,
)
from fiducial.tools.record import Ellipse

if TYPE_CHECKING:
    from fiducial.skills.training.embedded.dense_data import Cached

CONFIG = TowerConfig()
SEEDS = st.integers(0, 2**31)
TURNED = Ellipse(center_xy_px=(330.0, 250.0), semi_major_px=150.0, semi_minor_px=100.0, angle_deg=25.0)


def sample(*objects: Object, kind: str = "head_ultrasound", width: int = 800, height: int = 540) -> Sample:
    return Sample("made", "made", kind, lambda: np.zeros((height, width, 3), np.uint8), objects)


def outline(ellipse: Ellipse, count: int = 20_000) -> np.ndarray:
    t, turn = np.linspace(0, 2 * np.pi, count), np.deg2rad(ellipse.angle_deg)
    x = ellipse.semi_major_px * np.cos(t)
    y = ellipse.semi_minor_px * np.sin(t)
    x, y = x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)
    return np.stack([x, y], 1) + ellipse.center_xy_px


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_an_ellipse_moves_as_its_outline_does(seed: int) -> None:
    item = cache(sample(Object("head", (0, 0, 1, 1), TURNED)), CONFIG)
    affine = random_affine(np.random.default_rng(seed), "head_ultrasound", CONFIG, 1.0)
    # The way into the cache by hand: 800 x 540 into 400 x 300 is halved, with 15 rows of bar above.
    by_hand = (outline(TURNED) / 2 + [0, 15]) @ affine[:, :2].T + affine[:, 2]
    out = moved(item.objects, affine, CONFIG)
    assert len(out) == 1
    expected = [*by_hand.min(0), *by_hand.max(0)]
    assert boxes_of(out, CONFIG)[0] == pytest.approx(expected, abs=0.01)
    shape = out[0, [3, 4, 4, 5]].reshape(2, 2)
    offset = by_hand - out[0, 1:3]
    assert np.einsum("ni,ij,nj->n", offset, np.linalg.inv(shape), offset) == pytest.approx(1, abs=1e-6)


def test_a_box_without_an_ellipse_keeps_its_box() -> None:
    item = cache(sample(Object("red_cell", (100, 50, 180, 130)), kind="blood_smear", width=640, height=480), CONFIG)
    assert boxes_of(item.objects, TowerConfig(width_px=400, height_px=304))[0] == pytest.approx(
        [62.5, 31.25, 112.5, 81.25]
    )


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_an_object_goes_where_its_pixels_go(seed: int) -> None:
    from fiducial.skills.training.embedded.dense_data import warp

    pixels = np.zeros((300, 400, 3), np.uint8)
    y, x = np.mgrid[:300, :400] + 0.5
    pixels[((x - 210) / 34) ** 2 + ((y - 140) / 22) ** 2 < 1] = 255
    rng = np.random.default_rng(seed)
    affine = random_affine(rng, "blood_smear", CONFIG, 1.0)
    seen = warp(torch.from_numpy(pixels)[None], affine[None], CONFIG)[0, 0].numpy()
    truth = moved(np.array([[0, 210, 140, 34**2, 0, 22**2]], float), affine, CONFIG)
    ys, xs = np.mgrid[: CONFIG.height_px, : CONFIG.width_px] + 0.5
    mean = np.array([(seen * xs).sum(), (seen * ys).sum()]) / seen.sum()
    assert mean == pytest.approx(truth[0, 1:3], abs=0.1)
    spread = 4 * np.array([(seen * (xs - mean[0]) ** 2).sum(), (seen * (ys - mean[1]) ** 2).sum()]) / seen.sum()
    assert np.sqrt(spread) == pytest.approx(np.sqrt(truth[0, [3, 5]]), rel=0.02)


def test_an_object_of_which_little_stays_is_dropped() -> None:
    shift = np.array([[1.0, 0, -100], [0, 1, 0]])
    objects = np.array([[0, 95.0, 50, 100, 0, 100], [0, 99, 80, 100, 0, 100], [0, 150, 80, 100, 0, 100]])
    assert moved(objects, shift, CONFIG)[:, 1].tolist() == [-1, 50]
    assert boxes_of(moved(objects, shift, CONFIG), CONFIG)[0].tolist() == [0, 70, 9, 90]
    assert moved(np.zeros((0, 6)), shift, CONFIG).shape == (0, 6)


CELLS = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 2]),
        st.integers(0, 4),
        st.integers(0, 3),
        st.floats(-6, 6),
        st.floats(10, 23.5),  # more would be cut by the picture's edge, and a cut box has its centre elsewhere
        st.floats(10, 23.5),
    ),
    min_size=1,
    max_size=12,
    unique_by=lambda cell: cell[1:3],
)


@settings(max_examples=25, deadline=None)
@given(CELLS)
def test_targets_peak_in_the_centres_cell_and_lead_back_to_the_objects(
    cells: list[tuple[int, int, int, float, float, float]],
) -> None:
    objects = np.array([[label, 32 + 64 * i + d, 30 + 60 * j + d, a**2, 0, b**2] for label, i, j, d, a, b in cells])
    made = targets(objects, CONFIG)
    for label, x, y, *_ in objects:
        assert made["heat"][int(label), int(y / 8), int(x / 8)] == 1
        assert made["box_weight"][int(y / 8), int(x / 8)] > 0
    assert (made["heat"] == 1).sum() == len(objects)
    assert (made["ellipse_weight"] == 0).all()
    heads = {name: torch.from_numpy(value)[None] for name, value in made.items()}
    found = propose(
        heads["heat"].clamp(1e-4, 1 - 1e-4).logit(),
        heads["box"].clamp(1e-3).div(8).log(),
        heads["ellipse"],
        heads["mask"] - 9,
        slots=40,
    )
    sure = found.score[0] > 0.999
    assert int(sure.sum()) == len(objects)
    got, wanted = found.box_xyxy_px[0][sure].double().numpy(), boxes_of(objects, CONFIG)
    # Each truth against its nearest: sorting would swap boxes that share a side but for rounding.
    apart = np.abs(got[:, None] - wanted[None]).max(-1)
    assert apart.min(0) == pytest.approx(np.zeros(len(wanted)), abs=0.01)


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_the_targets_of_a_head_lead_back_to_its_ellipse(seed: int) -> None:
    item = cache(sample(Object("head", (0, 0, 1, 1), TURNED)), CONFIG)
    affine = random_affine(np.random.default_rng(seed), "head_ultrasound", CONFIG, 0.5)
    objects = moved(item.objects, affine, CONFIG)
    made = {name: torch.from_numpy(value)[None] for name, value in targets(objects, CONFIG).items()}
    logits = (made["heat"].clamp(1e-4, 1 - 1e-4).logit(), made["box"].clamp(1e-3).div(8).log())
    found = propose(*logits, made["ellipse"], made["mask"].clamp(1e-5, 1 - 1e-5).logit(), slots=40)
    assert found.label_scores[0, 0].argmax() == LABELS.index("head")
    box = boxes_of(objects, CONFIG)[0]
    inside = (box[:2] > 0).all() and (box[2:] < [CONFIG.width_px, CONFIG.height_px]).all()
    if inside:  # the mask of a head that is cut off has other moments
        assert found.box_xyxy_px[0, 0].numpy() == pytest.approx(box, abs=1.0)


def test_without_augmentation_a_batch_is_what_inference_sees(
    items: list[Cached], smear: Sample, ultrasound: Sample
) -> None:
    from fiducial.tests.skills.tiny import tiny_config

    config = tiny_config()
    batch = make_batch(items[:2], np.random.default_rng(0), config, strength=0.0)
    for row, one in enumerate((smear, ultrasound)):
        values, to_input = pixel_values(one.pixels(), config.width_px, config.height_px)
        assert (batch.pixels[row] - values[0]).abs().mean() < 0.08  # of 4: the cache is resampled once more
        truth = to_input.boxes_xyxy([o.box_xyxy_px for o in one.objects if o.ellipse_px is None] or np.zeros((0, 4)))
        ellipses = [to_input.ellipse(o.ellipse_px) for o in one.objects if o.ellipse_px is not None]
        centres = np.concatenate(
            [(truth[:, :2] + truth[:, 2:]) / 2, [e.center_xy_px for e in ellipses] or np.zeros((0, 2))]
        )
        made = batch.objects[row][:, 1:3]
        assert len(made) <= len(centres)
        apart = np.linalg.norm(made[:, None] - centres[None], axis=2).min(1)
        assert apart.max() < 1.0
    again = make_batch(items[:2], np.random.default_rng(5), config, strength=0.0)
    assert torch.equal(again.pixels, batch.pixels)


def test_a_draw_is_a_function_of_seed_and_step(items: list[Cached]) -> None:
    recipe = DenseRecipe(batch_size=12, seed=3)

    def drawn(step: int, seed: int = 3) -> tuple[list[str], float]:
        chosen, rng = draw(items, DenseRecipe(batch_size=12, seed=seed), step)
        return [item.id for item in chosen], float(rng.random())

    assert drawn(7) == drawn(7)
    assert drawn(7) != drawn(8)
    assert drawn(7) != drawn(7, seed=4)
    first, second = (make_batch(*draw(items, recipe, 7), TowerConfig(width_px=192, height_px=144)) for _ in range(2))
    assert torch.equal(first.pixels, second.pixels)
    assert torch.equal(first.heat, second.heat)


def test_a_kind_that_has_no_image_leaves_its_share_to_the_others(items: list[Cached]) -> None:
    only = [item for item in items if KINDS[item.kind] == "other"]
    assert {item.kind for item in draw(only, DenseRecipe(batch_size=8), 0)[0]} == {KINDS.index("other")}


def test_giou_is_zero_for_the_same_box_and_more_for_one_farther_away() -> None:
    box = torch.tensor([[10.0, 10, 30, 40]]).expand(3, 4)
    other = torch.tensor([[10.0, 10, 30, 40], [40, 10, 60, 40], [140, 10, 160, 40]])
    loss = giou_loss(box, other)
    assert loss[0].item() == pytest.approx(0, abs=1e-6)
    assert loss[1].item() == pytest.approx(1 + 300 / 1500)
    assert loss[2] > loss[1]


def test_the_cache_is_larger_than_the_input_by_its_scale() -> None:
    item = cache(sample(), CONFIG)
    assert item.pixels.shape == (CONFIG.height_px * CACHE_SCALE, CONFIG.width_px * CACHE_SCALE, 3)
    assert item.objects.shape == (0, 6)
