"""The CT series: position, spacing and HU as read back, and the lesion's sizes against independent computations."""

from __future__ import annotations

import json
import math

import numpy as np
import pydicom
import pytest
from scipy import ndimage
from skimage.measure import label, regionprops

from fiducial.tools.errors import InputError
from fiducial.tools.images.open_image import open_image
from fiducial.tools.phantoms.ct_lesion import make_ct_lesion
from fiducial.tools.phantoms.ellipsoid import Plane, WorldEllipsoid, random_axes
from fiducial.tools.phantoms.files import write_scene

ORGANS = ["left_kidney", "liver_lesion", "right_kidney", "spleen"]


def rho(ellipsoid, points):
    """1 on the surface: the world points in the ellipsoid's own axes."""
    own = (np.asarray(points) - ellipsoid.center_xyz_mm) @ np.array(ellipsoid.axes_xyz).T
    return np.linalg.norm(own / ellipsoid.semi_axes_mm, axis=-1)


def outline_px(ellipse, count=60):
    t, turn = np.linspace(0, 2 * math.pi, count), math.radians(ellipse.angle_deg)
    u, v = ellipse.semi_major_px * np.cos(t), ellipse.semi_minor_px * np.sin(t)
    x, y = ellipse.center_xy_px
    return np.stack([x + u * math.cos(turn) - v * math.sin(turn), y + u * math.sin(turn) + v * math.cos(turn)], axis=1)


@pytest.mark.parametrize("seed", range(6))
def test_box_volume_and_sections_of_an_ellipsoid_in_an_oblique_anisotropic_plane(seed):
    rng = np.random.default_rng(seed)
    solid = WorldEllipsoid.of(rng.uniform(-9, 9, 3), rng.uniform(4, 20, 3), random_axes(rng))
    axes = random_axes(rng)
    plane = Plane(solid.center + rng.uniform(-2, 2, 3) - 40 * axes[0] - 30 * axes[1], 0.7 * axes[0], 1.9 * axes[1])
    made = solid.section(plane)
    px = outline_px(made.ellipse_px, 2001)
    world = plane.origin + px[:, :1] * plane.step_x + px[:, 1:] * plane.step_y
    own = (world - solid.center) @ solid.axes.T / solid.semi_axes_mm
    assert np.linalg.norm(own, axis=1) == pytest.approx(1, abs=1e-9)
    reach = np.linalg.norm(world[:1000] - world[1000:2000], axis=1)  # diameters: opposite points
    assert 2 * made.semi_major_mm == pytest.approx(reach.max(), rel=1e-5)
    assert 2 * made.semi_minor_mm == pytest.approx(reach.min(), rel=1e-5)
    ball = rng.standard_normal((200_000, 3))
    surface = solid.center + (ball / np.linalg.norm(ball, axis=1)[:, None] * solid.semi_axes_mm) @ solid.axes
    assert np.ptp(surface, axis=0) / 2 == pytest.approx(solid.half_extent_mm, rel=1e-3)
    inside = rng.uniform(-1, 1, (200_000, 3)) * solid.half_extent_mm
    full = np.linalg.norm(inside @ solid.axes.T / solid.semi_axes_mm, axis=1) <= 1
    assert full.mean() * 8 * solid.half_extent_mm.prod() == pytest.approx(solid.volume_mm3, rel=0.01)
    below = inside[full][:, 2] <= 0.3 * solid.half_extent_mm[2]
    assert solid.share_between(-1e3, solid.center[2] + 0.3 * solid.half_extent_mm[2]) == pytest.approx(
        below.mean(), abs=0.01
    )


