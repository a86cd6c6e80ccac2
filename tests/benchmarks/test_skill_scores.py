"""What a skill alone is asked, and how its result is scored: of nuclei, and of what phantoms alone taught."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fiducial.benchmarks.adapters_matter import SETS, compared, missing, other_skill, shown_skills
from fiducial.benchmarks.bccd_val import BCCD
from fiducial.benchmarks.dsb2018_val import DSB2018
from fiducial.benchmarks.skill_scores import OF_KIND, landmarks_trial, report_trial, trials
from fiducial.skills.base import CountResult, FindArgs, FindResult, ReportResult, SubjectArgs
from fiducial.skills.datasets.language import report_text
from fiducial.skills.datasets.sample import Object, Sample
from fiducial.tools.landmark_measures import landmark_named
from fiducial.tools.phantoms import SCENES
from fiducial.tools.record import Region
from fiducial.tools.structures import structures

BOXES = ((0.0, 0.0, 10.0, 10.0), (20.0, 20.0, 40.0, 30.0))
NUCLEI = Sample("a.png", "a.png", "nuclei_fluorescence", lambda: None, tuple(Object("nucleus", b) for b in BOXES))  # type: ignore[arg-type, return-value]


def found(*regions: Region) -> FindResult:
    return FindResult(regions=list(regions), confidence=1.0, parsed=True, text="")


def placed(label: str, xy: tuple[float, float]) -> Region:
    return Region(id="R1", label=label, kind="landmark", point_xy_px=xy, score=0.9, skill="landmark")


def test_nuclei_are_counted_found_and_pointed_at_and_have_no_landmarks() -> None:
    (count,) = trials("count", NUCLEI, (50, 50))
    assert count.args == SubjectArgs(structure="nucleus")
    assert count.score(CountResult(count=2, confidence=1.0, parsed=True, text="2")) == 1
    assert count.score(CountResult(count=3, confidence=1.0, parsed=True, text="3")) == 0.5
    (detect,) = trials("detect", NUCLEI, (50, 50))
    assert detect.args == FindArgs(structure="nucleus")
    one = Region(id="R1", label="nucleus", kind="box", box_xyxy_px=BOXES[0], score=0.9, skill="detect")
    assert detect.score(found(one)) == pytest.approx(2 / 3)
    (point,) = trials("point", NUCLEI, (50, 50))
    middle = Region(id="R1", label="nucleus", kind="point", point_xy_px=(5.0, 5.0), score=0.9, skill="point")
    assert point.score(found(middle)) == pytest.approx(2 / 3)
    assert not list(trials("landmark", NUCLEI, (50, 50)))


def test_a_landmark_counts_where_it_is_named_and_within_two_millimetres() -> None:
    made: Any = SCENES["cephalogram"](7)
    trial, step = landmarks_trial(made), made.scale.column_mm
    truth = {landmark_named(k): xy for k, xy in made.truth.landmarks_xy_px.items()}
    assert len(truth) == 15
    exact = [placed(name, xy) for name, xy in truth.items()]
    assert trial.score(found(*exact)) == 1
    (x, y), share = truth["sella"], 1 / len(truth)
    assert trial.score(found(placed("sella", (x + 1.9 / step, y)))) == pytest.approx(share)
    assert trial.score(found(placed("sella", (x, y + 2.1 / step)), placed("head", (x, y)))) == 0


def test_a_report_is_scored_by_its_facts() -> None:
    made: Any = SCENES["chest_clear"](5)
    trial = report_trial(made)
    ratio = made.truth.value("cardiothoracic_ratio")
    heart, other = ("enlarged", "normal") if ratio > 0.5 else ("normal", "enlarged")

    def score(opacity: str, heart: str) -> float:
        text = report_text(opacity, heart, None, "en")
        return trial.score(ReportResult(report=text, confidence=1.0, parsed=True, text=""))

    assert score("none", heart) == 1
    assert score("none", other) == pytest.approx(2 / 3)
    assert score("left", heart) == pytest.approx(1 / 3)
    assert trial.score(ReportResult(report="", confidence=0.0, parsed=False, text="")) == 0


def test_another_adapter_is_one_that_the_model_has() -> None:
    assert other_skill("count", {"count", "point", "explain"}) == "point"
    assert other_skill("explain", {"understand", "explain"}) == "understand"
    assert other_skill("explain", {"understand", "explain", "report"}) == "report"


def test_a_single_adapter_is_swapped_with_none_and_the_table_says_so() -> None:
    assert other_skill("count", {"count"}) is None
    alone = compared({"on": [1.0, 0.5], "off": [0.0, 0.5], "swapped": []})
    assert alone["on_minus_off"] == 0.5 and "swapped" not in alone
    told = shown_skills({"bccd": {"count": alone}})
    assert "95 % swapped" not in told and told.endswith("no other adapter to put in the place of: count.")
    both = compared({"on": [1.0], "off": [0.0], "swapped": [0.5]})
    told = shown_skills({"bccd": {"count": both}})
    assert "95 % swapped" in told and "no other adapter" not in told


def test_a_set_is_left_out_of_a_base_that_does_not_know_its_structures() -> None:
    knows = SimpleNamespace(structures=frozenset({"red_cell", "white_cell", "platelet", "head"}))
    assert [name for name in SETS if missing(knows, name)] == ["dsb2018"]
    assert missing(knows, "dsb2018") == ["nucleus"]
    assert {kind for kinds in SETS.values() for kind in kinds} == {*OF_KIND}


@pytest.mark.parametrize("objects", [BCCD, DSB2018])
def test_what_is_asked_of_a_set_names_structures_of_the_table(objects: Any) -> None:
    assert {*objects.structures} <= {*structures()}
    titles = [objects.title(s, task) for s in objects.structures for task in objects.wordings]
    assert len({*titles}) == len(titles)
    assert all(text.format(plural="cells") != text for texts in objects.wordings.values() for text in texts)


def test_every_measurement_that_the_documents_name_is_there() -> None:
    root = Path(__file__).parents[2]
    texts = [(root / name).read_text(encoding="utf-8") for name in ("docs/model-card.md", "docs/lab-notebook.md")]
    named = {name for text in texts for name in re.findall(r"\bbenchmarks[./](\w+)", text)}
    assert {"adapters_matter", "dsb2018_val", "experiments", "kill_training"} <= named
    assert not [name for name in named if not (root / "benchmarks" / f"{name}.py").is_file()]
