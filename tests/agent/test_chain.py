"""Every branch of the default chain, driven by recordings on a small real image."""

from __future__ import annotations

import pytest

from fiducial.agent.policy import Policy
from fiducial.tests.agent.recordings import (
    HEAD,
    SMEAR,
    Recorded,
    boxes,
    codes,
    counted,
    explained,
    grid,
    intent,
    middles,
    points,
    said,
    status,
)

PLAIN = explained("These are seen.")


def count_of(number: int, *found: dict, **more: dict) -> dict:
    return {
        "understand": intent("count", "platelet"),
        "count": counted(number),
        "detect": list(found),
        "explain": PLAIN,
        **more,
    }


def test_count_agrees_with_regions(ask: Recorded) -> None:
    record = ask(count_of(3, boxes(*grid(3))))
    assert (status(record), record.answer.value, record.answer.text) == ("answered", 3, "There are 3 platelets.")
    assert [r.id for r in record.accepted] == ["R1", "R2", "R3"]
    assert [s.name for s in record.steps if s.kind == "skill"] == ["understand", "look", "count", "detect", "explain"]


def test_group_is_the_sum_of_its_members(ask: Recorded) -> None:
    record = ask(
        {
            "understand": intent("count", "blood_cell"),
            "count:red_cell": [counted(2)],
            "count:white_cell": [counted(1)],
            "detect:red_cell": [boxes(*grid(2, 24), label="red_cell")],
            "detect:white_cell": [boxes((100, 60, 130, 90), label="white_cell")],
            "explain": PLAIN,
        }
    )
    assert (status(record), record.answer.value) == ("answered", 3)
    assert [r.label for r in record.accepted] == ["red_cell", "red_cell", "white_cell"]
    assert [r.id for r in record.regions] == ["R1", "R2", "R3"]


def test_constrained_decoding_confirms_the_claim(ask: Recorded) -> None:
    record = ask(count_of(4, boxes(*grid(2)), boxes(*grid(4))))
    assert (status(record), record.answer.value, len(record.accepted)) == ("answered", 4, 4)
    assert "claim_confirmed" in [c.name for c in record.checks]


def test_constrained_decoding_below_the_floor_confirms_nothing(ask: Recorded) -> None:
    weak = boxes(*grid(4))
    weak["regions"][3]["score"] = 0.05
    record = ask(count_of(4, boxes(*grid(1)), weak))
    assert (status(record), codes(record)) == ("abstained", ["count_contradicted"])
    assert record.answer.value == 4


def test_two_sources_revise_the_answer(ask: Recorded) -> None:
    record = ask(count_of(9, boxes(*grid(4)), boxes(), point=points(*middles(4))))
    assert (status(record), record.answer.value, len(record.accepted)) == ("answered", 4, 4)
    revised = next(c for c in record.checks if c.name == "answer_revised")
    assert "There are 9 platelets" in revised.detail
    assert "detect and point" in revised.detail


def test_points_confirm_the_claim_and_the_boxes_stay_rejected(ask: Recorded) -> None:
    stray = (130.0, 100.0, 142.0, 112.0)
    record = ask(count_of(3, boxes(stray), boxes(), point=points(*middles(3))))
    assert (status(record), record.answer.value) == ("answered", 3)
    assert [r.kind for r in record.accepted] == ["point"] * 3
    assert [(r.box_xyxy_px, r.rejected_by) for r in record.regions if r.status == "rejected"] == [
        (stray, "count_matches_regions")
    ]


def test_small_difference_is_partial_with_the_number_of_regions(ask: Recorded) -> None:
    record = ask(count_of(11, boxes(*grid(10)), boxes(*grid(9)), point=points(*middles(7))))
    assert (status(record), codes(record)) == ("partial", ["count_uncertain"])
    assert (record.answer.value, len(record.accepted)) == (10, 10)


