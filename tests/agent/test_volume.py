"""A question about a slice of a volume: its regions carry their place in the world, through store and overlay too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow
from scipy.spatial.transform import Rotation

from fiducial.agent.ask import Asker
from fiducial.agent.commands.batch import documents, read_list
from fiducial.agent.present import present
from fiducial.skills.families.recording import load
from fiducial.tests.agent.recordings import SMEAR, Recorded, boxes, counted, explained, intent
from fiducial.tools.images.open_image import open_image, reopen
from fiducial.tools.images.world import box_xyzxyz_mm
from fiducial.tools.record import Ellipse, Region

AFFINE = nibabel.affines.from_matvec(np.diag([-0.02, 0.03, 0.1]), [4, 5, 6])


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """160 × 120 × 9 voxels, RAS steps (−0.02, 0.03, 0.1) mm."""
    image = nibabel.Nifti1Image(np.random.default_rng(0).integers(0, 255, (160, 120, 9), np.uint8), AFFINE)
    image.header.set_xyzt_units("mm")
    nibabel.save(image, tmp_path / "volume.nii.gz")
    return tmp_path / "volume.nii.gz"


def asker(folder: Path, image: Path) -> Asker:
    results = {
        "understand": intent("count", "platelet"),
        "count": counted(2),
        "detect": boxes((5, 5, 17, 17), (65, 35, 77, 47)),
        "explain": explained("R1 and R2 are platelets.", "R1", "R2"),
    }
    return Asker(model=load(Recorded(folder, image).write(results, SMEAR)), store=folder / "runs.db")


def test_regions_of_a_slice_lie_in_the_world(tmp_path: Path, volume: Path) -> None:
    asking = asker(tmp_path, volume)
    record = asking.ask(volume, "How many platelets?", plane="axial", index=3)
    document = record.document()
    assert document["image"]["file_slice"] == {"plane": "axial", "index": 3, "count": 9}
    assert "axial slice 3 of 0 to 8" in " ".join(present(record).split())
    ends = [nibabel.affines.apply_affine(AFFINE, np.array(ijk) - 0.5) * (-1, -1, 1) for ijk in ((5, 5, 3), (17, 17, 4))]
    expected = np.concatenate([np.minimum(*ends), np.maximum(*ends)])
    assert document["regions"][0]["box_xyzxyz_mm"] == pytest.approx(expected, abs=1e-6)
    assert asking.store is not None
    assert asking.store.run(record.run_id) == document
    again = asking.resume(record.run_id)
    assert again == record
    asking.overlay(record, tmp_path / "seen.png")
    with Pillow.open(tmp_path / "seen.png") as seen:
        assert seen.width >= 160


def test_a_frame_is_kept_and_opened_again(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    moving = nibabel.Nifti1Image(rng.integers(0, 255, (160, 120, 9, 4), np.uint8), AFFINE)
    nibabel.save(moving, tmp_path / "moving.nii.gz")
    tifffile.imwrite(tmp_path / "pages.tif", rng.integers(0, 255, (5, 120, 160), np.uint8), photometric="minisblack")
    parts: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
        "moving.nii.gz": (
            {"plane": "axial", "index": 3, "frame": 2},
            {"plane": "axial", "index": 3, "count": 9, "frame": 2},
            "axial slice 3 of 0 to 8 in frame 2",
        ),
        "pages.tif": ({"frame": 4}, {"plane": None, "index": 4, "count": 5}, "frame 4 of 0 to 4"),
    }
    for name, (asked, kept, shown) in parts.items():
        (tmp_path / name).with_suffix(".d").mkdir()
        asking = asker((tmp_path / name).with_suffix(".d"), tmp_path / name)
        record = asking.ask(tmp_path / name, "How many platelets?", **asked)
        document = record.document()
        assert document["image"]["file_slice"] == kept
        assert shown in " ".join(present(record).split())
        assert asking.store is not None and asking.store.run(record.run_id) == document
        again = reopen(record.image)
        expected = open_image(tmp_path / name, **asked)
        assert np.array_equal(again.rgb_u8, expected.rgb_u8) and again.info == record.image
        assert not np.array_equal(again.rgb_u8, open_image(tmp_path / name).rgb_u8)
        asking.overlay(record, tmp_path / "seen.png")


def test_a_list_names_slices_and_frames(tmp_path: Path, volume: Path) -> None:
    lines = ["image,question,plane,slice,frame", "volume.nii.gz,How many platelets?,Axial,3,"]
    lines += ["volume.nii.gz,How many platelets?,,2.5,", "volume.nii.gz,How many platelets?,,,7"]
    lines += ["volume.nii.gz,How many platelets?,diagonal,,", "volume.nii.gz,How many platelets?,,-1,"]
    (tmp_path / "list.csv").write_text("\n".join(lines))
    rows = read_list(tmp_path / "list.csv")
    found = list(documents(asker(tmp_path, volume), rows, str))
    assert found[0]["image"]["file_slice"] == {"plane": "axial", "index": 3, "count": 9}
    faults = [str(document["error"]) for document in found[1:]]
    assert "row 2 has the slice '2.5'" in faults[0] and "leave the frame out" in faults[1]
    assert "choose axial" in faults[2] and "row 5 has the slice '-1'" in faults[3]
    assert not any(document["defect"] for document in found[1:])


def test_left_and_right_are_held_against_the_patient(tmp_path: Path, volume: Path) -> None:
    found = boxes((5, 5, 17, 17), (65, 35, 77, 47))
    for region, side in zip(found["regions"], ("left", "right"), strict=True):
        region["label"] = f"{side}_platelet"  # x grows towards the patient's left in this volume
    results = {"understand": intent("count", "platelet"), "count": counted(2), "detect": found}
    asking = Asker(model=load(Recorded(tmp_path, volume).write(results, SMEAR)))
    record = asking.ask(volume, "How many platelets?", plane="axial", index=3)
    assert {r.rejected_by for r in record.regions if "_platelet" in r.label} == {"laterality"}
    assert ("laterality", "fail") in {(check.name, check.outcome) for check in record.checks}
    assert record.verdict.status == "abstained"  # what a check has rejected is no finding of nothing


def test_records_of_a_picture_say_nothing_of_volumes(tmp_path: Path, picture: Path) -> None:
    document = asker(tmp_path, picture).ask(picture, "How many platelets?").document()
    assert "file_slice" not in document["image"]
    assert all("box_xyzxyz_mm" not in region for region in document["regions"])


def test_a_stated_scale_leaves_no_place_in_the_world(tmp_path: Path, volume: Path) -> None:
    record = asker(tmp_path, volume).ask(volume, "How many platelets?", "0.1 mm/px")
    assert record.regions
    assert all(region.box_xyzxyz_mm is None for region in record.regions)


def test_the_box_of_an_ellipse_in_an_oblique_slice_is_tight(tmp_path: Path) -> None:
    turn = Rotation.from_euler("xyz", (20, -10, 30), degrees=True).as_matrix()
    image = nibabel.Nifti1Image(
        np.zeros((60, 50, 5), np.uint8), nibabel.affines.from_matvec(turn @ np.diag([1, 2, 3]), [0, 0, 0])
    )
    image.header.set_xyzt_units("mm")
    nibabel.save(image, tmp_path / "a.nii")
    opened = open_image(tmp_path / "a.nii", plane="axial", index=2)
    ellipse = Ellipse(center_xy_px=(30, 20), semi_major_px=12, semi_minor_px=5, angle_deg=35)
    region = Region(id="R1", label="head", kind="ellipse", ellipse_px=ellipse, score=1, skill="landmark")
    found = box_xyzxyz_mm(region, opened)
    t, phi = np.linspace(0, 2 * np.pi, 20001), np.radians(35)
    u, v = 12 * np.cos(t), 5 * np.sin(t)
    outline = np.stack([30 + u * np.cos(phi) - v * np.sin(phi), 20 + u * np.sin(phi) + v * np.cos(phi)], axis=1)
    assert opened.stored_to_world is not None and opened.slice_step_mm is not None
    points = opened.stored_to_world.points(outline)
    half = np.abs(opened.slice_step_mm) / 2
    assert found == pytest.approx([*(points.min(axis=0) - half), *(points.max(axis=0) + half)], abs=1e-4)
    lost = Region(id="R2", label="head", kind="point", point_xy_px=(float("nan"), 1), score=1, skill="point")
    assert box_xyzxyz_mm(lost, opened) is None
