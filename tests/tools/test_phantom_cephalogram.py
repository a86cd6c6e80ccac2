"""Cephalograms: angles from the landmarks, landmarks where the pixels have them, the detector's scale."""

from __future__ import annotations

import json
import math

import numpy as np
import pydicom
import pytest
from scipy import ndimage

from fiducial.tools.errors import InputError
from fiducial.tools.images.open_image import open_image
from fiducial.tools.phantoms.cephalogram import make_cephalogram
from fiducial.tools.phantoms.files import write_scene

ASKED = {"S", "N", "A", "B", "Go", "Me", "Po", "Or", "U1", "L1"}


@pytest.fixture(scope="module")
def scenes():
    return [make_cephalogram(seed) for seed in range(3)]


def corner(vertex, first, second):
    """The angle at a vertex by the law of cosines."""
    a, b, c = math.dist(vertex, first), math.dist(vertex, second), math.dist(first, second)
    return math.degrees(math.acos((a * a + b * b - c * c) / (2 * a * b)))


def test_angles_and_lengths_follow_from_the_landmarks(scenes):
    for scene in scenes:
        mark, step = scene.truth.landmarks_xy_px, scene.scale.row_mm
        assert set(mark) >= ASKED
        assert scene.truth.value("sna_angle") == pytest.approx(corner(mark["N"], mark["S"], mark["A"]), rel=1e-9)
        assert scene.truth.value("snb_angle") == pytest.approx(corner(mark["N"], mark["S"], mark["B"]), rel=1e-9)
        assert abs(scene.truth.value("anb_angle")) == pytest.approx(corner(mark["N"], mark["A"], mark["B"]), abs=1e-6)
        assert 70 <= scene.truth.value("snb_angle") <= 92 and -6 < scene.truth.value("anb_angle") < 10
        for quantity in scene.truth.quantities:
            if quantity.unit == "mm at the detector":
                assert quantity.value == pytest.approx(
                    math.dist(*(mark[name] for name in quantity.of)) * step, rel=1e-9
                )
        height, width = scene.rgb_u8.shape[:2]
        assert all(0 < x < width and 0 < y < height for x, y in mark.values())
        front, back = ("N", "A", "B", "Me", "Or", "U1", "L1"), ("S", "Po", "Go")
        assert min(mark[n][0] for n in front) > max(mark[n][0] for n in back)
        assert mark["N"][1] < mark["Or"][1] < mark["A"][1] < mark["U1"][1] < mark["B"][1] < mark["Me"][1]


def test_asked_angles_are_had_exactly():
    truth = make_cephalogram(3, height_px=252, sna_deg=80.0, snb_deg=84.0).truth
    assert truth.value("sna_angle") == pytest.approx(80, abs=1e-9)
    assert truth.value("anb_angle") == pytest.approx(-4, abs=1e-9)  # a lower jaw in front of the upper: negative


def drop_along(image, point, direction, reach=12):
    """Distance from a point, in px, at which brightness falls fastest along a direction."""
    offset = np.arange(-reach, reach + 0.01, 0.25)
    step = np.array(direction) / np.hypot(*direction)
    side = np.array([-step[1], step[0]])
    lines = [np.array(point) + offset[:, None] * step + shift * side - 0.5 for shift in (-1.0, 0.0, 1.0)]
    profile = np.mean([ndimage.map_coordinates(image, [p[:, 1], p[:, 0]], order=1) for p in lines], axis=0)
    return offset[np.argmin(np.gradient(ndimage.gaussian_filter1d(profile, 3)))]


def test_chin_and_incisor_end_where_the_landmarks_are(scenes):
    found = {"Me": [], "Pog": [], "U1": []}
    for scene in scenes:
        image, mark = scene.image.bright_u12.astype(float), scene.truth.landmarks_xy_px
        found["Me"].append(drop_along(image, mark["Me"], (0, 1)))
        found["Pog"].append(drop_along(image, mark["Pog"], (1, 0)))
        found["U1"].append(drop_along(image, mark["U1"], np.subtract(mark["U1"], mark["U1_apex"])))
    assert {name: abs(float(np.median(values))) <= 1.0 for name, values in found.items()} == dict.fromkeys(found, True)


def test_the_ear_rod_is_at_porion_and_the_rule_measures_ten_millimetres(scenes):
    for scene in scenes:
        image, step = scene.image.bright_u12.astype(float), scene.scale.row_mm
        x, y = scene.truth.landmarks_xy_px["Po"]
        reach = round(5.5 / step)
        rows, columns = slice(int(y) - reach, int(y) + reach + 1), slice(int(x) - reach, int(x) + reach + 1)
        part = image[rows, columns]
        ring = part > (np.percentile(part, 99) + np.median(part)) / 2
        cy, cx = ndimage.center_of_mass(ndimage.binary_fill_holes(ring) & ~ring)
        assert (cx + columns.start + 0.5, cy + rows.start + 0.5) == pytest.approx((x, y), abs=1.0)
        metal = image[: image.shape[0] // 2, int(scene.truth.landmarks_xy_px["N"][0] + 14 / step) :]
        rule = ndimage.gaussian_filter(metal, 1) > 0.55 * metal.max()
        label, count = ndimage.label(ndimage.binary_fill_holes(rule) & ~rule)
        sizes = ndimage.sum_labels(np.ones_like(label), label, range(1, count + 1))
        holes = [i + 1 for i, size in enumerate(sizes) if size > 8]
        assert len(holes) == 5
        ys = sorted(center[0] for center in ndimage.center_of_mass(label > 0, label, holes))
        assert (ys[-1] - ys[0]) * step == pytest.approx(40.0, abs=step)


def test_the_file_has_the_detectors_spacing_and_no_other(tmp_path):
    scenes = [make_cephalogram(seed, height_px=252) for seed in range(4)]
    assert {scene.shape["photometric"] for scene in scenes} == {"MONOCHROME1", "MONOCHROME2"}
    for scene in scenes:
        image, truth = write_scene(scene, tmp_path)
        data = pydicom.dcmread(image)
        assert "PixelSpacing" not in data and data.Modality == "DX"
        opened = open_image(image)
        assert opened.info.scale.source == "detector"
        assert (opened.info.scale.row_mm, opened.info.scale.column_mm) == (scene.scale.row_mm, scene.scale.column_mm)
        assert np.abs(opened.rgb_u8.astype(int) - scene.rgb_u8).max() <= 1
        document = json.loads(truth.read_text(encoding="utf-8"))
        assert document["landmarks_xy_px"]["S"] == pytest.approx(scene.truth.landmarks_xy_px["S"])
        assert {q["unit"] for q in document["quantities"]} == {"°", "mm at the detector"}


def test_bad_arguments_are_one_sentence():
    for bad in ({"height_px": 9}, {"sna_deg": 120.0}, {"snb_deg": math.nan}):
        with pytest.raises(InputError):
            make_cephalogram(0, **bad)
