"""Phantoms: the truth holds against what is drawn, the files carry the scale, and a seed says everything."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path

import numpy as np
import pydicom
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.measure import label, regionprops

from fiducial.tools.errors import InputError
from fiducial.tools.images.open_image import open_image
from fiducial.tools.phantoms import SCENES
from fiducial.tools.phantoms.blood_smear import make_blood_smear
from fiducial.tools.phantoms.ellipse import WorldEllipse
from fiducial.tools.phantoms.fetal_head import make_fetal_head
from fiducial.tools.phantoms.files import write_scene
from fiducial.tools.record import Scale
from fiducial.tools.structures import structures


def inside(ellipse, height, width):
    """Independent rasterisation: pixel centres that satisfy the ellipse's equation in stored pixels."""
    y, x = np.mgrid[:height, :width] + 0.5
    (cx, cy), t = ellipse.center_xy_px, math.radians(ellipse.angle_deg)
    along, across = (x - cx) * math.cos(t) + (y - cy) * math.sin(t), (y - cy) * math.cos(t) - (x - cx) * math.sin(t)
    return (along / ellipse.semi_major_px) ** 2 + (across / ellipse.semi_minor_px) ** 2 <= 1


@settings(max_examples=200, deadline=None)
@given(
    a=st.floats(0.5, 8),
    ratio=st.floats(0.2, 1),
    angle=st.floats(0, 179.9),
    row=st.floats(0.02, 0.5),
    column=st.floats(0.02, 0.5),
)
def test_pixel_ellipse_and_box_are_those_of_the_world_outline(a, ratio, angle, row, column):
    world = WorldEllipse((11.0, 7.0), a, a * ratio, angle)
    scale = Scale(row_mm=row, column_mm=column, source="user")
    px = world.ellipse_px(scale)
    s, t = np.linspace(0, 2 * math.pi, 20001), math.radians(angle)
    u, v = a * np.cos(s), a * ratio * np.sin(s)
    x = (11 + u * math.cos(t) - v * math.sin(t)) / column
    y = (7 + u * math.sin(t) + v * math.cos(t)) / row
    assert world.box_xyxy_px(scale) == pytest.approx(
        (x.min(), y.min(), x.max(), y.max()), abs=1e-4 * a / min(row, column)
    )
    assert math.pi * px.semi_major_px * px.semi_minor_px == pytest.approx(world.area_mm2 / row / column)
    p, (cx, cy) = math.radians(px.angle_deg), px.center_xy_px
    along, across = (x - cx) * math.cos(p) + (y - cy) * math.sin(p), (y - cy) * math.cos(p) - (x - cx) * math.sin(p)
    assert np.allclose((along / px.semi_major_px) ** 2 + (across / px.semi_minor_px) ** 2, 1, atol=1e-6)
    length = np.hypot(np.diff(x * column), np.diff(y * row)).sum()
    assert world.perimeter_mm == pytest.approx(length, rel=1e-6)
    assert 0 <= px.angle_deg < 180 and px.semi_major_px >= px.semi_minor_px


def half_level_mask(image, ellipse):
    """What is darker than half-way between the ground and the cell just within its edge, measured on the pixels."""
    wide, rim, narrow = (
        inside(
            ellipse.model_copy(
                update={"semi_major_px": f * ellipse.semi_major_px, "semi_minor_px": f * ellipse.semi_minor_px}
            ),
            *image.shape,
        )
        for f in (1.15, 0.96, 0.90)
    )
    level = (np.median(image[wide & ~inside(ellipse, *image.shape)]) + np.median(image[rim & ~narrow])) / 2
    found = label((ndimage.gaussian_filter(image, 0.8) < level) & wide)
    largest = max(regionprops(found), key=lambda region: region.area)
    return ndimage.binary_fill_holes(found == largest.label)


