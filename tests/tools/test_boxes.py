"""Boxes: overlap, containment and gaps of all pairs against shapely and a plain loop, in two and three dimensions."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from fiducial.tools.geometry.boxes import (
    as_boxes,
    box_volumes,
    containment_matrix,
    gap_matrix,
    iou_matrix,
    iou_matrix_3d,
    valid_boxes,
)

coordinate, side = st.floats(-300, 300), st.floats(0.05, 200)
box = st.tuples(coordinate, coordinate, side, side).map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3]))
boxes = st.lists(box, min_size=1, max_size=5)
cuboid = st.tuples(*[coordinate] * 3, *[side] * 3).map(lambda b: (*b[:3], b[0] + b[3], b[1] + b[4], b[2] + b[5]))


def drawn(count: int, dimensions: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 500, (count, dimensions))
    return np.hstack([low, low + rng.uniform(5, 120, low.shape)])


@pytest.mark.parametrize("count", [1, 31, 33, 400])  # spread at once, and block by block
def test_overlap_of_few_and_of_many_boxes_equals_shapely(count: int) -> None:
    a, b = drawn(count, 2, 1), drawn(count + 1, 2, 2)
    b[0] = a[0]
    first, second = shapely.box(*a.T)[:, None], shapely.box(*b.T)[None]
    inter = shapely.area(shapely.intersection(first, second))
    expected = inter / (shapely.area(first) + shapely.area(second) - inter)
    np.testing.assert_allclose(iou_matrix(a, b), expected, atol=1e-12)
    assert iou_matrix(a, b)[0, 0] == 1
    assert iou_matrix(a, a).max() <= 1


@pytest.mark.parametrize("count", [3, 60])
def test_what_is_no_box_overlaps_nothing_and_spoils_nothing(count: int) -> None:
    good = drawn(count, 2, 3)
    x0, y0, x1, y1 = good[0]
    bad = [(x1, y1, x0, y0), (x1, y0, x0, y1), (x0, y0, x0, y1), (np.nan, y0, x1, y1), (x0, y0, np.inf, y1)]
    bad += [(-np.inf, -np.inf, np.inf, np.inf), (-1e308, -1e308, 1e308, 1e308)]
    bad += [(0.0, 0.0, 1e154, 1e154)] * 2  # each has a size, but their sum is not finite
    both = np.concatenate([good, bad])
    found = iou_matrix(both, both)
    assert np.array_equal(found[:count, :count], iou_matrix(good, good))
    assert not found[count:].any()
    assert not found[:, count:].any()
    assert not containment_matrix(bad[:6], good).any()
    assert not containment_matrix(good, bad[:6]).any()


def test_no_boxes_give_no_rows() -> None:
    assert iou_matrix([], []).shape == (0, 0)
    assert iou_matrix([], drawn(3, 2, 0)).shape == (0, 3)
    assert iou_matrix_3d(drawn(2, 3, 0), []).shape == (2, 0)
    with pytest.raises(ValueError, match=r"shape \(N, 6\)"):
        as_boxes([(0, 0, 1, 1)], dimensions=3)


@given(st.lists(cuboid, min_size=1, max_size=4), st.lists(cuboid, min_size=1, max_size=4))
@settings(deadline=None)
def test_overlap_in_space_equals_a_plain_loop(first, second):
    def volume(b):
        return (b[3] - b[0]) * (b[4] - b[1]) * (b[5] - b[2])

    for i, a in enumerate(first):
        for j, b in enumerate(second):
            sides = [max(0.0, min(a[k + 3], b[k + 3]) - max(a[k], b[k])) for k in range(3)]
            shared = sides[0] * sides[1] * sides[2]
            expected = shared / (volume(a) + volume(b) - shared)
            assert iou_matrix_3d(first, second)[i, j] == pytest.approx(expected, abs=1e-12)
    assert box_volumes(first) == pytest.approx([volume(b) for b in first])


def test_boxes_in_space_that_are_none() -> None:
    bad = [(0, 0, 5, 1, 1, 2), (1, 1, 0, 0, 0, 1)]  # upside down; twice inverted, of positive volume
    assert not valid_boxes(bad, 3).any()
    assert box_volumes(bad).tolist() == [0, 0]
    assert not iou_matrix_3d(bad, [(0, 0, 0, 9, 9, 9)]).any()


@given(boxes, boxes)
@settings(deadline=None)
def test_containment_and_gaps_equal_shapely(inner, outer):
    first, second = shapely.box(*np.array(inner).T)[:, None], shapely.box(*np.array(outer).T)[None]
    shared = shapely.area(shapely.intersection(first, second)) / shapely.area(first)
    np.testing.assert_allclose(containment_matrix(inner, outer), shared, atol=1e-7)
    np.testing.assert_allclose(gap_matrix(inner, outer), shapely.distance(first, second), atol=1e-9)


def test_a_gap_is_taken_in_world_space_and_is_none_from_what_is_no_box() -> None:
    assert gap_matrix([(0, 0, 1, 1)], [(4, 5, 6, 6)], row_mm=2, column_mm=2).tolist() == [[10]]
    assert gap_matrix([(0, 0, 1, 1)], [(4, 3, 6, 6)], row_mm=2, column_mm=1).tolist() == [[5]]
    assert np.isnan(gap_matrix([(1, 1, 0, 0)], [(0, 0, 1, 1)])).all()
