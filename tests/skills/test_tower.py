"""The vision tower: its tokens and proposals, and the regions that come back out of planted heads."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.draw import polygon2mask

from fiducial.skills.families.llava.flips import dims_of, mean_over_flips, turned_back
from fiducial.skills.families.llava.model import embed
from fiducial.skills.families.llava.processing import fit_into, pixel_values
from fiducial.skills.families.llava.prompting import prompt_ids
from fiducial.skills.families.llava.proposals import (
    HEAD_LABEL,
    NMS_IOU,
    blend_with_mask,
    decode_boxes,
    ellipse_box,
    iou_matrix,
    propose,
    vote_boxes,
    vote_ellipse,
)
from fiducial.skills.families.llava.tower import KINDS, LABELS, SLOT_SCALE
from fiducial.tests.skills.tiny import load_base, tiny_tower

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

HEIGHT, WIDTH = 240, 320
ELLIPSES = st.builds(
    lambda x, y, major, ratio, angle: [x, y, major, major * ratio, angle],
    st.floats(130, 190),
    st.floats(100, 140),
    st.floats(45, 95),
    st.floats(0.6, 0.95),
    st.floats(-math.pi / 2, math.pi / 2),
)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_tokens_are_slots_by_falling_score_and_then_the_grid() -> None:
    tower = tiny_tower()
    with torch.no_grad():
        out = tower(noise(2, 3, 144, 192))
    slots, found = tower.config.slots, out.proposals
    assert out.hidden_states[-1].shape == (2, tower.config.tokens, tower.config.hidden_size)
    assert tower.config.tokens == slots + 4
    assert found.box_xyxy_px.shape == (2, slots, 4)
    assert found.label_scores.shape == (2, slots, len(LABELS))
    assert found.ellipse.shape == (2, 5)
    assert out.dense.kind.shape == (2, len(KINDS))
    assert all(torch.isfinite(t).all() for t in (out.hidden_states[-1], found.box_xyxy_px, found.ellipse, found.score))
    assert (found.score.diff(dim=1) <= 0).all()
    assert (found.score[:, 0] > 0).all()
    assert torch.equal(found.label_scores.amax(-1) * (found.score > 0), found.score)
    own_slot = out.hidden_states[-1][0, :slots, -(128 - (16 + 48 + 9)) :][:, :slots]
    assert torch.equal(own_slot, SLOT_SCALE * torch.eye(slots))


def test_an_image_is_encoded_alike_alone_and_in_a_batch() -> None:
    tower, pixels = tiny_tower(), noise(3, 3, 144, 192)
    with torch.no_grad():
        together, alone = tower(pixels), tower(pixels[1:2])
    assert torch.allclose(together.hidden_states[-1][1], alone.hidden_states[-1][0], atol=1e-4)
    assert torch.allclose(together.proposals.ellipse[1], alone.proposals.ellipse[0], atol=1e-3)


def planted_heat(cells: list[tuple[int, int, int, float]]) -> torch.Tensor:
    heat = torch.full((1, len(LABELS), HEIGHT // 8, WIDTH // 8), -9.0)
    for label, row, column, logit in cells:
        heat[0, label, row, column] = logit
    return heat


def no_head() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.zeros(1, 6, HEIGHT // 16, WIDTH // 16), torch.full((1, 1, HEIGHT // 8, WIDTH // 8), -9.0)


def test_planted_peaks_come_out_with_their_boxes_and_labels() -> None:
    heat = planted_heat([(0, 5, 10, 1.0), (1, 20, 30, 4.0), (2, 28, 2, 0.0)])
    box = torch.zeros(1, 4, HEIGHT // 8, WIDTH // 8)
    truth = {
        (5, 10): (70.0, 20.0, 100.0, 60.0),
        (20, 30): (200.0, 120.0, 300.0, 230.0),
        (28, 2): (15.0, 222.0, 26.0, 233.0),
    }
    for (row, column), (x0, y0, x1, y1) in truth.items():
        x, y = (column + 0.5) * 8, (row + 0.5) * 8
        box[0, :, row, column] = torch.tensor([x - x0, y - y0, x1 - x, y1 - y]).div(8).log()
    found = propose(heat, box, *no_head(), slots=40)
    assert found.label_scores[0, :3].argmax(-1).tolist() == [1, 0, 2]
    expected = torch.tensor([truth[20, 30], truth[5, 10], truth[28, 2]])
    assert torch.allclose(found.box_xyxy_px[0, :3], expected, atol=1e-3)
    assert found.cell_index[0, :3].tolist() == [20 * 40 + 30, 5 * 40 + 10, 28 * 40 + 2]


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**31))
def test_no_two_cells_that_are_kept_overlap_more_than_the_limit(seed: int) -> None:
    heat = noise(2, len(LABELS), HEIGHT // 8, WIDTH // 8, seed=seed)
    heat[:, HEAD_LABEL] = -9
    box = noise(2, 4, HEIGHT // 8, WIDTH // 8, seed=seed + 1) * 0.5 + 1
    ellipse, mask = no_head()
    found = propose(heat, box, ellipse.expand(2, -1, -1, -1), mask.expand(2, -1, -1, -1), slots=40)
    for row in range(2):
        kept = found.box_xyxy_px[row][found.score[row] > 0]
        overlap = iou_matrix(kept, kept) - 2 * torch.eye(len(kept))
        assert len(kept) > 20
        assert overlap.max() <= NMS_IOU + 1e-6


def test_a_box_under_a_better_one_is_dropped() -> None:
    heat = planted_heat([(0, 10, 10, 3.0), (0, 10, 12, 2.0), (0, 10, 30, 1.0)])
    box = torch.full((1, 4, HEIGHT // 8, WIDTH // 8), math.log(5.0))
    found = propose(heat, box, *no_head(), slots=40)
    best = found.cell_index[0][found.score[0] > 0.5].tolist()
    assert best == [10 * 40 + 10, 10 * 40 + 30]


PEAKS = ((2, 3), (0, 0), (4, 5), (0, 3))  # in the middle, at two corners and at an edge of 5 × 6 cells


def neighbours(row: int, column: int) -> list[int]:
    """The cells of the 3×3 around one, itself among them, that lie within 5 × 6 cells."""
    return [6 * y + x for y in range(5) for x in range(6) if abs(y - row) <= 1 and abs(x - column) <= 1]


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(PEAKS), st.integers(0, 2**31))
def test_a_box_is_the_mean_of_neighbours_that_agree_weighted_by_their_score(peak: tuple[int, int], seed: int) -> None:
    own = 6 * peak[0] + peak[1]
    boxes = torch.tensor([20.0, 30.0, 60.0, 90.0]).repeat(1, 30, 1)
    boxes += noise(1, 30, 4, seed=seed).clamp(-2, 2)  # of 40 × 60 px: an IoU of well over a half
    scores = noise(1, 30, 2, seed=seed + 1).sigmoid()
    voters = neighbours(*peak)
    weight = scores[0, voters, 1]
    expected = (boxes[0, voters] * weight[:, None]).sum(0) / weight.sum()
    ask = torch.tensor([[own]]), torch.tensor([[1]]), (5, 6)
    assert torch.allclose(vote_boxes(boxes, scores, *ask)[0, 0], expected, atol=1e-3)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(PEAKS), st.integers(0, 2**31), st.data())
def test_a_neighbour_with_another_object_has_no_vote(peak: tuple[int, int], seed: int, data: st.DataObject) -> None:
    own = 6 * peak[0] + peak[1]
    voters = neighbours(*peak)
    other = data.draw(st.sampled_from([cell for cell in voters if cell != own]))
    boxes = torch.tensor([20.0, 30.0, 60.0, 90.0]).repeat(1, 30, 1)
    boxes += noise(1, 30, 4, seed=seed).clamp(-2, 2)
    boxes[0, other] += 25.0  # an IoU of a tenth or so
    scores = noise(1, 30, 2, seed=seed + 1).sigmoid()
    scores[0, other] = 1.0  # however sure it is
    agree = [cell for cell in voters if cell != other]
    weight = scores[0, agree, 0]
    expected = (boxes[0, agree] * weight[:, None]).sum(0) / weight.sum()
    ask = torch.tensor([[own]]), torch.tensor([[0]]), (5, 6)
    assert torch.allclose(vote_boxes(boxes, scores, *ask)[0, 0], expected, atol=1e-3)


def test_a_box_that_nobody_scores_stays_as_it_is() -> None:
    boxes = torch.tensor([20.0, 30.0, 60.0, 90.0]).repeat(1, 30, 1) + noise(1, 30, 4)
    voted = vote_boxes(boxes, torch.zeros(1, 30, 2), torch.tensor([[15]]), torch.tensor([[1]]), (5, 6))
    assert torch.equal(voted[0, 0], boxes[0, 15])


def test_decoded_boxes_stay_finite_for_any_logit() -> None:
    boxes = decode_boxes(torch.full((1, 4, 3, 5), 1e30))
    assert torch.isfinite(boxes).all()
    assert (boxes[..., 2:] > boxes[..., :2]).all()


def head_maps(ellipse: list[float]) -> torch.Tensor:
    """Heads (1, 6, H/16, W/16) of which every cell predicts the same ellipse."""
    x, y, major, minor, angle = ellipse
    ys, xs = torch.meshgrid(torch.arange(HEIGHT // 16) + 0.5, torch.arange(WIDTH // 16) + 0.5, indexing="ij")
    flat = torch.ones_like(xs)
    return torch.stack(
        [
            x / 16 - xs,
            y / 16 - ys,
            flat * math.log(major / 16),
            flat * math.log(minor / 16),
            flat * math.cos(2 * angle),
            flat * math.sin(2 * angle),
        ]
    )[None]


def planted_score(ellipse: list[float]) -> torch.Tensor:
    score = torch.zeros(1, HEIGHT // 8, WIDTH // 8)
    score[0, int(ellipse[1] // 8), int(ellipse[0] // 8)] = 0.9
    return score


def assert_same_ellipse(found: torch.Tensor, truth: list[float], relative: float) -> None:
    x, y, major, minor, angle = found.tolist()
    radius = (truth[2] + truth[3]) / 2
    assert math.hypot(x - truth[0], y - truth[1]) <= relative * radius
    assert abs(major - truth[2]) <= relative * truth[2]
    assert abs(minor - truth[3]) <= relative * truth[3]
    turn = (angle - truth[4] + math.pi / 2) % math.pi - math.pi / 2
    assert abs(turn) * (truth[2] - truth[3]) <= relative * radius


@settings(max_examples=25, deadline=None)
@given(ELLIPSES)
def test_votes_give_a_planted_ellipse_exactly(ellipse: list[float]) -> None:
    found, spread = vote_ellipse(head_maps(ellipse), planted_score(ellipse), WIDTH // 8)
    assert_same_ellipse(found[0], ellipse, 1e-4)
    assert spread.item() < 1e-3


def test_cells_that_disagree_show_in_the_spread() -> None:
    ellipse = [160.0, 120.0, 80.0, 60.0, 0.3]
    maps = head_maps(ellipse)
    maps[:, 2] += noise(*maps[:, 2].shape) * 0.1
    _, spread = vote_ellipse(maps, planted_score(ellipse), WIDTH // 8)
    assert 0.03 < spread.item() < 0.2


def mask_logits(ellipse: list[float]) -> torch.Tensor:
    """The share of each 8 px cell that lies in the ellipse, as logits (1, 1, H/8, W/8), drawn at full size."""
    x, y, major, minor, angle = ellipse
    t = np.linspace(0, 2 * np.pi, 720, endpoint=False)
    xs = x + major * np.cos(t) * np.cos(angle) - minor * np.sin(t) * np.sin(angle)
    ys = y + major * np.cos(t) * np.sin(angle) + minor * np.sin(t) * np.cos(angle)
    inside = polygon2mask((HEIGHT, WIDTH), np.stack([ys - 0.5, xs - 0.5], 1))
    share = inside.reshape(HEIGHT // 8, 8, WIDTH // 8, 8).mean((1, 3))
    return torch.from_numpy(share).float().clamp(1e-5, 1 - 1e-5).logit()[None, None]


@settings(max_examples=15, deadline=None)
@given(ELLIPSES)
def test_a_planted_mask_gives_its_ellipse_within_two_percent(ellipse: list[float]) -> None:
    found, apart = blend_with_mask(torch.tensor([ellipse]), mask_logits(ellipse))
    assert_same_ellipse(found[0], ellipse, 0.02)
    assert apart.item() < 0.03


def test_the_mask_takes_back_half_of_a_wrong_vote() -> None:
    truth, voted = [160.0, 120.0, 80.0, 60.0, 0.3], [160.0, 120.0, 86.0, 64.5, 0.3]
    found, apart = blend_with_mask(torch.tensor([voted]), mask_logits(truth))
    assert 81.5 < found[0, 2].item() < 84.5
    assert 61.1 < found[0, 3].item() < 63.4
    assert apart.item() == pytest.approx(math.log(80 * 60 / (86 * 64.5)) / -2, abs=0.02)


def test_a_mask_of_quite_another_size_is_left_out_and_shows_in_the_spread() -> None:
    voted = [160.0, 120.0, 80.0, 60.0, 0.3]
    found, apart = blend_with_mask(torch.tensor([voted]), mask_logits([160.0, 120.0, 40.0, 30.0, 0.3]))
    assert_same_ellipse(found[0], voted, 1e-4)
    assert apart.item() == pytest.approx(0.2)


def test_the_box_of_an_ellipse_touches_it_on_four_sides() -> None:
    ellipse = [160.0, 120.0, 80.0, 40.0, 0.5]
    t = np.linspace(0, 2 * np.pi, 100_000)
    x = 160 + 80 * np.cos(t) * math.cos(0.5) - 40 * np.sin(t) * math.sin(0.5)
    y = 120 + 80 * np.cos(t) * math.sin(0.5) + 40 * np.sin(t) * math.cos(0.5)
    assert ellipse_box(torch.tensor([ellipse]))[0].tolist() == pytest.approx(
        [x.min(), y.min(), x.max(), y.max()], abs=1e-3
    )


@pytest.mark.parametrize(("horizontal", "vertical"), [(True, False), (False, True), (True, True)])
def test_a_mirrored_image_has_the_mirrored_regions(horizontal: bool, vertical: bool) -> None:
    tower, pixels = tiny_tower(), noise(2, 3, 144, 192)
    with torch.no_grad():
        seen = mean_over_flips(tower, pixels)
        mirrored = mean_over_flips(tower, pixels.flip(dims_of(horizontal, vertical)))
    back = turned_back(mirrored, horizontal, vertical)
    for name in seen:
        assert torch.allclose(back[name], seen[name], atol=1e-5), name
    boxes, others = decode_boxes(seen.box), decode_boxes(mirrored.box)
    grid = boxes.reshape(2, 18, 24, 4).flip([d - 1 for d in dims_of(horizontal, vertical)]).reshape(boxes.shape)
    x = [192 - grid[..., 2], 192 - grid[..., 0]] if horizontal else [grid[..., 0], grid[..., 2]]
    y = [144 - grid[..., 3], 144 - grid[..., 1]] if vertical else [grid[..., 1], grid[..., 3]]
    assert torch.allclose(torch.stack([x[0], y[0], x[1], y[1]], -1), others, atol=1e-3)


def test_tokens_encoded_before_are_those_of_the_pixels_with_the_word_of_each_slot_added(
    tiny_base: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    model, pixels = load_base(tiny_base), noise(1, 3, 144, 192)
    tower = model.model.vision_tower
    ids = torch.tensor([prompt_ids(tokenizer, "detect red_cell", tower.config.tokens)])
    with torch.no_grad():
        tokens = tower(pixels).hidden_states[-1]
        named = embed(model, ids, tokens)
        model.get_input_embeddings().weight[model.config.slot_token_ids] = 0
        plain = embed(model, ids, tokens)
        by_pixels = model(input_ids=ids, pixel_values=pixels).logits
    assert torch.allclose(by_pixels, model(inputs_embeds=plain).logits, atol=1e-5)
    words = load_base(tiny_base).get_input_embeddings()(tokenizer("<r0><r11>", return_tensors="pt").input_ids[0])
    assert torch.allclose((named - plain)[0, [1, 12]], words, atol=1e-6)
    assert torch.equal(named[0, 13:], plain[0, 13:])


def test_only_the_rows_with_an_image_take_tokens(tiny_base: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    model = load_base(tiny_base)
    tokens = noise(1, 16, 128)
    with_image = prompt_ids(tokenizer, "count head", 16)
    without = prompt_ids(tokenizer, "say", 0)
    without += [tokenizer.pad_token_id] * (len(with_image) - len(without))
    both = embed(model, torch.tensor([without, with_image]), tokens)
    assert torch.equal(both[0], model.get_input_embeddings()(torch.tensor(without)))
    assert torch.equal(both[1], embed(model, torch.tensor([with_image]), tokens)[0])


def test_a_saved_base_loads_with_the_same_weights(tiny_base: Path, tmp_path: Path) -> None:
    first = load_base(tiny_base)
    first.save_pretrained(tmp_path / "again")
    again = load_base(tmp_path / "again").state_dict()
    assert set(again) == set(first.state_dict())
    assert all(torch.equal(value, again[name]) for name, value in first.state_dict().items())
    fresh = tiny_tower().state_dict()
    kept = first.model.vision_tower.state_dict()
    assert all(torch.equal(value.half(), kept[name].half()) for name, value in fresh.items())


@pytest.mark.parametrize(("width", "height"), [(640, 480), (800, 540), (100, 300), (7, 5)])
def test_the_letterbox_says_where_each_pixel_went(width: int, height: int) -> None:
    picture = np.zeros((height, width, 3), np.uint8)
    picture[: height // 2, : width // 2] = 255
    canvas, to_input = fit_into(picture, WIDTH, HEIGHT)
    corners = to_input.points([[0, 0], [width // 2, height // 2], [width, height]])
    (x0, y0), (x1, y1), (x2, y2) = corners
    assert canvas.shape == (HEIGHT, WIDTH, 3)
    assert 0 <= x0 < x2 <= WIDTH
    assert 0 <= y0 < y2 <= HEIGHT
    assert x2 - x0 == pytest.approx(WIDTH) or y2 - y0 == pytest.approx(HEIGHT)
    assert canvas[..., 0].sum() / 255 == pytest.approx((x1 - x0) * (y1 - y0), rel=0.02)
    values, again = pixel_values(picture, WIDTH, HEIGHT)
    assert values.shape == (1, 3, HEIGHT, WIDTH)
    assert (values.min().item(), values.max().item()) == (-2, 2)
    assert np.array_equal(again.matrix, to_input.matrix)