@pytest.mark.parametrize("seed", [1, 2])
def test_slices_read_back_with_hu_scale_and_the_lesion_in_its_place(seed, tmp_path):
    scene = make_ct_lesion(seed, size_px=128, slices=12)
    folder, truth = write_scene(scene, tmp_path)
    document = json.loads(truth.read_text(encoding="utf-8"))
    assert folder.is_dir() and document["image"] == folder.name and document["slices"] == 12
    files = {path: pydicom.dcmread(path) for path in sorted(folder.iterdir())}
    heights = [float(d.ImagePositionPatient[2]) for d in files.values()]
    assert heights != sorted(heights) and heights != sorted(heights, reverse=True)
    by_height = sorted(files, key=lambda p: float(files[p].ImagePositionPatient[2]))
    assert [int(files[p].InstanceNumber) for p in by_height] == list(range(12, 0, -1))
    assert (
        len({d.SOPInstanceUID for d in files.values()}) == 12
        and len({d.SeriesInstanceUID for d in files.values()}) == 1
    )
    steps = np.diff(sorted(heights))
    assert steps == pytest.approx(scene.scale.slice_mm, abs=1e-6)
    assert all(abs(float(d.SliceThickness) - scene.scale.slice_mm) > 0.1 for d in files.values())
    item = scene.truth.objects[0]
    opened = open_image(by_height[item.slice_index])
    assert opened.values_unit == "HU" and opened.modality == "CT"
    assert np.array_equal(opened.values, scene.image.hounsfield[item.slice_index].clip(-1024))
    scale = opened.info.scale
    assert (scale.row_mm, scale.column_mm, scale.slice_mm) == pytest.approx(
        (scene.scale.row_mm, scene.scale.column_mm, scene.scale.slice_mm), rel=1e-9
    )
    assert scale.source == "acquisition"
    world = opened.stored_to_world.points(outline_px(item.ellipse_px))
    assert rho(item.ellipsoid_mm, world) == pytest.approx(1, abs=1e-6)
    whole = open_image(folder, plane="axial", index=item.slice_index)  # sorted by position, whatever the names say
    assert np.array_equal(whole.values, opened.values) and whole.slice_count == 12
    assert whole.info.scale.slice_mm == pytest.approx(scale.slice_mm, rel=1e-9)
    assert rho(item.ellipsoid_mm, whole.stored_to_world.points(outline_px(item.ellipse_px))) == pytest.approx(
        1, abs=1e-6
    )


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_recist_axes_are_the_longest_and_agree_with_the_pixels(seed):
    scene = make_ct_lesion(seed)
    item, scale = scene.truth.objects[0], scene.scale
    assert item.label == "liver_lesion" and item.visible_fraction == 1.0
    x0, y0, x1, y1 = item.box_xyxy_px
    part = slice(max(0, int(y0) - 8), int(y1) + 9), slice(max(0, int(x0) - 8), int(x1) + 9)
    volume = ndimage.gaussian_filter(scene.image.hounsfield.astype(float), (0, 1.2, 1.2))
    best = volume[item.slice_index][part]
    y, x = np.mgrid[part] + 0.5
    t, (cx, cy) = math.radians(item.ellipse_px.angle_deg), item.ellipse_px.center_xy_px
    along, across = (x - cx) * math.cos(t) + (y - cy) * math.sin(t), (y - cy) * math.cos(t) - (x - cx) * math.sin(t)
    shell = np.hypot(along / item.ellipse_px.semi_major_px, across / item.ellipse_px.semi_minor_px)
    level = (np.median(best[shell < 0.8]) + np.median(best[(shell > 1.15) & (shell < 1.5)])) / 2
    found = label((best < level) & (shell < 1.3))
    drawn = max(regionprops(found), key=lambda region: region.area)
    pixel = scale.row_mm
    assert drawn.axis_major_length * pixel == pytest.approx(item.value("long_axis"), abs=2 * pixel)
    assert drawn.axis_minor_length * pixel == pytest.approx(item.value("short_axis"), abs=2 * pixel)
    assert (drawn.centroid[1] + part[1].start + 0.5, drawn.centroid[0] + part[0].start + 0.5) == pytest.approx(
        item.ellipse_px.center_xy_px, abs=1.0
    )
    spacing, semi = scene.image.position_mm, np.array(item.ellipsoid_mm.semi_axes_mm)
    assert item.value("volume") == pytest.approx(4 / 3 * math.pi * semi.prod(), rel=1e-12)
    solid = WorldEllipsoid(np.array(item.ellipsoid_mm.center_xyz_mm), semi, np.array(item.ellipsoid_mm.axes_xyz))
    longest = []
    for k in range(len(scene.image.hounsfield)):
        corner = np.array(spacing(k)) - [pixel / 2, pixel / 2, 0]
        cut = solid.section(Plane(corner, np.array([pixel, 0, 0]), np.array([0, pixel, 0])))
        longest.append(2 * cut.semi_major_mm if cut else 0.0)
    assert np.argmax(longest) == item.slice_index and max(longest) == pytest.approx(item.value("long_axis"), rel=1e-9)


def test_named_organs_lie_apart_and_have_the_density_of_their_kind():
    rng = np.random.default_rng(0)
    for seed in range(4):
        scene = make_ct_lesion(seed, size_px=192, slices=16)
        assert sorted(item.label for item in scene.truth.objects) == ORGANS
        assert set(scene.truth.counts.values()) == {1}
        for item in scene.truth.objects:
            solid = item.ellipsoid_mm
            ball = rng.standard_normal((4000, 3))
            ball *= (rng.uniform(size=4000) ** (1 / 3) / np.linalg.norm(ball, axis=1))[:, None]
            points = solid.center_xyz_mm + (ball * solid.semi_axes_mm) @ np.array(solid.axes_xyz)
            for other in scene.truth.objects:
                assert other is item or rho(other.ellipsoid_mm, points).min() > 1
            low, high = np.array(item.box_xyzxyz_mm).reshape(2, 3)
            assert (points >= low - 1e-9).all() and (points <= high + 1e-9).all()
        lesion, x, y = scene.truth.objects[0], *scene.truth.objects[0].ellipse_px.center_xy_px
        patch = scene.image.hounsfield[lesion.slice_index][int(y) - 2 : int(y) + 3, int(x) - 2 : int(x) + 3]
        assert 15 < patch.mean() < 85


def test_a_volume_as_png_and_bad_arguments_are_one_sentence(tmp_path):
    with pytest.raises(InputError, match="volume"):
        write_scene(make_ct_lesion(1, size_px=64, slices=8), tmp_path, format="png")
    for bad in ({"size_px": 10}, {"slices": 2}):
        with pytest.raises(InputError):
            make_ct_lesion(0, **bad)
