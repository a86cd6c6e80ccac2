"""M3D-Seg and MedVision on small volumes in the published layouts: where a voxel is, and how large it is."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy import sparse

from fiducial.skills.datasets.m3d_seg import open_m3d_seg
from fiducial.skills.datasets.medvision import open_medvision
from fiducial.tools.errors import InputError

SHAPE = (3, 20, 24, 8)  # class, x, y, z


@pytest.fixture
def m3d_seg(tmp_path: Path) -> Path:
    mask = np.zeros(SHAPE, np.uint8)
    mask[0, 3:7, 10:20, 2:5] = 1
    mask[2, 19, 23, 7] = 1
    case = tmp_path / "0012" / "1"
    case.mkdir(parents=True)
    image = np.random.default_rng(0).random((1, *SHAPE[1:])).astype(np.float32)
    image[0, 5, 11, 4] = 9
    np.save(case / "image.npy", image)
    name = f"mask_{SHAPE}.npz"
    sparse.save_npz(case / name, sparse.csr_matrix(mask.reshape(SHAPE[0], -1)))
    row = {"image": "0012/1/image.npy", "label": f"0012/1/{name}"}
    (tmp_path / "0012" / "0012.json").write_text(json.dumps({"train": [row], "test": []}))
    classes = {"0012": {"0": "liver", "1": "liver tumour", "2": "spleen"}}
    (tmp_path / "dataset_info.json").write_text(json.dumps(classes))
    return tmp_path


def test_m3d_seg_boxes_are_half_open_and_an_absent_class_has_none(m3d_seg: Path) -> None:
    (sample,) = open_m3d_seg(m3d_seg, "train")
    found = {ask.query.label: [b.box_xyzxyz_voxel for b in ask.target.boxes] for ask in sample.asks}
    assert found == {"liver": [(3, 10, 2, 7, 20, 5)], "liver tumour": [], "spleen": [(19, 23, 7, 20, 24, 8)]}
    assert {ask.query.image_count for ask in sample.asks} == {8}
    assert sample.volume().shape == (8, 24, 20)
    assert sample.pixels()[11, 5, 0] == 255  # x 5, y 11 of the middle slice
    assert sample.scale is None


def test_bad_m3d_seg_files_are_one_sentence(m3d_seg: Path) -> None:
    table = m3d_seg / "0012" / "0012.json"
    mask = next((m3d_seg / "0012" / "1").glob("mask*"))
    for name in ("mask.npz", "mask_(3, 0, 2, 2).npz", "mask_(__import__('os'),).npz"):
        mask = mask.rename(mask.with_name(name))
        table.write_text(json.dumps({"train": [{"image": "0012/1/image.npy", "label": f"0012/1/{name}"}]}))
        with pytest.raises(InputError, match="does not hold a shape"):
            list(open_m3d_seg(m3d_seg, "train"))
    name = "mask_(3, 2, 2, 2).npz"
    mask.rename(mask.with_name(name))
    table.write_text(json.dumps({"train": [{"image": "0012/1/image.npy", "label": f"0012/1/{name}"}]}))
    with pytest.raises(InputError, match="cannot read the mask"):
        list(open_m3d_seg(m3d_seg, "train"))
    (m3d_seg / "dataset_info.json").write_text("{}")
    with pytest.raises(InputError, match="names no classes of '0012'"):
        list(open_m3d_seg(m3d_seg, "train"))


ROW = {
    "taskID": "01", "label": "kidney tumor", "image_file": "images/a.nii.gz", "mask_file": "masks/a.nii.gz",
    "slice_dim": 2, "slice_idx": 3, "image_size_2d": [30, 40],
    "bounding_boxes": {"min_coords": [5, 10], "max_coords": [9, 19], "dimensions": [5, 10]},
    "biometric_profile": {"metric_type": "distance", "metric_map_name": "m", "metric_key": "L-1-2", "metric_unit": "mm",
                          "metric_value": 31.5},
}  # fmt: skip
AXES = {"metric_type": "tumor", "metric_unit": "mm", "metric_value_major_axis": [8.5], "metric_value_minor_axis": [4]}


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    data = np.zeros((30, 40, 8), np.float32)
    data[5:10, 10:20, 3] = 1
    nib.save(nib.Nifti1Image(data, np.diag([0.5, 0.75, 2.0, 1])), tmp_path / "images" / "a.nii.gz")
    return tmp_path


def write_plan(root: Path, plan: object) -> None:
    with gzip.open(root / "benchmark_plan_biometry_v1.0.0.json.gz", "wt") as file:
        json.dump(plan, file)


def test_medvision_boxes_have_rows_first_and_the_files_spacing(volume: Path) -> None:
    write_plan(volume, [ROW, ROW | {"biometric_profile": AXES, "bounding_boxes": None}])
    first, second = open_medvision(volume, "all")
    (x0, y0, x1, y1) = first.asks[0].target.boxes[0].box_xyxy_px
    assert (x0, y0, x1, y1) == (10, 5, 20, 10)
    assert first.pixels()[int(y0), int(x0), 0] == 255
    assert first.pixels()[..., 0].sum() == 255 * 50
    assert (first.scale.row_mm, first.scale.column_mm, first.scale.slice_mm) == (0.5, 0.75, 2.0)
    tasks = {ask.query.task: ask for ask in first.asks}
    assert tasks["measure_distance"].target.numbers[0].value == 31.5
    assert list(tasks) == ["detect", "measure_distance"]
    assert [(n.name, n.value, n.unit) for n in second.asks[0].target.numbers] == [
        ("major axis", 8.5, "mm"), ("minor axis", 4.0, "mm"),
    ]  # fmt: skip
    assert second.asks[0].query.scale == first.scale
    assert first.group == second.group == "images/a.nii.gz"


def test_medvision_volumes_in_micrometres_have_their_spacing_in_mm(volume: Path) -> None:
    image = nib.Nifti1Image(np.zeros((30, 40, 8), np.float32), np.diag([50, 75, 200, 1]))
    image.header.set_xyzt_units("micron")
    nib.save(image, volume / "images" / "b.nii.gz")
    write_plan(volume, [ROW | {"image_file": "images/b.nii.gz"}])
    (sample,) = open_medvision(volume, "all")
    assert (sample.scale.row_mm, sample.scale.column_mm, sample.scale.slice_mm) == pytest.approx((0.05, 0.075, 0.2))


def test_a_nested_medvision_plan_gives_the_same_rows(volume: Path) -> None:
    entry = {key: ROW[key] for key in ("slice_idx", "bounding_boxes", "biometric_profile")} | {"label": 1}
    case = {
        "case_ID": "a", "image_file": "images/a.nii.gz", "image_file_info": {"array_size": [30, 40, 8]},
        "slice_profiles_z": [entry],
    }  # fmt: skip
    task = {"task_ID": "01", "labels_map": {"1": "kidney tumor"}, "train_cases": [case], "test_cases": []}
    write_plan(volume, {"dataset_info": {}, "tasks_number": 1, "tasks": [task]})
    (nested,) = open_medvision(volume, "train")
    assert list(open_medvision(volume, "test")) == []
    write_plan(volume, [ROW])
    (flat,) = open_medvision(volume, "all")
    assert nested.asks == flat.asks
    assert len(flat.asks) == 2


def test_odd_medvision_rows_are_reported_or_refused(volume: Path) -> None:
    boxes = {"min_coords": [5, 10], "max_coords": [9, 19], "dimensions": [50, 10]}
    profile = ROW["biometric_profile"] | {"metric_unit": "furlong"}
    write_plan(volume, [ROW | {"bounding_boxes": boxes, "biometric_profile": profile}])
    (sample,) = open_medvision(volume, "all")
    assert ([p.kind for p in sample.problems], sample.asks) == (["mismatch", "mismatch"], ())
    write_plan(volume, [ROW | {"slice_dim": 3}])
    with pytest.raises(InputError, match="row 1: the field 'slice_dim'"):
        list(open_medvision(volume, "all"))
    write_plan(volume, [ROW | {"slice_idx": 99}])
    (sample,) = open_medvision(volume, "all")
    with pytest.raises(InputError, match="slice 99"):
        sample.pixels()
    (volume / "images" / "a.nii.gz").unlink()
    (sample,) = open_medvision(volume, "all")
    assert sample.scale is None
