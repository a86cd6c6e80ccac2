"""The geometry as registered tools: called with JSON-like arguments, as from the shell."""

from __future__ import annotations

from typing import Any

import pytest

from fiducial.tools.errors import InputError
from fiducial.tools.geometry.tools import TOOLS
from fiducial.tools.hooks import registry
from fiducial.tools.structures import structures

CIRCLE = {"center_xy_px": [100.5, 50.5], "semi_major_px": 40, "semi_minor_px": 20, "angle_deg": 0}
SQUARE = [[0, 0], [2, 0], [2, 2], [0, 2]]


STEPS = ("row_mm", "column_mm")


def call(name: str, **arguments: Any) -> dict[str, Any]:
    """The result of a tool; a step that a case does not give is 1 mm, said here and not by the tool."""
    spec = registry().tools[name]
    stated = {step: 1 for step in STEPS if step in spec.schema()["parameters"]["properties"]}
    return spec.call(stated | arguments).model_dump()


@pytest.mark.parametrize(
    "spec", [s for s in TOOLS if STEPS[0] in s.schema()["parameters"]["properties"]], ids=lambda s: s.name
)
def test_a_scale_is_asked_for_and_never_defaulted(spec: Any) -> None:
    assert {*STEPS} <= {*spec.schema()["parameters"]["required"]}
    with pytest.raises(InputError, match=r"(row|column)_mm|Field required"):
        spec.call({})


def test_every_tool_is_registered_with_a_schema():
    for spec in TOOLS:
        assert registry().tools[spec.name] is spec
        assert spec.schema()["parameters"]["properties"]


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("box_iou", {"first_xyxy_px": [0, 0, 2, 2], "second_xyxy_px": [1, 0, 3, 2]}, {"value": 1 / 3}),
        ("ellipse_axes", {"ellipse_px": CIRCLE, "row_mm": 2, "column_mm": 1}, {"long_mm": 80, "short_mm": 80}),
        ("ellipse_circumference", {"ellipse_px": CIRCLE, "row_mm": 2}, {"length_mm": 251.32741228718345}),
        ("ellipse_area", {"ellipse_px": CIRCLE}, {"area_mm2": 2513.2741228718346}),
        ("polygon_area", {"polygon_xy_px": SQUARE, "row_mm": 3}, {"area_mm2": 12}),
        ("polygon_perimeter", {"polygon_xy_px": SQUARE, "row_mm": 3}, {"length_mm": 16}),
        ("recist_axes", {"polygon_xy_px": [[0, 1], [4, 0], [8, 1], [4, 2]]}, {"long_mm": 8, "short_mm": 2}),
        ("angle_at_vertex", {"arm_xy_px": [1, 0], "vertex_xy_px": [0, 0], "other_arm_xy_px": [1, 1], "row_mm": 2},
         {"angle_deg": 63.434948822922}),
        ("angle_between_lines", {"first_xy_px": [[0, 0], [1, 0]],
          "second_xy_px": [[0, 0], [-1, 1]]}, {"angle_deg": 45}),
        ("angle_difference", {"arm_xy_px": [4, 0], "vertex_xy_px": [0, 0], "third_xy_px": [-1, 1],
          "fourth_xy_px": [0, 1]}, {"angle_deg": 45}),
        ("angle_difference", {"arm_xy_px": [4, 0], "vertex_xy_px": [0, 0], "third_xy_px": [0, 1],
          "fourth_xy_px": [-1, 1]}, {"angle_deg": -45}),
        ("cobb_angle", {"upper_endplate_xy_px": [[0, 0], [1, 0]], "lower_endplate_xy_px": [[0, 0], [-1, 1]]},
         {"angle_deg": 135}),
        ("match_points", {"first_xy_px": [[0, 0]], "second_xy_px": [[9, 9], [0, 1]], "max_distance_px": 2},
         {"pairs": [(0, 1)], "quality": [1.0], "f1": pytest.approx(2 / 3)}),
    ],
)  # fmt: skip
def test_results(name, arguments, expected):
    result = call(name, **arguments)
    for field, value in expected.items():
        assert result[field] == (pytest.approx(value, rel=1e-7) if isinstance(value, float | int) else value)


def test_measure_region_knows_every_structure_of_the_table():
    region = {"id": "R1", "label": "x", "kind": "ellipse", "ellipse_px": CIRCLE, "score": 1, "skill": "user"}
    scale = {"row_mm": 0.0001, "column_mm": 0.0001, "source": "user"}
    for key in (*structures(), None):
        call("measure_region", region=region, quantity="long_axis", scale=scale, structure=key)
    told = call("measure_region", region=region, quantity="long_axis", scale=scale, structure="nucleus")["measurement"]
    assert told["unit"] == "µm"


def test_measure_region_and_fit():
    region = {"id": "R1", "label": "head", "kind": "ellipse", "ellipse_px": CIRCLE, "score": 1, "skill": "user"}
    scale = {"row_mm": 2, "column_mm": 1, "source": "user"}
    found = call("measure_region", region=region, quantity="long_axis", scale=scale, structure="head")["measurement"]
    assert (found["value"], found["unit"]) == (pytest.approx(80), "mm")
    points = [[5, 0], [-5, 0], [0, 3], [0, -3], [3, 2.4], [-3, 2.4]]
    assert call("fit_ellipse", points_xy_px=points)["ellipse_px"]["semi_major_px"] == pytest.approx(5)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("polygon_area", {"polygon_xy_px": [[0, 0], [1, 1], [1, 0], [0, 1]]}, "sides that do not cross"),
        ("polygon_area", {"polygon_xy_px": [[0, float("nan")], [1, 1], [1, 0]]}, "finite"),
        ("fit_ellipse", {"points_xy_px": [[0, 0]]}, "at least five points"),
        ("angle_at_vertex", {"arm_xy_px": [0, 0], "vertex_xy_px": [0, 0], "other_arm_xy_px": [1, 1]}, "coincide"),
        ("ellipse_axes", {"ellipse_px": CIRCLE, "row_mm": 0}, "greater than 0"),
        ("box_iou", {"first_xyxy_px": [0, 0, 1, 1]}, "second_xyxy_px: Field required"),
        ("ellipse_area", {"ellipse_px": CIRCLE, "row_mm": None}, "row_mm"),
    ],
)
def test_bad_arguments_are_one_sentence(name, arguments, message):
    with pytest.raises(InputError, match=message):
        call(name, **arguments)


@pytest.mark.parametrize(
    ("name", "arguments", "match"),
    [
        ("polygon_iou", {"first_polygon_xy_px": SQUARE, "second_polygon_xy_px": [[0, 0], [2, 2], [2, 0], [0, 2]]},
         "second_polygon_xy_px"),
        ("landmark_distance", {"first_xy_px": [0, 0], "second_xy_px": [1, 1], "row_mm": float("inf")}, "row_mm"),
        ("match_points", {"first_xy_px": [], "second_xy_px": [], "max_distance_px": float("inf")}, "max_distance_px"),
    ],
)  # fmt: skip
def test_what_would_pass_in_silence_is_refused(name, arguments, match):
    with pytest.raises(InputError, match=match):
        call(name, **arguments)
