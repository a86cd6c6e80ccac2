"""The package's own measuring against the phantoms' truth: 0.1 % on vector geometry, a pixel on rasters."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.draw import polygon2mask

from fiducial.tools.geometry.angles import angle_at_vertex_deg
from fiducial.tools.geometry.ellipses import ellipse_axes, ellipse_circumference
from fiducial.tools.geometry.masks import mask_area, mask_box, mask_recist_axes, mask_volume
from fiducial.tools.geometry.polygons import polygon_area, polygon_perimeter, recist_axes
from fiducial.tools.phantoms.cephalogram import make_cephalogram
from fiducial.tools.phantoms.chest import make_chest
from fiducial.tools.phantoms.ct_lesion import make_ct_lesion
from fiducial.tools.phantoms.lesion_3d import make_lesion_3d
from fiducial.tools.phantoms.nuclei import make_nuclei
from fiducial.tools.phantoms.polyp import make_polyp


def test_ellipses_with_pixels_that_are_not_square():
    for item in make_nuclei(8, um_per_px_row=0.4, um_per_px_column=0.25).truth.objects:
        long, short = ellipse_axes(item.ellipse_px, 0.4, 0.25)
        assert (long, short) == pytest.approx((item.value("long_axis"), item.value("short_axis")), rel=1e-3)
        assert ellipse_circumference(long / 2, short / 2) == pytest.approx(item.value("perimeter"), rel=1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_polygons_and_their_masks(seed):
    items = make_polyp(seed).truth.objects
    chest = make_chest(seed, size_px=128)
    step = chest.scale.row_mm
    lungs = [item for item in chest.truth.objects if item.polygon_xy_px is not None]
    for item, mm in [*((i, 1.0) for i in items), *((i, step) for i in lungs)]:
        axes = recist_axes(item.polygon_xy_px, mm, mm)
        assert axes == pytest.approx((item.value("long_axis"), item.value("short_axis")), rel=1e-6)
        assert polygon_area(item.polygon_xy_px, mm, mm) == pytest.approx(item.value("area"), rel=1e-6)
        assert polygon_perimeter(item.polygon_xy_px, mm, mm) == pytest.approx(item.value("perimeter"), rel=1e-6)
    for item in items:
        mask = polygon2mask((512, 640), np.array(item.polygon_xy_px)[:, ::-1] - 0.5)
        assert mask_box(mask) == pytest.approx(item.box_xyxy_px, abs=1.0)
        assert mask_recist_axes(mask)[0] == pytest.approx(item.value("long_axis"), abs=2**0.5)
        assert mask_area(mask) == pytest.approx(item.value("area"), abs=0.5 * item.value("perimeter"))


@pytest.mark.parametrize("seed", range(3))
def test_angles_of_the_cephalogram(seed):
    truth = make_cephalogram(seed, height_px=126).truth
    mark = truth.landmarks_xy_px
    for name, vertex in (("sna_angle", "A"), ("snb_angle", "B")):
        assert angle_at_vertex_deg(mark["S"], mark["N"], mark[vertex]) == pytest.approx(truth.value(name), rel=1e-6)


@pytest.mark.parametrize("seed", range(2))
def test_sections_and_volumes(seed):
    scene = make_ct_lesion(seed, size_px=64, slices=12)
    for item in scene.truth.objects:
        axes = ellipse_axes(item.ellipse_px, scene.scale.row_mm, scene.scale.column_mm)
        assert axes == pytest.approx((item.value("long_axis"), item.value("short_axis")), rel=1e-6)
    volume = make_lesion_3d(seed)
    (item,), scale = volume.truth.objects, volume.scale
    axes = ellipse_axes(item.ellipse_px, scale.row_mm, scale.column_mm)
    assert axes == pytest.approx((item.value("long_axis"), item.value("short_axis")), rel=1e-4)
    steps = (scale.column_mm, scale.row_mm, scale.slice_mm)
    measured = mask_volume(np.asarray(volume.beside["labels"].values) > 0, steps)[0]
    assert measured == pytest.approx(item.value("volume"), rel=0.05)  # four slices of 3 mm and some
