"""NRRD through the worker: the same slices and places as the same volume in NIfTI; headers that lie."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from fiducial.tools.errors import InputError
from fiducial.tools.images.open_image import open_image

nrrd = pytest.importorskip("nrrd", reason="needs the extra nrrd")

VOLUME = np.random.default_rng(4).integers(-900, 900, (6, 7, 8)).astype(np.int16)
LINEAR = Rotation.from_euler("xyz", (7, -5, 11), degrees=True).as_matrix() @ np.diag([-1.9, 1.4, 3.0])
ORIGIN = np.array([30.0, -20, 5])


def saved(path: Path, data: np.ndarray = VOLUME, **fields: Any) -> Path:
    header = {"space": "left-posterior-superior", "space directions": LINEAR.T, "space origin": ORIGIN} | fields
    nrrd.write(str(path), data, {key: value for key, value in header.items() if value is not None})
    return path


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
@pytest.mark.parametrize(("space", "signs"), [("left-posterior-superior", (-1, -1, 1)), ("RAS", (1, 1, 1))])
def test_the_same_volume_in_nifti_gives_the_same_slices(
    tmp_path: Path, plane: str, space: str, signs: tuple[int, int, int]
) -> None:
    ras = np.diag([*signs, 1.0]) @ nibabel.affines.from_matvec(LINEAR, ORIGIN)
    nifti = nibabel.Nifti1Image(VOLUME, ras)
    nifti.header.set_xyzt_units("mm")
    nibabel.save(nifti, tmp_path / "a.nii.gz")
    ours = open_image(saved(tmp_path / "a.nrrd", space=space), plane=plane, index=3)
    same = open_image(tmp_path / "a.nii.gz", plane=plane, index=3)
    assert np.array_equal(ours.values, same.values)  # type: ignore[arg-type]
    assert np.array_equal(ours.rgb_u8, same.rgb_u8)
    assert ours.stored_to_world is not None and same.stored_to_world is not None
    corners = [(0, 0), (5.5, 2.25)]
    assert ours.stored_to_world.points(corners) == pytest.approx(same.stored_to_world.points(corners), abs=1e-4)
    assert ours.info.scale is not None and same.info.scale is not None
    for name in ("row_mm", "column_mm", "slice_mm"):
        assert getattr(ours.info.scale, name) == pytest.approx(getattr(same.info.scale, name), rel=1e-6)


def test_spacings_without_a_space_have_no_sides_and_no_unit(tmp_path: Path) -> None:
    fields: dict[str, Any] = {"space": None, "space directions": None, "space origin": None, "spacings": [1, 2, 3]}
    image = open_image(saved(tmp_path / "a.nrrd", **fields))
    assert image.info.scale is None
    assert "unit" in (image.info.scale_refused or "")
    image = open_image(saved(tmp_path / "b.nrrd", **fields, units=["mm", "mm", "mm"]))
    assert image.info.scale is not None
    assert (image.info.scale.column_mm, image.info.scale.row_mm, image.info.scale.slice_mm) == (1, 2, 3)
    assert image.stored_to_world is None


def test_a_fourth_axis_and_colour(tmp_path: Path) -> None:
    nowhere = [np.nan] * 3
    four = {"space directions": np.vstack([nowhere, LINEAR.T]), "kinds": ["list", "domain", "domain", "domain"]}
    path = saved(tmp_path / "a.nrrd", np.stack([VOLUME, -VOLUME]), **four)
    assert np.array_equal(open_image(path, frame=1).values, -open_image(path).values)  # type: ignore[operator]
    with pytest.raises(InputError, match="no frame 2"):
        open_image(path, frame=2)
    colour = np.random.default_rng(5).integers(0, 256, (3, 6, 7, 8), np.uint8)
    image = open_image(
        saved(tmp_path / "b.nrrd", colour, **(four | {"kinds": ["RGB-color", *["domain"] * 3]})), index=2
    )
    assert image.values is None
    assert sorted(image.rgb_u8[0, 0]) in [sorted(colour[:, i, j, 2]) for i in (0, 5) for j in (0, 6)]


def test_headers_that_lie(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.nrrd", encoding="raw")
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b"sizes: 6 7 8", b"sizes: 6000 7000 8"))
    with pytest.raises(InputError, match="voxels but is shorter"):
        open_image(path)
    path.write_bytes(raw.replace(b"sizes: 6 7 8", b"sizes: 2048 2048 2048"))
    with pytest.raises(InputError, match=r"claims 8\.0 Gi"):
        open_image(path)
    path.write_bytes(raw.replace(b"sizes: 6 7 8", b"sizes: 6 7 8\ndata file: /etc/hostname"))
    with pytest.raises(InputError, match="without its data"):
        open_image(path)
    path.write_bytes(raw[:-100])
    with pytest.raises(InputError, match="damaged or cut short"):
        open_image(path)


def test_without_the_reader_the_sentence_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fiducial.tools.images.decoded import DecodeError, Request
    from fiducial.tools.images.nrrd import decode_nrrd

    monkeypatch.setitem(sys.modules, "nrrd", None)
    with saved(tmp_path / "a.nrrd").open("rb") as file, pytest.raises(DecodeError, match=r"fiducial\[nrrd\]"):
        decode_nrrd(file, Request(str(tmp_path / "a.nrrd")))
