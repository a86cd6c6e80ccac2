"""Questions in free words to the embedded model: what it may say, what its answers are worth, training from the set."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from fiducial.skills.adapters import read_manifest
from fiducial.skills.base import QuestionArgs, evidence_of, question_kinds_of, skills_of
from fiducial.skills.evidence import Evidence, Score, Trial, commonest, question_type, scored
from fiducial.skills.families.llava import dialect
from fiducial.skills.families.llava.family import LlavaModel
from fiducial.skills.load import load_model
from fiducial.skills.training.embedded.commands import train
from fiducial.skills.training.embedded.dense_data import random_affine
from fiducial.skills.training.embedded.questions import question_samples, to_fit
from fiducial.tests.skills.tiny import tiny_config
from fiducial.tools.errors import InputError
from fiducial.tools.images.open_image import open_image

IMAGES = 6


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ((), "open"),
        (("Yes", "no"), "yes_no"),
        (("no", "yes"), "yes_no"),
        (("是", "否"), "yes_no"),
        (("AP", "PA"), "choice"),
    ],
)
def test_the_type_of_a_question_is_told_by_its_options(options: tuple[str, ...], kind: str) -> None:
    assert question_type(options) == kind


def test_the_commonest_answer_is_of_words_and_not_of_spelling() -> None:
    assert commonest(["Left", "the left.", "right"]) == "left"
    assert commonest([]) is None


def test_an_answer_is_worth_more_than_a_guess_where_the_difference_is_above_each_for_certain() -> None:
    sure = [Trial(f"{n}", "yes_no", True, n % 2 == 0, n % 3 == 0, 2) for n in range(30)]
    alike = [Trial(f"{n}", "open", n % 2 == 0, n % 2 == 0, False, 0) for n in range(30)]
    found = scored([*sure, *alike])
    yes_no, free = found["yes_no"], found["open"]
    assert (yes_no.accuracy, yes_no.majority.right, yes_no.questions) == (1.0, 0.5, 30)
    assert yes_no.chance is not None
    assert (yes_no.chance.right, yes_no.chance.low, free.chance) == (0.5, 0.5, None)
    evidence = Evidence(method="by hand", kinds=("radiology",), types=found)
    assert evidence.against(("yes", "no"), "en") is None
    assert "0.50 right" in str(evidence.against((), "en"))
    assert "+0.00 (+0.00 to +0.00)" in str(evidence.against((), "en"))
    assert "not measured" in str(evidence.against(("AP", "PA"), "en"))
    assert "in zh" in str(evidence.against(("是", "否"), "zh"))


def test_the_error_of_the_guess_counts_too() -> None:
    """An accuracy whose interval is above the guess's own figure, of answers that have nothing to do with the guess."""
    rng = np.random.default_rng(4)
    right, majority = np.arange(60) < 41, rng.permutation(np.arange(60) < 33)
    score = scored([Trial(f"{n}", "yes_no", bool(right[n]), bool(majority[n]), False, 2) for n in range(60)])["yes_no"]
    assert score.low > score.majority.right == 0.55
    assert score.majority.low <= 0 < score.majority.high
    assert not score.better_than_guessing


def test_one_of_a_few_answers_is_right_by_chance_more_often_than_the_commonest() -> None:
    trials = [Trial(f"{n}", "choice", n % 2 == 0, False, False, 2) for n in range(60)]
    score = scored(trials)["choice"]
    assert min(score.majority.low, score.blank.low) > 0
    assert score.chance is not None
    assert (score.chance.right, score.better_than_guessing) == (0.5, False)
    of_four = scored([trial._replace(options=4) for trial in trials])["choice"]
    assert of_four.better_than_guessing
    for wrong in ({"choice": of_four.model_copy(update={"chance": None})}, {"open": of_four}):
        with pytest.raises(ValidationError, match="chance"):
            Evidence.model_validate({"method": "by hand", "kinds": ["radiology"], "types": wrong})


def test_a_few_images_that_are_all_right_prove_nothing() -> None:
    found = scored([Trial(f"{n}", "choice", True, False, False, 2) for n in range(3)])
    assert found["choice"].low == 1.0
    evidence = Evidence(method="by hand", kinds=("radiology",), types=found)
    assert "too few images" in str(evidence.against(("AP", "PA"), "en"))


def test_an_interval_is_drawn_by_image() -> None:
    right = [Trial("one", "open", True, False, False, 0)] * 50 + [Trial("two", "open", False, False, False, 0)] * 50
    score = scored(right)["open"]
    assert (score.accuracy, score.low, score.high, score.images) == (0.5, 0.0, 1.0, 2)
    assert (score.majority.low, score.majority.high) == (0.0, 1.0)
    assert not score.better_than_guessing


def test_evidence_speaks_for_the_kinds_of_image_that_it_was_measured_on() -> None:
    found = scored([Trial(f"{n}", "yes_no", True, False, False, 2) for n in range(20)])
    evidence = Evidence(method="by hand", kinds=("radiology",), types=found)
    assert evidence.against(("yes", "no"), "en", "radiology") is None
    for kind, name in (("blood_smear", "blood smear"), ("other", "none that is known")):
        why = str(evidence.against(("yes", "no"), "en", kind))
        assert "not measured on such images" in why
        assert name in why


