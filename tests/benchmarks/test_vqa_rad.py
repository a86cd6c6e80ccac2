"""The scoring of questions in free words, on small cases with numbers worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fiducial.benchmarks.vqa_rad_val import majority_of, scores, summary, token_f1, type_of
from fiducial.skills.datasets.questions import question_ask
from fiducial.skills.datasets.sample import Sample


def sample(answer: str, kind: str = "PRES", answer_type: str = "CLOSED") -> Sample:
    facts = {"question_type": kind, "answer_type": answer_type}
    ask = question_ask("Is there a mass?", answer)
    return Sample("1", "a.jpg", "radiology", lambda: np.zeros((2, 2, 3), np.uint8), asks=(ask,), facts=facts)


def row(image: str, right: tuple[bool, bool, bool], told: str = "abstained", is_closed: bool = True) -> dict[str, Any]:
    names = ("answer", "majority", "blank")
    return {
        "image": image, "closed": is_closed, "type": "PRES", "status": told, "reasons": ["no_better_than_guessing"],
        "told": "No.", "truth": "no",
        **{f"{name}_right": own for name, own in zip(names, right, strict=True)},
        **{f"{name}_f1": float(own) for name, own in zip(names, right, strict=True)},
    }  # fmt: skip


def test_words_of_an_answer_count_as_often_as_they_stand() -> None:
    assert token_f1("left lung", "the left upper lung") == pytest.approx(2 * 2 / 5)
    assert token_f1(None, "left") == token_f1("right", "left") == 0.0
    assert token_f1("Left", "left.") == 1.0


def test_the_majority_is_that_of_the_type_of_the_train_list() -> None:
    train = [sample("no"), sample("no"), sample("yes"), *[sample("yes", "ABN")] * 5, sample("left", "POS", "OPEN")]
    majority = majority_of(train)
    assert majority(sample("yes", "PRES, ATTRIB")) == "no"
    assert majority(sample("no", "ABN")) == majority(sample("no", "of no such type")) == "yes"
    assert majority(sample("right", "POS", "OPEN")) == "left"
    assert type_of(sample("no", "ATRIB")) == type_of(sample("no", "attrib")) == "ATTRIB"


def test_figures_stand_beside_each_guess() -> None:
    rows = [row("a", (True, False, False)), row("a", (True, True, False)), row("b", (False, True, False), "partial")]
    found = scores(rows)
    assert (found["questions"], found["images"], found["right"], found["majority"]) == (3, 2, 2 / 3, 2 / 3)
    assert found["interval"] == (0.0, 1.0)
    assert found["above blank"] == (0.0, 1.0)
    assert found["above majority"] == (-1.0, 0.5)
    assert "chance" not in found
    assert scores([own | {"chance_right": 0.5} for own in rows])["above chance"] == (-0.5, 0.5)
    figures = summary([*rows, row("c", (False, False, False), is_closed=False)])
    assert figures["closed ask"]["share_abstained"] == pytest.approx(2 / 3)
    assert figures["closed ask"]["right_of_told"] == 1.0
    assert figures["open token f1"]["all"]["f1"] == 0.0
