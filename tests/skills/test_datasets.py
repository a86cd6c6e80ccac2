"""The data sets: what the readers give agrees with the files, and with what their publishers say of them."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy.special import ellipe

from fiducial.skills.datasets.bccd import LABELS, open_bccd
from fiducial.skills.datasets.distractors import draw_distractor, drawn, real
from fiducial.skills.datasets.hc18 import ellipse_of_mask, open_hc18
from fiducial.skills.datasets.phantoms import open_phantoms, sample_of
from fiducial.skills.datasets.sample import Sample, held_out
from fiducial.skills.datasets.voc import read_voc
from fiducial.skills.training.embedded.corpus import corpus
from fiducial.tools.errors import InputError
from fiducial.tools.hooks import registry

VOC = """<annotation><size><width>640</width><height>480</height></size>
<object><name>WBC</name><bndbox><xmin>260</xmin><ymin>177</ymin><xmax>491</xmax><ymax>376</ymax></bndbox></object>
<object><name>RBC</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>78</xmax><ymax>90</ymax></bndbox></object>
<object><name>RBC</name><bndbox><xmin>0</xmin><ymin>0</ymin><xmax>0</xmax><ymax>0</ymax></bndbox></object>
<object><name>Platelets</name><bndbox><xmin>90</xmin><ymin>20</ymin><xmax>80</xmax><ymax>60</ymax></bndbox></object>
</annotation>"""


def circumference_mm(sample: Sample) -> float:
    """The perimeter of the head's ellipse by the complete elliptic integral of the second kind."""
    ellipse = sample.objects[0].ellipse_px
    assert ellipse is not None
    assert sample.scale is not None
    a, b = ellipse.semi_major_px, ellipse.semi_minor_px
    return float(4 * a * ellipe(1 - (b / a) ** 2)) * sample.scale.row_mm


def test_voc_boxes_become_corner_coordinates_and_empty_ones_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(VOC)
    found = [(o.label, o.box_xyxy_px) for o in read_voc(tmp_path / "a.xml", LABELS)[0]]
    assert found == [("white_cell", (259, 176, 491, 376)), ("red_cell", (0, 0, 78, 90))]


def test_a_set_without_its_list_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"val\.txt is missing"):
        list(open_bccd(tmp_path, "val"))


@pytest.mark.parametrize(("split", "count"), [("train", 205), ("val", 87)])
def test_bccd_on_its_real_files(data_folder: Path, split: str, count: int) -> None:
    samples = list(registry().datasets["bccd"].open(data_folder / "bccd", split))
    assert len({sample.id for sample in samples}) == len(samples) == count
    boxes = np.array([o.box_xyxy_px for sample in samples for o in sample.objects])
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    assert (boxes >= 0).all()
    assert (boxes <= [640, 480, 640, 480]).all()
    assert samples[0].pixels().shape == (480, 640, 3)
    kinds = Counter(o.label for sample in samples for o in sample.objects)
    assert kinds["red_cell"] > kinds["white_cell"] >= 0.95 * count
    assert all(sample.scale is None for sample in samples)


def test_bccd_splits_share_no_image(data_folder: Path) -> None:
    train, val = ({s.group for s in open_bccd(data_folder / "bccd", split)} for split in ("train", "val"))
    assert not train & val


def test_hc18_on_its_real_files(data_folder: Path) -> None:
    with (data_folder / "hc18" / "pixel_size_and_hc.csv").open(newline="") as rows:
        truth_mm = {row["filename"]: float(row["head circumference (mm)"]) for row in csv.DictReader(rows)}
    samples = list(open_hc18(data_folder / "hc18", "val"))
    assert len(samples) == 78
    errors = np.array([circumference_mm(sample) - truth_mm[sample.id] for sample in samples])
    assert np.abs(errors).max() <= 0.25
    for sample in samples:
        x0, y0, x1, y1 = sample.objects[0].box_xyxy_px
        assert x0 < x1
        assert y0 < y1
    assert samples[0].pixels().shape == (540, 800, 3)


def test_hc18_splits_share_no_examination(data_folder: Path) -> None:
    lists = [(data_folder / "hc18" / f"{split}.txt").read_text().split() for split in ("train", "val")]
    train, val = ({name.split("_")[0] for name in names} for names in lists)
    assert [len(names) for names in lists] == [325, 78]
    assert not train & val


