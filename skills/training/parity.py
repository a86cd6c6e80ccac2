"""The parity check: a data set's own targets come back through inference within half a quantisation step.

A row is rendered, tokenised and encoded as in training; its labels are decoded and parsed, and mapped to stored pixels,
as at inference: with the processor, dialect, templates and maps of the model as it will be loaded, on an image file
that is opened like a user's. It runs on a few rows before the first step, so that a wrong convention is found before
hours are spent, and on more of them at the end, for the manifest.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image as PILImage

from fiducial.skills.families.dialects.compare import Difference, difference, parts_of
from fiducial.skills.families.hub.model import HubModel, load_processor, positions_of
from fiducial.skills.families.hub.session import HubSession, most_new_tokens
from fiducial.skills.targets import Target
from fiducial.skills.templates import fill, wordings
from fiducial.skills.training.encoding import IGNORED, Encoder
from fiducial.skills.training.rows import Row
from fiducial.tools.errors import InputError
from fiducial.tools.images.image import Image
from fiducial.tools.images.open_image import open_image

if TYPE_CHECKING:
    from fiducial.skills.adapters import Manifest
    from fiducial.skills.families.hub.spec import HubSpec

BEFORE, AFTER = 4, 32  # rows a task
SHOWN_CHARS = 160


@dataclass(frozen=True)
class Failure:
    """A row that does not come back. expected, found: of the target, or of what is fed to the model."""

    row_id: str
    expected: str
    found: str


@dataclass
class TaskParity:
    """One task's figures. errors: in stored pixels and in half steps of the dialect's grid, of every x and y.

    texts_equal: rows whose text is, decoded, the one that was rendered; cut_rows: rows whose text is longer than
    inference lets the model write, or than the model's positions; cut_things: the objects and numbers lost thereby.
    """

    rows: int = 0
    texts_equal: int = 0
    errors_px: list[float] = field(default_factory=list)
    errors_half_steps: list[float] = field(default_factory=list)
    cut_rows: int = 0
    cut_things: int = 0
    failures: list[Failure] = field(default_factory=list)

    @property
    def failed(self) -> int:
        """Rows that failed."""
        return len({failure.row_id for failure in self.failures})

    def metrics(self) -> dict[str, float]:
        """The figures by name; those of coordinates only where the task has any."""
        found: dict[str, float] = {"rows": self.rows, "texts_equal": self.texts_equal, "failed": self.failed}
        found |= {"cut_rows": self.cut_rows, "cut_things": self.cut_things}
        for unit, errors in (("px", self.errors_px), ("half_steps", self.errors_half_steps)):
            if errors:
                found |= {f"worst_{unit}": max(errors), f"mean_{unit}": sum(errors) / len(errors)}
        return {name: round(float(value), 6) for name, value in found.items()}


@dataclass(frozen=True)
class ParityReport:
    """Figures of every task that was checked."""

    tasks: dict[str, TaskParity]

    def metrics(self) -> dict[str, float]:
        """``parity.<task>.<figure>``, for a manifest."""
        return {f"parity.{t}.{name}": v for t, one in self.tasks.items() for name, v in one.metrics().items()}

    def require(self) -> None:
        """InputError, one sentence with the first row that failed, where any did."""
        for task, one in self.tasks.items():
            if one.failures:
                first = one.failures[0]
                raise InputError(
                    f"parity check: {one.failed} of {one.rows} rows of the task '{task}' do not come back through"
                    f" inference (row {first.row_id}: expected {first.expected}, found {first.found}); training and"
                    " inference must share processor, dialect and maps"
                )

    def __str__(self) -> str:
        return "\n".join(map(self._line, self.tasks))

    def _line(self, task: str) -> str:
        one = self.tasks[task]
        figures = one.metrics()
        said = f"parity {task}: {one.rows - one.failed} of {one.rows} rows come back"
        if one.errors_px:
            said += f", worst {figures['worst_px']:.3f} px = {figures['worst_half_steps']:.2f} half steps"
        if one.cut_rows:
            said += f"; {one.cut_rows} are longer than the model may write, and lose {one.cut_things} objects"
        return said


def as_inferred(spec: HubSpec, base: Path, network: Any, manifest: Manifest, lora: bool) -> HubModel:
    """The model as it will be loaded with what is trained: processor and conventions anew from base and manifest."""
    manifests = dict.fromkeys(manifest.skills, manifest) if lora else {}
    processor = load_processor(spec, base, manifests)
    return HubModel(spec, base, network, processor, manifests, None if lora else manifest.recipe)


def check_parity(rows: Sequence[Row], encoder: Encoder, model: HubModel, per_task: int = AFTER) -> ParityReport:
    """Check some rows of every task, the longest target among them. model: as inference will have it."""
    plain = replace(encoder, augment=False)
    tasks: dict[str, TaskParity] = {}
    with tempfile.TemporaryDirectory(prefix="parity-") as folder:
        for row in chosen(rows, per_task):
            one = tasks.setdefault(row.task, TaskParity())
            one.rows += 1
            pictures, told = plain.shown(row)
            images = [_opened(rgb_u8, Path(folder)) for rgb_u8 in pictures]
            session = model.open(images[len(images) // 2])
            one.failures += _Check(told, plain.encode(row, 0), plain, images, session, one).failures()
    return ParityReport(tasks)


def chosen(rows: Sequence[Row], per_task: int) -> Iterator[Row]:
    """Of each task the row with the longest target, and others by the hash of their ids."""
    for task in sorted({row.task for row in rows}):
        own = [row for row in rows if row.task == task]
        longest = max(own, key=lambda row: len(str(row.ask.target)))
        others = sorted((row for row in own if row is not longest), key=lambda row: _hash(row.id))
        yield from [longest, *others[: per_task - 1]]


def _hash(name: str) -> bytes:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()


def _opened(rgb_u8: np.ndarray, folder: Path) -> Image:
    """A picture as it is trained on, opened like a user's file."""
    path = folder / "sample.png"
    PILImage.fromarray(np.ascontiguousarray(rgb_u8)).save(path, compress_level=1)
    return open_image(path)


