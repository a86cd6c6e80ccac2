"""What each skill's adapter is taught: prompts and targets, from images the tower has encoded or language alone.

A draw is a function of seed and index alone.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from fiducial.skills.datasets.language import explain_prompt, render_intent, sample_question, write_explanation
from fiducial.skills.families.llava import dialect
from fiducial.skills.training.embedded.base_tasks import base_example
from fiducial.skills.training.embedded.examples import Encoded, Example, Turn
from fiducial.skills.training.embedded.records import random_record
from fiducial.tools.errors import InputError

BASE = "base"
FOREIGN = 4  # structures asked for of an image that shows none of any


def understand(rng: random.Random) -> Example:
    """A question and its intent."""
    question, intent = sample_question(rng)
    return Example.of([(dialect.understand_prompt(question), render_intent(intent))])


def explain(rng: random.Random) -> Example:
    """A record and an explanation of it."""
    intent, answer, regions, size = random_record(rng)
    told = explain_prompt(intent, answer, regions, *size)
    return Example.of([(told, write_explanation(intent, answer, regions, *size, rng))])


def structures_for(image: Encoded, rng: random.Random) -> list[str]:
    """The structures to ask for, in any order: those that belong to such an image, now and then a foreign one."""
    known = [*image.counts]
    own = [*image.labels] or rng.sample(known, min(FOREIGN, len(known)))
    if rng.random() < 0.1:
        own.append(rng.choice(known))
    rng.shuffle(own)
    return own


def present(image: Encoded, rng: random.Random) -> list[Turn]:
    """Presence of every structure, and the kind of image."""
    labels = structures_for(image, rng)
    turns = [(dialect.presence_prompt(k), dialect.render_presence(image.counts[k] > 0)) for k in labels]
    turns.insert(rng.randrange(len(turns) + 1), (dialect.KIND_PROMPT, image.kind))
    return turns


def count(image: Encoded, rng: random.Random) -> list[Turn]:
    """How many of every structure."""
    labels = structures_for(image, rng)
    return [(dialect.find_prompt("count", k), dialect.render_count(image.counts[k])) for k in labels]


def find(skill: str) -> Callable[[Encoded, random.Random], list[Turn]]:
    """Which slots: for ``detect`` and ``point``."""

    def task(image: Encoded, rng: random.Random) -> list[Turn]:
        labels = structures_for(image, rng)
        return [(dialect.find_prompt(skill, k), dialect.render_slots(image.slots[k])) for k in labels]

    return task


def landmark(image: Encoded, rng: random.Random) -> list[Turn]:
    """The slot of the head; of a kind that has landmarks, the slots of all. Either may be asked first."""
    turns = [(dialect.find_prompt("landmark", "head"), dialect.render_slots(image.slots["head"]))]
    if image.marks:
        turns.append((dialect.find_prompt("landmark", image.kind), dialect.render_slots([*image.marks.values()])))
    rng.shuffle(turns)
    return turns


def report(image: Encoded, rng: random.Random) -> list[Turn]:
    """The line that reports a chest film."""
    del rng
    return [(dialect.REPORT_PROMPT, image.report)]


def question(image: Encoded, rng: random.Random) -> list[Turn]:
    """One of the questions in free words; a second one, which may be its paraphrase, would give the answer away."""
    asked, answer = rng.choice(image.questions)
    return [(dialect.question_prompt(asked), dialect.render_words(answer))]


ON_IMAGES: dict[str, Callable[[Encoded, random.Random], list[Turn]]] = {
    "answer": present,
    "count": count,
    "detect": find("detect"),
    "point": find("point"),
    "landmark": landmark,
    "report": report,
    "question": question,
}
# What an image must have to be drawn for a skill.
OWN: dict[str, Callable[[Encoded], bool]] = {
    "landmark": lambda image: bool(image.marks or "head" in image.labels or not image.labels),
    "report": lambda image: bool(image.report),
    "question": lambda image: bool(image.questions),
}
TRIES = 2000
ON_LANGUAGE: dict[str, Callable[[random.Random], Example]] = {"understand": understand, "explain": explain}
SKILLS = tuple(sorted((*ON_IMAGES, *ON_LANGUAGE)))


def draw_example(task: str, images: Sequence[Encoded], seed: int, index: int) -> Example:
    """Example ``index`` of a skill, or of the ``base``."""
    rng = random.Random(f"{seed}-{task}-{index}")
    if task == BASE:
        return base_example(images, rng)
    if task in ON_LANGUAGE:
        return ON_LANGUAGE[task](rng)
    image = drawn_image(task, images, rng)
    return Example.of(ON_IMAGES[task](image, rng), image)


def drawn_image(task: str, images: Sequence[Encoded], rng: random.Random) -> Encoded:
    """An image to teach a skill on. Raises InputError where none of the images serves it."""
    own = OWN.get(task)
    if own is None:
        return rng.choice(images)
    for _ in range(TRIES):
        if own(image := rng.choice(images)):
            return image
    raise InputError(f"no image of the data serves the skill '{task}'; add a set, or phantoms, that does")
