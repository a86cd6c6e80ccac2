"""A hub base asked in free words: random weights say nothing of meaning, but every skill goes all the way through."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from fiducial.agent.ask import Asker
from fiducial.agent.policy import Policy
from fiducial.skills.base import (
    ClassifyArgs,
    FindArgs,
    LandmarkArgs,
    QuestionArgs,
    ReportArgs,
    SizeArgs,
    skills_of,
)
from fiducial.skills.families.recording import load
from fiducial.skills.load import load_model
from fiducial.skills.stack import Stack
from fiducial.tests.agent.recordings import Recorded, intent
from fiducial.tools.hooks import registry
from fiducial.tools.images.open_image import open_image

ASKED: dict[str, Any] = {
    "question": QuestionArgs(question="Which organ is shown?"),
    "classify": ClassifyArgs(options=["a smear", "a radiograph"]),
    "report": ReportArgs(language="zh"),
    "segment": FindArgs(structure="polyp"),
    "landmark": LandmarkArgs(structure="", names=["sella", "nasion"]),
    "size": SizeArgs(structure="polyp", quantities=["long axis", "short axis"], unit="px"),
    "detect_3d": FindArgs(structure="lesion"),
}


@pytest.fixture(scope="session")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """64 × 48 × 6 voxels."""
    path = tmp_path_factory.mktemp("volume") / "volume.nii.gz"
    voxels = np.random.default_rng(0).integers(0, 255, (64, 48, 6), np.uint8)
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), path)
    return path


@pytest.fixture
def reader(tmp_path: Path, picture: Path) -> Any:
    """Reads no question, so that the wording is gone by."""
    return load(Recorded(tmp_path, picture).write({"understand": intent("unknown")}))


def base(folder: Path, reader: Any) -> Any:
    model: Any = load_model(str(folder))
    model.guide = reader
    model.network.generation_config.max_new_tokens = 12
    return model


def test_every_skill_and_question_goes_through(
    checkpoint: Callable[[str], Path], picture: Path, volume: Path, reader: Any
) -> None:
    model = base(checkpoint("qwen2_5_vl"), reader)
    image = open_image(picture)
    slices = tuple(open_image(volume, plane="axial", index=k) for k in (1, 4))
    for skill, args in ASKED.items():
        session = model.open_volume(Stack(slices)) if skill == "detect_3d" else model.open(image)
        result = registry().get("skills", skill).call(session, args)
        assert 0 <= result.confidence <= 1 and isinstance(result.text, str)
    asker = Asker(model=model)
    asker.policy = Policy(question_confidence=0.0, volume_slices=2)
    for file, question in ((picture, "这是什么？"), (picture, "Write a report"), (volume, "What is this?")):
        record = asker.ask(file, question)
        assert record.verdict is not None and record.verdict.status in ("partial", "abstained")
        assert record.understanding is not None and record.understanding.intent.task in ("question", "report")
        assert (record.image.file_slices is not None) == (file == volume)


def test_the_prompt_of_a_volume_shows_and_tells_its_slices(
    checkpoint: Callable[[str], Path], volume: Path, reader: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = base(checkpoint("qwen2_5_vl"), reader)
    seen: list[tuple[int, str]] = []
    encode = model.processor.encode
    monkeypatch.setattr(
        model.processor,
        "encode",
        lambda images, prompt: (seen.append((len(images), prompt)), encode(images, prompt))[1],
    )
    stack = Stack(tuple(open_image(volume, plane="axial", index=k) for k in (1, 4)))
    model.open_volume(stack).perform("detect_3d", FindArgs(structure="lesion"))
    assert seen[0][0] == 2
    assert "slices 1, 4 of a volume with 6 slices" in seen[0][1] and "lesion" in seen[0][1]


def test_a_family_of_task_tokens_is_asked_nothing_in_free_words(
    checkpoint: Callable[[str], Path], picture: Path, reader: Any
) -> None:
    model = base(checkpoint("florence2"), reader)
    assert "question" not in skills_of(model)
    record = Asker(model=model).ask(picture, "Which organ is shown?")
    assert [reason.code for reason in record.verdict.reasons] == ["not_understood"]
