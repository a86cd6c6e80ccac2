"""The oblique volume: sizes of the lesion from its voxels, slices that meet it in the right place, one affine."""

from __future__ import annotations

import json
import math

import nibabel
import numpy as np
import pytest

from fiducial.tools.errors import InputError
from fiducial.tools.images.open_image import open_image
from fiducial.tools.phantoms.files import write_scene
from fiducial.tools.phantoms.lesion_3d import make_lesion_3d

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@pytest.fixture(scope="module", params=[1, 2, 3])
def written(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("volume")
    scene = make_lesion_3d(request.param)
    image, truth = write_scene(scene, folder)
    document = json.loads(truth.read_text(encoding="utf-8"))
    return scene, image, folder / document["labels"], document


def test_the_affine_is_oblique_anisotropic_and_stated_twice(written):
    scene, image, labels, document = written
    volume = nibabel.load(image)
    sform, s_code = volume.header.get_sform(coded=True)
    qform, q_code = volume.header.get_qform(coded=True)
    assert s_code == q_code == 1 and np.allclose(sform, qform, atol=1e-3)
    assert np.array_equal(sform, np.array(document["affine_ras"])) and np.array_equal(
        nibabel.load(labels).affine, sform
    )
    turn = sform[:3, :3] / np.linalg.norm(sform[:3, :3], axis=0)
    assert np.abs(turn).max(axis=0).max() < 0.999 and np.linalg.det(turn) == pytest.approx(1, abs=1e-5)
    steps = volume.header.get_zooms()
    assert steps[2] > 2 * steps[0] and volume.header.get_xyzt_units()[0] == "mm"
    assert np.array_equal(np.asarray(volume.dataobj), scene.image.values)


def test_volume_box_and_axes_equal_those_of_the_label_voxels(written):
    _, _, labels, document = written
    volume = nibabel.load(labels)
    (item,) = document["objects"]
    sizes = {q["quantity"]: q["value"] for q in item["quantities"]}
    mask = np.asarray(volume.dataobj)
    assert mask.dtype == np.uint8 and set(np.unique(mask)) == {0, item["label_value"]}
    lps, index = LPS @ volume.affine, np.argwhere(mask)
    world = index @ lps[:3, :3].T + lps[:3, 3]
    steps = np.linalg.norm(lps[:3, :3], axis=0)
    assert len(index) * abs(np.linalg.det(lps[:3, :3])) == pytest.approx(sizes["volume"], rel=0.03)
    assert world.mean(axis=0) == pytest.approx(item["ellipsoid_mm"]["center_xyz_mm"], abs=0.5)
    box, reach = np.array(item["box_xyzxyz_mm"]), np.abs(lps[:3, :3]).sum(axis=1) / 2
    assert (world.min(axis=0) - reach - 1e-6 <= box[:3] + steps.max()).all()
    assert (np.abs(world.min(axis=0) - box[:3]) < steps.max()).all()
    assert (np.abs(world.max(axis=0) - box[3:]) < steps.max()).all()
    # Of a full ellipsoid the variance along an axis is a fifth of its square; a voxel adds its own twelfth.
    spread = np.cov(world.T, bias=True) + lps[:3, :3] @ lps[:3, :3].T / 12
    axes = 2 * np.sqrt(5 * np.linalg.eigvalsh(spread))[::-1]
    assert axes == pytest.approx([sizes["axis_1"], sizes["axis_2"], sizes["axis_3"]], abs=1.0)
    semi = np.array(item["ellipsoid_mm"]["semi_axes_mm"])
    assert sizes["volume"] == pytest.approx(4 / 3 * math.pi * semi.prod(), rel=1e-12)
    turn = np.array(item["ellipsoid_mm"]["axes_xyz"])
    assert turn @ turn.T == pytest.approx(np.eye(3), abs=1e-12)
    assert (box[3:] - box[:3]) / 2 == pytest.approx(np.sqrt((turn**2 * semi[:, None] ** 2).sum(axis=0)), rel=1e-12)


def test_the_slice_opens_with_its_spacing_and_meets_the_lesion_where_the_truth_says(written):
    scene, image, _, _ = written
    item = scene.truth.objects[0]
    opened = open_image(image, plane="axial", index=item.slice_index)
    scale = opened.info.scale
    assert scale.source == "acquisition" and (opened.info.width_px, opened.info.height_px) == (160, 192)
    assert (scale.row_mm, scale.column_mm, scale.slice_mm) == pytest.approx(
        (scene.scale.row_mm, scene.scale.column_mm, scene.scale.slice_mm), rel=1e-6
    )
    ellipse, t = item.ellipse_px, np.linspace(0, 2 * math.pi, 1001)
    turn, (x, y) = math.radians(ellipse.angle_deg), ellipse.center_xy_px
    u, v = ellipse.semi_major_px * np.cos(t), ellipse.semi_minor_px * np.sin(t)
    px = np.stack([x + u * math.cos(turn) - v * math.sin(turn), y + u * math.sin(turn) + v * math.cos(turn)], axis=1)
    world = opened.stored_to_world.points(px)
    solid = item.ellipsoid_mm
    own = (world - solid.center_xyz_mm) @ np.array(solid.axes_xyz).T / solid.semi_axes_mm
    assert np.linalg.norm(own, axis=1) == pytest.approx(1, abs=1e-6)
    reach = np.linalg.norm(world[:500] - world[500:1000], axis=1)
    assert (reach.max(), reach.min()) == pytest.approx((item.value("long_axis"), item.value("short_axis")), rel=1e-4)
    bright = opened.values > 580
    inside = (bright[int(item.box_xyxy_px[1]) : int(item.box_xyxy_px[3]) + 1,
                     int(item.box_xyxy_px[0]) : int(item.box_xyxy_px[2]) + 1]).sum()  # fmt: skip
    area_px = math.pi * ellipse.semi_major_px * ellipse.semi_minor_px
    assert inside == pytest.approx(area_px, abs=math.pi * (ellipse.semi_major_px + ellipse.semi_minor_px))


def test_bad_sizes_are_one_sentence():
    for bad in ((4, 40, 40), (40, 40, 1000), (40, 40)):
        with pytest.raises(InputError):
            make_lesion_3d(0, bad)
