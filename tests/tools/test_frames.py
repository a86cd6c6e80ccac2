"""Frames: round trips, ellipses and boxes through maps, and the traps that concern frames (2-D)."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fiducial.tools import frames as f
from fiducial.tools.record import Ellipse, Scale

sides = st.integers(min_value=2, max_value=4096)
fractions = st.floats(min_value=0.0, max_value=1.0)


@st.composite
def chains(draw: st.DrawFn) -> tuple[f.FrameMap2D, int, int]:
    """A random chain of maps from a stored frame, and the stored size."""
    width, height = draw(sides), draw(sides)
    chain = f.identity_map(f.Frame("stored", width, height))
    for kind in draw(st.lists(st.sampled_from(["crop", "resize", "letterbox", "turn", "flip", "norm"]), max_size=6)):
        w, h = float(chain.target.width or 1), float(chain.target.height or 1)
        if kind == "crop":
            low, high = sorted((draw(fractions), draw(fractions)))
            box = (low * w / 2, low * h / 2, w * (0.5 + high / 2), h * (0.5 + high / 2))
            step = f.crop_map(box, f.Frame("", w, h))
        elif kind == "resize":
            step = f.resize_map(w, h, draw(sides), draw(sides))
        elif kind == "letterbox" and w.is_integer() and h.is_integer() and min(w, h) >= 2:
            step = f.letterbox_map(int(w), int(h), draw(sides), draw(sides))
        elif kind == "turn":
            step = f.rotate90_map(w, h, draw(st.integers(0, 3)))
        elif kind == "norm":
            step = f.normalise_map(w, h, draw(st.sampled_from([1.0, 1000.0, 1024.0])))
        else:
            step = f.flip_map(w, h, draw(st.sampled_from(["x", "y"])))
        chain = chain.then(step)
    return chain, width, height


@settings(max_examples=120, deadline=None)
@given(chains(), st.lists(st.tuples(fractions, fractions), min_size=1, max_size=40))
def test_points_come_back_through_any_chain_of_maps(
    chain: tuple[f.FrameMap2D, int, int], points: list[tuple[float, float]]
) -> None:
    frame_map, width, height = chain
    xy = np.array(points) * (width, height)
    back = frame_map.inverse().points(frame_map.points(xy))
    assert np.abs(back - xy).max() <= 1e-9 * max(width, height)
    box = (*xy.min(axis=0), *(xy.max(axis=0) + 1))
    assert np.allclose(frame_map.inverse().box_xyxy(frame_map.box_xyxy(box)), box, atol=1e-9 * max(width, height))


@settings(max_examples=60, deadline=None)
@given(
    chains(),
    fractions,
    fractions,
    st.floats(1, 500),
    st.floats(0.05, 1),
    st.floats(0, 179.99),
    st.floats(0, 2 * math.pi),
)
def test_an_ellipse_goes_where_its_points_go(
    chain: tuple[f.FrameMap2D, int, int], x: float, y: float, major: float, ratio: float, angle: float, t: float
) -> None:
    frame_map, width, height = chain
    ellipse = Ellipse(
        center_xy_px=(x * width, y * height), semi_major_px=major, semi_minor_px=major * ratio, angle_deg=angle
    )
    p, q, r, s = (np.array(v) for v in ellipse.vertices_xy_px)
    on_it = np.array(ellipse.center_xy_px) + math.cos(t) * (p - q) / 2 + math.sin(t) * (r - s) / 2
    mapped = frame_map.ellipse(ellipse)
    assert mapped.semi_major_px >= mapped.semi_minor_px
    assert 0 <= mapped.angle_deg < 180
    turn = math.radians(mapped.angle_deg)
    dx, dy = frame_map.points(on_it) - np.array(mapped.center_xy_px)
    along, across = dx * math.cos(turn) + dy * math.sin(turn), -dx * math.sin(turn) + dy * math.cos(turn)
    assert (along / mapped.semi_major_px) ** 2 + (across / mapped.semi_minor_px) ** 2 == pytest.approx(1, abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(chains(), st.tuples(fractions, fractions), st.tuples(fractions, fractions))
def test_lengths_in_mm_survive_any_chain_of_maps(
    chain: tuple[f.FrameMap2D, int, int], a: tuple[float, float], b: tuple[float, float]
) -> None:
    frame_map, width, height = chain
    scale = Scale(row_mm=0.7, column_mm=0.3, source="acquisition")
    there = frame_map.scale(scale)
    ends = np.array([a, b]) * (width, height)
    mapped = frame_map.points(ends)
    before = math.hypot(*((ends[1] - ends[0]) * (scale.column_mm, scale.row_mm)))
    after = math.hypot(*((mapped[1] - mapped[0]) * (there.column_mm, there.row_mm)))
    assert after == pytest.approx(before, rel=1e-7, abs=1e-7)
    assert there.source == "acquisition"


def test_trap_3_an_angle_of_45_degrees_in_pixels_is_63_435_in_mm() -> None:
    from fiducial.tools.scale import mm_from_px

    x, y = mm_from_px(Scale(row_mm=2, column_mm=1, source="user"), (10, 10))
    assert math.degrees(math.atan2(y, x)) == pytest.approx(63.435, abs=5e-4)


def test_trap_4_an_ellipse_in_anisotropic_pixels_is_a_circle_of_80_mm() -> None:
    to_mm = f.FrameMap2D(np.diag([1.0, 2.0, 1.0]))
    ellipse = Ellipse(center_xy_px=(100, 50), semi_major_px=40, semi_minor_px=20, angle_deg=0)
    circle = to_mm.ellipse(ellipse)
    assert (2 * circle.semi_major_px, 2 * circle.semi_minor_px) == pytest.approx((80, 80))


def test_trap_6_the_centre_of_the_first_pixel_is_at_one_half() -> None:
    assert f.centres_from_index([0, 0]).tolist() == [0.5, 0.5]
    assert f.index_from_centres([0.5, 0.5]).tolist() == [0, 0]


def test_trap_7_a_resize_in_corners_and_in_pixel_indices() -> None:
    half = f.resize_map(1000, 1000, 500, 500)
    assert half.points((501, 0))[0] == 250.5
    assert f.index_from_centres(half.points(f.centres_from_index((501, 0))))[0] == 250.25


def test_trap_8_letterbox_of_512_by_384_into_448() -> None:
    fit = f.letterbox(512, 384, 448, 448)
    assert (fit.scale_x, fit.scale_y, fit.pad_left_px, fit.pad_top_px) == (0.875, 0.875, 0, 56)
    assert fit.map.inverse().points((100, 100)) == pytest.approx((114.286, 50.286), abs=5e-4)


def test_a_letterbox_map_has_the_rounding_that_the_pixels_have() -> None:
    fit = f.letterbox(800, 541, 256, 256)
    assert (fit.content_width_px, fit.content_height_px, fit.pad_top_px) == (256, 173, 41)
    assert fit.map.points((800, 541)).tolist() == pytest.approx([256, 41 + 173])


def test_trap_9_a_step_of_0_to_1000_on_2048_pixels() -> None:
    half_step = f.quantisation_half_step_px(2048, 1000)
    assert half_step == 1.024
    assert half_step * 0.5 == pytest.approx(0.51, abs=5e-3)
    steps = f.normalise_map(2048, 2048, 1000)
    xy = np.random.default_rng(0).uniform(0, 2048, (500, 2))
    assert np.abs(steps.inverse().points(np.round(steps.points(xy))) - xy).max() <= 1.024 + 1e-9


def test_points_of_two_frames_do_not_mix_without_a_map() -> None:
    stored, model = f.Frame("stored", 100, 50), f.Frame("model", 50, 25)
    a, b = f.Points(np.array([[10.0, 20.0]]), stored), f.Points(np.array([[4.0, 5.0]]), model)
    with pytest.raises(f.FrameError, match="need a map"):
        a - b
    to_model = f.FrameMap2D(f.resize_map(100, 50, 50, 25).matrix, stored, model)
    assert (a.through(to_model) - b).tolist() == [[1.0, 5.0]]
    with pytest.raises(f.FrameError, match="starts in frame"):
        b.through(to_model)
    with pytest.raises(f.FrameError, match="cannot be followed"):
        to_model.then(to_model)
    with pytest.raises(f.FrameError, match="need a map"):  # two crops that nobody named may be two places
        f.Points(np.zeros((1, 2)), f.ANY).midpoint(f.Points(np.zeros((1, 2)), f.ANY))


def test_an_inverted_box_stays_inverted_so_that_a_check_can_reject_it() -> None:
    flip = f.flip_map(100, 100, "x")
    assert flip.box_xyxy((10, 20, 30, 40)) == (70, 20, 90, 40)
    assert flip.box_xyxy((30, 20, 10, 40)) == (90, 20, 70, 40)
    turned = f.rotate90_map(100, 100, 1).box_xyxy((30, 20, 10, 40))
    assert turned[3] < turned[1]
    assert turned[0] < turned[2]


def test_a_nan_does_not_become_a_number() -> None:
    assert math.isnan(f.resize_map(10, 10, 20, 20).box_xyxy((math.nan, 0, 1, 1))[0])


@pytest.mark.parametrize("matrix", [np.zeros((3, 3)), np.diag([0.0, 1, 1]), np.diag([math.nan, 1, 1]), np.eye(2)])
def test_a_map_that_loses_the_image_is_refused(matrix: np.ndarray) -> None:
    with pytest.raises(f.FrameError):
        f.FrameMap2D(matrix)


def test_a_shear_leaves_no_scale() -> None:
    shear = f.FrameMap2D(np.array([[1, 0.5, 0], [0, 1, 0], [0, 0, 1]]))
    with pytest.raises(f.FrameError, match="shears"):
        shear.scale(Scale(row_mm=1, column_mm=1, source="user"))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(-500, 500), min_size=3, max_size=3), st.floats(-math.pi, math.pi), st.floats(0.1, 5))
def test_a_plane_in_the_world_gives_its_points_back(position: list[float], turn: float, spacing: float) -> None:
    orientation = (math.cos(turn), math.sin(turn), 0, 0, 0, -1)
    plane = f.dicom_plane_map(position, orientation, spacing, spacing / 2)
    xy = np.array([[0.5, 0.5], [10.25, 3.75], [511, 17]])
    back, distance = plane.project(plane.points(xy) + 2.5 * plane.normal)
    assert np.abs(back - xy).max() < 1e-9 * 512
    assert distance == pytest.approx([2.5] * 3)
    assert plane.points((0.5, 0.5)) == pytest.approx(position)