@pytest.mark.parametrize(("claimed", "verdict"), [(5, "answered"), (9, "partial"), (1, "partial")])
def test_a_structure_may_be_counted_by_what_is_expected_of_all_candidates(
    ask: Recorded, claimed: int, verdict: str
) -> None:
    asker = ask.asker(count_of(claimed, {**boxes(*grid(3)), "expected_count": 4.4}, boxes(*grid(4))))
    asker.policy = Policy(counted_by_expectation=frozenset({"platelet"}), count_difference=1)
    record = asker.ask(ask.picture, "how many?")
    assert (status(record), record.answer.value, len(record.accepted)) == (verdict, 4, 4)
    assert "claim" in next(c for c in record.checks if c.name == "answer_revised").detail


def test_three_readings_that_are_alike_warn_of_nothing(ask: Recorded) -> None:
    asker = ask.asker(count_of(3, {**boxes(*grid(3)), "expected_count": 3.2}))
    asker.policy = Policy(counted_by_expectation=frozenset({"platelet"}))
    record = asker.ask(ask.picture, "how many?")
    assert (status(record), record.answer.value) == ("answered", 3)
    assert not {"claim_confirmed", "answer_revised", "readings_disagree"} & {check.name for check in record.checks}


def test_an_expected_zero_does_not_deny_a_claim(ask: Recorded) -> None:
    asker = ask.asker(count_of(2, {**boxes(), "expected_count": 0.4}, boxes(), point=points(*middles(1))))
    asker.policy = Policy(counted_by_expectation=frozenset({"platelet"}))
    assert status(asker.ask(ask.picture, "how many?")) == "abstained"


def test_an_expected_number_that_cannot_be_pointed_at_counts_for_nothing(ask: Recorded) -> None:
    asker = ask.asker(count_of(3, {**boxes(*grid(3)), "expected_count": 6.0}, boxes(*grid(5))))
    asker.policy = Policy(counted_by_expectation=frozenset({"platelet"}))
    record = asker.ask(ask.picture, "how many?")
    assert (status(record), record.answer.value) == ("answered", 3)


def test_zoomed_crops_are_joined(ask: Recorded) -> None:
    left, right = boxes(*grid(2)), boxes(*grid(2), *grid(4)[2:])
    record = ask(
        count_of(4, boxes(*grid(1)), boxes(), point=points(*middles(2))), zoomed={"detect": [left, right, right, left]}
    )
    assert (status(record), record.answer.value, len(record.accepted)) == ("answered", 4, 4)


def test_unparsed_count_is_made_by_two_sources(ask: Recorded) -> None:
    record = ask(count_of(0, boxes(*grid(3)), point=points(*middles(3))) | {"count": counted(None)})
    assert (status(record), record.answer.value) == ("answered", 3)


def test_unparsed_count_with_one_source_abstains(ask: Recorded) -> None:
    record = ask(count_of(0, boxes(*grid(3))) | {"count": counted(None)})
    assert status(record) == "abstained"


def test_zero_claimed_against_one_region_abstains(ask: Recorded) -> None:
    record = ask(count_of(0, boxes(*grid(1))))
    assert (status(record), codes(record)) == ("abstained", ["count_contradicted"])


def presence_of(value: object, *found: dict, confidence: float = 0.9, **more: dict) -> dict:
    return {
        "understand": intent("presence", "platelet"),
        "answer": said(value, confidence),
        "detect": list(found),
        "explain": PLAIN,
        **more,
    }


def test_presence_with_a_region(ask: Recorded) -> None:
    record = ask(presence_of(True, boxes(*grid(1))))
    assert (status(record), record.answer.value) == ("answered", True)
    assert record.answer.text == "There is a platelet in this image."


def test_presence_without_region_climbs_to_points(ask: Recorded) -> None:
    record = ask(presence_of(True, boxes(), point=points(*middles(2))))
    assert (status(record), record.answer.value, len(record.accepted)) == ("answered", True, 2)


def test_zero_case_abstains(ask: Recorded) -> None:
    record = ask(presence_of(True, boxes(), point=points()), zoomed={"detect": [boxes()]})
    assert (status(record), codes(record)) == ("abstained", ["positive_without_region"])
    assert record.answer.value is True


