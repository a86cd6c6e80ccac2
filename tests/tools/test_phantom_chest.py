"""Chest films: the cardiothoracic ratio from outlines and from pixels, the opacity's box, the detector's scale."""

from __future__ import annotations

import json
import math

import numpy as np
import pydicom
import pytest
from scipy import ndimage
from shapely.geometry import Point, Polygon
from shapely.geometry import box as box_shape

from fiducial.tools.errors import InputError
from fiducial.tools.images.open_image import open_image
from fiducial.tools.phantoms.chest import make_chest
from fiducial.tools.phantoms.files import write_scene


def ellipse_points(ellipse, count=20001):
    t, turn = np.linspace(0, 2 * math.pi, count), math.radians(ellipse.angle_deg)
    u, v = ellipse.semi_major_px * np.cos(t), ellipse.semi_minor_px * np.sin(t)
    x, y = ellipse.center_xy_px
    return np.stack([x + u * math.cos(turn) - v * math.sin(turn), y + u * math.sin(turn) + v * math.cos(turn)], axis=1)


@pytest.mark.parametrize("ratio", [0.40, 0.47, 0.60])
def test_the_ratio_is_that_of_the_outlines_and_of_the_landmarks(ratio):
    scene = make_chest(int(ratio * 100), size_px=256, cardiothoracic_ratio=ratio)
    truth, step = scene.truth, scene.scale.column_mm
    parts = {item.label: item for item in truth.objects}
    heart = ellipse_points(parts["heart"].ellipse_px)
    thorax = (
        np.array(parts["left_lung"].polygon_xy_px)[:, 0].max() - np.array(parts["right_lung"].polygon_xy_px)[:, 0].min()
    )
    assert np.ptp(heart[:, 0]) / thorax == pytest.approx(truth.value("cardiothoracic_ratio"), rel=1e-6)
    assert truth.value("cardiothoracic_ratio") == pytest.approx(ratio, rel=1e-9)
    assert truth.value("heart_width") == pytest.approx(np.ptp(heart[:, 0]) * step, rel=1e-6)
    assert truth.value("thorax_width") == pytest.approx(thorax * step, rel=1e-9)
    marks = truth.landmarks_xy_px
    assert marks["heart_left"] == pytest.approx(heart[heart[:, 0].argmax()], abs=0.05)
    assert marks["heart_right"] == pytest.approx(heart[heart[:, 0].argmin()], abs=0.05)
    assert marks["heart_right"][0] < marks["heart_left"][0] and marks["thorax_right"][0] < marks["thorax_left"][0]
    lungs = [Polygon(parts[name].polygon_xy_px) for name in ("right_lung", "left_lung")]
    assert all(lung.is_valid for lung in lungs) and not lungs[0].intersects(lungs[1])
    assert all(item.visible_fraction == 1 for item in truth.objects)


def edge_along_row(image, x, y, reach=14):
    """Where brightness changes fastest near x, averaged over the rows about y, in stored pixels."""
    rows = image[int(y) - 6 : int(y) + 7, int(x) - reach : int(x) + reach + 1].mean(axis=0)
    change = np.abs(np.gradient(ndimage.gaussian_filter1d(rows, 1.5)))
    return int(x) - reach + np.argmax(change) + 0.5


def test_the_pixels_have_the_borders_where_the_landmarks_are():
    errors = []
    for seed in range(4):
        scene = make_chest(seed, size_px=512, opacity=False)
        image = scene.image.bright_u12.astype(float)
        for name in ("heart_left", "heart_right"):
            x, y = scene.truth.landmarks_xy_px[name]
            errors.append(edge_along_row(image, x, y) - x)
    assert abs(np.median(errors)) <= 1.0


def test_the_opacity_lies_within_one_lung_and_is_brighter_than_its_surroundings():
    for seed in range(3):
        scene = make_chest(seed, size_px=256)
        parts = {item.label: item for item in scene.truth.objects}
        spot = parts["opacity"]
        outline = Polygon(ellipse_points(spot.ellipse_px, 400))
        assert spot.box_xyxy_px == pytest.approx(outline.bounds, abs=0.02)
        assert spot.value("area") == pytest.approx(outline.area * scene.scale.row_mm**2, rel=1e-3)
        lungs = [Polygon(parts[name].polygon_xy_px) for name in ("right_lung", "left_lung")]
        assert sum(lung.contains(outline) for lung in lungs) == 1
        assert not Polygon(ellipse_points(parts["heart"].ellipse_px, 400)).contains(Point(spot.ellipse_px.center_xy_px))
        assert box_shape(0, 0, 256, 256).contains(box_shape(*spot.box_xyxy_px))
        y, x = np.mgrid[:256, :256] + 0.5
        far = np.hypot(x - spot.ellipse_px.center_xy_px[0], y - spot.ellipse_px.center_xy_px[1])
        image = scene.rgb_u8[:, :, 0].astype(float)
        core, ring = far < 0.7 * spot.ellipse_px.semi_minor_px, far < spot.ellipse_px.semi_major_px + 8
        assert image[core].mean() > image[ring & (far > spot.ellipse_px.semi_major_px + 2)].mean() + 12
        clear = make_chest(seed, size_px=128, opacity=False)
        assert clear.name == "chest_clear" and clear.truth.counts["opacity"] == 0


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_the_detectors_scale_and_the_same_picture_come_back(photometric, tmp_path):
    scene = make_chest(2, size_px=256, photometric=photometric)
    image, truth = write_scene(scene, tmp_path)
    data = pydicom.dcmread(image)
    assert data.PhotometricInterpretation == photometric and "PixelSpacing" not in data
    assert [float(v) for v in data.ImagerPixelSpacing] == [scene.scale.row_mm, scene.scale.column_mm]
    assert str(data.PatientName) == "PHANTOM" and not data.StudyDate
    opened = open_image(image)
    assert opened.info.scale.source == "detector" and opened.info.scale.row_mm == scene.scale.row_mm
    assert np.abs(opened.rgb_u8.astype(int) - scene.rgb_u8).max() <= 1  # black air, bright bone, either way
    document = json.loads(truth.read_text(encoding="utf-8"))
    assert {q["unit"] for q in document["quantities"]} == {"mm at the detector", "1"}
    ratio = next(q for q in document["quantities"] if q["quantity"] == "cardiothoracic_ratio")
    ends = [document["landmarks_xy_px"][name] for name in ratio["of"]]
    assert (ends[1][0] - ends[0][0]) / (ends[3][0] - ends[2][0]) == pytest.approx(ratio["value"], rel=1e-9)


def test_bad_arguments_are_one_sentence():
    for bad in ({"size_px": 8}, {"cardiothoracic_ratio": 0.9}, {"cardiothoracic_ratio": math.nan}):
        with pytest.raises(InputError):
            make_chest(0, **bad)
