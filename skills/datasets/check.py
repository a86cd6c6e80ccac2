"""What a user must know of a set before training: classes and sizes, faults, duplicates and leaks, negatives, words."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from fiducial.skills.datasets.objects import asks_of, box_fault
from fiducial.skills.datasets.sample import Ask, Problem, Sample
from fiducial.skills.targets import (
    Boxes3DTarget,
    BoxesTarget,
    ChoiceTarget,
    CountTarget,
    LandmarksTarget,
    PointsTarget,
    PolygonsTarget,
)
from fiducial.tools.errors import InputError
from fiducial.tools.hooks import DatasetSpec
from fiducial.tools.metrics.size_classes import SIZE_CLASSES, size_class

SPLITS = ("train", "val", "test")
EXAMPLES = 5
WHOLE = 0.99  # a box of this much of the image says nothing about where


@dataclass
class ClassCount:
    """How often a class occurs. sizes: its boxes by share of the image's area; those without a box are in neither."""

    objects: int = 0
    samples: int = 0
    sizes: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SIZE_CLASSES, 0))


@dataclass
class Lengths:
    """Characters of the questions: least, median, 95th of a hundred, most."""

    least: int = 0
    median: int = 0
    p95: int = 0
    most: int = 0


@dataclass
class Leak:
    """Splits that share something. what: ``image`` (by its pixels) or ``group``."""

    what: str
    splits: tuple[str, ...]
    count: int
    examples: list[str]


@dataclass
class Report:
    """What ``fiducial data check`` prints; every count is over all the splits that were read.

    not_read: why a split gave nothing; unreadable: images that could not be decoded, and the first reasons; negatives:
    share of the questions about structures whose answer is that there is none; repeated_questions: the same words about
    the same image once more.
    """

    name: str
    samples: dict[str, int] = field(default_factory=dict)
    images: dict[str, int] = field(default_factory=dict)
    groups: dict[str, int] = field(default_factory=dict)
    not_read: dict[str, str] = field(default_factory=dict)
    classes: dict[str, ClassCount] = field(default_factory=dict)
    tasks: dict[str, int] = field(default_factory=dict)
    answers: dict[str, int] = field(default_factory=dict)
    problems: dict[str, int] = field(default_factory=dict)
    problem_examples: dict[str, list[str]] = field(default_factory=dict)
    unreadable: int = 0
    unreadable_examples: list[str] = field(default_factory=list)
    duplicates: int = 0
    duplicate_examples: list[str] = field(default_factory=list)
    leaks: list[Leak] = field(default_factory=list)
    negatives: float | None = None
    repeated_questions: int = 0
    languages: dict[str, int] = field(default_factory=dict)
    question_characters: Lengths | None = None
    synthetic: int = 0
    with_scale: int = 0

    def document(self) -> dict[str, Any]:
        """The report as JSON-ready data."""
        return asdict(self)


def is_negative(ask: Ask) -> bool | None:
    """Whether the target says that there is none; None for a question that is not about what is there."""
    target = ask.target
    if isinstance(target, CountTarget):
        return target.count == 0
    for kind, name in (
        (PointsTarget, "points"),
        (BoxesTarget, "boxes"),
        (Boxes3DTarget, "boxes"),
        (PolygonsTarget, "polygons"),
    ):
        if isinstance(target, kind):
            return not getattr(target, name)
    return None


def _located(sample: Sample) -> set[tuple[str, tuple[float, ...] | None, int]]:
    """Label, box and number of everything that the sample locates, each once, however many questions ask for it."""
    found: set[tuple[str, tuple[float, ...] | None, int]] = set()
    for number, item in enumerate(sample.objects):
        found.add((item.label, item.box_xyxy_px, number))
    boxed: set[str] = set()
    for ask in sample.asks:
        if isinstance(ask.target, BoxesTarget):
            boxed |= {box.label for box in ask.target.boxes}
            found |= {(b.label, b.box_xyxy_px, -1 - n) for n, b in enumerate(ask.target.boxes)}
    for ask in sample.asks:
        if isinstance(ask.target, PointsTarget | LandmarksTarget):
            points = ask.target.points if isinstance(ask.target, PointsTarget) else ask.target.landmarks
            found |= {(p.label, None, n) for n, p in enumerate(points) if p.label not in boxed}
        elif isinstance(ask.target, Boxes3DTarget):
            found |= {(box.label, None, n) for n, box in enumerate(ask.target.boxes)}
    return found