@pytest.mark.parametrize("kind", ["red_cell", "white_cell"])
@pytest.mark.parametrize(("row", "column"), [(0.08, 0.08), (0.10, 0.06)])
def test_one_drawn_cell_has_the_area_and_box_of_its_truth(kind, row, column):
    scenes = (make_blood_smear(seed, 480, 400, row, column, {kind: 1}) for seed in range(60))
    scene = next(s for s in scenes if s.truth.objects[0].visible_fraction == 1)
    item = scene.truth.objects[0]
    green = scene.rgb_u8[:, :, 1].astype(float)
    drawn = half_level_mask(green, item.ellipse_px)
    y, x = np.nonzero(drawn)
    box = (x.min(), y.min(), x.max() + 1, y.max() + 1)
    assert box == pytest.approx(item.box_xyxy_px, abs=2.0)
    perimeter_px = 2 * math.pi * item.ellipse_px.semi_major_px
    assert drawn.sum() * row * column / 1e6 == pytest.approx(item.area_mm2, abs=1.5 * perimeter_px * row * column / 1e6)
    truth = inside(item.ellipse_px, *green.shape)
    assert truth.sum() * row * column / 1e6 == pytest.approx(item.area_mm2, rel=0.005)
    assert (drawn & truth).sum() / (drawn | truth).sum() > 0.95


@pytest.mark.parametrize(("row", "column"), [(None, None), (0.2, 0.13)])
def test_the_skull_ends_at_the_true_outline(row, column):
    """Averaged along the outline over several scenes, brightness drops fastest at the true border."""
    profiles = []
    shares = np.linspace(0.94, 1.06, 61)
    for seed in range(12):
        scene = make_fetal_head(seed, 400, 270, row and 2 * row, column and 2 * column, age_weeks=24)
        px = scene.truth.objects[0].ellipse_px
        ends = np.array(px.vertices_xy_px)
        middle, t = ends[:2].mean(axis=0), np.linspace(0, 2 * math.pi, 721)[:, None]
        rim = np.cos(t) * (ends[0] - middle) + np.sin(t) * (ends[2] - middle)
        points = middle + shares[:, None, None] * rim - 0.5
        gray = scene.rgb_u8[:, :, 0].astype(float)
        profiles.append(ndimage.map_coordinates(gray, [points[..., 1], points[..., 0]], order=1).mean(axis=1))
    steepest = shares[np.argmin(np.gradient(np.mean(profiles, axis=0)))]
    assert abs(steepest - 1) < 0.012  # about one pixel on a radius of 90


def test_head_sizes_agree_with_one_another():
    for seed in range(30):
        scene = make_fetal_head(seed, 160, 108)
        row = scene.truth_document()["objects"][0]
        a, b = row["occipitofrontal_diameter_mm"] / 2, row["biparietal_diameter_mm"] / 2
        ramanujan = math.pi * (3 * (a + b) - math.sqrt((3 * a + b) * (a + 3 * b)))
        assert row["head_circumference_mm"] == pytest.approx(ramanujan, rel=1e-4)
        low, high = structures()["head"].long_axis_mm
        assert low <= 2 * a <= high
        assert row["visible_fraction"] > 0.9


def test_cells_have_plausible_sizes_and_the_counts_are_those_of_the_list():
    kinds = set()
    for seed in range(25):
        scene = make_blood_smear(seed, 160, 120)
        labels = [item.label for item in scene.truth.objects]
        assert scene.truth.counts == {key: labels.count(key) for key in ("red_cell", "white_cell", "platelet")}
        for item in scene.truth.objects:
            low, high = structures()[item.label].long_axis_mm
            assert low <= item.long_axis_mm <= high
            assert item.visible_fraction > 0.2
        kinds |= {(key, count == 0) for key, count in scene.truth.counts.items()}
    assert {("white_cell", True), ("white_cell", False), ("platelet", True), ("platelet", False)} <= kinds


def test_asked_counts_are_drawn_and_bad_arguments_are_one_sentence():
    scene = make_blood_smear(3, 160, 120, counts={"red_cell": 40, "platelet": 2})
    assert scene.truth.counts == {"red_cell": 40, "white_cell": 0, "platelet": 2}
    for bad in ({"counts": {"yeast": 1}}, {"counts": {"red_cell": -1}}, {"width_px": 2}, {"um_per_px_row": math.nan}):
        with pytest.raises(InputError):
            make_blood_smear(0, **bad)
    for bad in ({"age_weeks": 60}, {"height_px": 3}, {"mm_per_px_row": -1.0}):
        with pytest.raises(InputError):
            make_fetal_head(0, **bad)


