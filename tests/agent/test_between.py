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


def asked(folder: Path, phantom: Phantom, question: str, understood: dict[str, Any] | None = None) -> Record:
    """The question about a phantom, with its true landmarks within half a pixel."""
    image = folder / "film.dcm"
    phantom.image.write(image)  # type: ignore[union-attr]
    given = {"kind": "landmark", "score": 0.9, "sigma_px": 0.5, "skill": "landmark"}
    places = enumerate(phantom.truth.landmarks_xy_px.items(), 1)
    found = [{"id": f"R{n}", "label": landmark_named(k), "point_xy_px": xy, **given} for n, (k, xy) in places]
    results: dict[str, Any] = {"landmark": {"regions": found, "confidence": 0.9, "parsed": True, "text": ""}}
    if understood:
        results["understand"] = understood
    return Asker(model=load(Recorded(folder, image).write(results))).ask(image, question)


def test_a_ratio_is_held_against_its_limit_where_its_interval_settles_it(tmp_path: Path) -> None:
    sides = set()
    for seed in range(6):
        phantom = SCENES["chest"](seed)
        (true,) = [q.value for q in phantom.truth.quantities if q.quantity == "cardiothoracic_ratio"]
        understood = intent("distance", None, quantity="cardiothoracic_ratio")
        record = asked(tmp_path, phantom, "Is the heart enlarged?", understood)
        (taken,) = record.measurements
        assert taken.value == pytest.approx(true, abs=1e-6)
        side = "counts as enlarged" if taken.interval.low > 0.5 else (
            "cannot be told" if taken.interval.high > 0.5 else "not above 0.5")  # fmt: skip
        assert side in record.answer.text
        sides.add(side)
    assert len(sides) >= 2


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
