"""What is taken between landmarks: in words, held against the limit that the field goes by, read without a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fiducial.agent.ask import Asker
from fiducial.agent.present import present
from fiducial.skills.families.recording import load
from fiducial.tests.agent.recordings import Recorded, codes, intent, status
from fiducial.tools.landmark_measures import landmark_named
from fiducial.tools.phantoms import SCENES
from fiducial.tools.phantoms.phantom import Phantom
from fiducial.tools.record import Record


def asked(
    folder: Path, phantom: Phantom, question: str, understood: dict[str, Any] | None = None, sigma_px: float = 0.5
) -> Record:
    """The question about a phantom, with its true landmarks, said to be within so much."""
    image = folder / "film.dcm"
    phantom.image.write(image)  # type: ignore[union-attr]
    given = {"kind": "landmark", "score": 0.9, "sigma_px": sigma_px, "skill": "landmark"}
    places = enumerate(phantom.truth.landmarks_xy_px.items(), 1)
    found = [{"id": f"R{n}", "label": landmark_named(k), "point_xy_px": xy, **given} for n, (k, xy) in places]
    results: dict[str, Any] = {"landmark": {"regions": found, "confidence": 0.9, "parsed": True, "text": ""}}
    if understood:
        results["understand"] = understood
    return Asker(model=load(Recorded(folder, image).write(results))).ask(image, question)


def test_a_ratio_is_held_against_its_limit_where_its_interval_settles_it(tmp_path: Path) -> None:
    sides = set()
    for seed in range(6):
        phantom, sigma_px = SCENES["chest"](seed), (0.5, 20.0)[seed % 2]
        (true,) = [q.value for q in phantom.truth.quantities if q.quantity == "cardiothoracic_ratio"]
        understood = intent("distance", None, quantity="cardiothoracic_ratio")
        record = asked(tmp_path, phantom, "Is the heart enlarged?", understood, sigma_px)
        (taken,) = record.measurements
        assert taken.value == pytest.approx(true, abs=1e-6)
        text = record.answer.text
        assert ("is not above 0.5" in text) == (taken.value <= 0.5)
        assert ("by no more than its uncertainty" in text) == (taken.interval.low <= 0.5 < taken.interval.high)
        sides.add(text.partition(". ")[2])
    assert len(sides) >= 3


def test_landmarks_that_are_named_need_no_reading_by_a_model(tmp_path: Path) -> None:
    phantom = SCENES["cephalogram"](2)
    record = asked(tmp_path, phantom, "耳点和眶下点之间的距离是多少？")
    assert status(record) == "answered"
    (taken,) = record.measurements
    (px, py), (ox, oy) = (phantom.truth.landmarks_xy_px[name] for name in ("Po", "Or"))
    step = record.image.scale.column_mm
    assert taken.value == pytest.approx(((px - ox) ** 2 + (py - oy) ** 2) ** 0.5 * step, rel=1e-6)
    assert "耳点和眶下点之间的距离" in record.answer.text
    assert "探测器" in record.answer.text and "at the detector" not in record.answer.text
    assert present(record).count("探测器平面") == 2  # in the answer, and beside the measurement


def test_all_landmarks_are_those_that_the_image_has(tmp_path: Path) -> None:
    phantom = SCENES["cephalogram"](2)
    for question in ("Mark all landmarks", "标出所有标志点"):
        record = asked(tmp_path, phantom, question)
        assert status(record) == "answered"
        assert len(record.accepted) == len(phantom.truth.landmarks_xy_px)


def test_no_landmarks_at_all_are_told_in_a_word(tmp_path: Path) -> None:
    record = asked(tmp_path, SCENES["polyp"](2), "Mark all landmarks")
    assert (status(record), codes(record)) == ("abstained", ["landmark_not_found"])
    assert record.verdict.reasons[0].detail == "these landmarks could not be pointed at: any that are known"


def test_of_landmarks_that_are_asked_for_those_found_are_told(tmp_path: Path) -> None:
    phantom = SCENES["cephalogram"](2)  # which has no gnathion
    record = asked(tmp_path, phantom, "Where are the ANS and the gnathion?")
    assert (status(record), codes(record)) == ("partial", ["landmark_not_found"])
    assert [r.label for r in record.accepted] == ["anterior nasal spine"]
    none = asked(tmp_path, phantom, "How far is the ANS from the gnathion?")
    assert (status(none), codes(none)) == ("abstained", ["landmark_not_found"])


def test_a_landmark_is_told_where_it_is(tmp_path: Path) -> None:
    phantom = SCENES["cephalogram"](2)
    record = asked(tmp_path, phantom, "Where are the ANS and the gonion?")
    assert [r.label for r in record.accepted] == ["anterior nasal spine", "gonion"]
    x, y = phantom.truth.landmarks_xy_px["Go"]
    assert f"{x:.1f}, {y:.1f} px" in record.answer.text


@pytest.mark.parametrize(
    "question",
    [
        "What is the vertical distance between N and Me?",
        "Is 80 mm a normal distance between S and N?",
        "Do not tell me the distance between S and N",
        "耳点到眶下点的距离正常吗？",
        "Is there a nasion, or is it missing?",
    ],
)
def test_more_than_is_understood_of_landmarks_is_withheld(tmp_path: Path, question: str) -> None:
    understood = intent("distance", None, quantity="anterior_face_height")
    record = asked(tmp_path, SCENES["cephalogram"](2), question, understood)
    assert (status(record), codes(record)) == ("abstained", ["not_understood"])
    assert record.answer is None


def test_an_angle_keeps_the_sign_that_its_name_gives_it(tmp_path: Path) -> None:
    phantom = SCENES["cephalogram"](2)
    named = asked(tmp_path, phantom, "What is the ANB angle?", intent("angle", None, quantity="anb_angle"))
    worded = asked(tmp_path, phantom, "What is the angle between point A, nasion and point B?")
    (first,), (second,) = named.measurements, worded.measurements
    assert (first.quantity, first.value) == (second.quantity, second.value)
