"""Measurements: values, units that only the scale decides, and uncertainties that hold."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fiducial.tools.errors import InputError
from fiducial.tools.geometry.ellipses import ellipse_circumference, ellipse_polygon
from fiducial.tools.measure import measure, measure_all
from fiducial.tools.record import Ellipse, Region, Scale

ELLIPSE = Ellipse(center_xy_px=(400, 270), semi_major_px=250, semi_minor_px=200, angle_deg=25)


def head(sigma_px: float | None = 1.0, ellipse: Ellipse = ELLIPSE) -> Region:
    return Region(
        id="R1", label="head", kind="ellipse", ellipse_px=ellipse, score=0.9, sigma_px=sigma_px, skill="landmark"
    )


def cell(box: tuple[float, float, float, float], sigma_px: float | None = 1.0) -> Region:
    return Region(id="R2", label="red_cell", kind="box", box_xyxy_px=box, score=0.9, sigma_px=sigma_px, skill="detect")


def outline(ellipse: Ellipse, sigma_px: float | None = 1.0) -> Region:
    vertices = tuple((float(x), float(y)) for x, y in ellipse_polygon(ellipse, 360))
    return Region(
        id="R3", label="red_cell", kind="polygon", polygon_xy_px=vertices, score=1, sigma_px=sigma_px, skill="segment"
    )


def scale(row: float = 0.1, column: float = 0.1, tolerance: float = 0.0, source: str = "user") -> Scale:
    return Scale.model_validate({"row_mm": row, "column_mm": column, "tolerance": tolerance, "source": source})


def test_the_four_quantities_of_a_head():
    values = {
        q: measure(head(), q, scale(), "head")
        for q in ("head_circumference", "biparietal_diameter", "occipitofrontal_diameter", "cephalic_index")
    }
    assert values["head_circumference"].value == pytest.approx(0.1 * ellipse_circumference(250, 200))
    assert values["biparietal_diameter"].value == pytest.approx(40)
    assert values["occipitofrontal_diameter"].value == pytest.approx(50)
    assert values["cephalic_index"].value == pytest.approx(0.8)
    assert [m.unit for m in values.values()] == ["mm", "mm", "mm", "1"]
    assert "outer to outer" in (values["biparietal_diameter"].note or "")


def test_pixels_that_are_not_square_are_measured_in_the_world():
    circle = Ellipse(center_xy_px=(100.5, 50.5), semi_major_px=40, semi_minor_px=20, angle_deg=0)
    for quantity in ("long_axis", "short_axis", "equivalent_diameter"):
        assert measure(head(ellipse=circle), quantity, scale(2, 1), "head").value == pytest.approx(80)
        assert measure(outline(circle), quantity, scale(2, 1)).value == pytest.approx(80, rel=2e-3)
    assert measure(cell((10, 10, 50, 40)), "long_axis", scale(2, 1)).value == pytest.approx(60)


@pytest.mark.parametrize(
    ("source", "structure", "length", "area", "factor"),
    [
        ("acquisition", "head", "mm", "mm²", 1),
        ("user", None, "mm", "mm²", 1),
        ("microscope", "red_cell", "µm", "µm²", 1000),
        ("microscope", None, "µm", "µm²", 1000),
        ("detector", "head", "mm at the detector", "mm² at the detector", 1),
        ("detector", "red_cell", "mm at the detector", "mm² at the detector", 1),
    ],
)
def test_the_scale_decides_the_unit(source, structure, length, area, factor):
    region = cell((0, 0, 70, 70))
    measured = measure(region, "long_axis", scale(source=source), structure)
    assert (measured.unit, measured.scale_source) == (length, source)
    assert measured.value == pytest.approx(7 * factor)
    square = measure(region, "area", scale(source=source), structure)
    assert square.unit == area
    assert square.value == pytest.approx(math.pi * 3.5**2 * factor**2)


def test_without_a_scale_there_are_pixels_and_a_reason():
    measured = measure(cell((0, 0, 70, 60)), "long_axis", None, "red_cell")
    assert (measured.unit, measured.value, measured.scale_source) == ("px", 70, "none")
    assert "no physical scale" in (measured.note or "")
    assert measure(cell((0, 0, 70, 60)), "area", None, "red_cell").unit == "px²"
    ratio = measure(head(), "cephalic_index", None, "head")
    assert ratio.unit == "1"
    assert "square" in (ratio.note or "")


def test_uncertainty_of_a_box_side_is_that_of_two_edges():
    assert measure(cell((0, 0, 70, 60)), "long_axis", None).uncertainty == pytest.approx(math.sqrt(2), rel=1e-6)
    toleranced = measure(cell((0, 0, 70, 60), 0.0), "long_axis", scale(tolerance=0.01))
    assert toleranced.uncertainty == pytest.approx(0.07)
    assert measure(cell((0, 0, 70, 60), 0.0), "area", scale(tolerance=0.01)).uncertainty == pytest.approx(
        0.02 * math.pi * 3.5 * 3.0
    )
    assert measure(head(0.0), "cephalic_index", scale(tolerance=0.01)).uncertainty == 0


def test_a_quantisation_step_adds_its_twelfth():
    # trap 9: 0 to 1000 on 2,048 px is a step of 2.048 px
    measured = measure(cell((0, 0, 700, 600), 0.0), "long_axis", scale(0.5, 0.5), quantisation_px=2.048)
    assert measured.uncertainty == pytest.approx(0.5 * math.sqrt(2) * 2.048 / math.sqrt(12), rel=1e-6)


def test_an_unknown_sigma_is_said_and_is_not_zero():
    measured = measure(cell((0, 0, 70, 60), None), "long_axis", None)
    assert measured.uncertainty == pytest.approx(math.sqrt(2 / 12))
    assert "no uncertainty" in (measured.note or "")


@pytest.mark.parametrize("quantity", ["head_circumference", "long_axis", "short_axis", "area", "cephalic_index"])
def test_the_interval_of_an_ellipse_holds_the_truth_19_times_in_20(quantity):
    rng = np.random.default_rng(7)
    truth = measure(head(), quantity, scale(0.13, 0.1), "head").value
    hits = 0
    for _ in range(1000):
        from fiducial.tools.geometry.ellipses import ellipse_from_axes

        ends = np.array(ELLIPSE.vertices_xy_px) + rng.normal(0, 2.0, (4, 2))
        noisy = ellipse_from_axes(ends[:2].tolist(), ends[2:].tolist())
        measured = measure(head(2.0, noisy), quantity, scale(0.13, 0.1), "head")
        hits += measured.interval.low <= truth <= measured.interval.high
    assert 930 <= hits <= 970


@given(st.floats(5, 400), st.floats(0.3, 1), st.floats(0, 179), st.floats(0.1, 3))
@settings(max_examples=40, deadline=None)
def test_kinds_agree_on_one_ellipse(a, ratio, angle, sigma_px):
    ellipse = Ellipse(center_xy_px=(500, 400), semi_major_px=a, semi_minor_px=a * ratio, angle_deg=angle)
    for quantity in ("area", "perimeter", "equivalent_diameter"):
        first = measure(head(sigma_px, ellipse), quantity, scale(0.3, 0.1))
        second = measure(outline(ellipse, sigma_px), quantity, scale(0.3, 0.1))
        assert first.value == pytest.approx(second.value, rel=2e-3)
        # two descriptions of the same four errors: alike, not equal
        assert first.uncertainty == pytest.approx(second.uncertainty, rel=0.8)


def test_largest_first():
    regions = [cell((0, 0, 10, 10)), cell((0, 0, 30, 10)), cell((0, 0, 20, 10))]
    assert [m.value for m in measure_all(regions, "long_axis", None)] == [30, 20, 10]


def test_what_cannot_be_measured_says_why():
    point = Region(id="R9", label="head", kind="point", point_xy_px=(1, 1), score=1, skill="point")
    with pytest.raises(InputError, match="R9: long_axis needs a box, polygon or ellipse, not a point"):
        measure(point, "long_axis", None)
    with pytest.raises(InputError, match="needs the head's ellipse, not a box"):
        measure(cell((0, 0, 5, 5)), "head_circumference", None)
    with pytest.raises(InputError, match="count the regions"):
        measure(cell((0, 0, 5, 5)), "count", None)
    for bad in ((5, 5, 5, 5), (float("nan"), 0, 5, 5)):
        with pytest.raises(InputError, match="cannot be measured"):
            measure(cell(bad), "area", None)
    line = Region(id="R4", label="x", kind="polygon", polygon_xy_px=((0, 0), (1, 1), (2, 2)), score=1, skill="s")
    with pytest.raises(InputError, match="R4 cannot be measured"):
        measure(line, "area", None)
