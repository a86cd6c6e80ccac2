"""Boxes on slices become boxes in a volume, landmarks and reports come out of the tower's own places."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fiducial.skills.datasets.language import report_text
from fiducial.skills.families.llava import dialect
from fiducial.skills.families.llava.link import Candidate, link
from fiducial.skills.training.embedded.examples import Encoded, report_of
from fiducial.skills.training.embedded.sights import sights
from fiducial.skills.training.embedded.tasks import draw_example
from fiducial.tools.claims import claims
from fiducial.tools.errors import InputError
from fiducial.tools.geometry.boxes import iou_matrix_3d


def sections(
    center: tuple[float, float, float], radii: tuple[float, float, float], indices: list[int], score: float
) -> list[Candidate]:
    """The boxes of an ellipsoid's sections at the middles of slices."""
    (x, y, z), (a, b, c), found = center, radii, []
    for k in indices:
        share = 1 - ((k + 0.5 - z) / c) ** 2
        if share > 0:
            w, h = a * share**0.5, b * share**0.5
            found.append(Candidate(k, (x - w, y - h, x + w, y + h), score * (0.4 + 0.6 * share**0.5)))
    return found


@settings(max_examples=200, deadline=None)
@given(
    center=st.tuples(st.floats(60, 100), st.floats(60, 100), st.floats(15, 30)),
    radii=st.tuples(st.floats(6, 20), st.floats(6, 20), st.floats(5, 9)),
    step=st.sampled_from([1, 1, 2]),
    seed=st.integers(0, 2**31),
)
def test_sections_of_one_body_become_its_box(
    center: tuple[float, float, float], radii: tuple[float, float, float], step: int, seed: int
) -> None:
    indices = list(range(0, 44, step))
    candidates = sections(center, radii, indices, 0.9)
    noise = [Candidate(int(k), (5.0, 5.0, 12.0, 12.0), 0.2) for k in (4, 20)]
    mixed = [*candidates, *noise]
    random.Random(seed).shuffle(mixed)
    found = link(mixed, indices, 0.4)
    assert len(found) == 1
    low, high = np.subtract(center, radii), np.add(center, radii)
    assert iou_matrix_3d([found[0].box_xyzxyz_voxel], [[*low, *high]])[0, 0] >= 0.5


def test_two_bodies_on_the_same_slices_stay_two_and_a_gap_of_one_is_bridged() -> None:
    indices = list(range(30))
    first = sections((40, 40, 12), (10, 10, 4), indices, 0.9)
    second = sections((90, 60, 14), (8, 8, 4), indices, 0.7)
    without = [c for c in first if c.index != 11]
    found = link([*without, *second], indices, 0.4)
    assert [round(each.score, 1) for each in found] == [0.9, 0.7]
    z0, z1 = found[0].box_xyzxyz_voxel[2], found[0].box_xyzxyz_voxel[5]
    assert (z0, z1) == (8, 16)
    assert link([], indices, 0.4) == []
    assert link(second, indices, 0.95) == []


def test_every_report_parses_back_and_its_text_claims_no_more() -> None:
    for line in dialect.report_lines():
        said = dialect.parse_report(line)
        assert said is not None
        assert dialect.render_report(*said) == line
        kinds = {(c.kind, c.subject) for c in claims(report_text(*said, ratio=0.47))}
        assert ("absence", "opacity") in kinds if said[0] == "none" else ("count", "opacity") in kinds
        assert ("absence", "heart") not in kinds
        assert "0.47" in report_text(*said, ratio=0.47, language="zh")
    for text in ("", "opacity right", "opacity up heart normal", "heart normal opacity none"):
        assert dialect.parse_report(text) is None


def test_a_films_report_follows_its_places() -> None:
    config = sights()
    marks = np.full((len(config.landmarks), 2), np.nan)
    places = {"thorax_right": 100.0, "thorax_left": 200.0, "heart_right": 130.0, "heart_left": 175.0}
    for name, x in places.items():
        marks[config.landmarks.index(name)] = (x, 150.0)
    spot = np.array([[config.labels.index("opacity"), 120.0, 100.0, 30, 0, 30]])
    assert report_of(spot, marks, config) == "opacity right heart normal"
    spot[0, 1] = 180
    marks[config.landmarks.index("heart_left"), 0] = 185
    assert report_of(spot, marks, config) == "opacity left heart enlarged"
    assert report_of(spot[:0], marks, config) == "opacity none heart enlarged"
    marks[config.landmarks.index("heart_left")] = np.nan
    assert report_of(spot, marks, config) == ""


def test_skills_are_taught_on_images_that_serve_them() -> None:
    import torch

    plain = Encoded("other", torch.zeros(4, 8), {"head": ()}, {"head": 0})
    line, marks = "opacity none heart normal", {"heart_left": 2}
    film = Encoded("chest_xray", torch.zeros(4, 8), {"head": ()}, {"head": 0}, (), marks, {}, line)
    for index in range(20):
        assert draw_example("report", [plain, film], 0, index).turns == (("report", line),)
    turns = [turn for i in range(20) for turn in draw_example("landmark", [plain, film], 0, i).turns]
    assert ("landmark chest_xray", "<r2>") in turns
    with pytest.raises(InputError, match="no image of the data serves"):
        draw_example("report", [plain], 0, 0)
