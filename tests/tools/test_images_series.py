"""DICOM volumes: series in a folder, multi-frame files, segmentations: in order by position, cut in three planes."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest

from fiducial.tests.tools.dicom_files import (
    SPACING,
    STEP,
    TURN,
    VOLUME,
    enhanced,
    new_dicom,
    position,
    saved,
    segmentation,
    series,
    text,
    world,
)
from fiducial.tools.errors import InputError
from fiducial.tools.frames import crop_map, resize_map
from fiducial.tools.images.image import Image
from fiducial.tools.images.open_image import open_image, reopen

CT = Path(__file__).resolve().parents[3] / "shared/data/ct/dicom"
needs_ct = pytest.mark.skipif(not CT.exists(), reason="needs ../shared/data/ct/dicom beside the repository")


def refused(path: Path, **choice: object) -> str:
    with pytest.raises(InputError) as error:
        open_image(path, **choice)  # type: ignore[arg-type]
    message = str(error.value)
    assert "\n" not in message
    assert "; " in message
    return message


def edit(path: Path, **elements: object) -> None:
    ds = pydicom.dcmread(path)
    for keyword, value in elements.items():
        if value is None:
            del ds[keyword]
        else:
            setattr(ds, keyword, value)
    ds.save_as(path)


def assert_slice(image: Image, plane: str, index: int, offset: float) -> None:
    """Values, places and spacing of a slice against the volume that was written."""
    assert image.plane == plane
    assert image.stored_to_world is not None
    assert image.info.scale is not None
    if plane == "axial":
        expected, spacing = VOLUME[index], (SPACING[0], SPACING[1], STEP)
    elif plane == "coronal":
        expected, spacing = VOLUME[:, index], (STEP, SPACING[1], SPACING[0])
    else:
        expected, spacing = VOLUME[:, :, index], (STEP, SPACING[0], SPACING[1])
    assert np.array_equal(image.values, expected.astype(np.float32) + offset)  # type: ignore[arg-type]
    scale = image.info.scale
    assert (scale.row_mm, scale.column_mm, scale.slice_mm) == pytest.approx(spacing, rel=1e-6)
    for x, y in ((0, 0), (3, 2), (6, 4)):
        i, j, k = {"axial": (x, y, index), "coronal": (x, index, y), "sagittal": (index, x, y)}[plane]
        assert image.stored_to_world.points((x + 0.5, y + 0.5)) == pytest.approx(world(i, j, k), abs=1e-6)
    assert image.slice_step_mm is not None
    across = {"axial": (0, 0, 1), "coronal": (0, 1, 0), "sagittal": (1, 0, 0)}[plane]
    assert image.slice_step_mm == pytest.approx(world(*across) - world(0, 0, 0), abs=1e-6)


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_a_series_is_sorted_by_position_and_cut_in_three_planes(tmp_path: Path, plane: str) -> None:
    series(tmp_path)
    count = {"axial": 5, "coronal": 7, "sagittal": 9}[plane]
    for index in (0, 2, count - 1):
        image = open_image(tmp_path, plane=plane, index=index)
        assert_slice(image, plane, index, -1000)
        assert (image.slice_index, image.slice_count, image.values_unit) == (index, count, "HU")
        assert any("oblique" in note for note in image.notes)
    assert open_image(tmp_path, plane=plane).slice_index == count // 2
    assert "no" in refused(tmp_path, plane=plane, index=count)


def test_a_series_opens_at_its_middle_slice_as_acquired(tmp_path: Path) -> None:
    paths = series(tmp_path)
    image, alone = open_image(tmp_path), open_image(paths[2])
    assert np.array_equal(image.values, alone.values)  # type: ignore[arg-type]
    assert (image.plane, image.slice_index, image.format) == ("axial", 2, "DICOM series")
    assert image.info.file_slice is not None
    assert image.info.sha256 != alone.info.sha256
    assert alone.info.file_slice is None
    assert image.info.sha256 == open_image(tmp_path, plane="sagittal").info.sha256


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_display_puts_the_patient_s_left_on_the_right(tmp_path: Path, plane: str) -> None:
    series(tmp_path)
    image = open_image(tmp_path, plane=plane)
    x_axis, y_axis, y_sign = {"axial": (0, 1, 1), "coronal": (0, 2, -1), "sagittal": (1, 2, -1)}[plane]
    assert image.stored_to_world is not None
    back = image.stored_to_display.inverse()
    origin, right, down = image.stored_to_world.points(back.points([(2.5, 2.5), (3.5, 2.5), (2.5, 3.5)]))
    assert int(np.argmax(np.abs(right - origin))) == x_axis
    assert (right - origin)[x_axis] > 0
    assert int(np.argmax(np.abs(down - origin))) == y_axis
    assert np.sign((down - origin)[y_axis]) == y_sign


def test_a_missing_slice_is_said_and_forbids_cuts_across(tmp_path: Path) -> None:
    series(tmp_path)[2].unlink()
    image = open_image(tmp_path, index=3)
    assert image.info.scale is not None
    assert image.info.scale.slice_mm is None
    assert image.stored_to_world is not None
    assert image.stored_to_world.points((0.5, 0.5)) == pytest.approx(position(4))
    assert any("a.dcm and e.dcm are 5 mm apart where the step is 2.5 mm: 1 missing" in note for note in image.notes)
    assert "1 missing between them" in refused(tmp_path, plane="coronal")


@pytest.mark.parametrize(
    ("elements", "words"),
    [
        ({"ImagePositionPatient": None}, "e.dcm has no usable ImagePositionPatient"),
        ({"ImageOrientationPatient": None}, "no usable ImageOrientationPatient"),
        ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, "contradicts itself"),
        ({"ImageOrientationPatient": [1, 0, 0, 0, 0, -1]}, "differ in orientation"),
        ({"ImagePositionPatient": text(position(1))}, "lie at the same position"),
        ({"PixelSpacing": ["1", "1"]}, "differ in size or PixelSpacing"),
        ({"SeriesInstanceUID": "1.2.3"}, "it holds 2 series"),
        ({"FrameOfReferenceUID": "1.2.3"}, "different frames of reference"),
        ({"NumberOfFrames": 2}, "of several frames"),
    ],
)
def test_slices_that_do_not_fit_together(tmp_path: Path, elements: dict[str, object], words: str) -> None:
    edit(series(tmp_path)[3], **elements)
    assert words in refused(tmp_path)


def test_slices_that_are_shifted_or_uneven_cannot_be_cut_across(tmp_path: Path) -> None:
    paths = series(tmp_path)
    edit(paths[3], ImagePositionPatient=text(position(3) + 3 * TURN[:, 0]))
    assert "shifted" in refused(tmp_path, plane="sagittal")
    edit(paths[3], ImagePositionPatient=text(position(3.3)))
    assert "not evenly spaced" in refused(tmp_path, plane="sagittal")
    assert open_image(tmp_path, index=3).info.scale is not None


def test_a_tilted_gantry_leaves_no_scale_across(tmp_path: Path) -> None:
    for k, path in series(tmp_path).items():
        edit(path, ImagePositionPatient=text(position(k) + 0.5 * k * TURN[:, 1]))
    assert open_image(tmp_path, plane="coronal").info.scale is not None
    sagittal = open_image(tmp_path, plane="sagittal")
    assert sagittal.info.scale is None
    assert "not perpendicular" in (sagittal.info.scale_refused or "")
    axial = open_image(tmp_path).info.scale
    assert axial is not None
    assert axial.slice_mm == pytest.approx(STEP)  # across the slices, not along the tilt


def test_positions_count_and_not_what_is_said_of_the_step(tmp_path: Path) -> None:
    series(tmp_path, SpacingBetweenSlices="5")
    image = open_image(tmp_path)
    assert image.info.scale is not None
    assert image.info.scale.slice_mm == pytest.approx(STEP)
    assert any("SpacingBetweenSlices says 5 mm" in note for note in image.notes)


def test_folders_without_a_series(tmp_path: Path) -> None:
    assert "without a DICOM series" in refused(tmp_path)
    (tmp_path / "notes.txt").write_text("none")
    assert "without a DICOM series" in refused(tmp_path)
    paths = series(tmp_path)
    (tmp_path / "broken.dcm").write_bytes(paths[0].read_bytes()[:400])
    assert any("left out of the series" in note and "broken.dcm" in note for note in open_image(tmp_path).notes)


def test_frames_of_an_enhanced_file_are_a_volume(tmp_path: Path) -> None:
    path = enhanced(tmp_path / "a.dcm")
    for plane, index in (("axial", 1), ("coronal", 5), ("sagittal", 0)):
        assert_slice(open_image(path, plane=plane, index=index), plane, index, 0)
    assert_slice(open_image(path), "axial", 2, 0)
    assert np.array_equal(open_image(path, frame=0).values, VOLUME[3])  # as stored
    moving = enhanced(tmp_path / "b.dcm", moved=2)
    assert "same position" in refused(moving, plane="axial")
    assert np.array_equal(open_image(moving).values, VOLUME[3])  # type: ignore[arg-type]
    assert np.array_equal(open_image(moving, index=4).values, VOLUME[2])  # type: ignore[arg-type]
    for image in (open_image(moving), open_image(moving, index=4), open_image(path, frame=3), open_image(path)):
        assert image.frame_count == 5
        assert np.array_equal(reopen(image.info).values, image.values)  # type: ignore[arg-type]
    assert (open_image(path).frame, open_image(path, frame=3).frame, open_image(moving).frame) == (None, 3, 0)
    assert "no frame 5" in refused(path, frame=5)
    assert "either it or a plane" in refused(path, frame=1, plane="axial")
    assert "either it or a plane" in refused(path, frame=1, index=1)


def test_a_segmentation_is_a_volume_of_labels(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    masks = {(1, 0): rng.random((7, 9)) < 0.4, (2, 0): rng.random((7, 9)) < 0.4, (1, 3): rng.random((7, 9)) < 0.4}
    masks[2, 4] = masks[1, 3]
    path = segmentation(tmp_path / "seg.dcm", masks)
    labels = np.zeros((5, 7, 9))
    for (segment, k), mask in masks.items():
        labels[k][mask] = np.maximum(labels[k][mask], segment)
    for index in range(5):  # slices 1 and 2 are not in the file: they are empty
        image = open_image(path, index=index)
        assert np.array_equal(image.values, labels[index])  # type: ignore[arg-type]
        assert image.stored_to_world is not None
        assert image.stored_to_world.points((0.5, 0.5)) == pytest.approx(position(index), abs=1e-6)
    assert any("overlap" in note for note in open_image(path, index=0).notes)
    assert any("1 part 1, 2 part 2" in note for note in open_image(path).notes)
    assert "of one segment only" in refused(path, frame=1)
    sagittal = open_image(path, plane="sagittal", index=4)
    assert np.array_equal(sagittal.values, labels[:, :, 4])  # type: ignore[arg-type]
    assert sagittal.values_unit == "segment number"


def test_one_slice_in_another_plane(tmp_path: Path) -> None:
    paths = series(tmp_path)
    assert "leave the frame out" in refused(tmp_path, frame=0)
    assert "leave the frame out" in refused(paths[0], frame=0)
    assert open_image(paths[0], plane="axial").plane == "axial"
    assert "use --plane axial" in refused(paths[0], plane="coronal")
    flat = saved(new_dicom(VOLUME[0], "CT"), tmp_path / "flat.dcm")
    assert "no usable ImagePositionPatient" in refused(flat, plane="coronal")


@needs_ct
def test_the_real_series_in_order_with_its_step(tmp_path: Path) -> None:
    image = open_image(CT, index=0)
    assert image.info.scale is not None
    assert image.info.scale.slice_mm == pytest.approx(1.0)  # the positions; 1.25 mm is the thickness
    assert image.slice_count == 3
    assert image.stored_to_world is not None
    assert image.stored_to_world.points((0.5, 0.5)) == pytest.approx((-235.199997, -226.800003, -128.690002))
    assert any("liver.dcm" in note for note in image.notes)
    coronal = open_image(CT, plane="coronal", index=300)
    assert (coronal.info.width_px, coronal.info.height_px) == (512, 3)
    rows = np.stack([open_image(CT, index=k).values[300] for k in range(3)])  # type: ignore[index]
    assert np.array_equal(coronal.values, rows)  # type: ignore[arg-type]
    shutil.copy(CT / "01.dcm", tmp_path / "one.dcm")
    assert open_image(tmp_path).slice_count == 1


@needs_ct
def test_lengths_on_the_liver_are_the_same_in_every_frame() -> None:
    """Stored, displayed, world; and back unchanged from a crop and a resize."""
    for index in range(3):
        liver, slice_ = open_image(CT / "liver.dcm", index=index), open_image(CT, index=index)
        assert liver.values is not None
        assert liver.stored_to_world is not None and slice_.stored_to_world is not None
        rows, columns = np.nonzero(liver.values)
        ends = np.array([(columns.min(), rows.min()), (columns.max() + 1, rows.max() + 1)], np.float64)
        scale = liver.info.scale
        assert scale is not None
        stored = float(np.hypot(*((ends[1] - ends[0]) * (scale.column_mm, scale.row_mm))))
        shown = liver.stored_to_display.points(ends)
        shown_scale = liver.stored_to_display.scale(scale)
        assert np.hypot(*((shown[1] - shown[0]) * (shown_scale.column_mm, shown_scale.row_mm))) == pytest.approx(stored)
        places = liver.stored_to_world.points(ends)
        assert float(np.linalg.norm(places[1] - places[0])) == pytest.approx(stored, rel=1e-9)
        on_ct, off_plane = slice_.stored_to_world.project(places)
        assert on_ct == pytest.approx(ends, abs=1e-4)  # the file of the liver rounds positions to 1e-5
        assert np.abs(off_plane).max() < 1e-4
        chain = crop_map((*(ends[0] - 7), *(ends[1] + 5)))
        width, height = chain.target.width, chain.target.height
        assert width is not None and height is not None
        chain = chain.then(resize_map(width, height, 448, 320))
        there, small = chain.points(ends), chain.scale(scale)
        assert chain.inverse().points(there) == pytest.approx(ends, abs=1e-9)
        length = np.hypot(*((there[1] - there[0]) * (small.column_mm, small.row_mm)))
        assert length == pytest.approx(stored, rel=1e-12)
