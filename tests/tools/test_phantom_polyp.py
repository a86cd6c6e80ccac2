"""Polyps: polygons agree with what is drawn and with independent geometry, and no scale is claimed."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import ndimage
from shapely.geometry import Polygon, box
from skimage.draw import polygon2mask

from fiducial.tools.errors import InputError
from fiducial.tools.images.open_image import open_image
from fiducial.tools.phantoms.files import write_scene
from fiducial.tools.phantoms.outline import cover
from fiducial.tools.phantoms.polyp import make_polyp

SEEDS = range(1, 6)


@pytest.mark.parametrize("seed", SEEDS)
def test_sizes_of_the_polygon_equal_an_independent_computation(seed):
    scene = make_polyp(seed)
    assert 1 <= len(scene.truth.objects) <= 3
    for item in scene.truth.objects:
        shape = Polygon(item.polygon_xy_px)
        assert shape.is_valid and box(0, 0, 640, 512).contains(shape)
        assert item.value("area") == pytest.approx(shape.area, rel=1e-9)
        assert item.value("perimeter") == pytest.approx(shape.length, rel=1e-9)
        assert item.box_xyxy_px == pytest.approx(shape.bounds, abs=1e-9)
        points = np.array(item.polygon_xy_px)
        assert item.value("long_axis") == pytest.approx(np.hypot(*(points[:, None] - points[None]).T).max())
        assert 0.4 * item.value("long_axis") < item.value("short_axis") <= item.value("long_axis")
        mask = polygon2mask((512, 640), points[:, ::-1] - 0.5)  # its coordinates are pixel centres
        made = cover(points, 512, 640)
        share = np.zeros((512, 640))
        share[made.rows, made.columns] = made.share
        assert share.sum() == pytest.approx(shape.area, rel=1e-3)
        assert ((share > 0.5) != mask).sum() <= 6  # pixels whose half is a tie
    shapes = [Polygon(item.polygon_xy_px) for item in scene.truth.objects]
    assert all(not a.intersects(b) for i, a in enumerate(shapes) for b in shapes[:i])


def test_the_outline_is_where_the_picture_changes():
    """Averaged over polyps, colour changes fastest within a pixel of the outline."""
    shares, profiles = np.linspace(0.8, 1.2, 81), []
    for seed in range(1, 13):
        scene = make_polyp(seed)
        redness = scene.rgb_u8[:, :, 0].astype(float) / (scene.rgb_u8[:, :, 1] + 20.0)
        for item in scene.truth.objects:
            rim = np.array(item.polygon_xy_px)
            middle = rim.mean(axis=0)
            points = middle + shares[:, None, None] * (rim - middle) - 0.5
            profiles.append(ndimage.map_coordinates(redness, [points[..., 1], points[..., 0]], order=1).mean(axis=1))
    steepest = shares[np.argmax(np.abs(np.gradient(np.mean(profiles, axis=0))))]
    assert abs(steepest - 1) < 0.02  # one pixel on a radius of 50


def test_there_is_no_scale_and_the_frame_is_black_at_the_corners(tmp_path):
    scene = make_polyp(3)
    image, truth = write_scene(scene, tmp_path)
    opened = open_image(image)
    assert opened.info.scale is None and "no physical scale" in opened.info.scale_refused
    assert np.array_equal(opened.rgb_u8, scene.rgb_u8)
    assert scene.rgb_u8[:8, :8].max() < 10 and scene.rgb_u8[-8:, -8:].max() < 10
    document = json.loads(truth.read_text(encoding="utf-8"))
    assert document["scale"] is None and document["counts"] == {"polyp": len(document["objects"])}
    assert {q["unit"] for item in document["objects"] for q in item["quantities"]} == {"px", "px²"}


def test_asked_counts_and_bad_arguments():
    assert [make_polyp(2, count=n).truth.counts["polyp"] for n in (0, 1, 3)] == [0, 1, 3]
    for bad in ({"count": 4}, {"width_px": 10}, {"height_px": 10**6}):
        with pytest.raises(InputError):
            make_polyp(0, **bad)
