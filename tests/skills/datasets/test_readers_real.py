"""The readers on the real files that lie beside the clone."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PILImage

from fiducial.skills.datasets.objects import asks_of
from fiducial.tools.geometry.polygons import polygon_area
from fiducial.tools.hooks import registry


def opened(data_folder: Path, name: str, split: str) -> list:
    return list(registry().datasets[name].open(data_folder / name, split))


# Of every name and box of a split, as the embedded model was trained on them.
BCCD_SHA256 = {
    "train": "9d6d19db5cf59606989c5a5e90aabafdaab622d54cf86e8975bd81caf488f6d7",
    "val": "20ee30537344d13f156d4b71c41dd7a42a1a2f02df75dedeb9e5afb3744275b3",
}


@pytest.mark.parametrize("split", ["train", "val"])
def test_bccd_is_what_the_embedded_model_was_trained_on_and_says_what_it_left_out(
    data_folder: Path, split: str
) -> None:
    samples, digest = opened(data_folder, "bccd", split), hashlib.sha256()
    for s in samples:
        digest.update(repr((s.id, s.objects)).encode())
    assert digest.hexdigest() == BCCD_SHA256[split]
    with PILImage.open(data_folder / "bccd" / "JPEGImages" / f"{samples[0].id}.jpg") as image:
        assert np.array_equal(samples[0].pixels(), np.asarray(image))
    problems = [p for s in samples for p in s.problems]
    assert len(problems) == 1
    assert all(p.kind == "empty box" and ("00343" in p.detail or "00338" in p.detail) for p in problems)


def test_dsb2018_has_every_nucleus_once(data_folder: Path) -> None:
    for sample in islice(registry().datasets["dsb2018"].open(data_folder / "dsb2018", "val"), 15):
        with PILImage.open(data_folder / "dsb2018" / "labels" / sample.id) as labels:
            values = np.asarray(labels)
        assert len(sample.objects) + len(sample.problems) == len(np.unique(values)) - 1
        height, width = sample.pixels().shape[:2]
        assert values.shape == (height, width)
        for item in sample.objects:
            x0, y0, x1, y1 = item.box_xyxy_px
            assert 0 <= x0 < x1 <= width
            assert 0 <= y0 < y1 <= height
            outline = np.array(item.polygon_xy_px)
            assert (outline >= [x0, y0]).all()
            assert (outline <= [x1, y1]).all()
        areas = [polygon_area(item.polygon_xy_px) for item in sample.objects]
        assert sum(areas) == pytest.approx((values > 0).sum(), rel=0.05)


def test_vqa_rad_has_every_question_once_and_no_image_in_two_splits(data_folder: Path) -> None:
    rows = {str(row["qid"]): row for row in json.loads((data_folder / "vqa_rad" / "train.json").read_text())}
    parts = {split: opened(data_folder, "vqa_rad", split) for split in ("train", "val")}
    assert {s.id for part in parts.values() for s in part} == set(rows)
    assert not {s.image_name for s in parts["train"]} & {s.image_name for s in parts["val"]}
    assert [len({s.group for s in parts[split]}) for split in ("train", "val")] == [89, 22]
    choices = Counter(ask.query.task for part in parts.values() for s in part for ask in asks_of(s))
    assert choices["choose"] == sum(str(row["answer"]).strip().lower() in ("yes", "no") for row in rows.values())
    assert choices["answer"] == len(rows) - choices["choose"]
    assert parts["val"][0].pixels().shape[2] == 3


def test_hc18_heads_are_measured_in_millimetres(data_folder: Path) -> None:
    sample = next(iter(registry().datasets["hc18"].open(data_folder / "hc18", "val")))
    asks = list(asks_of(sample, ["measure_size", "count"]))
    assert [ask.query.task for ask in asks] == ["count", "measure_size"]
    assert [n.unit for n in asks[1].target.numbers] == ["mm", "mm"]
    assert asks[1].target.numbers[0].value >= asks[1].target.numbers[1].value > 10
    assert asks[0].target.count == 1
