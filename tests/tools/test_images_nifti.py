"""NIfTI through the worker: planes, sides and world coordinates, contradictions, and headers that lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from fiducial.tools.errors import InputError
from fiducial.tools.frames import nifti_map
from fiducial.tools.images.open_image import open_image, reopen

NIBABEL = Path(nibabel.__file__).parent / "tests" / "data"
VOLUME = np.random.default_rng(1).normal(size=(6, 7, 8)).astype(np.float32)
TURN = Rotation.from_euler("xyz", (7, -5, 11), degrees=True).as_matrix()
OBLIQUE = nibabel.affines.from_matvec(TURN @ np.diag([-1.9, 1.4, 3.0]), [30, -20, 5])


def saved(path: Path, affine: np.ndarray, array: np.ndarray = VOLUME, unit: str = "mm") -> Path:
    image = nibabel.Nifti1Image(array, affine)
    image.header.set_xyzt_units(unit)
    nibabel.save(image, path)
    return path


def test_trap_10_voxels_of_an_las_volume_in_lps() -> None:
    voxels = nifti_map(nibabel.load(NIBABEL / "anatomical.nii").affine)
    assert nibabel.aff2axcodes(nibabel.load(NIBABEL / "anatomical.nii").affine) == ("L", "A", "S")
    assert voxels.points((0.5, 0.5, 0.5)).tolist() == [-32, 40, -16]
    assert voxels.inverse().points((-32, 40, -16)) == pytest.approx((0.5, 0.5, 0.5))


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
@pytest.mark.parametrize("affine", [np.diag([2.0, 3, 4, 1]), np.diag([-2.0, -3, 4, 1]), OBLIQUE])
def test_a_slice_knows_its_values_and_its_place(tmp_path: Path, plane: str, affine: np.ndarray) -> None:
    image = open_image(saved(tmp_path / "a.nii.gz", affine), plane=plane, index=2)
    axes = {"axial": (2, 0, 1), "coronal": (1, 0, 2), "sagittal": (0, 1, 2)}[plane]
    across, along_x, along_y = axes
    assert image.values is not None
    assert np.allclose(image.values, np.take(VOLUME, 2, axis=across).T)
    assert image.stored_to_world is not None
    assert image.info.scale is not None
    for x, y in ((0, 0), (3, 5), (5, 1)):
        index = np.zeros(3)
        index[[across, along_x, along_y]] = 2, x, y
        ras = nibabel.affines.apply_affine(affine, index)
        assert image.stored_to_world.points((x + 0.5, y + 0.5)) == pytest.approx(ras * (-1, -1, 1), abs=1e-5)
    steps = np.linalg.norm(affine[:3, :3], axis=0)
    scale = image.info.scale
    assert (scale.column_mm, scale.row_mm, scale.slice_mm) == pytest.approx(steps[[along_x, along_y, across]])


@pytest.mark.parametrize("affine", [np.diag([2.0, 3, 4, 1]), np.diag([-2.0, -3, 4, 1]), OBLIQUE])
def test_display_puts_the_patient_s_left_on_the_right(tmp_path: Path, affine: np.ndarray) -> None:
    path = saved(tmp_path / "a.nii", affine)
    towards = {"axial": ((0, 1), (1, 1)), "coronal": ((0, 1), (2, -1)), "sagittal": ((1, 1), (2, -1))}
    for plane, ((x_axis, x_sign), (y_axis, y_sign)) in towards.items():  # LPS: left, posterior, superior are positive
        image = open_image(path, plane=plane)
        assert image.stored_to_world is not None
        back = image.stored_to_display.inverse()
        origin, right, down = image.stored_to_world.points(back.points([(2.5, 2.5), (3.5, 2.5), (2.5, 3.5)]))
        assert np.argmax(np.abs(right - origin)) == x_axis
        assert np.sign((right - origin)[x_axis]) == x_sign
        assert np.argmax(np.abs(down - origin)) == y_axis
        assert np.sign((down - origin)[y_axis]) == y_sign


def test_contradictions_are_not_accepted_in_silence(tmp_path: Path) -> None:
    image: Any = nibabel.Nifti1Image(VOLUME, np.diag([2.0, 3, 4, 1]))
    image.header.set_xyzt_units("mm")
    image.header["pixdim"][1] = 9
    image.header["qform_code"] = 0
    nibabel.save(image, tmp_path / "a.nii")
    raw = bytearray((tmp_path / "a.nii").read_bytes())
    raw[80:84] = np.float32(9).tobytes()  # pixdim[1]; nibabel had put it right
    raw[252:254] = np.int16(0).tobytes()  # qform_code
    (tmp_path / "a.nii").write_bytes(raw)
    info = open_image(tmp_path / "a.nii").info
    assert info.scale is None
    assert "contradicts itself" in (info.scale_refused or "")
    mirrored: Any = nibabel.Nifti1Image(VOLUME, np.diag([2.0, 3, 4, 1]))
    mirrored.header.set_xyzt_units("mm")
    mirrored.set_sform(np.diag([-2.0, 3, 4, 1]), code=1)
    mirrored.set_qform(np.diag([2.0, 3, 4, 1]), code=1)
    nibabel.save(mirrored, tmp_path / "b.nii")
    opened = open_image(tmp_path / "b.nii")
    assert opened.stored_to_world is None
    assert any("contradicts itself" in note for note in opened.notes)


def test_a_header_that_lies_about_its_size(tmp_path: Path) -> None:
    for suffix in (".nii", ".nii.gz"):
        image: Any = nibabel.Nifti1Image(np.zeros((4, 4, 4), np.float32), np.eye(4))
        path = tmp_path / f"a{suffix}"
        nibabel.save(image, path)
        import gzip

        raw = bytearray(gzip.decompress(path.read_bytes()) if suffix.endswith("gz") else path.read_bytes())
        raw[42:48] = np.array([2048, 2048, 2048], np.int16).tobytes()  # 32 GiB of float32
        path.write_bytes(gzip.compress(bytes(raw)) if suffix.endswith("gz") else bytes(raw))
        with pytest.raises(InputError, match=r"claims 32\.0 GiB"):
            open_image(path)
        raw[42:48] = np.array([64, 64, 64], np.int16).tobytes()
        path.write_bytes(gzip.compress(bytes(raw)) if suffix.endswith("gz") else bytes(raw))
        with pytest.raises(InputError):
            open_image(path)


def test_frames_planes_and_slices_that_are_not_there(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.nii", np.diag([2.0, 3, 4, 1]), np.stack([VOLUME, -VOLUME], axis=-1))
    assert np.allclose(open_image(path, frame=1).values, -open_image(path).values)  # type: ignore[operator]
    second = open_image(path, plane="coronal", index=3, frame=1)
    assert (second.frame, second.frame_count, second.slice_index) == (1, 2, 3)
    assert np.array_equal(reopen(second.info).values, second.values)  # type: ignore[arg-type]
    single = saved(tmp_path / "single.nii", np.diag([2.0, 3, 4, 1]))
    with pytest.raises(InputError, match="leave the frame out"):
        open_image(single, frame=0)
    vectors = np.stack([VOLUME, VOLUME + 1, VOLUME + 2], axis=-1)[:, :, :, None, :]  # as displacement fields are stored
    five = saved(tmp_path / "five.nii", np.diag([2.0, 3, 4, 1]), vectors)
    assert np.allclose(open_image(five, frame=2).values, open_image(five).values + 2)  # type: ignore[operator]
    with pytest.raises(InputError, match="no axial slice 8"):
        open_image(path, index=8)
    with pytest.raises(InputError, match="no frame 2"):
        open_image(path, frame=2)
    with pytest.raises(InputError, match="choose axial"):
        open_image(path, plane="diagonal")


def test_a_volume_without_unit_and_space_has_no_scale(tmp_path: Path) -> None:
    image: Any = nibabel.Nifti1Image(VOLUME, None)
    nibabel.save(image, tmp_path / "a.nii")
    info = open_image(tmp_path / "a.nii").info
    assert info.scale is None
    assert "no unit" in (info.scale_refused or "")


def test_a_single_sagittal_slice_is_shown_as_such(tmp_path: Path) -> None:
    image = open_image(saved(tmp_path / "a.nii", np.diag([2.0, 3, 4, 1]), VOLUME[:1]))
    assert (image.info.width_px, image.info.height_px) == (7, 8)
    assert "sagittal" in image.notes[0]


def test_slices_of_a_real_ct_lie_where_its_affine_says() -> None:
    folder = Path(__file__).resolve().parents[3] / "shared/data/ct/nifti"
    if not folder.exists():
        pytest.skip("needs ../shared/data/ct/nifti beside the repository")
    file: Any = nibabel.load(folder / "example_ct_sm.nii.gz")
    data, lps = np.asarray(file.dataobj), np.array([-1.0, -1, 1])
    for plane, (across, along_x, along_y) in {"axial": (2, 0, 1), "coronal": (1, 0, 2), "sagittal": (0, 1, 2)}.items():
        for index in (0, data.shape[across] // 2, data.shape[across] - 1):
            image = open_image(folder / "example_ct_sm.nii.gz", plane=plane, index=index)
            assert np.array_equal(image.values, np.take(data, index, axis=across).T)  # type: ignore[arg-type]
            x, y = (a.ravel() for a in np.meshgrid(np.arange(image.info.width_px), np.arange(image.info.height_px)))
            voxels = np.zeros((x.size, 3))
            voxels[:, across], voxels[:, along_x], voxels[:, along_y] = index, x, y
            expected = nibabel.affines.apply_affine(file.affine, voxels) * lps
            assert image.stored_to_world is not None
            found = image.stored_to_world.points(np.stack([x + 0.5, y + 0.5], axis=1))
            assert np.abs(found - expected).max() < 1e-6
            assert image.slice_step_mm is not None
            following = nibabel.affines.apply_affine(file.affine, np.eye(3)[across]) - file.affine[:3, 3]
            assert image.slice_step_mm == pytest.approx(following * lps, abs=1e-6)


def test_an_oblique_volume_says_by_how_much(tmp_path: Path) -> None:
    image = open_image(saved(tmp_path / "a.nii", OBLIQUE))
    assert any("oblique" in note and "tilted" in note for note in image.notes)
    assert not open_image(saved(tmp_path / "b.nii", np.diag([2.0, 3, 4, 1]))).notes


def test_a_sheared_affine_has_a_place_but_no_scale(tmp_path: Path) -> None:
    sheared = np.array([[2.0, 0.5, 0, 0], [0, 3, 0, 0], [0, 0, 4, 0], [0, 0, 0, 1]])
    image = open_image(saved(tmp_path / "a.nii", sheared))
    assert image.info.scale is None
    assert "not perpendicular" in (image.info.scale_refused or "")
    assert image.stored_to_world is not None
    assert open_image(tmp_path / "a.nii", plane="sagittal").info.scale is not None


def test_slices_that_are_shifted_sideways_are_apart_by_the_distance_between_them(tmp_path: Path) -> None:
    shifted = np.array([[2.0, 0, 3, 0], [0, 3, 0, 0], [0, 0, 4, 0], [0, 0, 0, 1]])
    scale = open_image(saved(tmp_path / "a.nii", shifted), plane="axial").info.scale
    assert scale is not None
    assert scale.slice_mm == pytest.approx(4.0)  # the step from slice to slice is 5 mm long


@pytest.mark.parametrize(
    ("offset", "value", "words"),
    [
        (80, np.float32(0), "pixdim are not positive"),
        (84, np.float32(-3), "pixdim are not positive"),
        (88, np.float32(np.nan), "pixdim are not positive"),
        (254, np.int16(64), "sform_code, 64, names no space"),
        (280, np.float32(np.nan), "not invertible"),
    ],
)
def test_what_a_reader_would_mend_in_silence_gives_no_scale(
    tmp_path: Path, offset: int, value: np.generic, words: str
) -> None:
    path = saved(tmp_path / "a.nii", np.diag([2.0, 3, 4, 1]))
    raw = bytearray(path.read_bytes())
    raw[offset : offset + value.itemsize] = value.tobytes()
    path.write_bytes(raw)
    image = open_image(path)
    assert image.info.scale is None
    assert image.stored_to_world is None
    assert words in (image.info.scale_refused or "")


def test_a_qform_that_drifts_from_the_sform_is_a_contradiction(tmp_path: Path) -> None:
    image: Any = nibabel.Nifti1Image(np.zeros((200, 200, 20), np.uint8), None)
    image.header.set_xyzt_units("mm")
    image.set_sform(np.eye(4), code=1)
    turned = Rotation.from_euler("z", 1, degrees=True).as_matrix()  # 3.5 mm at the far corner
    image.set_qform(nibabel.affines.from_matvec(turned, [0, 0, 0]), code=1)
    nibabel.save(image, tmp_path / "a.nii")
    opened = open_image(tmp_path / "a.nii")
    assert opened.stored_to_world is None
    assert any("contradicts itself" in note for note in opened.notes)


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_a_header_with_extensions_opens_as_one_without(tmp_path: Path, kind: Any, ending: str) -> None:
    image = kind(VOLUME, OBLIQUE)
    image.header.set_xyzt_units("mm")
    plain, extended = tmp_path / f"plain{ending}", tmp_path / f"extended{ending}"
    nibabel.save(image, plain)
    # Longer than the part of the file that the header alone takes, as label tables in XML are; and a second one.
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"<table>" + b"x" * 5000))
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"short"))
    nibabel.save(image, extended)
    longer, shorter = (open_image(path, plane="coronal", index=3) for path in (extended, plain))
    assert np.array_equal(longer.values, shorter.values)  # type: ignore[arg-type]
    assert longer.info.scale == shorter.info.scale is not None
    assert longer.stored_to_world is not None and shorter.stored_to_world is not None
    corners = [(0, 0), (6, 8)]
    assert np.array_equal(longer.stored_to_world.points(corners), shorter.stored_to_world.points(corners))


def test_an_extension_that_claims_more_than_the_file_is_damage(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(VOLUME, OBLIQUE)
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"short"))
    nibabel.save(image, tmp_path / "a.nii")
    raw = bytearray((tmp_path / "a.nii").read_bytes())
    raw[352:356] = np.int32(2**31 - 16).tobytes()  # esize
    (tmp_path / "a.nii").write_bytes(raw)
    with pytest.raises(InputError, match="damaged or cut short"):
        open_image(tmp_path / "a.nii")


def test_a_real_segmentation_with_an_extension_opens() -> None:
    path = Path(__file__).resolve().parents[3] / "shared/data/ct/nifti/example_seg.nii.gz"
    if not path.exists():
        pytest.skip("needs ../shared/data/ct/nifti beside the repository")
    file: Any = nibabel.load(path)
    assert file.header.extensions
    image = open_image(path, plane="sagittal", index=60)
    assert np.array_equal(image.values, np.asarray(file.dataobj)[60].T)  # type: ignore[arg-type]
