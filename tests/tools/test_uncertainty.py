"""Uncertainty: the stated 95 % interval holds the truth in 93 to 97 % of 1,000 noisy repeats; what it is made of."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from fiducial.tools.geometry import quantities
from fiducial.tools.geometry.uncertainty import CoordinateErrors, Estimate, from_repeats
from fiducial.tools.record import Ellipse

REPEATS = 1000
ROW, COLUMN = 0.7, 0.4  # mm: a row is not as long as a column
SIGMA = 1.3
ENDPLATES = [(100, 120), (190, 150), (110, 300), (205, 270)]
ELLIPSE = Ellipse(center_xy_px=(400, 270), semi_major_px=250, semi_minor_px=170, angle_deg=25)
OUTLINE = [(100, 100), (180, 90), (240, 150), (230, 230), (150, 260), (90, 190)]

Quantity = Callable[..., Estimate]
CASES: dict[str, tuple[Quantity, list[tuple[float, float]]]] = {
    "length": (quantities.length, [(20, 30), (140, 90)]),
    "path": (quantities.path, [(10, 10), (80, 40), (120, 130), (220, 150)]),
    "area": (quantities.area, OUTLINE),
    "distance_to_line": (quantities.distance_to_line, [(120, 200), (30, 20), (260, 70)]),
    "ratio": (quantities.ratio, [(120, 200), (250, 205), (40, 210), (330, 200)]),
    "width": (quantities.width, [(120, 200), (250, 305)]),
    "width_ratio": (quantities.width_ratio, [(120, 200), (250, 305), (40, 210), (330, 150)]),
    "angle_at_vertex": (quantities.angle_at_vertex, [(200, 40), (60, 70), (150, 190)]),
    "angle_between_lines": (quantities.angle_between_lines, ENDPLATES),
    "cobb_angle": (quantities.cobb_angle, ENDPLATES),
    "cobb_110": (quantities.cobb_angle, [(0, 100), (80, -60), (0, 300), (80, 460)]),
}


def hits(name: str, errors: CoordinateErrors, draw: Callable[[np.random.Generator, np.ndarray], np.ndarray]) -> float:
    """The share of noisy repeats whose interval holds the truth. draw: the points as seen, of the true ones."""
    quantity, points = CASES[name]
    rng = np.random.default_rng(list(CASES).index(name))
    truth = quantity(points, CoordinateErrors(), ROW, COLUMN).value
    found = [quantity(draw(rng, np.array(points, float)), errors, ROW, COLUMN) for _ in range(REPEATS)]
    return sum(e.low <= truth <= e.high for e in found) / REPEATS


@pytest.mark.parametrize("name", CASES)
def test_the_interval_holds_the_truth_19_times_in_20(name: str) -> None:
    noise = CoordinateErrors(sigma_px=SIGMA)
    assert 0.93 <= hits(name, noise, lambda rng, p: p + rng.normal(0, SIGMA, p.shape)) <= 0.97


def test_so_it_does_for_the_sizes_of_an_ellipse() -> None:
    rng = np.random.default_rng(5)
    ends = np.array(ELLIPSE.vertices_xy_px)
    truth = quantities.ellipse_quantities(ends, CoordinateErrors(), ROW, COLUMN)
    held = dict.fromkeys(truth, 0)
    for _ in range(REPEATS):
        noisy = ends + rng.normal(0, SIGMA, ends.shape)
        found = quantities.ellipse_quantities(noisy, CoordinateErrors(sigma_px=SIGMA), ROW, COLUMN)
        for name, estimate in found.items():
            held[name] += estimate.low <= truth[name].value <= estimate.high
    assert set(held) == {"long", "short", "circumference", "area"}
    assert all(0.93 <= count / REPEATS <= 0.97 for count in held.values())


@pytest.mark.parametrize("name", ["length", "area", "cobb_angle", "ratio"])
def test_so_it_does_where_coordinates_are_spelled_on_a_grid(name: str) -> None:
    # 0 to 1000 on 2,048 × 1,500 px (trap 9). The grid's place under the points is drawn, as it is in life.
    step = np.array([2.048, 1.5])

    def spelled(rng: np.random.Generator, points: np.ndarray) -> np.ndarray:
        noisy, shift = points + rng.normal(0, 0.5, points.shape), rng.uniform(0, 1, points.shape) * step
        return np.round((noisy - shift) / step) * step + shift

    errors = CoordinateErrors(sigma_px=0.5, step_x_px=step[0], step_y_px=step[1])
    assert 0.93 <= hits(name, errors, spelled) <= 0.97


@pytest.mark.parametrize("name", ["length", "area", "angle_at_vertex"])
@pytest.mark.parametrize("repeats", [2, 5])
def test_so_it_does_where_the_spread_is_taken_from_a_few_repeats(name: str, repeats: int) -> None:
    quantity, points = CASES[name]
    rng = np.random.default_rng(repeats)
    truth = quantity(points, CoordinateErrors(), ROW, COLUMN).value
    held = 0
    for _ in range(REPEATS):
        mean, errors = from_repeats(np.array(points) + rng.normal(0, SIGMA, (repeats, len(points), 2)))
        found = quantity(mean, errors, ROW, COLUMN)
        held += found.low <= truth <= found.high
    assert 0.93 <= held / REPEATS <= 0.97


@pytest.mark.parametrize(("name", "power"), [("length", 1), ("area", 2), ("cobb_angle", 0), ("ratio", 0)])
def test_a_tolerance_of_the_scale_moves_lengths_areas_twice_and_angles_not(name: str, power: int) -> None:
    quantity, points = CASES[name]
    rng = np.random.default_rng(3)
    errors = CoordinateErrors(sigma_px=SIGMA, tolerance_ratio=0.01)
    truth = quantity(points, CoordinateErrors(), ROW, COLUMN).value
    held = 0
    for _ in range(REPEATS):
        wrong = 1 + rng.normal(0, 0.01)
        noisy = np.array(points) + rng.normal(0, SIGMA, (len(points), 2))
        found = quantity(noisy, errors, ROW * wrong, COLUMN * wrong)
        held += found.low <= truth <= found.high
    assert 0.93 <= held / REPEATS <= 0.97
    only_scale = quantity(points, CoordinateErrors(tolerance_ratio=0.01), ROW, COLUMN)
    assert only_scale.uncertainty == pytest.approx(power * 0.01 * only_scale.value)


def test_the_parts_of_a_length_by_hand() -> None:
    # Along x: two ends, each with sigma and step² / 12; the tolerance is of the length.
    errors = CoordinateErrors(sigma_px=0.5, step_x_px=2.048, step_y_px=99, tolerance_ratio=0.02)
    found = quantities.length([(0, 0), (100, 0)], errors, row_mm=9, column_mm=0.5)
    by_hand = math.sqrt(2 * (0.5 * 0.5) ** 2 + 2 * (0.5 * 2.048) ** 2 / 12 + (0.02 * 50) ** 2)
    assert found.value == 50
    assert found.uncertainty == pytest.approx(by_hand, rel=1e-6)
    assert found.high - found.value == pytest.approx(1.959964 * by_hand, rel=1e-6)


def test_lines_that_are_parallel_have_an_uncertain_angle() -> None:
    # The unsigned angle has a kink there: its own slope would be nothing.
    parallel = [(0, 0), (100, 0), (0, 50), (100, 50)]
    found = quantities.angle_between_lines(parallel, CoordinateErrors(sigma_px=1), 1, 1)
    assert found.value == 0
    assert found.uncertainty == pytest.approx(math.degrees(0.02), rel=1e-3)
    assert found.low == 0
    back = quantities.cobb_angle([(0, 0), (100, 0), (100, 50), (0, 50)], CoordinateErrors(sigma_px=1), 1, 1)
    assert back.value == 180
    assert back.high == 180
    assert back.uncertainty == pytest.approx(math.degrees(0.02), rel=1e-3)


def test_few_repeats_give_a_wider_interval_than_many() -> None:
    few = quantities.length([(0, 0), (10, 0)], CoordinateErrors(sigma_px=1, degrees_of_freedom=4))
    many = quantities.length([(0, 0), (10, 0)], CoordinateErrors(sigma_px=1))
    assert few.uncertainty == many.uncertainty
    assert few.high - few.value == pytest.approx(2.776445 * few.uncertainty, rel=1e-6)  # Student, 4 degrees
    # A known part that dominates makes the degrees of freedom many: 4 · (3² + 1)² / 1.
    both = CoordinateErrors(sigma_px=1, degrees_of_freedom=4, step_x_px=3 * math.sqrt(12))
    mixed = quantities.length([(0, 0), (10, 0)], both)
    assert (mixed.high - mixed.value) / mixed.uncertainty == pytest.approx(1.966, abs=1e-3)


def test_what_has_no_value_is_told() -> None:
    for call in (
        lambda: quantities.angle_at_vertex([(0, 0), (0, 0), (1, 1)], CoordinateErrors()),
        lambda: quantities.length([(0, 0), (float("nan"), 1)], CoordinateErrors()),
        lambda: quantities.ratio([(0, 0), (1, 0), (2, 2), (2, 2)], CoordinateErrors()),
        lambda: quantities.width_ratio([(0, 0), (1, 0), (2, 2), (2, 9)], CoordinateErrors()),
        lambda: quantities.length([(0, 0)], CoordinateErrors()),
        lambda: quantities.path([], CoordinateErrors()),
        lambda: from_repeats(np.zeros((1, 3, 2))),
    ):
        with pytest.raises(ValueError, match=r"need|coincide|finite|is 0"):
            call()