@dataclass
class _Check:
    """One row: ``failures`` puts its figures into the task's.

    fed: what training feeds; images: those that are shown, the slices of a volume; session: on one of them.
    """

    row: Row
    fed: dict[str, Any]
    encoder: Encoder
    images: list[Image]
    session: HubSession
    figures: TaskParity

    def failures(self) -> list[Failure]:
        """What does not come back: at most one for each of the prompt, the image, the answer."""
        row, processor = self.row, self.session.model.processor
        size = self.session.view.rgb_u8.shape[:2]
        prompt, answer = self.encoder.texts(row, size, 0)
        labels = self.fed["labels"][0]
        ids = labels[labels != IGNORED].tolist()
        text = processor.decode(ids)
        self.figures.texts_equal += text == answer.strip()
        found = [self._prompt(prompt), self._image(prompt), self._end(ids), self._target(answer, text)]
        self._count_what_is_cut(answer.strip(), ids, self.fed["input_ids"].shape[1])
        return [Failure(row.id, _short(expected), _short(got)) for expected, got in filter(None, found)]

    def _prompt(self, prompt: str) -> tuple[str, str] | None:
        """The prompt is one of those that inference asks by."""
        query, name = (
            self.encoder.processor.harmless_query(self.row.ask.query),
            self.session.model.templates(self.row.skill),
        )
        pool = range(len(wordings(name, query.task, query.language)))
        known = [fill(name, query, self.session.stored_to_input, variant) for variant in pool]
        return None if prompt in known else (known[0], prompt)

    def _image(self, prompt: str) -> tuple[str, str] | None:
        """The model is fed the same pixels."""
        pictures = [image.rgb_u8 for image in self.images]
        shown = self.session.model.processor.encode(pictures, prompt)["pixel_values"]
        trained = self.fed["pixel_values"]
        if shown.shape != trained.shape:
            return f"an image of shape {tuple(shown.shape)}", f"{tuple(trained.shape)} in training"
        apart = float((shown - trained).abs().max())
        return None if apart < 1e-4 else ("the same pixels", f"pixels that differ by {apart:.3g} in training")

    def _end(self, ids: list[int]) -> tuple[str, str] | None:
        """The answer ends as inference knows that one ends."""
        ends = self.session.model.processor.end_ids
        return None if ids and ids[-1] in ends else (f"an answer that ends in one of {ends}", f"{ids[-1:]}")

    def _parsed(self, text: str) -> Target | None:
        query = self.row.ask.query
        return self.session.dialect(self.row.skill).parse(query, text, self.session.stored_to_input).target

    def _target(self, answer: str, text: str) -> tuple[str, str] | None:
        """The target comes back from its text."""
        meant, found = self.row.ask.target, self._parsed(text)
        if found is None:
            return str(meant), f"nothing in '{text}'"
        half_step_px = self.session.dialect(self.row.skill).grid.half_step_px(self.session.stored_to_input)
        apart: Difference = difference(_stripped(meant), found, half_step_px)
        self.figures.errors_px += apart.errors_px
        self.figures.errors_half_steps += apart.errors_half_steps
        if apart.agrees:
            return None
        steps = apart.errors_half_steps
        if max(steps, default=0.0) <= 1:
            return str(meant), str(found)
        worst = steps.index(max(steps)) // 2
        (x, y), (x_back, y_back) = parts_of(meant).corners[worst], parts_of(found).corners[worst]
        return f"({x:.2f}, {y:.2f}) px", f"({x_back:.2f}, {y_back:.2f}) px, {max(steps):.1f} half steps away"

    def _count_what_is_cut(self, answer: str, ids: list[int], input_length: int) -> None:
        """What is lost where the text is longer than the model may write or has positions for, or was cut already."""
        model = self.session.model
        before = 0 if model.spec.encoder_decoder else input_length - len(ids)
        limit = model.new_tokens(most_new_tokens(self.row.task))
        limit = min(limit, (positions_of(model.network) or before + limit) - before)
        text = model.processor.decode(ids[: max(0, limit)])
        if len(ids) <= limit and not (answer != text and answer.startswith(text)):
            return
        left = self._parsed(text)
        self.figures.cut_rows += 1
        self.figures.cut_things += max(0, _things(self.row.ask.target) - (_things(left) if left is not None else 0))


def _things(target: Target) -> int:
    """Objects, numbers or, of words, the one thing that they say."""
    for name in ("points", "landmarks", "boxes", "polygons", "numbers", "points_xy_px", "boxes_xyxy_px"):
        if (found := getattr(target, name, None)) is not None:
            return len(found)
    return 1


def _stripped(target: Target) -> Target:
    """Free text without the white space around it, which no dialect keeps."""
    text = getattr(target, "text", None)
    return target if text is None else target.model_copy(update={"text": text.strip()})


def _short(text: str) -> str:
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}…"
