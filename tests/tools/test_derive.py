"""Derivations from label volumes: against nibabel and plain numpy, skimage a slice, analytic bodies, and bad files."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest
from skimage.measure import regionprops
from typer.testing import CliRunner

from fiducial.cli import app
from fiducial.tools.derive.derive import derive, planes_of, slice_rows
from fiducial.tools.derive.grid import in_grid_of
from fiducial.tools.derive.label_volume import LabelVolume, read_frame, read_labels
from fiducial.tools.derive.landmarks import Metrics, landmark_metrics
from fiducial.tools.errors import InputError
from fiducial.tools.frames import nifti_map
from fiducial.tools.images.open_image import open_image
from fiducial.tools.images.volume import PLANES

NIFTI = Path(__file__).parents[3] / "shared" / "data" / "ct" / "nifti"
real = pytest.mark.skipif(not NIFTI.exists(), reason="the CT volume of ../shared/data/ct/nifti is not here")
DICOM = NIFTI.parent / "dicom"
needs_dicom = pytest.mark.skipif(not DICOM.exists(), reason="the CT series of ../shared/data/ct/dicom is not here")
SHEARED = np.array([[-1.9, 0.2, 0.1, 30], [0.25, 1.4, -0.3, -20], [0.1, 0.2, 3.0, 5], [0, 0, 0, 1]])
OBLIQUE = np.eye(4)
OBLIQUE[:3, :3] = np.linalg.qr(SHEARED[:3, :3])[0] @ np.diag([1.9, 1.4, 3.0])
OBLIQUE[:3, 3] = 30, -20, 5
LPS = np.diag([-1.0, -1.0, 1.0])


def volume_of(labels: np.ndarray, affine: np.ndarray) -> LabelVolume:
    return LabelVolume(labels, nifti_map(affine))


def saved(path: Path, array: np.ndarray, affine: np.ndarray) -> Path:
    image = nibabel.Nifti1Image(array, affine)
    image.header.set_xyzt_units("mm")
    image.set_qform(affine)
    nibabel.save(image, path)
    return path


def independent(labels: np.ndarray, affine: np.ndarray, label: int) -> dict[str, Any]:
    """By nibabel and numpy alone, voxel by voxel, in RAS as the affine has it, then turned to LPS."""
    index = np.argwhere(labels == label)
    steps = np.array([(i, j, k) for i in (-0.5, 0.5) for j in (-0.5, 0.5) for k in (-0.5, 0.5)])
    corners = (index[:, None] + steps).reshape(-1, 3)
    world = nibabel.affines.apply_affine(affine, corners) @ LPS
    centres = nibabel.affines.apply_affine(affine, index) @ LPS
    spread = np.cov(centres, rowvar=False, bias=True).reshape(3, 3) + affine[:3, :3] @ affine[:3, :3].T / 12 * np.outer(
        np.diag(LPS), np.diag(LPS)
    )
    axes = 2 * np.sqrt(5 * np.clip(np.linalg.eigvalsh(spread)[::-1], 0, None))
    return {
        "volume": len(index) * np.prod(nibabel.affines.voxel_sizes(affine)) if _straight(affine) else None,
        "box": [*world.min(axis=0), *world.max(axis=0)],
        "centroid": centres.mean(axis=0),
        "axes": axes,
    }


def _straight(affine: np.ndarray) -> bool:
    return np.count_nonzero(affine[:3, :3]) == 3


def blobs(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    labels = np.zeros((24, 31, 17), np.int16)
    for number in range(1, 7):
        i, j, k = (rng.integers(2, side - 2) for side in labels.shape)
        grid = np.indices(labels.shape)
        radius = rng.uniform(1.5, 6, 3)
        labels[sum(((g - c) / r) ** 2 for g, c, r in zip(grid, (i, j, k), radius, strict=True)) <= 1] = number
    return labels


def compare(labels: np.ndarray, affine: np.ndarray) -> int:
    found = derive(volume_of(labels, affine), recist=False)
    assert [f.label for f in found] == [n for n in np.unique(labels) if n]
    for f in found:
        expected = independent(labels, affine, f.label)
        if expected["volume"] is not None:
            assert f.volume_mm3 == pytest.approx(expected["volume"], rel=1e-6)
        assert np.allclose(f.box_xyzxyz_mm, expected["box"], rtol=1e-6, atol=1e-6)
        assert np.allclose(f.centroid_mm, expected["centroid"], rtol=1e-6, atol=1e-6)
        assert np.allclose(f.axes_mm, expected["axes"], rtol=1e-6, atol=1e-5)
    return len(found)


@pytest.mark.parametrize("affine", [np.diag([2.0, 3, 4, 1]), np.diag([-2.0, -3, 4, 1]), OBLIQUE, SHEARED])
def test_volumes_boxes_and_axes_equal_numpy(affine: np.ndarray) -> None:
    assert compare(blobs(), affine) >= 5


@real
def test_organs_of_a_ct_equal_numpy() -> None:
    image = nibabel.load(NIFTI / "example_seg.nii.gz")
    labels = np.asarray(image.dataobj).astype(np.int32)
    assert compare(labels, image.affine) == 41


@pytest.mark.parametrize("affine", [np.diag([-2.0, -3, 4, 1]), OBLIQUE])
def test_slices_equal_regionprops_in_three_planes(affine: np.ndarray) -> None:
    labels = blobs(1)
    volume = volume_of(labels, affine)
    planes = planes_of(labels.shape, volume.voxels)
    assert list(planes) == list(PLANES)
    rows = {
        (r["plane"], r["slice"], r["label"]): r for f in derive(volume, recist=False) for r in slice_rows(f, planes)
    }
    seen = 0
    for name, plane in planes.items():
        across, x, y = plane.axes
        for index in range(labels.shape[across]):
            cut = np.take(labels, index, axis=across)
            cut = cut.T if x < y else cut
            for region in regionprops(cut):
                row = rows[name, index, region.label]
                seen += 1
                y0, x0, y1, x1 = region.bbox
                assert row["box_xyxy_px"] == [x0, y0, x1, y1]
                assert row["area_mm2"] == pytest.approx(region.area * plane.row_mm * plane.column_mm)
                assert row["center_xy_px"] == pytest.approx([region.centroid[1] + 0.5, region.centroid[0] + 0.5])
                inner = np.argwhere(cut == region.label) * (plane.row_mm, plane.column_mm)
                spread = np.cov(inner, rowvar=False, bias=True).reshape(2, 2)
                spread += np.diag([plane.row_mm**2, plane.column_mm**2]) / 12
                axes = 4 * np.sqrt(np.linalg.eigvalsh(spread)[::-1])
                assert row["ellipse_axes_mm"] == pytest.approx(axes.tolist(), rel=1e-6, abs=1e-4)
    assert seen == len(rows) > 50


def test_a_slice_of_the_derivation_is_the_slice_that_is_opened(tmp_path: Path) -> None:
    labels = blobs(2)
    path = saved(tmp_path / "labels.nii.gz", labels, OBLIQUE)
    volume = read_labels(path)
    assert np.array_equal(volume.labels, labels)
    for fits in derive(volume, recist=False):
        for row in slice_rows(fits, planes_of(labels.shape, volume.voxels)):
            if row["slice"] % 5 == 0:
                image = open_image(path, plane=row["plane"], index=row["slice"])
                assert image.values is not None
                y, x = np.nonzero(image.values == fits.label)
                assert row["box_xyxy_px"] == [x.min(), y.min(), x.max() + 1, y.max() + 1]


def test_an_ellipsoid_has_its_axes() -> None:
    grid = np.indices((60, 80, 40)) - np.array([30, 40, 20]).reshape(3, 1, 1, 1) + 0.2
    body = (grid[0] * 1.0 / 25) ** 2 + (grid[1] * 0.5 / 15) ** 2 + (grid[2] * 2.0 / 30) ** 2 <= 1
    (fits,) = derive(volume_of(body.astype(np.uint8), np.diag([1.0, 0.5, 2.0, 1.0])))
    assert fits.axes_mm == pytest.approx((60, 50, 30), rel=0.01)
    assert fits.volume_mm3 == pytest.approx(4 / 3 * math.pi * 25 * 15 * 30, rel=0.01)
    index, (long, short) = fits.greatest["axial"]
    assert index in (19, 20)
    assert (long, short) == pytest.approx((50, 30), abs=1.5)  # a pixel: corners, not centres


def test_labels_of_any_number_and_a_volume_without_background() -> None:
    labels = np.full((3, 4, 5), 2_000_000_000, np.int32)
    labels[0] = 7
    found = derive(volume_of(labels, np.eye(4)))
    assert [(f.label, f.voxels) for f in found] == [(7, 20), (2_000_000_000, 40)]
    assert derive(volume_of(np.zeros((3, 3, 3), np.uint8), np.eye(4))) == []


# --- landmarks --------------------------------------------------------------------------------------------------------


def test_distances_and_angles_of_landmarks() -> None:
    points = {1: (0.0, 0, 0), 2: (3.0, 4, 12), 3: (5.0, 0, 0), 4: (0.0, 0, 7)}
    metrics = Metrics.model_validate({"distances": {"d": [1, 2]}, "angles": {"a": [3, 1, 4], "b": [[1, 3], [1, 4]]}})
    rows = landmark_metrics(points, metrics)
    assert [(r["name"], r["unit"]) for r in rows] == [("d", "mm"), ("a", "deg"), ("b", "deg")]
    assert [r["value"] for r in rows] == pytest.approx([13, 90, 90])
    with pytest.raises(InputError, match="label 9"):
        landmark_metrics(points, Metrics(distances={"d": (1, 9)}))
    with pytest.raises(InputError, match="coincide"):
        landmark_metrics(points | {9: points[1]}, Metrics(angles={"a": (9, 1, 2)}))


# --- files and the command --------------------------------------------------------------------------------------------


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["data", "derive", *map(str, arguments)])


def test_the_command_prints_a_table_one_document_or_lines(tmp_path: Path) -> None:
    labels = saved(tmp_path / "labels.nii.gz", blobs(), OBLIQUE)
    image = saved(tmp_path / "ct.nii", np.zeros(blobs().shape, np.int16), OBLIQUE)
    metrics = tmp_path / "metrics.json"
    metrics.write_text('{"distances": {"apart": [1, 2]}}')
    result = run(image, labels, "--json", "--metrics", metrics, "--out", tmp_path / "slices.jsonl")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    found = derive(volume_of(blobs(), OBLIQUE))
    assert [f["label"] for f in document["found"]] == [f.label for f in found]
    assert document["found"][0]["volume_mm3"] == pytest.approx(found[0].volume_mm3, rel=1e-5)
    assert document["metrics"][0]["value"] == pytest.approx(
        math.dist(found[0].centroid_mm, found[1].centroid_mm), rel=1e-5
    )
    rows = [json.loads(line) for line in (tmp_path / "slices.jsonl").read_text().splitlines()]
    assert {row["plane"] for row in rows} == set(PLANES)
    table = run(image, labels)
    assert table.exit_code == 0
    assert len(table.stdout.splitlines()) == 1 + len(found)
    assert "ellipsoid mm" in table.stdout  # an axis of its moments, which may be longer than the object


def test_unusable_volumes_get_one_sentence(tmp_path: Path) -> None:
    labels = saved(tmp_path / "labels.nii.gz", blobs(), OBLIQUE)
    cases = {
        "no such file": (labels, tmp_path / "none.nii"),
        "not labels": (labels, saved(tmp_path / "half.nii", blobs() + 0.5, OBLIQUE)),
        "whole numbers from 0": (labels, saved(tmp_path / "minus.nii", blobs() - 1, OBLIQUE)),
        "along a fourth axis": (labels, saved(tmp_path / "4d.nii", np.zeros((3, 3, 3, 2), np.int16), OBLIQUE)),
        "no label but 0": (labels, saved(tmp_path / "empty.nii", blobs() * 0, OBLIQUE)),
        "voxels, but": (saved(tmp_path / "small.nii", blobs()[1:], OBLIQUE), labels),
        "not perpendicular": (labels, saved(tmp_path / "sheared.nii", blobs(), SHEARED)),
        "mm apart": (saved(tmp_path / "moved.nii", blobs(), OBLIQUE + np.eye(4)[:, [3, 1, 2, 0]] * 0.9), labels),
    }
    junk = tmp_path / "junk.nii"
    junk.write_bytes(b"\x00" * 400)
    cases["cannot read"] = (labels, junk)
    for sentence, (image, mask) in cases.items():
        result = run(image, mask)
        assert isinstance(result.exception, InputError), (sentence, result.output)
        assert sentence in str(result.exception)
        assert "\n" not in str(result.exception)
    bad = tmp_path / "metrics.json"
    bad.write_text('{"distances": {"d": [1]}}')
    assert "names no measurements" in str(run(labels, labels, "--metrics", bad).exception)
    assert "cannot write" in str(run(labels, labels, "--out", tmp_path / "no" / "such").exception)


@pytest.mark.parametrize("turn", [(0, 1, 2), (2, 0, 1), (1, 0, 2)])
@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, 1, -1)])
def test_axes_in_another_order_or_direction_are_the_same_voxels(
    tmp_path: Path, turn: tuple[int, ...], signs: tuple[int, ...]
) -> None:
    image = saved(tmp_path / "image.nii", blobs() * 0, OBLIQUE)
    orientation = np.column_stack([turn, signs])
    stored = nibabel.Nifti1Image(blobs(), OBLIQUE).as_reoriented(orientation)
    mask = read_labels(saved(tmp_path / "turned.nii", np.asarray(stored.dataobj), stored.affine))
    again = in_grid_of(image, tmp_path / "turned.nii", mask)
    assert np.array_equal(again.labels, blobs())
    assert again.voxels.matrix == pytest.approx(nifti_map(OBLIQUE).matrix, abs=1e-4)


def test_nrrd_and_nifti_of_one_volume_give_the_same(tmp_path: Path) -> None:
    nrrd = pytest.importorskip("nrrd", reason="needs the extra nrrd")
    lps = np.diag([-1.0, -1, 1, 1]) @ OBLIQUE
    place = {"space": "left-posterior-superior", "space directions": lps[:3, :3].T, "space origin": lps[:3, 3]}
    nrrd.write(str(tmp_path / "labels.seg.nrrd"), blobs(), place)
    nifti = saved(tmp_path / "labels.nii.gz", blobs(), OBLIQUE)
    for image, labels in ((nifti, tmp_path / "labels.seg.nrrd"), (tmp_path / "labels.seg.nrrd", nifti)):
        document = json.loads(run(image, labels, "--json").stdout)
        expected = derive(volume_of(blobs(), OBLIQUE))
        assert [f["box_ijk"] for f in document["found"]] == [list(f.box_ijk) for f in expected]
        assert document["found"][0]["volume_mm3"] == pytest.approx(expected[0].volume_mm3, rel=1e-5)


@needs_dicom
def test_the_real_series_with_its_dicom_segmentation(tmp_path: Path) -> None:
    result = run(DICOM, DICOM / "liver.dcm", "--json", "--out", tmp_path / "slices.jsonl")
    assert result.exit_code == 0, result.output
    (found,) = json.loads(result.stdout)["found"]
    ours = pydicom.dcmread(DICOM / "liver.dcm")
    masks = ours.pixel_array.astype(bool)  # its frames, read by pydicom
    row, column = (float(v) for v in ours.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing)
    heights = sorted(float(pydicom.dcmread(DICOM / f"0{n}.dcm").ImagePositionPatient[2]) for n in (1, 2, 3))
    step = (heights[-1] - heights[0]) / 2
    assert found["voxels"] == masks.sum()
    assert found["volume_mm3"] == pytest.approx(masks.sum() * row * column * step, rel=1e-5)
    places = [np.nonzero(mask) for mask in masks]
    assert found["box_ijk"][0] == min(int(x.min()) for _, x in places if x.size)
    assert found["box_ijk"][4] == 1 + max(int(y.max()) for y, _ in places if y.size)
    assert found["box_xyzxyz_mm"][2] == pytest.approx(heights[0] - step / 2, abs=1e-3)
    rows = [json.loads(line) for line in (tmp_path / "slices.jsonl").read_text().splitlines()]
    largest = max((row for row in rows if row["plane"] == "axial"), key=lambda row: row["area_mm2"])
    opened = open_image(DICOM / "liver.dcm", index=largest["slice"]).values
    assert opened is not None
    assert largest["area_mm2"] == pytest.approx((opened > 0).sum() * row * column, rel=1e-5)


@needs_dicom
def test_a_segmentation_of_some_slices_is_placed_in_its_series(tmp_path: Path) -> None:
    whole = in_grid_of(DICOM, DICOM / "liver.dcm", read_labels(DICOM / "liver.dcm"))
    part = pydicom.dcmread(DICOM / "liver.dcm")
    for keep in ([0], [0, 1]):
        some = copy.deepcopy(part)
        some.PerFrameFunctionalGroupsSequence = [part.PerFrameFunctionalGroupsSequence[n] for n in keep]
        some.NumberOfFrames = len(keep)
        some.PixelData = pydicom.pixels.pack_bits(part.pixel_array[keep])
        some.save_as(tmp_path / "some.dcm")
        placed = in_grid_of(DICOM, tmp_path / "some.dcm", read_labels(tmp_path / "some.dcm"))
        filled = placed.labels.any(axis=(0, 1))
        assert placed.labels.shape == (512, 512, 3) and filled.sum() == len(keep)
        assert np.array_equal(placed.labels[:, :, filled], whole.labels[:, :, filled])
    some.FrameOfReferenceUID = "1.2.3"
    some.save_as(tmp_path / "other.dcm")
    assert "different frames of reference" in str(run(DICOM, tmp_path / "other.dcm").exception)
    for group in part.PerFrameFunctionalGroupsSequence:
        place = group.PlanePositionSequence[0].ImagePositionPatient
        place[0] = place[0] + 0.4
    part.save_as(tmp_path / "moved.dcm")
    assert "0.4 mm apart" in str(run(DICOM, tmp_path / "moved.dcm").exception)
    assert "not labels" in str(run(DICOM, DICOM / "01.dcm").exception)


def test_a_frame_is_read_without_the_voxels(tmp_path: Path) -> None:
    frame = read_frame(saved(tmp_path / "a.nii", np.zeros((2, 3, 4), np.uint8), OBLIQUE))
    assert frame.shape == (2, 3, 4)
    assert frame.voxels.matrix == pytest.approx(nifti_map(OBLIQUE).matrix, abs=1e-5)
