"""The held-out questions about the later kinds of image, and how their answers are judged, on real phantoms."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from fiducial.benchmarks import questions
from fiducial.benchmarks.truth import Box3D, Truth, phantom_truth
from fiducial.skills.datasets.language import report_text
from fiducial.tests.benchmarks.test_scoring import measured, record, want
from fiducial.tools.phantoms.cephalogram import make_cephalogram
from fiducial.tools.phantoms.chest import make_chest
from fiducial.tools.phantoms.ct_lesion import make_ct_lesion
from fiducial.tools.phantoms.polyp import make_polyp
from fiducial.tools.record import Intent, Region
from fiducial.tools.structures import DOMAIN_NAMES, structures

ROWS = questions.read_questions("grown")
SNA = {**want("angle", None, None, "sna_angle"), "landmarks": ["sella", "nasion", "subspinale"]}
RATIO = {
    **want("distance", None, None, "cardiothoracic_ratio"),
    "landmarks": ["heart_right", "heart_left", "thorax_right", "thorax_left"],
}
MENTON = {**want("location", None), "landmarks": ["menton"]}


@cache
def ceph() -> Truth:
    return phantom_truth(make_cephalogram(3, height_px=252), Path("p"))


@cache
def film() -> Truth:
    return phantom_truth(make_chest(3, size_px=256), Path("p"))


def test_there_are_sixty_half_of_them_chinese_and_a_quarter_unanswerable() -> None:
    assert len(ROWS) == len({r["id"] for r in ROWS}) == len({r["question"].casefold() for r in ROWS}) == 60
    assert sum(not r["answerable"] for r in ROWS) == 15
    assert sum(r["image"].startswith("dsb2018:") for r in ROWS) == 10
    for row in ROWS:
        intent = Intent(**row["intent"])
        assert (intent.language == "zh") is bool(re.search(r"[\u4e00-\u9fff]", row["question"]))
        assert {intent.structure, intent.other_structure} - {None} <= {*structures()}
        assert {*row.get("choice", {})} <= {*DOMAIN_NAMES}
        assert {*row.get("choice", {}).values()} == {*intent.options}
    assert sum(r["intent"]["language"] == "zh" for r in ROWS) == 30


def test_no_image_of_the_new_kinds_has_a_seed_that_training_draws() -> None:
    seeds = {int(r["image"].split(":")[2]) for r in ROWS if r["image"].startswith("phantom:")}
    assert min(seeds) >= 9100
    assert max(seeds) < 10_000


@pytest.mark.parametrize(("off", "expected"), [(0.0, True), (1.9, True), (-2.1, False)])
def test_an_angle_is_right_within_two_degrees(off: float, expected: bool) -> None:
    value = ceph().known["sna_angle"] + off
    done = record("angle", None, value, measurements=(measured("sna_angle", value, "°", 9.0),))
    assert questions.right(SNA, done, ceph()) is expected


@pytest.mark.parametrize(("off", "expected"), [(0.019, True), (0.021, False)])
def test_a_ratio_is_right_within_two_hundredths(off: float, expected: bool) -> None:
    value = film().known["cardiothoracic_ratio"] + off
    done = record("distance", None, value, measurements=(measured("cardiothoracic_ratio", value, "1", 0.5),))
    assert questions.right(RATIO, done, film()) is expected
    assert not questions.right(RATIO, record("distance", None, value), film())


@pytest.mark.parametrize(("off_mm", "expected"), [(1.9, True), (2.1, False)])
def test_a_landmark_is_right_within_two_millimetres(off_mm: float, expected: bool) -> None:
    (x, y), step = ceph().landmarks_xy_px["menton"], ceph().column_mm
    assert step is not None
    at = (x + off_mm / step, y)
    mark = Region(id="R1", label="menton", kind="landmark", point_xy_px=at, score=0.9, skill="landmark")
    assert questions.right(MENTON, record("location", None, 1, regions=(mark,)), ceph()) is expected
    other = mark.model_copy(update={"label": "gonion", "point_xy_px": (x, y)})
    assert not questions.right(MENTON, record("location", None, 1, regions=(other,)), ceph())


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_report_is_right_with_all_its_facts_in_either_language(language: Any) -> None:
    truth = film()
    spot = truth.of("opacity")[0].ellipse_px.center_xy_px[0]
    ends = [truth.landmarks_xy_px[k][0] for k in ("thorax_right", "thorax_left")]
    side, other = ("right", "left") if spot < sum(ends) / 2 else ("left", "right")
    heart, wrong = ("enlarged", "normal") if truth.known["cardiothoracic_ratio"] > 0.5 else ("normal", "enlarged")

    def judged(opacity: str, heart: str) -> bool:
        text = report_text(opacity, heart, None, language)
        asked = {**want("report", None), "language": language}
        return questions.right(asked, record("report", None, None, text=text), truth)

    assert judged(side, heart)
    assert not judged(other, heart)
    assert not judged("none", heart)
    assert not judged(side, wrong)


def test_a_volume_has_the_body_and_its_slice_the_section() -> None:
    made = make_ct_lesion(3, size_px=64, slices=8)
    lesion, whole, flat = made.truth.objects[0], phantom_truth(made, Path("p")), phantom_truth(made, Path("p"), True)
    assert whole.index is None
    assert flat.index == lesion.slice_index
    assert whole.sizes("liver_lesion", "long_axis") == [lesion.value("axis_1")]
    assert flat.sizes("liver_lesion", "long_axis") == [lesion.value("long_axis")]
    assert flat.box_3d is None
    assert whole.box_3d == Box3D("box_xyzxyz_mm", lesion.box_xyzxyz_mm)  # type: ignore[arg-type]
    assert [t.label for t in whole.things] == ["liver_lesion"]


@pytest.mark.parametrize(("taller", "expected"), [(2.0, True), (2.1, False)])
def test_a_place_in_a_volume_needs_half_an_overlap(taller: float, expected: bool) -> None:
    truth = Truth(Path("p"), "abdomen_ct", (), box_3d=Box3D("box_xyzxyz_mm", (0, 0, 0, 10, 10, 10)))
    region = Region(
        id="R1", label="liver_lesion", kind="box_3d", score=0.9, skill="detect_3d",
        box_xyzxyz_voxel=(0, 0, 0, 1, 1, 1), box_xyzxyz_mm=(0, 0, 0, 10, 10, 10 * taller),
    )  # fmt: skip
    done = record("location", "liver_lesion", 1, regions=(region,))
    assert questions.right(want("location", "liver_lesion"), done, truth) is expected
    assert not questions.right(want("location", "liver_lesion"), record("location", "liver_lesion", 1), truth)


def test_a_polyp_is_measured_on_its_own_outline() -> None:
    made = make_polyp(3, 160, 128, count=1)
    truth, value = phantom_truth(made, Path("p")), made.truth.objects[0].value("area")
    asked = want("size", "polyp", None, "area")
    for factor, expected in ((1.04, True), (1.2, False)):
        done = record("size", "polyp", value * factor, measurements=(measured("area", value * factor, "px²", 0.0),))
        assert questions.right(asked, done, truth) is expected


def test_a_choice_of_kinds_is_a_question_of_the_kind_or_a_closed_one() -> None:
    row = next(r for r in ROWS if r["intent"].get("options") and r["image"].startswith("phantom:cephalogram"))
    asked = {**row["intent"], "choice": row["choice"]}
    options = tuple(asked["options"])
    assert questions.understood(asked, Intent(task="kind"))["task"]
    assert questions.understood(asked, Intent(task="question", options=options))["task"]
    assert not questions.understood(asked, Intent(task="question"))["task"]
    assert questions.right(asked, record("kind", None, "cephalogram"), ceph())
    assert questions.right(asked, record("question", None, asked["choice"]["cephalogram"]), ceph())
    assert not questions.right(asked, record("question", None, asked["choice"]["chest_xray"]), ceph())


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        (Intent(task="angle", quantity="sna_angle"), True),
        (Intent(task="angle", quantity="angle", landmarks=("subspinale", "nasion", "sella")), True),
        (Intent(task="angle", quantity="angle", landmarks=("nasion", "sella", "subspinale")), False),
        (Intent(task="angle", quantity="snb_angle", landmarks=("sella", "nasion", "supramentale")), False),
        (Intent(task="distance", quantity="sna_angle"), False),
    ],
)
def test_an_angle_is_understood_by_its_name_or_by_its_points(got: Intent, expected: bool) -> None:
    assert all(questions.understood(SNA, got).values()) is expected


def test_rows_are_summed_by_language() -> None:
    rows = [
        {"language": "zh", "understood": True, "right": False},
        {"language": "zh", "understood": False, "withheld": True},
        {"language": "en", "understood": True, "right": True},
    ]
    english, chinese = questions.by_language(rows)
    assert english[:4] == ["en", 1, 1.0, 1.0]
    assert chinese == ["zh", 2, 0.5, 0.0, 1.0]
