"""Questions in free words to a model that answers them about some kinds of image, and answers that are but guesses."""

from __future__ import annotations

from typing import Any

import pytest

from fiducial.agent.ask import Asker
from fiducial.agent.policy import Policy
from fiducial.agent.present import present
from fiducial.skills.families.recording import RecordingFile, load
from fiducial.tests.agent.recordings import SMEAR, Recorded, codes, explained, intent, said, status
from fiducial.tests.agent.test_free import FOREIGN, UNKNOWN, free
from fiducial.tools.record import Record

RADIOLOGY = {"kind": "radiology", "probabilities": {"radiology": 0.9}, "typicality": 0.5}


def worth(least: float, **guesses: float) -> dict[str, Any]:
    """The evidence of a model that answers about radiology images; yes-or-no questions alone were measured.

    least: what its answers are above each guess for certain; guesses: another, for one of them.
    """
    score: dict[str, Any] = {"questions": 90, "images": 30, "accuracy": 0.7, "low": 0.6, "high": 0.8}
    for guess in ("majority", "blank", "chance"):
        score |= {guess: {"right": 0.5, "low": guesses.get(guess, least), "high": 0.4}}
    return {"question": {"method": "by hand", "kinds": ["radiology"], "types": {"yes_no": score}}}


@pytest.fixture
def asked_of_some(ask: Recorded) -> Any:
    """Ask a model that answers in free words about radiology images alone."""

    def asking(asks: str, domain: dict[str, Any] = RADIOLOGY, evidence: Any = None, **results: Any) -> Record:
        answers = {"understand": UNKNOWN, "question": free("no"), "explain": explained("This is seen.")} | results
        model = load(ask.write(answers, domain))
        more = {"question_kinds": {"radiology"}, "evidence": evidence or {}}
        model.recording = RecordingFile.model_validate(model.recording.model_dump() | more)
        return Asker(model=model).ask(ask.picture, asks)

    return asking


def test_a_model_of_some_kinds_is_asked_about_them(asked_of_some: Any) -> None:
    record = asked_of_some("Is there a pleural effusion?")
    assert (status(record), codes(record)) == ("partial", ["ungrounded"])
    assert (record.answer.value, record.answer.text) == (False, "No.")
    assert record.understanding.intent.task == "question"
    misread = asked_of_some("Are the platelets of normal size?", understand=intent("presence", "platelet"))
    assert (status(misread), codes(misread)) == ("partial", ["ungrounded"])
    assert [c.name for c in misread.checks].count("question_understood") == 2


@pytest.mark.parametrize("domain", [SMEAR, FOREIGN, RADIOLOGY | {"typicality": 0.001}])
def test_of_other_images_it_is_not_asked(asked_of_some: Any, domain: dict[str, Any]) -> None:
    record = asked_of_some("Is there a pleural effusion?", domain)
    assert status(record) == "abstained"
    assert record.answer is None
    assert codes(record) == (["off_domain"] if domain["kind"] == "radiology" else ["not_understood"])


def test_kinds_and_reports_are_not_free_questions(asked_of_some: Any) -> None:
    kind = asked_of_some("What kind of image is this?", understand=intent("kind"), answer=said("radiology"))
    assert (status(kind), kind.answer.value) == ("answered", "radiology")
    assert codes(asked_of_some("Write a report.", understand=intent("report"))) == ["not_understood"]


def test_an_answer_that_is_no_better_than_a_guess_is_withheld(asked_of_some: Any) -> None:
    record = asked_of_some("Is there a pleural effusion?", evidence=worth(-0.02))
    assert (status(record), codes(record)) == ("abstained", ["no_better_than_guessing"])
    assert record.answer.value is False
    detail = record.verdict.reasons[0].detail
    assert "0.70 right (95 % interval 0.60 to 0.80 over 30 images)" in detail
    assert "the commonest answer 0.50, a difference of +0.20 (-0.02 to +0.40)" in detail
    assert "Claimed, and withheld: No." in present(record)


def test_an_answer_that_is_better_than_every_guess_is_told(asked_of_some: Any) -> None:
    record = asked_of_some("Is there a pleural effusion?", evidence=worth(0.1))
    assert (status(record), codes(record)) == ("partial", ["ungrounded"])
    assert "better_than_guessing" in [c.name for c in record.checks if c.outcome == "pass"]


@pytest.mark.parametrize("guess", ["majority", "blank", "chance"])
def test_it_must_be_above_each_for_certain(asked_of_some: Any, guess: str) -> None:
    assert codes(asked_of_some("Is it?", evidence=worth(0.1, **{guess: 0.0}))) == ["no_better_than_guessing"]


def test_a_type_of_question_that_was_not_measured_is_withheld(asked_of_some: Any) -> None:
    record = asked_of_some("Where is the lesion?", evidence=worth(0.3), question=free("left lung"))
    assert (status(record), codes(record)) == ("abstained", ["no_better_than_guessing"])


def test_another_language_than_the_measured_is_not_asked_in(asked_of_some: Any) -> None:
    assert codes(asked_of_some("有胸腔积液吗？", evidence=worth(0.3))) == ["not_understood"]


def test_evidence_holds_a_base_of_any_image_too(ask: Recorded) -> None:
    answers = {"understand": UNKNOWN, "question": free("no"), "explain": explained("This is seen.")}
    model = load(ask.write(answers, FOREIGN))
    model.recording = RecordingFile.model_validate(model.recording.model_dump() | {"evidence": worth(-0.1)})
    asker = Asker(model=model)
    assert codes(asker.ask(ask.picture, "Is it abnormal?")) == ["no_better_than_guessing"]
    trusting = Asker(model=model)
    trusting.policy = Policy(withhold_guesses=False)
    assert codes(trusting.ask(ask.picture, "Is it abnormal?")) == ["ungrounded"]


KNOWN = {"radiology": 0.1, "blood_smear": 0.2}


@pytest.mark.parametrize(
    ("domain", "withheld"),
    [
        (RADIOLOGY, False),
        (SMEAR, True),
        (FOREIGN, False),  # of what looks at it and knows no radiology, nothing can be told
        (SMEAR | {"typicality": 0.001}, False),
        (FOREIGN | {"probabilities": KNOWN}, True),
        (RADIOLOGY | {"probabilities": KNOWN, "typicality": 0.001}, True),
    ],
)
def test_evidence_on_some_kinds_of_image_speaks_for_no_other(
    ask: Recorded, domain: dict[str, Any], withheld: bool
) -> None:
    answers = {"understand": UNKNOWN, "question": free("no"), "explain": explained("This is seen.")}
    model = load(ask.write(answers, domain))
    model.recording = RecordingFile.model_validate(model.recording.model_dump() | {"evidence": worth(0.3)})
    record: Any = Asker(model=model).ask(ask.picture, "Is it abnormal?")
    assert codes(record) == (["no_better_than_guessing"] if withheld else ["ungrounded"])
    assert ("not measured on such images" in record.verdict.reasons[0].detail) == withheld
