"""Rows as tensors: what is learned, how batches are padded, and where the targets lie after augmentation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fiducial.skills.datasets.sample import Ask, Sample
from fiducial.skills.families.dialects import dialect
from fiducial.skills.families.dialects.compare import difference
from fiducial.skills.families.hub.model import processor_of
from fiducial.skills.families.hub.spec import HUB_SPECS
from fiducial.skills.targets import BoxesTarget, LabelledBox, Query
from fiducial.skills.training.encoding import IGNORED, STACKED, Encoder, Epochs, augmented, collate, rng_of
from fiducial.skills.training.rows import Row, rows_of
from fiducial.tests.skills.training.samples import samples
from fiducial.tests.skills.training.test_rows import recipe

FAMILIES = [spec.name for spec in HUB_SPECS]


def encoder_of(checkpoint: Callable[[str], Path], family: str, **options: Any) -> Encoder:
    spec = next(spec for spec in HUB_SPECS if spec.name == family)
    spoken = dialect(spec.dialect)
    return Encoder(processor_of(spec, checkpoint(family), {}), spoken, spoken.templates, **options)


def rows() -> list[Row]:
    return rows_of({"discs": samples(3)}, recipe(), ("count", "detect"))


@pytest.mark.parametrize("family", FAMILIES)
def test_labels_cover_the_answer_and_its_end_and_nothing_else(checkpoint: Callable[[str], Path], family: str) -> None:
    encoder = encoder_of(checkpoint, family)
    for row in rows()[:3]:
        tensors = encoder.encode(row, 0)
        answer = encoder.texts(row, row.sample.pixels().shape, 0)[1]
        labels = tensors["labels"][0]
        learned = labels[labels != IGNORED].tolist()
        assert encoder.processor.decode(learned) == answer
        assert learned[-1] in encoder.processor.end_ids
        if family != "florence2":  # whose labels are the decoder's own
            places = (labels != IGNORED).nonzero()[:, 0]
            assert places.tolist() == list(range(int(places[0]), len(labels)))
            assert tensors["input_ids"][0, places].tolist() == learned


@pytest.mark.parametrize("family", ["qwen2_5_vl", "florence2"])
def test_a_batch_is_padded_by_key(checkpoint: Callable[[str], Path], family: str) -> None:
    encoder = encoder_of(checkpoint, family)
    data = Epochs(rows(), encoder, 6)
    single = [data[k] for k in range(4)]
    batch = collate(single, pad_id := encoder.processor.tokenizer.pad_token_id)
    assert batch["task"].tolist() == [row["task"] for row in single]
    lengths = [row["labels"].shape[1] for row in single]
    assert len(set(lengths)) > 1
    fill = {"labels": IGNORED, "attention_mask": 0, "input_ids": pad_id}
    for name in fill:
        assert batch[name].shape == (4, max(row[name].shape[1] for row in single))
    for k, row in enumerate(single):
        for name, value in fill.items():
            length = row[name].shape[1]
            assert torch.equal(batch[name][k, :length], row[name][0])
            assert (batch[name][k, length:] == value).all()
    for name in set(STACKED) & set(single[0]):
        assert torch.equal(batch[name], torch.cat([row[name] for row in single]))


def test_augmentation_and_wording_depend_on_seed_epoch_and_row_alone(checkpoint: Callable[[str], Path]) -> None:
    row, other = rows()[:2]
    first = encoder_of(checkpoint, "qwen2_5_vl", augment=True)
    again = encoder_of(checkpoint, "qwen2_5_vl", augment=True)
    first.encode(other, 0)
    a, b = first.encode(row, 3), again.encode(row, 3)
    assert all(torch.equal(a[name], b[name]) for name in a)
    seen = [augmented(row.sample.pixels(), rng_of(seed, epoch, row.id))[0] for seed in (0, 1) for epoch in (0, 1)]
    assert all(x.shape != y.shape or (x != y).any() for k, x in enumerate(seen) for y in seen[:k])


@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl", "florence2", "gemma3"])
def test_a_box_lies_on_the_same_pixels_after_augmentation(checkpoint: Callable[[str], Path], family: str) -> None:
    encoder = encoder_of(checkpoint, family, augment=True)

    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.integers(40, 200), st.integers(40, 200), st.integers(0, 10**6), st.data())
    def check(width: int, height: int, epoch: int, data: st.DataObject) -> None:
        x0, y0 = data.draw(st.integers(0, width - 10)), data.draw(st.integers(0, height - 10))
        x1, y1 = data.draw(st.integers(x0 + 8, width)), data.draw(st.integers(y0 + 8, height))
        pixels = np.zeros((height, width, 3), np.uint8)
        pixels[y0:y1, x0:x1] = 200
        found = LabelledBox(label="square", box_xyxy_px=(x0, y0, x1, y1))
        ask = Ask(Query(task="detect", label="square"), BoxesTarget(boxes=(found,)))
        row = Row("squares/0/0", "detect", Sample("0", "0", "other", lambda: pixels), ask)
        shown, to_shown = augmented(pixels, rng_of(0, epoch, row.id))
        _, answer = encoder.texts(row, shown.shape, epoch, to_shown)
        to_model = encoder.processor.fit(shown.shape[1], shown.shape[0])
        parsed = encoder.dialect.parse(ask.query, answer, to_model)
        ys, xs = shown[..., 0].nonzero()
        bright = (float(xs.min()), float(ys.min()), float(xs.max() + 1), float(ys.max() + 1))
        meant = BoxesTarget(boxes=(LabelledBox(label="square", box_xyxy_px=bright),))
        assert parsed.target is not None
        half_step = encoder.dialect.grid.half_step_px(to_model)
        assert difference(meant, parsed.target, half_step).agrees, (meant, parsed.target)

    check()


def test_items_go_through_the_epochs_row_by_row(checkpoint: Callable[[str], Path]) -> None:
    data = Epochs(rows(), encoder_of(checkpoint, "qwen2_5_vl", seed=4), 20)
    drawn = [data.row(k) for k in (13, 2, 0, 7, 13)]  # in any order, as several processes ask
    assert [epoch for _, epoch in drawn] == [2, 0, 0, 1, 2]
    assert drawn[0] == drawn[-1]
    for epoch in range(3):
        assert sorted(data.row(6 * epoch + k)[0].id for k in range(6)) == sorted(row.id for row in rows())
