"""Words for places are those of the image as it is displayed, in each of the eight EXIF orientations."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fiducial.skills.datasets.language import explain_prompt
from fiducial.tools.contradictions import Truth, contradictions
from fiducial.tools.images.orientation import orientation_map
from fiducial.tools.positions import HALVES, distribution, half_shares, is_spread, place_of
from fiducial.tools.record import Answer, Intent, Region

ORIENTATIONS = st.integers(1, 8)
CORNER_PLACES = {
    1: "upper left",
    2: "upper right",
    3: "lower right",
    4: "lower left",
    5: "upper left",
    6: "upper right",
    7: "lower right",
    8: "lower left",
}


def point(number: int, x: float, y: float) -> Region:
    return Region(id=f"R{number}", label="platelet", kind="point", point_xy_px=(x, y), score=1, skill="point")


@st.composite
def scenes(draw: st.DrawFn) -> tuple[list[Region], int, int]:
    """Points anywhere in a stored image of any proportions."""
    width, height = draw(st.integers(1, 4000)), draw(st.integers(1, 4000))
    spots = draw(st.lists(st.tuples(st.floats(0, width), st.floats(0, height)), min_size=1, max_size=9))
    return [point(i, x, y) for i, (x, y) in enumerate(spots, 1)], width, height


@given(scenes(), ORIENTATIONS)
def test_words_of_stored_points_are_those_of_the_points_as_displayed(
    scene: tuple[list[Region], int, int], orientation: int
) -> None:
    regions, width, height = scene
    to_display = orientation_map(width, height, orientation)
    shown = int(to_display.target.width), int(to_display.target.height)
    mapped = [point(i, *map(float, to_display.points(r.point_xy_px))) for i, r in enumerate(regions, 1)]
    for stored, displayed in zip(regions, mapped, strict=True):
        assert place_of(stored, width, height, orientation) == place_of(displayed, *shown)
    assert half_shares(regions, width, height, orientation) == half_shares(mapped, *shown)
    assert is_spread(regions, width, height, orientation) == is_spread(mapped, *shown)
    assert distribution(regions, width, height, orientation) == distribution(mapped, *shown)


@pytest.mark.parametrize(("orientation", "place"), CORNER_PLACES.items())
def test_what_the_model_is_told_and_held_to_is_the_displayed_corner(orientation: int, place: str) -> None:
    intent, answer = Intent(task="location", structure="platelet"), Answer(text="", value=None, confidence=1)
    many = [point(i, 5.0 + i, 5.0) for i in range(1, 9)]
    truth = Truth.of_parts(intent, answer, many, 640, 480, orientation)
    assert place_of(many[0], 640, 480, orientation) == place
    assert f"R1 {place}" in explain_prompt(intent, answer, many[:1], 640, 480, orientation)
    for word in set(CORNER_PLACES.values()):
        assert bool(contradictions(f"R1 is a platelet in the {word}.", truth)) == (word != place)
    for half in HALVES:
        problems = contradictions(f"Most of the platelets lie in the {half} half.", truth)
        assert bool(problems) == (half not in place)
