"""Masks: what is taken from them, against analytic shapes and scikit-image; lengths and landmarks in world space."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays
from skimage.measure import perimeter_crofton, regionprops

from fiducial.tools.geometry.angles import vector_angles_deg
from fiducial.tools.geometry.ellipses import ellipse_circumference
from fiducial.tools.geometry.lengths import (
    distances,
    distances_to_line,
    distances_to_segment,
    fit_line,
    path_length,
)
from fiducial.tools.geometry.masks import (
    mask_area,
    mask_ellipse,
    mask_feret_diameters,
    mask_iou,
    mask_perimeter,
    mask_polygon,
    mask_recist_axes,
    mask_volume,
    smooth_outline,
)
from fiducial.tools.geometry.polygons import is_simple, polygon_area


def drawn(a: float, b: float, angle: float, row_mm: float = 1.0, column_mm: float = 1.0, seed: int = 0) -> np.ndarray:
    """The pixels whose centre lies in an ellipse, its axes in mm, its middle at 60 mm and a bit."""
    x, y = np.meshgrid((np.arange(120 / column_mm) + 0.5) * column_mm, (np.arange(120 / row_mm) + 0.5) * row_mm)
    dx, dy = np.random.default_rng(seed).uniform(59, 61, 2)
    u = (x - dx) * math.cos(angle) + (y - dy) * math.sin(angle)
    v = -(x - dx) * math.sin(angle) + (y - dy) * math.cos(angle)
    return (u / a) ** 2 + (v / b) ** 2 <= 1


@pytest.mark.parametrize("angle", [0, 0.4, 1.1, 2.6])
@pytest.mark.parametrize(("a", "b"), [(10, 10), (30, 30), (40, 20)])
def test_perimeter_of_smooth_shapes(a: float, b: float, angle: float) -> None:
    mask = drawn(a, b, angle)
    assert mask_perimeter(mask) == pytest.approx(perimeter_crofton(mask), rel=1e-12)
    assert mask_perimeter(mask) == pytest.approx(ellipse_circumference(a, b), rel=0.013)
    tall = drawn(a, b, angle, row_mm=2.5)
    assert mask_perimeter(tall, row_mm=2.5) == pytest.approx(ellipse_circumference(a, b), rel=0.06)
    assert mask_area(tall, 2.5, 1) == pytest.approx(math.pi * a * b, rel=0.03)


def test_a_hole_has_an_outline_too_and_a_mask_may_touch_the_edge() -> None:
    disc, hole = drawn(40, 40, 0), drawn(15, 15, 0)
    assert mask_perimeter(disc & ~hole) == pytest.approx(mask_perimeter(disc) + mask_perimeter(hole))
    half = disc[:60]
    assert mask_perimeter(half) == pytest.approx(perimeter_crofton(np.pad(half, 3)), rel=1e-12)
    assert mask_perimeter(np.zeros((4, 4), bool)) == 0


@pytest.mark.parametrize("angle", [0, 0.4, 1.1, 2.6])
def test_the_ellipse_of_a_mask(angle: float) -> None:
    found = mask_ellipse(drawn(40, 20, angle))
    assert found is not None
    assert (found.semi_major_px, found.semi_minor_px) == pytest.approx((40, 20), rel=0.005)
    assert math.sin(math.radians(found.angle_deg) - angle) == pytest.approx(0, abs=0.01)
    assert found.center_xy_px == pytest.approx(tuple(np.random.default_rng(0).uniform(59, 61, 2)), abs=0.1)
    assert mask_ellipse(np.zeros((3, 3), bool)) is None


def test_a_single_pixel_is_an_ellipse_and_has_axes() -> None:
    pixel = np.zeros((5, 5), bool)
    pixel[2, 3] = True
    found = mask_ellipse(pixel)
    assert found is not None
    assert found.center_xy_px == (3.5, 2.5)
    assert found.semi_major_px == pytest.approx(1 / math.sqrt(3))
    assert mask_recist_axes(pixel) == pytest.approx((math.sqrt(2), math.sqrt(2)), rel=1e-6)


def test_diameters_come_from_corners_where_scikit_image_takes_centres() -> None:
    mask = np.zeros((60, 60), bool)
    mask[5:15, 10:50] = True
    assert mask_feret_diameters(mask) == pytest.approx((math.hypot(40, 10), 10))
    assert regionprops(mask.astype(int))[0].feret_diameter_max == pytest.approx(41.0)
    assert mask_feret_diameters(mask, row_mm=4, column_mm=1) == pytest.approx((math.hypot(40, 40), 40))
    assert mask_recist_axes(mask, 4, 1) == pytest.approx((math.hypot(40, 40), math.hypot(40, 40)), rel=1e-6)
    assert mask_feret_diameters(np.zeros((3, 3), bool)) is None


def test_overlap_of_masks_of_one_frame() -> None:
    a, b = np.zeros((2, 4, 4), bool), np.zeros((2, 4, 4), bool)
    a[:, :2], b[:, 1:3] = True, True
    assert mask_iou(a, b) == pytest.approx(1 / 3)
    assert mask_iou(a & b & ~a, b & ~b) == 0
    with pytest.raises(ValueError, match="frames"):
        mask_iou(a, b[0])


def test_volume_of_a_ball_and_what_its_surface_does_to_it() -> None:
    k, j, i = np.meshgrid(*(np.arange(-15, 16.0) * step for step in (0.5, 1.0, 2.0)), indexing="ij")
    ball = k**2 + j**2 + i**2 <= 7**2
    volume, deviation = mask_volume(ball, (0.5, 1.0, 2.0), sigma_mm=0.25)
    assert volume == pytest.approx(4 / 3 * math.pi * 7**3, rel=0.02)
    assert 1 <= deviation / (0.25 * 4 * math.pi * 7**2) <= 1.2
    assert mask_volume(ball & ~ball, (1, 1, 1), 0.25) == (0, 0)


def test_lengths_and_angles_in_space() -> None:
    assert distances([(0, 0, 0), (1, 1, 1)], (2, 3, 6)).tolist() == pytest.approx([7, math.sqrt(30)])
    corner = [(0, 0), (3, 0), (3, 4)]
    assert (path_length(corner), path_length(corner, closed=True), path_length(corner[:1])) == (7, 12, 0)
    points = [(0, 3, 4), (-3, 0, 4), (20, 0, 0)]
    assert distances_to_line(points, (0, 0, 0), (10, 0, 0)).tolist() == [5, 4, 0]
    assert distances_to_segment(points, (0, 0, 0), (10, 0, 0)).tolist() == [5, 5, 10]
    with pytest.raises(ValueError, match="coincide"):
        distances_to_line(points, (1, 1, 1), (1, 1, 1))
    angles = vector_angles_deg(
        [(1, 0, 0), (1, 0, 0), (1, 0, 0), (0, 0, 0)], [(0, 0, 2), (-3, 0, 0), (1, 1, 0), (1, 0, 0)]
    )
    assert angles[:3].tolist() == pytest.approx([90, 180, 45])
    assert math.isnan(angles[3])
    tiny = vector_angles_deg((1, 0), (math.cos(1e-9), math.sin(1e-9)))
    assert tiny == pytest.approx(math.degrees(1e-9), rel=1e-6)


def test_a_line_is_fitted_alike_however_the_image_is_turned() -> None:
    rng = np.random.default_rng(0)
    points = np.stack([np.linspace(0, 100, 40), 0.3 * np.linspace(0, 100, 40)], axis=1) + rng.normal(0, 2, (40, 2))
    centre, direction = fit_line(points)
    turn = np.array([[0.0, -1.0], [1.0, 0.0]])
    turned_centre, turned = fit_line(points @ turn.T)
    assert turned_centre == pytest.approx(turn @ centre)
    assert turned == pytest.approx(turn @ direction)
    assert math.atan2(direction[1], direction[0]) == pytest.approx(math.atan(0.3), abs=0.02)
    with pytest.raises(ValueError, match="coincide"):
        fit_line([(1, 1), (1, 1)])


@pytest.mark.parametrize("radius", [3.0, 5.5, 12.0, 50.0])
def test_a_smooth_outline_has_the_area_and_the_perimeter_of_the_disc(radius: float) -> None:
    y, x = np.mgrid[:120, :130] + 0.5
    outline = smooth_outline(np.hypot(x - 60.3, y - 58.8) < radius)
    assert outline is not None
    assert polygon_area(outline) == pytest.approx(math.pi * radius**2, rel=0.02 if radius > 4 else 0.05)
    assert path_length(outline, closed=True) == pytest.approx(2 * math.pi * radius, rel=0.02 if radius > 4 else 0.03)


@settings(max_examples=30, deadline=None)
@given(mask=arrays(bool, (9, 12)))
def test_a_smooth_outline_of_anything_keeps_its_area_inside_of_the_image(mask: np.ndarray) -> None:
    outline, stairs = smooth_outline(mask), mask_polygon(mask)
    assert (outline is None) == (stairs is None)
    if outline is not None and stairs is not None:
        assert polygon_area(outline) == pytest.approx(polygon_area(stairs), rel=0.2, abs=1)
        assert (outline >= 0).all() and (outline <= (12, 9)).all() and is_simple(outline)
