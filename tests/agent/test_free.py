"""Questions in free words, reports, landmarks and volumes, through a recording of a base that answers them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from fiducial.agent.ask import Asker
from fiducial.agent.present import columns, present
from fiducial.skills.families.recording import load
from fiducial.tests.agent.recordings import (
    SMEAR,
    Recorded,
    boxes,
    codes,
    counted,
    explained,
    grid,
    intent,
    points,
    said,
    status,
)
from fiducial.tools.record import Record

UNKNOWN = intent("unknown")
FOREIGN = {"kind": "other", "probabilities": {}, "typicality": 0.0}


def free(value: str | None, confidence: float = 0.9) -> dict[str, Any]:
    """A result of ``question``."""
    return {"value": value, "confidence": confidence, "parsed": value is not None, "text": str(value)}


def reported(text: str, confidence: float = 0.9) -> dict[str, Any]:
    return {"report": text, "confidence": confidence, "parsed": bool(text), "text": text}


def landmarks(**places: tuple[float, float]) -> dict[str, Any]:
    """A result of ``landmark``; underscores in the names are spaces."""
    regions = [
        {"id": f"R{n}", "label": name.replace("_", " "), "kind": "landmark", "point_xy_px": place, "score": 0.9,
         "sigma_px": 0.5, "skill": "landmark"}
        for n, (name, place) in enumerate(places.items(), 1)
    ]  # fmt: skip
    return {"regions": regions, "confidence": 0.9, "parsed": True, "text": ""}


def stated(name: str, value: float, unit: str) -> dict[str, Any]:
    numbers = [{"name": name, "value": value, "unit": unit}]
    return {"numbers": numbers, "confidence": 0.9, "parsed": True, "text": ""}


@pytest.fixture
def asked(ask: Recorded) -> Any:
    """Ask a question of a base that answers freely, about an image of a kind that nothing is known of."""

    def asking(asks: str, scale: str | None = None, **results: Any) -> Record:
        answers = {"understand": UNKNOWN, "question": free("x"), "explain": explained("This is seen.")} | results
        return ask.asker(answers, FOREIGN).ask(ask.picture, asks, scale)

    return asking


def test_a_free_answer_without_a_region_says_so(asked: Any) -> None:
    record = asked("What is the modality of this image?", question=free("ultrasound"))
    assert (status(record), codes(record)) == ("partial", ["ungrounded"])
    assert (record.answer.text, record.answer.value) == ("ultrasound", "ultrasound")
    assert record.understanding.intent.task == "question"
    assert "image_domain" in [c.name for c in record.checks if c.outcome == "warn"]


def test_a_base_without_the_skill_abstains_as_before(ask: Recorded) -> None:
    record = ask.asker({"understand": UNKNOWN}).ask(ask.picture, "What is the modality of this image?")
    assert (status(record), codes(record)) == ("abstained", ["not_understood"])


def test_a_closed_question_is_a_choice_and_rests_on_what_it_names(asked: Any) -> None:
    record = asked("Is there a crescent in this image?", question=free("yes"), detect=boxes(*grid(1), label="crescent"))
    assert (status(record), record.answer.value, record.answer.text) == ("answered", True, "Yes.")
    assert record.understanding.intent.options == ("yes", "no")
    assert [r.label for r in record.accepted] == ["crescent"]


@pytest.mark.parametrize(
    ("value", "found", "verdict", "code"),
    [
        ("yes", [], "partial", ["ungrounded"]),
        ("no", [], "answered", []),
        ("no", [(5, 5, 17, 17)], "abstained", ["absence_contradicted"]),
    ],
)
def test_yes_and_no_are_held_to_what_is_found(
    asked: Any, value: str, found: list[Any], verdict: str, code: list[str]
) -> None:
    record = asked("Is there a crescent?", question=free(value), detect=boxes(*found, label="crescent"))
    assert (status(record), codes(record)) == (verdict, code)


def test_either_or(asked: Any) -> None:
    record = asked("Is this a CT or an MRI?", question=free("MRI"))
    assert record.understanding.intent.options == ("CT", "MRI")
    assert (record.answer.text, record.answer.value) == ("MRI.", "MRI")


@pytest.mark.parametrize(("answer", "code"), [(free("x", 0.1), "low_confidence"), (free(None), "unparsed_answer")])
def test_a_free_answer_may_be_withheld(asked: Any, answer: dict[str, Any], code: str) -> None:
    record = asked("What is this?", question=answer)
    assert (status(record), codes(record)) == ("abstained", [code])


def test_any_structure_may_be_counted(asked: Any) -> None:
    found = boxes(*grid(2), label="instrument")
    record = asked("How many instruments are visible in this image?", count=counted(2), detect=found)
    assert (status(record), record.answer.value, record.answer.text) == ("answered", 2, "There are 2 instruments.")


def test_a_count_that_nothing_bears_out_is_withheld(asked: Any) -> None:
    found, none = boxes(*grid(2), label="crescent"), points()
    record = asked("How many crescents are there?", count=counted(7), detect=found, point=none)
    assert (status(record), codes(record)) == ("abstained", ["count_contradicted"])


def test_outlines(asked: Any) -> None:
    corners = ((5.0, 5.0), (25.0, 5.0), (25.0, 15.0), (5.0, 15.0))
    region = {"id": "R1", "label": "crescent", "kind": "polygon", "polygon_xy_px": corners, "score": 0.9, "skill": "s"}
    found = {"regions": [region], "confidence": 0.9, "parsed": True, "text": ""}
    record = asked("Segment the crescent", "0.1 mm/px", answer=said(True), segment=found)
    assert (status(record), record.answer.text) == ("answered", "1 crescent is outlined: R1.")
    assert [(m.quantity, m.unit) for m in record.measurements] == [("area", "mm²")]
    assert record.measurements[0].value == pytest.approx(2.0)


def test_a_report_agrees_with_what_is_found(asked: Any) -> None:
    text = "A blood smear. There are 3 platelets. No white blood cells."
    found = {"detect:platelet": boxes(*grid(3)), "detect:white_cell": boxes()}
    record = asked("Describe this image", report=reported(text), **found)
    assert (status(record), record.answer.text) == ("answered", text)
    assert ("report_agrees", "pass") in [(c.name, c.outcome) for c in record.checks]
    assert "R1" in record.explanation.text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("There are 5 platelets.", "gives 5 platelets"),
        ("A platelet of 9.0 µm is seen.", "9.0 µm"),
        ("图像中可见5个血小板。", "gives 5 platelets"),
        ("未见白细胞及血小板。", "no platelets"),
        ("血小板长径为9.0µm，数量为1个。", "9.0µm"),
        ("可见一个9.0 微米的血小板。", "9.0 微米"),
        ("可见一个9.0 μm的血小板。", "9.0 μm"),  # the Greek letter
    ],
)
def test_a_report_that_is_contradicted_says_by_what(asked: Any, text: str, why: str) -> None:
    record = asked("Write a report", "0.0002 mm/px", report=reported(text), detect=boxes(*grid(1)))
    assert (status(record), codes(record)) == ("partial", ["report_contradicted"])
    assert why in record.verdict.reasons[0].detail


@pytest.mark.parametrize(
    "text",
    [
        "There are no platelets.",
        "No platelets and no polyps are seen in this image.",
        "No red cells or platelets.",
        "未见血小板。",
        "图像中没有血小板及肺部阴影，也未见息肉。",
    ],
)
def test_a_report_of_absences_rests_on_having_looked(asked: Any, text: str) -> None:
    assert status(asked("Write a report", report=reported(text), detect=boxes())) == "answered"
    assert status(asked("Write a report", report=reported(text), detect=boxes(*grid(1)))) == "partial"


@pytest.mark.parametrize(
    "text",
    [
        "There are no platelets. There is a large pneumothorax.",
        "No platelets and a large pneumothorax.",
        "A large pneumothorax without platelets, and no polyps.",
        "大量气胸，未见血小板。",
        "大量气胸而未见血小板。",
        "大量气胸未见血小板。",
    ],
)
def test_a_report_of_more_than_absences_does_not_rest_on_them(asked: Any, text: str) -> None:
    record = asked("Write a report", report=reported(text), detect=boxes())
    assert (status(record), codes(record)) == ("partial", ["ungrounded"])


def test_a_report_of_nothing_that_is_known_is_ungrounded(asked: Any) -> None:
    record = asked("Write a report", report=reported("The lungs are clear."))
    assert (status(record), codes(record)) == ("partial", ["ungrounded"])


CORNER = {"sella": (20.0, 60.0), "nasion": (60.0, 60.0), "subspinale": (60.0, 100.0)}


def test_an_angle_is_measured_between_its_landmarks(asked: Any) -> None:
    record = asked("What is the SNA angle?", landmark=landmarks(**CORNER), size=stated("sna_angle", 91.0, "deg"))
    assert (status(record), record.answer.value) == ("answered", pytest.approx(90.0))
    assert record.answer.text.startswith("The SNA angle is 90.0° (± ")
    taken = record.measurements[0]
    assert (taken.quantity, taken.unit, taken.region_ids) == ("sna_angle", "°", ("R1", "R2", "R3"))
    assert 0.5 < taken.uncertainty < 2
    assert ("size_claim", "pass") in [(c.name, c.outcome) for c in record.checks]


def test_a_typed_angle_needs_no_free_words(ask: Recorded) -> None:
    answers = {"understand": intent("angle", quantity="sna_angle"), "landmark": landmarks(**CORNER)}
    record = ask(answers | {"explain": explained("This is seen.")})
    assert (status(record), record.answer.value) == ("answered", pytest.approx(90.0))
    assert record.understanding.intent.quantity == "sna_angle"
    assert status(ask({"understand": intent("angle", quantity="angle")})) == "abstained"


def test_a_typed_report(ask: Recorded) -> None:
    answers = {"understand": intent("report"), "report": reported("There are 2 platelets.")}
    record = ask(answers | {"detect": boxes(*grid(2))})
    assert (status(record), record.answer.scope) == ("answered", "image")
    assert (codes(ask({"understand": intent("report")}))) == ["not_understood"]


def test_where_a_landmark_is(asked: Any) -> None:
    record = asked("Where is the nasion?", landmark=landmarks(nasion=(60.0, 60.0)))
    assert (status(record), record.answer.text) == ("answered", "Nasion (R1) is at 60.0, 60.0 px, centre.")


def test_a_class_of_the_whole_image(asked: Any) -> None:
    chosen = {"choice": "MRI", "confidence": 0.9, "parsed": True, "text": "MRI"}
    record = asked("Is this a CT or an MRI?", classify=chosen)
    assert (record.answer.value, [s.name for s in record.steps if s.kind == "skill"][1]) == ("MRI", "classify")


def test_pixels_that_are_not_square_turn_the_angle(asked: Any) -> None:
    slanted = landmarks(**(CORNER | {"subspinale": (100.0, 100.0)}))
    record = asked("What is the SNA angle?", "row 2, column 1 mm/px", landmark=slanted)
    assert record.answer.value == pytest.approx(180 - np.degrees(np.arctan2(80, 40)))


def test_a_claim_that_the_geometry_denies_is_told_and_not_passed_on(asked: Any) -> None:
    record = asked("What is the SNA angle?", landmark=landmarks(**CORNER), size=stated("sna_angle", 60.0, "deg"))
    assert (status(record), codes(record)) == ("partial", ["size_claim_contradicted"])
    assert record.answer.value == pytest.approx(90.0)


def test_a_distance_in_mm(asked: Any) -> None:
    found = landmarks(sella=(20.0, 60.0), nasion=(60.0, 60.0))
    record = asked("What is the distance between sella and nasion?", "0.5 mm/px", landmark=found)
    assert (status(record), record.answer.value) == ("answered", pytest.approx(20.0))
    assert record.measurements[0].unit == "mm"


def test_the_difference_of_two_angles_keeps_its_sign(asked: Any) -> None:
    found = landmarks(**CORNER, supramentale=(50.0, 100.0))
    record = asked("What is the ANB angle?", landmark=found)
    assert record.answer.value == pytest.approx(np.degrees(np.arctan2(10, 40)))


def test_a_ratio_of_widths(asked: Any) -> None:
    found = landmarks(
        right_border_of_the_heart=(50.0, 80.0), left_border_of_the_heart=(90.0, 70.0),
        right_inner_border_of_the_thorax=(30.0, 90.0), left_inner_border_of_the_thorax=(110.0, 91.0),
    )  # fmt: skip
    record = asked("What is the cardiothoracic ratio?", landmark=found)
    assert (status(record), record.answer.value) == ("answered", pytest.approx(0.5))


def test_a_landmark_that_is_not_found_leaves_nothing_to_measure(asked: Any) -> None:
    found = landmarks(sella=(20.0, 60.0), nasion=(60.0, 60.0))
    record = asked("What is the SNA angle?", landmark=found)
    assert (status(record), codes(record)) == ("abstained", ["landmark_not_found"])
    assert "subspinale" in record.verdict.reasons[0].detail


def test_a_model_that_knows_no_landmarks_leaves_nothing_to_measure(asked: Any) -> None:
    record = asked("What is the SNA angle?")
    assert (status(record), codes(record)) == ("abstained", ["landmark_not_found"])


def test_what_cannot_be_looked_for_leaves_an_answer_ungrounded(asked: Any) -> None:
    record = asked("Is there a crescent?", question=free("no"))
    assert (status(record), codes(record)) == ("partial", ["ungrounded"])


def test_a_size_that_the_model_states_is_held_to_the_geometry(asked: Any) -> None:
    common = {"answer": said(True), "detect": boxes((20, 20, 60, 40), label="callus")}
    near = asked("How large is the callus?", "0.5 mm/px", size=stated("long axis", 21.0, "mm"), **common)
    assert (status(near), near.answer.value) == ("answered", pytest.approx(20.0))
    far = asked("How large is the callus?", "0.5 mm/px", size=stated("long axis", 5.0, "cm"), **common)
    assert (status(far), codes(far)) == ("partial", ["size_claim_contradicted"])
    assert far.answer.value == near.answer.value


def test_chinese(asked: Any) -> None:
    record = asked("有多少个血小板？", count=counted(3), detect=boxes(*grid(3)))
    assert record.understanding.intent.language == "zh"
    assert (status(record), record.answer.text) == ("answered", "有3个血小板。")
    # what the guide does not know, the base may
    assert ("image_domain", "warn") in [(c.name, c.outcome) for c in record.checks]


def test_chinese_of_a_known_kind(ask: Recorded) -> None:
    answers = {"understand": UNKNOWN, "question": free("x"), "explain": explained("可见R1。", "R1")}
    answers |= {"count": counted(3), "detect": boxes(*grid(3)), "answer": said(True)}
    asker = ask.asker(answers, SMEAR)
    record = asker.ask(ask.picture, "有多少个血小板？")
    assert (status(record), record.answer.text) == ("answered", "有3个血小板。")
    assert record.explanation.text == "可见R1。"
    where = asker.ask(ask.picture, "血小板在哪里？")
    assert where.answer.text.startswith("3个血小板位于图像的以下部位：左上部（R1, R2）")


def test_a_chinese_closed_question(asked: Any) -> None:
    record = asked("图像中是否有月牙？", question=free("否"), detect=boxes(label="月牙"))
    assert (status(record), record.answer.value, record.answer.text) == ("answered", False, "否。")


AFFINE = nibabel.affines.from_matvec(np.diag([-0.5, -0.5, 2.0]), [10, 20, 30])


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """40 × 30 × 20 voxels of 0.5 × 0.5 × 2 mm."""
    image = nibabel.Nifti1Image(np.random.default_rng(0).integers(0, 255, (40, 30, 20), np.uint8), AFFINE)
    image.header.set_xyzt_units("mm")
    nibabel.save(image, tmp_path / "volume.nii.gz")
    return tmp_path / "volume.nii.gz"


def test_a_question_about_a_volume_is_answered_over_its_slices(tmp_path: Path, volume: Path) -> None:
    box = (5.0, 6.0, 3.0, 15.0, 12.0, 8.0)
    region = {"id": "R1", "label": "callus", "kind": "box_3d", "box_xyzxyz_voxel": box, "score": 0.9, "skill": "x"}
    flat = region | {"id": "R2", "box_xyzxyz_voxel": (20, 20, 5, 25, 25, 5)}
    found = {"regions": [region, flat], "confidence": 0.9, "parsed": True, "text": ""}
    answers = {"understand": UNKNOWN, "question": free("x"), "answer": said(True), "detect_3d": found}
    answers |= {"explain": explained("R1 is a callus.", "R1")}
    asker = Asker(model=load(Recorded(tmp_path, volume).write(answers, FOREIGN)), store=tmp_path / "runs.db")
    record = asker.ask(volume, "Where is the callus?")
    assert (status(record), record.answer.text) == ("answered", "1 callus is in the volume: R1 slices 3 to 7.")
    assert [(r.id, r.rejected_by) for r in record.regions if r.status == "rejected"] == [("R2", "not_degenerate")]
    slices = record.image.file_slices
    assert slices is not None and slices.plane == "axial" and slices.count == 20
    assert slices.indices[0] == 0 and len(slices.indices) == 16 and len(set(slices.indices)) == 16
    ends = [nibabel.affines.apply_affine(AFFINE, np.array(v) - 0.5) * (-1, -1, 1) for v in (box[:3], box[3:])]
    expected = np.concatenate([np.minimum(*ends), np.maximum(*ends)])
    assert record.accepted[0].box_xyzxyz_mm == pytest.approx(expected, abs=1e-6)
    assert asker.resume(record.run_id) == record
    asker.overlay(record, tmp_path / "seen.png")
    assert "slices 3 to 7" in present(record)
    size = asker.ask(volume, "How large is the callus?")  # 10 × 0.5, 6 × 0.5 and 5 × 2 mm
    assert (status(size), size.answer.value) == ("answered", pytest.approx(10.0))
    slice_alone = asker.ask(volume, "What is this?", index=3)
    assert slice_alone.image.file_slices is None


def test_what_a_model_writes_is_wrapped_and_no_terminal_obeys_it(asked: Any) -> None:
    record = asked("What is this?", question=free("\x1b[31m" + "x" * 300 + " 息肉" * 60))
    shown = present(record)
    assert "\x1b" not in shown and "x" * 60 in shown
    assert all(columns(line) <= 100 for line in shown.splitlines())