class Checker:
    """Adds sample after sample; holds hashes and counts, never pixels."""

    def __init__(self, name: str) -> None:
        self.report = Report(name)
        self._sizes: dict[str, tuple[int, int] | None] = {}
        self._pixels: dict[str, set[tuple[str, str]]] = defaultdict(set)  # hash: (split, image)
        self._groups: dict[str, set[str]] = defaultdict(set)
        self._asked: set[bytes] = set()
        self._lengths: list[int] = []
        self._about, self._absent = 0, 0

    def add(self, sample: Sample, split: str) -> None:
        """Count one sample of a split."""
        report, image = self.report, f"{split}/{sample.image_name}"
        report.samples[split] = report.samples.get(split, 0) + 1
        self._groups[sample.group].add(split)
        if image not in self._sizes:
            self._sizes[image] = self._decode(sample, split)
        report.synthetic += sample.synthetic
        report.with_scale += sample.scale is not None
        for problem in sample.problems:
            self._problem(problem)
        self._count_objects(sample, self._sizes[image])
        for ask in asks_of(sample):
            self._count_ask(ask, image)

    def _decode(self, sample: Sample, split: str) -> tuple[int, int] | None:
        """Width and height of the image, whose pixels are hashed on the way."""
        try:
            pixels = np.ascontiguousarray(sample.pixels())
        except InputError as error:
            self.report.unreadable += 1
            _append(self.report.unreadable_examples, str(error))
            return None
        height, width = pixels.shape[:2]
        digest = hashlib.sha256(f"{pixels.shape}".encode() + pixels.tobytes()).hexdigest()
        self._pixels[digest].add((split, sample.image_name))
        return width, height

    def _problem(self, problem: Problem) -> None:
        self.report.problems[problem.kind] = self.report.problems.get(problem.kind, 0) + 1
        _append(self.report.problem_examples.setdefault(problem.kind, []), problem.detail)

    def _count_objects(self, sample: Sample, size: tuple[int, int] | None) -> None:
        located = _located(sample)
        for label, box, _ in located:
            entry = self.report.classes.setdefault(label, ClassCount())
            entry.objects += 1
            if box is None or size is None:
                continue
            fault = box_fault(box, size)
            share = (box[2] - box[0]) * (box[3] - box[1]) / (size[0] * size[1])
            if fault is not None:
                self._problem(Problem(fault.kind, f"{sample.id}: {label}: {fault.detail}, and was not left out"))
            elif share >= WHOLE:
                self._problem(Problem("whole image", f"{sample.id}: {label}: the box is the whole image"))
            entry.sizes[size_class(share)] += 1
        for label in {label for label, _, _ in located}:
            self.report.classes[label].samples += 1

    def _count_ask(self, ask: Ask, image: str) -> None:
        report, query = self.report, ask.query
        report.tasks[query.task] = report.tasks.get(query.task, 0) + 1
        report.languages[query.language] = report.languages.get(query.language, 0) + 1
        if isinstance(ask.target, ChoiceTarget):
            report.answers[ask.target.choice] = report.answers.get(ask.target.choice, 0) + 1
        negative = is_negative(ask)
        self._about += negative is not None
        self._absent += negative is True
        if query.question is not None:
            self._lengths.append(len(query.question))
            key = hashlib.sha256(f"{image}\0{' '.join(query.question.lower().split())}".encode()).digest()[:12]
            report.repeated_questions += key in self._asked
            self._asked.add(key)

    def finish(self) -> Report:
        """The report, with what only the whole set can tell."""
        report = self.report
        for found in self._pixels.values():
            by_split = Counter(split for split, _ in found)
            for split in by_split:
                report.images[split] = report.images.get(split, 0) + 1
            copies = sum(count - 1 for count in by_split.values())
            report.duplicates += copies
            if copies:
                _append(report.duplicate_examples, ", ".join(sorted({name for _, name in found})))
        for splits in self._groups.values():
            for split in splits:
                report.groups[split] = report.groups.get(split, 0) + 1
        report.leaks = [
            *_leaks(
                "image",
                ((", ".join(sorted({n for _, n in found})), {s for s, _ in found}) for found in self._pixels.values()),
            ),
            *_leaks("group", self._groups.items()),
        ]
        report.negatives = self._absent / self._about if self._about else None
        if self._lengths:
            lengths = np.sort(self._lengths)
            middle, high = np.quantile(lengths, [0.5, 0.95])
            report.question_characters = Lengths(int(lengths[0]), round(middle), round(high), int(lengths[-1]))
        return report


def _append(examples: list[str], text: str) -> None:
    if len(examples) < EXAMPLES:
        examples.append(text)


def _leaks(what: str, found: Iterable[tuple[str, set[str]]]) -> Iterator[Leak]:
    """One entry for each combination of splits that share anything."""
    shared: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for name, splits in found:
        if len(splits) > 1:
            shared[tuple(sorted(splits))].append(name)
    for splits_, names in sorted(shared.items()):
        yield Leak(what, splits_, len(names), names[:EXAMPLES])


def check_dataset(
    spec: DatasetSpec, root: Path | None, splits: Iterable[str] = SPLITS, limit: int | None = None
) -> Report:
    """Read the splits of a set and report on it. limit: at most so many samples of each split.

    Raises InputError where no split can be read, or where a file turns out to be bad after its first sample.
    """
    checker = Checker(spec.name)
    for split in splits:
        samples = iter(spec.open(root, split))
        try:
            first = next(samples, None)
        except InputError as error:
            checker.report.not_read[split] = str(error)
            continue
        except KeyError:  # a reader that knows no such split
            checker.report.not_read[split] = f"{spec.name} has no split '{split}'"
            continue
        if first is not None:
            for sample in islice(chain([first], samples), limit):
                checker.add(sample, split)
    if not checker.report.samples:
        reasons = "; ".join(checker.report.not_read.values()) or f"{root} gives no sample"
        raise InputError(f"nothing of {spec.name} can be read: {reasons}")
    return checker.finish()