@pytest.mark.parametrize("name", ["blood_smear", "blood_smear_empty", "fetal_head", "fetal_without_head"])
def test_a_seed_reproduces_the_pixels_and_another_does_not(name):
    first, again, other = SCENES[name](11), SCENES[name](11), SCENES[name](12)
    assert first.rgb_u8.dtype == np.uint8 and first.rgb_u8.shape[2] == 3
    assert first.name == name
    assert first.rgb_u8.tobytes() == again.rgb_u8.tobytes()
    assert first.truth_document() == again.truth_document()
    assert first.rgb_u8.tobytes() != other.rgb_u8.tobytes()


def test_frames_without_a_head_and_empty_smears_claim_nothing():
    for name in ("fetal_without_head", "blood_smear_empty"):
        truth = SCENES[name](1).truth
        assert truth.objects == () and set(truth.counts.values()) == {0}


def test_ome_tiff_carries_the_scale(tmp_path):
    scene = make_blood_smear(5, 200, 150, um_per_px_row=0.21, um_per_px_column=0.14)
    image, truth = write_scene(scene, tmp_path)
    with tifffile.TiffFile(image) as file:
        pixels = tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]["Pixels"]
        assert np.array_equal(file.asarray(), scene.rgb_u8)
    assert (pixels["PhysicalSizeX"], pixels["PhysicalSizeY"]) == pytest.approx((0.14, 0.21), rel=1e-12)
    assert pixels["PhysicalSizeXUnit"] == pixels["PhysicalSizeYUnit"] == "µm"
    document = json.loads(truth.read_text(encoding="utf-8"))
    assert document["image"] == image.name
    assert document["counts"] == dict(scene.truth.counts)
    assert document["objects"][0]["long_axis_um"] == pytest.approx(scene.truth.objects[0].long_axis_mm * 1e3)


def test_dicom_carries_a_calibrated_region_and_no_person(tmp_path):
    scene = make_fetal_head(5, 201, 135, mm_per_px_row=0.5, mm_per_px_column=0.4)
    data = pydicom.dcmread(write_scene(scene, tmp_path)[0])
    (region,) = data.SequenceOfUltrasoundRegions
    assert (region.PhysicalDeltaX, region.PhysicalDeltaY) == pytest.approx((0.04, 0.05), rel=1e-12)
    assert region.PhysicalUnitsXDirection == region.PhysicalUnitsYDirection == 3
    assert (region.RegionLocationMaxX1, region.RegionLocationMaxY1) == (200, 134)
    assert np.array_equal(data.pixel_array, scene.rgb_u8[:, :, 0])
    assert str(data.PatientName) == "PHANTOM" and not data.StudyDate


def test_png_carries_the_scale_and_files_repeat_byte_for_byte(tmp_path):
    for scene in (make_blood_smear(1, 96, 64), make_fetal_head(1, 96, 64)):
        image, _ = write_scene(scene, tmp_path, format="png")
        opened = open_image(image)
        assert opened.info.scale is not None
        assert opened.info.scale.model_dump(exclude={"source"}) == scene.scale.model_dump(exclude={"source"})
        assert np.array_equal(opened.rgb_u8, scene.rgb_u8)
        for format in ("native", "png"):
            sums = [
                hashlib.sha256(write_scene(scene, tmp_path / str(i), format=format)[0].read_bytes()).digest()
                for i in (0, 1)
            ]
            assert sums[0] == sums[1]


def test_an_unwritable_folder_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot write"):
        write_scene(make_blood_smear(1, 32, 32), tmp_path / "file")


@pytest.mark.parametrize(
    ("name", "seed", "stem", "format"),
    [
        ("blood_smear", 124, "blood_smear", "native"),
        ("fetal_head", 26, "fetal_head", "native"),
        ("blood_smear_empty", 3, "blood_smear_empty", "png"),
    ],
)
def test_the_example_images_carry_the_truth_of_their_seed(name, seed, stem, format, tmp_path):
    examples = Path(__file__).parents[2] / "examples"
    _, truth = write_scene(SCENES[name](seed), tmp_path, format=format, stem=stem)
    committed = json.loads((examples / truth.name).read_text(encoding="utf-8"))
    assert committed == json.loads(truth.read_text(encoding="utf-8"))
    assert (examples / committed["image"]).stat().st_size < 1_200_000