def test_absence(ask: Recorded) -> None:
    record = ask(presence_of(False, boxes()))
    assert (status(record), record.answer.value, record.regions) == ("answered", False, ())


def test_absence_with_faint_regions_keeps_them_rejected(ask: Recorded) -> None:
    record = ask(presence_of(False, boxes(*grid(1), score=0.4)))
    assert (status(record), record.answer.value) == ("answered", False)
    assert [r.rejected_by for r in record.regions] == ["absence_has_none"]


def test_unsure_absence_abstains(ask: Recorded) -> None:
    record = ask(presence_of(False, boxes(), confidence=0.3))
    assert (status(record), codes(record)) == ("abstained", ["low_confidence"])


def test_absence_with_confident_regions_is_revised_by_a_second_source(ask: Recorded) -> None:
    record = ask(presence_of(False, boxes(*grid(1)), point=points(*middles(1))))
    assert (status(record), record.answer.value) == ("answered", True)
    assert "answer_revised" in [c.name for c in record.checks]


def test_absence_with_confident_regions_and_no_second_source_abstains(ask: Recorded) -> None:
    record = ask(presence_of(False, boxes(*grid(1)), point=points()), zoomed={"detect": [boxes()]})
    assert (status(record), codes(record)) == ("abstained", ["absence_contradicted"])


def test_location(ask: Recorded) -> None:
    record = ask(presence_of(True, boxes(*grid(2))) | {"understand": intent("location", "platelet")})
    assert (status(record), record.answer.value) == ("answered", 2)
    assert record.answer.text == "The 2 platelets are in these parts of the image: upper left (R1, R2)."


def test_location_of_nothing(ask: Recorded) -> None:
    record = ask(presence_of(False, boxes()) | {"understand": intent("location", "platelet")})
    assert (status(record), record.answer.value) == ("answered", 0)


def test_kind_needs_no_region(ask: Recorded) -> None:
    record = ask({"understand": intent("kind"), "answer": said("blood_smear"), "explain": PLAIN})
    assert (status(record), record.answer.text, record.answer.scope) == ("answered", "This is a blood smear.", "image")


@pytest.mark.parametrize(
    ("value", "confidence", "code"),
    [
        ("blood_smear", 0.4, "low_confidence"),
        ("head_ultrasound", 0.9, "kind_contradicted"),
        (None, 0.9, "unparsed_answer"),
    ],
)
def test_kind_withheld(ask: Recorded, value: str | None, confidence: float, code: str) -> None:
    record = ask({"understand": intent("kind"), "answer": said(value, confidence), "explain": PLAIN})
    assert (status(record), codes(record)) == ("abstained", [code])


@pytest.mark.parametrize(
    ("understood", "code"),
    [
        (intent("unknown"), "not_understood"),
        (intent("count", "platelet", sure=0.2), "not_understood"),
        (intent("count", "platelet") | {"parsed": False}, "not_understood"),
        (intent("unknown") | {"unread": ["节"]}, "not_understood"),
        (intent("count", "liver"), "unknown_structure"),
        (intent("count"), "unknown_structure"),
        (intent("compare", "platelet"), "unknown_structure"),
        (intent("size", "platelet", quantity="head_circumference"), "unknown_quantity"),
    ],
)
def test_not_understood(ask: Recorded, understood: dict, code: str) -> None:
    record = ask({"understand": understood})
    assert (status(record), codes(record), record.answer) == ("abstained", [code], None)
    if code != "unknown_quantity":
        assert "white blood cells" in record.verdict.reasons[0].detail


def test_an_answer_to_a_question_with_an_unread_word_is_partial(ask: Recorded) -> None:
    understood = intent("presence", "platelet") | {"unread": ["节"]}
    record = ask({"understand": understood, "answer": said(True), "detect": boxes((5, 5, 17, 17)), "explain": PLAIN})
    assert (status(record), codes(record)) == ("partial", ["words_unread"])
    assert "节" in record.verdict.reasons[0].detail


