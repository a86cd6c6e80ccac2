"""Geometry: the design's numbers, and properties that hold for any input."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.draw import ellipse as draw_ellipse
from skimage.measure import EllipseModel

from fiducial.tools.geometry.angles import angle_at_vertex_deg, angle_between_lines_deg, cobb_angle_deg
from fiducial.tools.geometry.boxes import box_areas, iou_matrix, non_maximum_suppression, valid_boxes
from fiducial.tools.geometry.ellipses import (
    ellipse_area,
    ellipse_axes,
    ellipse_box,
    ellipse_circumference,
    ellipse_from_axes,
    ellipse_polygon,
    fit_ellipse,
    normalised_radius,
    world_ellipse,
)
from fiducial.tools.geometry.masks import mask_box, mask_contour, mask_polygon, mask_recist_axes, moment_axes
from fiducial.tools.geometry.matching import match_by_distance, match_by_iou
from fiducial.tools.geometry.polygons import (
    feret_diameters,
    is_simple,
    minimum_rectangle,
    polygon_area,
    polygon_centroid,
    polygon_iou,
    polygon_perimeter,
    recist_axes,
)
from fiducial.tools.record import Ellipse

coordinate = st.floats(-1000, 1000)
box = st.tuples(coordinate, coordinate, st.floats(0.01, 500), st.floats(0.01, 500)).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)
ellipse = st.builds(
    lambda x, y, a, ratio, angle: Ellipse(
        center_xy_px=(x, y), semi_major_px=a, semi_minor_px=a * ratio, angle_deg=angle
    ),
    coordinate, coordinate, st.floats(1, 500), st.floats(0.3, 0.97), st.floats(0, 179.9),
)  # fmt: skip
step = st.floats(0.05, 5)


# --- the design's traps ---


def test_trap_3_angles_are_taken_in_world_space():
    assert angle_at_vertex_deg((1, 0), (0, 0), (1, 1)) == pytest.approx(45)
    assert angle_at_vertex_deg((1, 0), (0, 0), (1, 1), row_mm=2, column_mm=1) == pytest.approx(63.435, abs=5e-4)


def test_trap_4_axes_are_taken_in_world_space():
    mask = np.zeros((100, 200), dtype=bool)
    mask[draw_ellipse(50, 100, 20, 40)] = True
    assert moment_axes(mask) == pytest.approx((79.92, 39.78), abs=0.005)
    assert moment_axes(mask, row_mm=2, column_mm=1) == pytest.approx((80, 80), rel=0.006)
    drawn = Ellipse(center_xy_px=(100.5, 50.5), semi_major_px=40, semi_minor_px=20, angle_deg=0)
    assert ellipse_axes(drawn, row_mm=2, column_mm=1) == pytest.approx((80, 80))


def test_trap_5_sides_come_from_pixel_corners():
    mask = np.zeros((60, 60), dtype=bool)
    mask[5:15, 10:50] = True
    outline = mask_polygon(mask)
    assert outline is not None
    assert mask_box(mask) == (10, 5, 50, 15)
    assert minimum_rectangle(outline) == pytest.approx((40, 10))
    assert polygon_area(outline) == 400
    assert feret_diameters(outline) == pytest.approx((math.hypot(40, 10), 10))
    assert moment_axes(mask)[0] == pytest.approx(46.17, abs=0.005)


def test_trap_15_what_is_not_a_box_or_a_polygon():
    nan = float("nan")
    assert valid_boxes([(0, 0, 1, 1), (1, 1, 0, 0), (0, 0, nan, 1), (0, 0, 0, 1)]).tolist() == [True] + 3 * [False]
    assert box_areas([(1, 1, 0, 0)]).tolist() == [0]
    assert iou_matrix([(1, 1, 0, 0), (0, 0, nan, 1)], [(0, 0, 1, 1)]).tolist() == [[0], [0]]
    assert not is_simple([(0, 0), (1, 1), (1, 0), (0, 1)])
    assert not is_simple([(0, 0), (1, 1), (2, 2)])
    assert is_simple([(0, 0), (1, 0), (1, 1)])


def test_trap_15_cobb_beyond_ninety():
    def endplate(degrees: float) -> list[tuple[float, float]]:
        return [(0.0, 0.0), (math.cos(math.radians(degrees)), math.sin(math.radians(degrees)))]

    upper, lower = endplate(-55), endplate(55)
    assert cobb_angle_deg(upper, lower) == pytest.approx(110)
    assert angle_between_lines_deg(upper, lower) == pytest.approx(70)
    assert cobb_angle_deg(upper[::-1], lower, direction_xy=(1, 0)) == pytest.approx(110)
    assert cobb_angle_deg(upper, lower[::-1]) == pytest.approx(70)  # the order is the caller's word, and is not mended


# --- angles ---


def test_an_angle_without_a_direction_raises():
    with pytest.raises(ValueError, match="coincide"):
        angle_at_vertex_deg((1, 1), (1, 1), (2, 2))


@given(st.floats(0, 360), st.floats(0, 180), step, step)
def test_angle_at_vertex_is_that_of_the_world(turn, angle, row_mm, column_mm):
    def ray(degrees: float) -> tuple[float, float]:
        return 7 * math.cos(math.radians(degrees)) / column_mm, 7 * math.sin(math.radians(degrees)) / row_mm

    assert angle_at_vertex_deg(ray(turn), (0, 0), ray(turn + angle), row_mm, column_mm) == pytest.approx(
        angle, abs=1e-6
    )


# --- boxes ---


@given(st.lists(box, min_size=1, max_size=6), st.lists(box, min_size=1, max_size=6))
def test_iou_matrix_equals_shapely(first, second):
    expected = [
        [(s := shapely.box(*a)).intersection(t := shapely.box(*b)).area / s.union(t).area for b in second]
        for a in first
    ]
    np.testing.assert_allclose(iou_matrix(first, second), expected, atol=1e-6)


@given(st.lists(st.tuples(box, st.floats(0, 1)), min_size=1, max_size=12), st.floats(0, 0.9))
def test_suppression_keeps_the_best_and_nothing_that_overlaps_it(scored, max_iou):
    boxes, scores = [b for b, _ in scored], [s for _, s in scored]
    kept = non_maximum_suppression(boxes, scores, max_iou)
    iou = iou_matrix(boxes, boxes)
    assert scores[kept[0]] == max(scores)
    for i in kept:
        assert all(iou[i, j] <= max_iou for j in kept if j != i)
    for i in set(range(len(boxes))) - set(kept.tolist()):
        assert any(iou[i, j] > max_iou and scores[j] >= scores[i] for j in kept)


def test_suppression_never_keeps_an_invalid_box():
    assert non_maximum_suppression([(5, 5, 1, 1), (0, 0, 2, 2)], [0.9, 0.1], 0.5).tolist() == [1]
    assert len(non_maximum_suppression([], [], 0.5)) == 0


# --- matching ---


def test_matching_is_one_to_one_and_prefers_more_pairs():
    # Greedy by IoU would pair (0, 0) at 0.82 and leave the other two boxes alone.
    first = [(0, 0, 10, 10), (3, 0, 13, 10)]
    second = [(1, 0, 11, 10), (-3, 0, 7, 10)]
    matching = match_by_iou(first, second, 0.5)
    assert matching.pairs.tolist() == [[0, 1], [1, 0]]
    assert matching.f1 == 1


def test_matching_counts_what_is_left_over():
    matching = match_by_iou([(0, 0, 1, 1)], [(0, 0, 1, 1), (0, 0, 1, 1), (5, 5, 6, 6)])
    assert (len(matching.pairs), matching.unmatched_first, len(matching.unmatched_second)) == (1, [], 2)
    assert matching.f1 == 0.5
    assert match_by_iou([], []).f1 == 1
    assert match_by_iou([], [(0, 0, 1, 1)]).f1 == 0


@given(
    st.lists(st.tuples(st.floats(0, 50), st.floats(0, 50)), max_size=8),
    st.lists(st.tuples(st.floats(0, 50), st.floats(0, 50)), max_size=8),
)
def test_points_match_as_often_as_a_maximum_bipartite_matching(first, second):
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import maximum_bipartite_matching

    matching = match_by_distance(first, second, 10)
    assert (matching.quality <= 10).all()
    assert len(set(matching.pairs[:, 0])) == len(set(matching.pairs[:, 1])) == len(matching.pairs)
    if first and second:
        near = [[math.dist(a, b) <= 10 for b in second] for a in first]
        most = int((maximum_bipartite_matching(csr_matrix(near)) >= 0).sum())
        assert len(matching.pairs) == most


def test_points_that_are_not_finite_stay_unmatched():
    assert match_by_distance([(float("nan"), 0)], [(0, 0)], 10).pairs.shape == (0, 2)


# --- ellipses ---


def test_circumference_of_known_ellipses():
    assert ellipse_circumference(1, 1) == pytest.approx(2 * math.pi, rel=1e-14)
    assert ellipse_circumference(2, 1) == pytest.approx(9.688448220547675, rel=1e-13)
    assert ellipse_circumference(1, 2) == ellipse_circumference(2, 1)
    assert ellipse_circumference(1, 0) == pytest.approx(4)


@given(ellipse, step, step)
@settings(max_examples=50)
def test_world_ellipse_is_the_ellipse_of_the_world_points(e, row_mm, column_mm):
    world = world_ellipse(e, row_mm, column_mm)
    points = ellipse_polygon(e, 4000) * np.array([column_mm, row_mm])
    size = world.semi_major_px
    np.testing.assert_allclose(normalised_radius(world, points), 1, atol=1e-6)
    assert ellipse_circumference(size, world.semi_minor_px) == pytest.approx(polygon_perimeter(points), rel=1e-5)
    assert ellipse_area(size, world.semi_minor_px) == pytest.approx(polygon_area(points), rel=1e-5)


@given(ellipse)
def test_four_axis_ends_give_the_ellipse_back(e):
    v = e.vertices_xy_px
    back = ellipse_from_axes(v[2:], v[:2])
    assert back.center_xy_px == pytest.approx(e.center_xy_px, abs=1e-6)
    assert (back.semi_major_px, back.semi_minor_px) == pytest.approx((e.semi_major_px, e.semi_minor_px), rel=1e-9)
    assert math.sin(math.radians(back.angle_deg - e.angle_deg)) == pytest.approx(0, abs=1e-6)


@given(ellipse)
@settings(max_examples=30)
def test_fit_recovers_the_ellipse_and_its_box_holds_it(e):
    points = ellipse_polygon(e, 60)
    fitted = fit_ellipse(points)
    assert fitted is not None
    np.testing.assert_allclose(normalised_radius(fitted, points), 1, atol=1e-4)
    x0, y0, x1, y1 = ellipse_box(e)
    fine = ellipse_polygon(e, 5000)
    assert (x0, y0) == pytest.approx(tuple(fine.min(axis=0)), abs=1e-2)
    assert (x1, y1) == pytest.approx(tuple(fine.max(axis=0)), abs=1e-2)


@pytest.mark.parametrize("minor", [21.885772705078125, 21.7919174347424])
def test_fit_takes_exact_points_on_which_scikit_image_fails(minor):
    # The eigenvalues of the matrix that is not symmetric come out complex here, and EllipseModel raises or fits none.
    e = Ellipse(center_xy_px=(31.0, 0.0), semi_major_px=40.453125, semi_minor_px=minor, angle_deg=41.5)
    fitted = fit_ellipse(ellipse_polygon(e, 60))
    assert fitted is not None
    assert (fitted.semi_major_px, fitted.semi_minor_px, fitted.angle_deg) == pytest.approx(
        (e.semi_major_px, e.semi_minor_px, e.angle_deg), rel=1e-6
    )


@given(ellipse, st.integers(0, 1000))
@settings(max_examples=30)
def test_fit_of_noisy_points_is_scikit_image_s(e, seed):
    rng = np.random.default_rng(seed)
    points = ellipse_polygon(e, 60) + rng.normal(0, 0.02 * e.semi_minor_px, (60, 2))
    model = EllipseModel.from_estimate(points)
    assert model
    fitted = fit_ellipse(points)
    assert fitted is not None
    assert fitted.center_xy_px == pytest.approx(model.center, rel=1e-6, abs=1e-6 * e.semi_major_px)
    assert sorted([fitted.semi_minor_px, fitted.semi_major_px]) == pytest.approx(sorted(model.axis_lengths), rel=1e-6)


def test_no_ellipse_from_too_little():
    assert fit_ellipse([(4, 4)] * 8) is None
    assert fit_ellipse([(0, 0), (1, 0), (0, 1)]) is None
    assert fit_ellipse([(float("nan"), 0)] * 6) is None
    assert fit_ellipse([(i, i) for i in range(10)]) is None
    with pytest.raises(ValueError, match="axis coincide"):
        ellipse_from_axes([(0, 0), (0, 0)], [(0, 1), (1, 0)])


# --- polygons and masks ---


def test_recist_axes_of_known_shapes():
    assert recist_axes([(0, 0), (40, 0), (40, 10), (0, 10)])[0] == pytest.approx(math.hypot(40, 10))
    diamond = [(0, 10), (40, 0), (80, 10), (40, 20)]
    assert recist_axes(diamond) == pytest.approx((80, 20), rel=1e-6)
    assert recist_axes(diamond, row_mm=2, column_mm=0.5) == pytest.approx((40, 40), rel=1e-6)


def test_a_recist_chord_does_not_bridge_a_concavity():
    # A U of arms 10 and base 5, 30 wide: the chord of its hull across the long axis is 31.3.
    u = [(0, 0), (10, 0), (10, 95), (20, 95), (20, 0), (30, 0), (30, 100), (0, 100)]
    long_axis, short_axis = recist_axes(u)
    assert long_axis == pytest.approx(math.hypot(30, 100))
    assert short_axis == pytest.approx(math.hypot(1, 0.3) * (10 + 5 / 0.3), rel=1e-6)


@given(ellipse, step, step)
@settings(max_examples=25, deadline=None)
def test_polygon_axes_of_an_ellipse_are_its_axes(e, row_mm, column_mm):
    polygon = ellipse_polygon(e, 360)
    major, minor = ellipse_axes(e, row_mm, column_mm)
    assert recist_axes(polygon, row_mm, column_mm)[0] == pytest.approx(major, rel=1e-3)
    assert feret_diameters(polygon, row_mm, column_mm) == pytest.approx((major, minor), rel=1e-3)
    assert polygon_centroid(polygon) == pytest.approx(e.center_xy_px, abs=1e-6 * (e.semi_major_px + 1000))


def test_points_on_a_line_have_no_axes():
    with pytest.raises(ValueError, match="no area"):
        feret_diameters([(0, 0), (1, 1), (2, 2)])
    with pytest.raises(ValueError, match="no area"):
        recist_axes([(0, 0), (1e308, 0), (0, 1e308)])  # whose squares are not finite


def test_polygon_iou():
    square = [(0, 0), (2, 0), (2, 2), (0, 2)]
    assert polygon_iou(square, [(1, 0), (3, 0), (3, 2), (1, 2)]) == pytest.approx(1 / 3)
    assert polygon_iou(square, [(0, 0), (1, 1), (1, 0), (0, 1)]) == 0


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=40)
def test_a_masks_polygon_has_its_pixels(seed):
    from scipy import ndimage

    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(24, 30)), 2)
    mask = noise > 0.05
    labels, count = ndimage.label(mask)
    sizes = [int(ndimage.binary_fill_holes(labels == i + 1).sum()) for i in range(count)]
    polygon = mask_polygon(mask)
    if not count:
        assert polygon is None
        return
    assert polygon is not None
    assert polygon_area(polygon) == pytest.approx(max(sizes))


def test_a_contour_follows_a_smooth_shape_below_a_pixel():
    y, x = np.mgrid[:80, :100] + 0.5
    soft = np.clip(20.5 - np.hypot(x - 45.3, y - 37.8), 0, 1)
    contour = mask_contour(soft)
    assert contour is not None
    assert polygon_centroid(contour) == pytest.approx((45.3, 37.8), abs=0.02)
    assert feret_diameters(contour) == pytest.approx((40, 40), abs=0.2)
    assert mask_contour(np.zeros((5, 5))) is None


def test_points_without_a_limit_are_matched_at_the_least_sum_of_distances():
    found = match_by_distance([(0, 0), (10, 0)], [(9, 0), (1, 0)], math.inf)
    assert found.pairs.tolist() == [[0, 1], [1, 0]]
    assert found.quality.tolist() == [1, 1]


def test_the_ring_of_a_necrotic_lesion_is_measured_through_its_hole():
    ring = np.ones((9, 9), dtype=bool)
    ring[3:6, 3:6] = False
    assert mask_recist_axes(ring, 5, 1)[0] == pytest.approx(math.hypot(45, 9))
    assert mask_recist_axes(np.zeros((4, 4), dtype=bool)) is None
    with pytest.raises(ValueError, match="empty"):
        moment_axes(np.zeros((4, 4), dtype=bool))