def test_evidence_is_finite_and_complete() -> None:
    whole = scored([Trial("one", "choice", True, False, False, 2)])["choice"].model_dump()
    for field in whole:
        with pytest.raises(ValidationError):
            Score.model_validate({**whole, field: float("nan")})
        with pytest.raises(ValidationError):
            Score.model_validate({name: value for name, value in whole.items() if name != field})


def test_an_answer_is_one_of_those_it_may_be(tiny_model: LlavaModel, picture: Callable[..., Path]) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (90, 120, 3), np.uint8)
    image = open_image(picture(pixels))
    session = tiny_model.open(image)
    options = ["A-P film", "PA film"]
    result: Any = session.perform("question", QuestionArgs(question="Is this an A-P or PA film?", options=options))
    assert result.parsed
    assert result.value in options
    probabilities = [
        session.perform("question", QuestionArgs(question="Is it?", options=[*order])).confidence  # type: ignore[attr-defined]
        for order in (("yes", "no"), ("no", "yes"))
    ]
    assert probabilities[0] == pytest.approx(probabilities[1])
    assert 0.5 <= probabilities[0] <= 1
    answers = ("right lung", "t2-weighted", "necrotic tissue (left)")
    knowing = LlavaModel(tiny_model.folder, tiny_model.peft, tiny_model.tokenizer, tiny_model.calibration,
                         tiny_model.adapter_hashes, answers=answers)  # fmt: skip
    known: Any = knowing.open(image).perform("question", QuestionArgs(question="Where is the lesion?"))
    assert known.value in answers


@pytest.mark.parametrize(
    "answer", ["t2-weighted", "necrotic tissue (left)", "cardiomegaly, pleural effusion", "10 o'clock"]
)
def test_an_answer_comes_back_from_its_tokens(answer: str, tiny_model: LlavaModel) -> None:
    line = dialect.render_words(answer)
    ids = tiny_model.tokenizer(line, add_special_tokens=False)["input_ids"]
    assert str(tiny_model.tokenizer.decode(ids)).strip() == line


def test_an_adapter_without_evidence_answers_about_no_image(tiny_model: LlavaModel) -> None:
    assert "question" in skills_of(tiny_model)
    assert question_kinds_of(tiny_model) == frozenset()
    assert evidence_of(tiny_model, "question") is None


def test_questions_tell_left_from_right_so_that_nothing_is_mirrored() -> None:
    def ways(mirror: bool) -> set[tuple[bool, bool]]:
        maps = (random_affine(np.random.default_rng(n), "radiology", tiny_config(), 0.5, mirror) for n in range(40))
        return {(bool(row[0, 0] > 0), bool(row[1, 1] > 0)) for row in maps}

    assert ways(mirror=False) == {(True, True)}
    assert len(ways(mirror=True)) == 4


@pytest.fixture(scope="module")
def few(data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a few of VQA-RAD's images, and three questions of each."""
    root, source = tmp_path_factory.mktemp("sets"), data_folder / "vqa_rad"
    names = (source / "train.txt").read_text(encoding="utf-8").split()[:IMAGES]
    rows = json.loads((source / "train.json").read_text(encoding="utf-8"))
    few = root / "vqa_rad"
    (few / "images").mkdir(parents=True)
    for name in names:
        shutil.copyfile(source / "images" / name, few / "images" / name)
    kept = [row for name in names for row in [r for r in rows if r["image_name"] == name][:3]]
    (few / "train.json").write_text(json.dumps(kept), encoding="utf-8")
    (few / "train.txt").write_text("\n".join(names), encoding="utf-8")
    return root


def test_a_question_adapter_is_trained_with_its_evidence(tiny_base: Path, few: Path, tmp_path: Path) -> None:
    train("question", tmp_path, str(tiny_base), [few], max_steps=1)
    manifest = read_manifest(tmp_path / "question")
    evidence = manifest.evidence
    assert evidence is not None
    assert evidence.kinds == ("radiology",)
    asked = question_samples(few)
    assert sum(score.questions for score in evidence.types.values()) == len(asked) == 3 * IMAGES
    model = load_model(str(tiny_base), tmp_path)
    assert question_kinds_of(model) == {"radiology"}
    assert evidence_of(model, "question") == evidence
    assert model.answers == manifest.answers  # type: ignore[attr-defined]


def test_no_image_that_is_kept_back_is_fitted(few: Path) -> None:
    names = {sample.image_name: [] for sample in question_samples(few)}
    from fiducial.skills.datasets.sample import held_out

    images: dict[str, list[Any]] = {name: [name] for name in (*names, "synpic100132.jpg")}
    assert to_fit(images) == [name for name in images if not held_out(name)]


def test_without_the_set_it_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="vqa_rad"):
        question_samples(tmp_path)