@pytest.mark.parametrize("task", ["presence", "kind", "count", "size"])
@pytest.mark.parametrize("domain", [SMEAR | {"typicality": 0.001}, SMEAR | {"kind": "other"}])
def test_off_domain_abstains(ask: Recorded, task: str, domain: dict) -> None:
    record = ask({"understand": intent(task, None if task == "kind" else "platelet")}, domain)
    assert (status(record), codes(record), record.answer) == ("abstained", ["off_domain"], None)


@pytest.mark.parametrize(("task", "value"), [("presence", False), ("count", 0), ("location", 0)])
def test_structure_of_another_kind_of_image(ask: Recorded, task: str, value: object) -> None:
    record = ask({"understand": intent(task, "platelet"), "explain": PLAIN}, HEAD)
    assert (status(record), record.answer.value, record.regions) == ("answered", value, ())
    assert "this is a fetal head ultrasound" in record.answer.text


def test_size_of_a_structure_of_another_kind_of_image(ask: Recorded) -> None:
    record = ask({"understand": intent("size", "platelet")}, HEAD)
    assert (status(record), codes(record)) == ("abstained", ["structure_absent"])


def test_size_of_something_absent(ask: Recorded) -> None:
    record = ask(presence_of(False, boxes()) | {"understand": intent("size", "platelet")})
    assert (status(record), codes(record), record.answer.value) == ("abstained", ["structure_absent"], 0)


def test_compare_counts(ask: Recorded) -> None:
    record = ask(
        {
            "understand": intent("compare", "platelet", other_structure="red_cell"),
            "count:platelet": [counted(1)],
            "count:red_cell": [counted(3)],
            "detect:platelet": [boxes((130, 100, 142, 112))],
            "detect:red_cell": [boxes(*grid(3, 24), label="red_cell")],
            "explain": PLAIN,
        }
    )
    assert (status(record), record.answer.value) == ("answered", [1.0, 3.0])
    assert record.answer.text == "There are 1 platelet and 3 red blood cells. There are 2 more red blood cells."


def test_contradicting_explanation_is_made_again(ask: Recorded) -> None:
    wrong, right = explained("It is at R7.", "R7"), explained("It is at R1.", "R1")
    record = ask(presence_of(True, boxes(*grid(1))) | {"explain": [wrong, right]})
    assert (record.explanation.text, record.explanation.source) == ("It is at R1.", "skill")
    assert [s.name for s in record.steps].count("explain") == 2


def test_explanation_that_stays_wrong_becomes_a_listing(ask: Recorded) -> None:
    record = ask(presence_of(True, boxes(*grid(1))) | {"explain": explained("It is at R7.", "R7")})
    assert record.explanation.source == "listing"
    assert record.explanation.text.startswith("A plain listing of the record")
    assert [s.name for s in record.steps].count("explain") == 3
    assert status(record) == "answered"


def test_transient_failure_is_tried_again(ask: Recorded) -> None:
    record = ask(presence_of(True, boxes(*grid(1))) | {"answer": [{"transient_error": "busy"}, said(True)]})
    tries = [(s.attempt, s.error) for s in record.steps if s.name == "answer"]
    assert (status(record), tries) == ("answered", [(1, "busy"), (2, None)])


def test_failure_that_lasts_ends_in_an_abstention(ask: Recorded) -> None:
    record = ask(presence_of(True) | {"answer": {"transient_error": "busy"}})
    assert (status(record), codes(record)) == ("abstained", ["step_failed"])
    assert len([s for s in record.steps if s.name == "answer"]) == 3


def test_rejected_regions_stay_in_the_record(ask: Recorded) -> None:
    record = ask(count_of(1, boxes(*grid(1), (1e999, 3, 4, 5), (400, 400, 410, 410))))
    assert (status(record), record.answer.value) == ("answered", 1)
    assert [r.status for r in record.regions] == ["accepted", "rejected", "rejected"]
    assert all(r.rejected_by for r in record.regions[1:])


def test_image_is_opened_and_encoded_once(ask: Recorded) -> None:
    asker = ask.asker(count_of(9, boxes(*grid(4)), boxes(), point=points(*middles(4))))
    asker.ask(ask.picture, "A question?")
    assert asker.model.opened == 1
