"""Nuclei: the label image has the areas of the ellipses, what is drawn lies where they say, the scale comes back."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from scipy.spatial import ConvexHull

from fiducial.tools.errors import InputError
from fiducial.tools.images.open_image import open_image
from fiducial.tools.phantoms.files import write_scene
from fiducial.tools.phantoms.nuclei import make_nuclei


@pytest.mark.parametrize("stain", ["fluorescence", "he"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_labels_have_the_areas_boxes_and_centres_of_the_ellipses(stain, seed, tmp_path):
    scene = make_nuclei(seed, stain, um_per_px_row=0.31, um_per_px_column=0.22)
    image, truth = write_scene(scene, tmp_path)
    document = json.loads(truth.read_text(encoding="utf-8"))
    labels = np.asarray(Image.open(tmp_path / document["labels"]))
    assert labels.dtype == np.uint16 and labels.max() == len(document["objects"]) == document["counts"]["nucleus"] > 5
    assert document["image"] == image.name
    whole = 0
    for item in document["objects"]:
        if item["visible_fraction"] < 1:
            continue
        whole += 1
        y, x = np.nonzero(labels == item["label_value"])
        sizes = {q["quantity"]: q for q in item["quantities"]}
        assert {q["unit"] for q in sizes.values()} == {"µm", "µm²"}
        # Pixel centres in a convex outline: off by a share of the pixels that the outline passes through.
        assert len(x) * 0.31 * 0.22 == pytest.approx(
            sizes["area"]["value"], abs=0.5 * sizes["perimeter"]["value"] * 0.31
        )
        box = (x.min(), y.min(), x.max() + 1, y.max() + 1)
        assert box == pytest.approx(item["box_xyxy_px"], abs=1.0)
        assert (x.mean() + 0.5, y.mean() + 0.5) == pytest.approx(item["ellipse_px"]["center_xy_px"], abs=0.5)
        hull = (points := np.stack([x * 0.22, y * 0.31], axis=1))[ConvexHull(points).vertices]
        reach = np.hypot(*(hull[:, None] - hull[None]).T).max() + 0.265  # from pixel centres to their borders
        assert reach == pytest.approx(sizes["long_axis"]["value"], abs=0.38)  # one diagonal of a pixel
    assert whole > 3


def test_sizes_follow_from_the_axes_and_the_scale():
    for item in make_nuclei(4, um_per_px_row=0.4, um_per_px_column=0.25).truth.objects:
        a, b = item.value("long_axis") / 2, item.value("short_axis") / 2
        ramanujan = math.pi * (3 * (a + b) - math.sqrt((3 * a + b) * (a + 3 * b)))
        assert item.value("area") == pytest.approx(math.pi * a * b, rel=1e-9)
        assert item.value("perimeter") == pytest.approx(ramanujan, rel=1e-4)
        assert item.value("area") == pytest.approx(
            math.pi * item.ellipse_px.semi_major_px * item.ellipse_px.semi_minor_px * 0.4 * 0.25, rel=1e-9
        )
        assert 4 < item.value("long_axis") < 32


@pytest.mark.parametrize("seed", [5, 6])
def test_what_shines_and_what_is_stained_is_what_the_labels_say(seed):
    bright = make_nuclei(seed)
    labels = np.asarray(bright.beside["labels"].pixels) > 0
    grey = ndimage.gaussian_filter(np.asarray(bright.image.pixels, float), 1)
    for item in bright.truth.objects:
        if item.visible_fraction < 1:
            continue
        x0, y0, x1, y1 = (round(v) for v in item.box_xyxy_px)
        part = slice(max(0, y0 - 4), y1 + 4), slice(max(0, x0 - 4), x1 + 4)
        own = np.asarray(bright.beside["labels"].pixels)[part] == item.label_value
        ring = ndimage.binary_dilation(own, iterations=4) & ~ndimage.binary_dilation(labels[part], iterations=2)
        core = ndimage.binary_erosion(own, iterations=3)
        half = (np.median(grey[part][core]) + np.median(grey[part][ring])) / 2 if ring.any() else 0
        drawn = ndimage.binary_fill_holes((grey[part] > half) & (own | ring | ~labels[part])) & (own | ~labels[part])
        area_px = math.pi * item.ellipse_px.semi_major_px * item.ellipse_px.semi_minor_px
        assert ring.any() and drawn.sum() == pytest.approx(area_px, abs=2 * math.pi * item.ellipse_px.semi_major_px)
    stained = make_nuclei(seed, "he")
    labels, red = np.asarray(stained.beside["labels"].pixels) > 0, stained.rgb_u8[:, :, 0].astype(float)
    assert ((ndimage.gaussian_filter(red, 1) < 150) == labels).mean() > 0.97


def test_the_scale_comes_back_and_an_unscaled_file_says_why(tmp_path):
    for stain, unit in (("fluorescence", "stored value"), ("he", None)):
        scene = make_nuclei(7, stain, um_per_px_row=0.3, um_per_px_column=0.2, width_px=200, height_px=150)
        opened = open_image(write_scene(scene, tmp_path)[0])
        assert opened.format == "OME-TIFF" and opened.values_unit == unit
        assert (opened.info.scale.row_mm, opened.info.scale.column_mm) == pytest.approx((3e-4, 2e-4), rel=1e-9)
        assert opened.info.scale.source == "microscope"
        plain = make_nuclei(7, stain, scaled=False, width_px=200, height_px=150)
        image, truth = write_scene(plain, tmp_path)
        opened = open_image(image)
        assert image.suffix == ".png" and opened.info.scale is None and "no physical scale" in opened.info.scale_refused
        assert np.array_equal(opened.rgb_u8, plain.rgb_u8)
        document = json.loads(truth.read_text(encoding="utf-8"))
        assert document["scale"] is None
        assert {q["unit"] for item in document["objects"] for q in item["quantities"]} == {"px", "px²"}
        ellipse = document["objects"][0]["ellipse_px"]
        assert document["objects"][0]["quantities"][0]["value"] == pytest.approx(2 * ellipse["semi_major_px"])


def test_asked_counts_and_bad_arguments():
    assert len(make_nuclei(1, count=9).truth.objects) == 9
    empty = make_nuclei(1, count=0)
    assert empty.truth.counts == {"nucleus": 0} and not np.asarray(empty.beside["labels"].pixels).any()
    for bad in (
        {"width_px": 4},
        {"count": -1},
        {"um_per_px_row": math.nan},
        {"scaled": False, "um_per_px_row": 0.2, "um_per_px_column": 0.3},
    ):
        with pytest.raises(InputError):
            make_nuclei(0, **bad)
