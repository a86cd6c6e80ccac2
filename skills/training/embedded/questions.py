"""VQA-RAD for the skill ``question``: images with their questions, and what the answers are worth, by cross-fitting.

The set is small (89 images to train on), so that a tenth kept back would say nothing: each fold of the images is
answered by an adapter that was trained on the others, and so is a blank picture in their place.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from fiducial.skills.base import QuestionArgs, QuestionResult
from fiducial.skills.datasets.sample import Sample, held_out
from fiducial.skills.datasets.vqa_rad import open_vqa_rad
from fiducial.skills.evidence import Evidence, QuestionType, Trial, commonest, question_type, scored
from fiducial.skills.families.llava.calibration import Calibration
from fiducial.skills.families.llava.family import LlavaModel, load_base
from fiducial.skills.targets import ChoiceTarget, TextTarget
from fiducial.skills.training.embedded.dense_data import cache
from fiducial.skills.training.embedded.examples import Encoded, encode_all
from fiducial.skills.training.embedded.inclusion import in_memory
from fiducial.tools.errors import InputError
from fiducial.tools.metrics.answers import same_answer

if TYPE_CHECKING:
    from fiducial.skills.families.llava.session import LlavaSession
    from fiducial.skills.families.llava.tower import Tower

SET, KIND, QUESTION = "vqa_rad", "radiology", "question"
STRENGTHS = (0.0, 0.25, 0.25, 0.5)  # of augmentation; never mirrored, for the questions tell left from right
FOLDS = 5
METHOD = f"cross-fitted over {FOLDS} folds of the images of VQA-RAD's train list"


def question_samples(root: Path) -> list[Sample]:
    """Every question of the train split. Raises InputError where the set is not below root."""
    if not (root / SET).is_dir():
        raise InputError(f"{root} has no {SET}, which the skill 'question' is trained on; give the folder that has it")
    return [replace(sample, kind=KIND) for sample in open_vqa_rad(root / SET, "train")]


def asked_of(sample: Sample) -> tuple[str, str]:
    """A sample's question and its answer, as the set has them."""
    query, target = sample.asks[0]
    if query.question is None or not isinstance(target, ChoiceTarget | TextTarget):
        raise InputError(f"{SET}: the row {sample.id} is no question with an answer; copy the set again")
    return query.question, target.choice if isinstance(target, ChoiceTarget) else target.text


def open_answers(samples: Iterable[Sample]) -> tuple[str, ...]:
    """What open questions are answered with: of so small a model's own words, hardly any come to an answer."""
    return tuple(sorted({asked_of(sample)[1].strip().casefold() for sample in samples if type_of(sample) == "open"}))


def question_images(tower: Tower, samples: Sequence[Sample]) -> dict[str, list[Encoded]]:
    """Each image encoded a few times, with all that is asked of it, by its name."""
    asked: dict[str, list[tuple[str, str]]] = {}
    for sample in samples:
        asked.setdefault(sample.image_name, []).append(asked_of(sample))
    first = {sample.image_name: sample for sample in reversed(samples)}
    encoded = encode_all(tower, [cache(first[name], tower.config) for name in asked], STRENGTHS, mirror=False)
    return {
        name: [replace(image, questions=tuple(asked[name])) for image in encoded[number :: len(asked)]]
        for number, name in enumerate(asked)
    }


def to_fit(images: Mapping[str, Sequence[Encoded]]) -> list[Encoded]:
    """Those that are not kept back from training."""
    return [image for name, own in images.items() if not held_out(name) for image in own]


def fold_of(group: str) -> int:
    """The fold of an image: a function of its name alone."""
    return hashlib.sha256(f"fold {group}".encode()).digest()[0] % FOLDS


def cross_fit(
    base: Path,
    samples: Sequence[Sample],
    images: Mapping[str, Sequence[Encoded]],
    fitted: Callable[[Sequence[Encoded], str], Any],
) -> Evidence:
    """What an adapter knows of images that it was not trained on. fitted: trains one on some images, under a name."""
    tokenizer, trials = load_base(base)[1], list[Trial]()
    for fold in range(FOLDS):
        theirs = [sample for sample in samples if fold_of(sample.image_name) == fold]
        others = [sample for sample in samples if fold_of(sample.image_name) != fold]
        if not theirs or not others:
            continue
        trained = fitted([i for name, own in images.items() if fold_of(name) != fold for i in own], f"-fold-{fold}")
        model = LlavaModel(base, trained, tokenizer, Calibration(), {}, answers=open_answers(others))
        trials += tried(model, theirs, others)
    if not trials:
        raise InputError(f"{SET} has too few images to tell what an adapter knows; give the whole set")
    return Evidence(method=METHOD, kinds=(KIND,), types=scored(trials))


def tried(model: LlavaModel, samples: Sequence[Sample], known: Sequence[Sample]) -> list[Trial]:
    """How a model that was trained on ``known`` answers what is asked in ``samples``."""
    common = {kind: commonest(asked_of(s)[1] for s in known if type_of(s) == kind) for kind in map(type_of, samples)}
    sessions: dict[str, LlavaSession] = {}
    blank: LlavaSession | None = None
    out = []
    for sample in samples:
        if sample.image_name not in sessions:
            sessions = {sample.image_name: just_trained(model, sample)}
        if blank is None:
            blank = just_trained(model, replace(sample, pixels=nothing))
        (question, truth), options = asked_of(sample), list(sample.asks[0].query.options)
        seen, unseen = (
            cast(QuestionResult, s.perform(QUESTION, QuestionArgs(question=question, options=options))).value
            for s in (sessions[sample.image_name], blank)
        )
        kind = type_of(sample)
        right, majority, guess = (same_answer(answer, truth) for answer in (seen, common[kind], unseen))
        out.append(Trial(sample.image_name, kind, right, majority, guess, options=len(options)))
    return out


def type_of(sample: Sample) -> QuestionType:
    """The type of a sample's question."""
    return question_type(sample.asks[0].query.options)


def nothing() -> np.ndarray:
    """A picture that shows nothing, (H, W, 3) uint8."""
    return np.zeros((300, 400, 3), np.uint8)


def just_trained(model: LlavaModel, sample: Sample) -> LlavaSession:
    """A session on a sample with the adapter that PEFT has just trained, which has no skill's name yet."""
    return model.open(in_memory(sample)).with_adapter(QUESTION, "default")
