"""Asking: what cannot be used is refused in one sentence, many are asked in order, and a record reads well."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Pillow

from fiducial.agent.ask import Asker
from fiducial.agent.policy import load_policy
from fiducial.agent.present import present
from fiducial.skills.families.recording import load
from fiducial.store import Store
from fiducial.tests.agent.recordings import Recorded, boxes, counted, explained, grid, intent
from fiducial.tools.errors import InputError
from fiducial.tools.hooks import registry

THREE = {
    "understand": intent("count", "platelet"),
    "count": counted(3),
    "detect": boxes(*grid(3)),
    "explain": explained("These are seen."),
}


def test_recording_is_a_base(ask: Recorded) -> None:
    record = Asker(base=str(ask.write(THREE))).ask(ask.picture, "How many platelets?")
    assert record.answer.value == 3


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{", "not valid JSON"),
        ("[]", "not a recording"),
        ('{"domain": {"kind": "other"}, "results": {"count": [NaN]}}', "NaN"),
        ('{"results": {}}', "domain"),
    ],
)
def test_bad_recording(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(InputError, match=named) as error:
        load(path)
    assert str(path) in str(error.value)


def test_recording_that_does_not_validate_names_the_place(ask: Recorded) -> None:
    with pytest.raises(InputError, match=r"results.count\[0\].confidence"):
        ask(THREE | {"count": {"count": 3, "parsed": True, "text": ""}})


def test_recording_takes_no_adapters(ask: Recorded, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no adapters"):
        load(ask.write(THREE), tmp_path)


@pytest.mark.parametrize(("question", "scale"), [("", None), ("  ", None), ("x" * 1001, None), ("How many?", "abc")])
def test_unusable_arguments(ask: Recorded, question: str, scale: str | None) -> None:
    with pytest.raises(InputError):
        ask.asker(THREE).ask(ask.picture, question, scale)


def test_many_go_on_after_a_bad_row(ask: Recorded) -> None:
    rows = [
        {"image": str(ask.picture), "question": "How many platelets?"},
        {"image": "missing.png", "question": "How many platelets?"},
        {"image": str(ask.picture), "question": "", "scale": ""},
        {"image": str(ask.picture), "question": "How many?", "scale": "0.1 mm/px"},
    ]
    asker = ask.asker(THREE)
    results = list(asker.ask_many(rows))
    assert [row for row, _ in results] == rows
    assert [isinstance(result, InputError) for _, result in results] == [False, True, True, False]
    assert asker.model.opened == 2
    assert results[3][1].image.scale.source == "user"


def test_many_read_slice_and_frame_as_the_list_of_the_command_does(ask: Recorded) -> None:
    rows = [
        {"image": str(ask.picture), "question": "How many platelets?", "slice": "two"},
        {"image": str(ask.picture), "question": "How many platelets?", "frame": "7"},
        {"image": str(ask.picture), "question": "How many platelets?", "plane": "axial", "slice": "1"},
    ]
    told = [str(result) for _, result in ask.asker(THREE).ask_many(rows)]
    assert "row 1 has the slice 'two'" in told[0]
    assert "frame" in told[1] or "page" in told[1]
    assert "plane" in told[2] or "slice" in told[2] or "volume" in told[2]


def test_many_take_numbers_and_paths_too(ask: Recorded) -> None:
    rows: list[Any] = [
        {"image": ask.picture, "question": "How many platelets?"},
        {"image": ask.picture, "question": "How many platelets?", "plane": "axial", "slice": 1},
    ]
    told = [result for _, result in ask.asker(THREE).ask_many(rows)]
    assert [isinstance(result, InputError) for result in told] == [False, True]  # a picture has no slice


def test_store_keeps_the_run(ask: Recorded, tmp_path: Path) -> None:
    store = tmp_path / "runs.db"
    record = Asker(store=store, model=load(ask.write(THREE))).ask(ask.picture, "How many platelets?")
    assert Store(store).run(record.run_id) == json.loads(json.dumps(record.document()))


def test_overlay_is_written(ask: Recorded, tmp_path: Path) -> None:
    asker = ask.asker(THREE)
    path = tmp_path / "overlay.png"
    asker.overlay(asker.ask(ask.picture, "How many platelets?"), path)
    with Pillow.open(path) as picture:
        assert picture.width >= 160


def test_presented_record_leads_with_the_answer(ask: Recorded) -> None:
    text = present(ask(THREE), Path("overlay.png"))
    lines = text.splitlines()
    assert lines[0].split(maxsplit=1) == ["Answer", "There are 3 platelets."]
    assert lines[1].split()[:2] == ["Verdict", "answered,"]
    assert "overlay.png" in text
    assert max(map(len, lines)) <= 100


def test_presented_abstention_leads_with_it(ask: Recorded) -> None:
    lines = present(ask(THREE | {"count": counted(9)})).splitlines()
    assert lines[0].startswith("No answer")
    assert "withheld: There are 9 platelets." in "\n".join(lines[:4])


def test_thresholds_come_from_the_calibration(tmp_path: Path) -> None:
    (tmp_path / "calibration.json").write_text('{"policy": {"typicality": 0.1, "region_floor_of": {"platelet": 0.2}}}')
    policy = load_policy(tmp_path)
    assert (policy.typicality, policy.floor("platelet"), policy.floor("head")) == (0.1, 0.2, 0.3)
    (tmp_path / "calibration.json").write_text('{"policy": {"typicality": 7}}')
    with pytest.raises(InputError, match=r"policy\.typicality"):
        load_policy(tmp_path)


def test_default_workflow_is_registered() -> None:
    graph = registry().get("workflows", "chain").build()
    assert {"understand", "look", "answer", "ground", "explain", "measure", "verify"} <= set(graph.get_graph().nodes)