def test_a_drawn_mask_gives_back_its_ellipse_without_the_annotators_line() -> None:
    y, x = np.mgrid[:540, :800] + 0.5
    t = np.deg2rad(30)
    u, v = (x - 410) * np.cos(t) + (y - 260) * np.sin(t), (y - 260) * np.cos(t) - (x - 410) * np.sin(t)
    mask = ((u / 201.5) ** 2 + (v / 151.5) ** 2 < 1).astype(np.uint8)
    mask[5:9, 5:9] = 1  # a speck
    found = ellipse_of_mask(mask)
    assert found.center_xy_px == pytest.approx((410, 260), abs=0.1)
    assert (found.semi_major_px, found.semi_minor_px) == pytest.approx((200, 150), abs=0.1)
    assert found.angle_deg == pytest.approx(30, abs=0.2)


def test_what_is_kept_back_is_near_its_share_and_goes_by_the_group() -> None:
    kept = [held_out(f"examination-{i}") for i in range(20_000)]
    assert np.mean(kept) == pytest.approx(0.15, abs=0.01)
    assert kept == [held_out(f"examination-{i}") for i in range(20_000)]


def test_fit_and_calibration_share_no_group(data_folder: Path, tmp_path: Path) -> None:
    for name in ("bccd", "dsb2018", "vqa_rad"):
        (tmp_path / name).symlink_to(data_folder / name)
    parts = {part: list(corpus(tmp_path, "train", part, phantoms=4, drawn=4)) for part in ("fit", "calibrate", None)}
    groups = [{s.group for s in parts[part]} for part in ("fit", "calibrate")]
    assert not groups[0] & groups[1]
    assert len(parts["fit"]) + len(parts["calibrate"]) == len(parts[None]) == 205 + 160 + 89 + 8
    assert 0.1 < len(parts["calibrate"]) / len(parts[None]) < 0.2
    assert {s.kind for s in parts[None] if s.real} == {
        "blood_smear", "nuclei_fluorescence", "nuclei_he", "radiology"
    }  # fmt: skip


def test_the_share_of_examinations_that_is_kept_back(data_folder: Path) -> None:
    names = (data_folder / "hc18" / "train.txt").read_text().split()
    assert 0.1 < np.mean([held_out(name.split("_")[0]) for name in names]) < 0.2


def test_phantoms_have_their_objects_inside() -> None:
    kinds = Counter()
    for seed in (*range(2_000_000, 2_000_006), 2_000_010):
        sample = sample_of(seed)
        height, width = sample.pixels().shape[:2]
        kinds[sample.kind] += 1
        assert not sample.real
        assert sample.scale is not None
        for o in sample.objects:
            x0, y0, x1, y1 = o.box_xyxy_px
            assert max(x0, 0) < min(x1, width), o
            assert max(y0, 0) < min(y1, height), o
            overlap = (min(x1, width) - max(x0, 0)) * (min(y1, height) - max(y0, 0))
            assert overlap > 0.3 * (x1 - x0) * (y1 - y0), o  # a cell that is cut keeps the box of its whole outline
        assert bool(sample.of("head")) == (sample.kind == "head_ultrasound" and seed % 10 != 0)
    assert kinds == {"blood_smear": 3, "head_ultrasound": 4}
    assert not {s.id for s in open_phantoms(None, "train", 3)} & {s.id for s in open_phantoms(None, "val", 3)}


def test_a_drawn_distractor_is_a_function_of_its_seed() -> None:
    pictures = [draw_distractor(seed) for seed in range(8)]
    assert all(p.shape == (360, 480, 3) and p.dtype == np.uint8 for p in pictures)
    assert all(np.array_equal(p, draw_distractor(seed)) for seed, p in enumerate(pictures))
    assert len({p.tobytes() for p in pictures}) == 8
    assert [s.id for s in drawn(2, 10)] == ["distractor-10", "distractor-11"]


def test_real_distractors_have_no_object_of_ours(data_folder: Path, tmp_path: Path) -> None:
    found = list(real(data_folder, "val"))
    assert len(found) == 22
    assert all(s.kind == "radiology" and not s.objects and s.real for s in found)
    assert found[0].pixels().ndim == 3
    assert list(real(tmp_path, "val")) == []
