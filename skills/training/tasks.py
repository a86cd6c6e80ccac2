"""What the decoder is taught: for each task a prompt and a target, from images the tower has encoded or language alone.

The base learns to describe an image, to name a region and to restate a question; each skill's adapter then learns its
own task.
A draw is a function of seed and index alone.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fiducial.skills.datasets.language import (
    explain_prompt,
    prompt_text,
    render_intent,
    sample_question,
    write_explanation,
)
from fiducial.skills.families.llava import dialect
from fiducial.skills.families.llava.proposals import Proposals
from fiducial.skills.families.llava.tower import KINDS, LABELS, Tower
from fiducial.skills.training.dense_data import Cached, boxes_of, make_batch
from fiducial.skills.training.records import random_record
from fiducial.tools.geometry.matching import match_by_iou
from fiducial.tools.record import Intent
from fiducial.tools.structures import structures

MATCH_IOU = 0.5
CELLS = LABELS[:3]


@dataclass(frozen=True)
class Encoded:
    """One (augmented) image as the decoder sees it.

    tokens (T, size); slots: those that name the true objects of each label; counts: the true numbers.
    """

    kind: str
    tokens: Tensor
    slots: dict[str, tuple[int, ...]]
    counts: dict[str, int]


@dataclass(frozen=True)
class Example:
    """A prompt, its target, and the image it is about (None for language alone); more turns about the same image.

    Several turns share one image: its tokens are most of a sequence, so that a turn more costs little.
    """

    prompt: str
    target: str
    image: Encoded | None = None
    more: tuple[tuple[str, str], ...] = ()


@torch.no_grad()
def encode_all(tower: Tower, items: Sequence[Cached], strengths: Sequence[float], seed: int = 0) -> list[Encoded]:
    """Encode every item once for each strength of augmentation."""
    config, out = tower.config, []
    for turn, strength in enumerate(strengths):
        for start in range(0, len(items), 16):
            chunk = items[start : start + 16]
            batch = make_batch(chunk, np.random.default_rng([seed, turn, start]), config, strength)
            with torch.autocast("cpu", torch.bfloat16):
                dense = tower.dense(batch.pixels.contiguous(memory_format=torch.channels_last))
            result = tower.read(dense)
            for i, (item, objects) in enumerate(zip(chunk, batch.objects, strict=True)):
                boxes, proposed = boxes_of(objects, config), valid_boxes(result.proposals, i)
                own = {label: boxes[objects[:, 0] == index] for index, label in enumerate(LABELS)}
                pairs = {label: match_by_iou(own[label], proposed, MATCH_IOU).pairs for label in LABELS}
                slots = {label: tuple(int(k) for _, k in pairs[label]) for label in LABELS}
                counts = {label: len(own[label]) for label in LABELS}
                out.append(Encoded(KINDS[item.kind], result.hidden_states[-1][i].to(torch.bfloat16), slots, counts))
    return out


def valid_boxes(proposals: Proposals, row: int) -> np.ndarray:
    """The boxes (K, 4) of one image's proposals; unused slots, which come last, are left out."""
    return proposals.box_xyxy_px[row][proposals.score[row] > 0].numpy()


def describe(image: Encoded) -> Example:
    """The base's own task: kind, then every structure with its number and its slots."""
    labels = {"blood_smear": CELLS, "head_ultrasound": ("head",)}.get(image.kind, ())
    parts = [f"{label} {image.counts[label]} {dialect.render_slots(image.slots[label])}" for label in labels]
    return Example("describe", " ".join([image.kind, *parts]), image)


def name_region(image: Encoded, rng: random.Random) -> Example:
    """The base's second task: what a slot holds."""
    names = {slot: label for label, slots in image.slots.items() for slot in slots}
    pick = rng.choice(sorted(names)) if names and rng.random() < 0.7 else rng.randrange(24)
    return Example(f"name <r{pick}>", names.get(pick, dialect.NONE), image)


def restate(rng: random.Random) -> Example:
    """The base's language task: a question in other words to one plain wording."""
    question, intent = sample_question(rng)
    return Example(f"restate {prompt_text(question)}", plain_wording(intent))


def plain_wording(intent: Intent) -> str:
    """One plain wording of an intent."""
    table = structures()
    names = [table[key].plural for key in (intent.structure, intent.other_structure) if key]
    words = {
        "presence": "is there any of the {0}",
        "count": "how many {0} are there",
        "location": "where are the {0}",
        "kind": "what kind of image is this",
        "size": "how large is the {selector} of the {0} by {quantity}",
        "compare": "compare the {0} with the {1} by {quantity}",
        "unknown": "something else",
    }[intent.task]
    return words.format(*names, selector=intent.selector, quantity=intent.quantity or "size")


def understand(rng: random.Random) -> Example:
    """A question and its intent."""
    question, intent = sample_question(rng)
    return Example(dialect.understand_prompt(question), render_intent(intent))


def explain(rng: random.Random) -> Example:
    """A record and an explanation of it."""
    intent, answer, regions, size = random_record(rng)
    return Example(
        explain_prompt(intent, answer, regions, *size), write_explanation(intent, answer, regions, *size, rng)
    )


def turns(image: Encoded, pairs: Sequence[tuple[str, str]]) -> Example:
    """One example of several turns about an image."""
    (prompt, target), *more = pairs
    return Example(prompt, target, image, tuple(more))


def structures_for(image: Encoded, rng: random.Random) -> list[str]:
    """The structures to ask for, in any order: those that belong to such an image, now and then a foreign one."""
    own = [*{"blood_smear": CELLS, "head_ultrasound": ("head",)}.get(image.kind, LABELS)]
    if rng.random() < 0.1:
        own.append(rng.choice(LABELS))
    rng.shuffle(own)
    return own


def present(image: Encoded, rng: random.Random) -> Example:
    """Presence of every structure, and the kind of image."""
    labels = structures_for(image, rng)
    pairs = [(dialect.presence_prompt(k), dialect.render_presence(image.counts[k] > 0)) for k in labels]
    pairs.insert(rng.randrange(len(pairs) + 1), (dialect.KIND_PROMPT, image.kind))
    return turns(image, pairs)


def count(image: Encoded, rng: random.Random) -> Example:
    """How many of every structure."""
    labels = structures_for(image, rng)
    return turns(image, [(dialect.find_prompt("count", k), dialect.render_count(image.counts[k])) for k in labels])


def find(skill: str) -> Callable[[Encoded, random.Random], Example]:
    """Which slots: for ``detect``, ``point`` and ``landmark``."""

    def task(image: Encoded, rng: random.Random) -> Example:
        labels = ["head"] if skill == "landmark" else structures_for(image, rng)
        return turns(image, [(dialect.find_prompt(skill, k), dialect.render_slots(image.slots[k])) for k in labels])

    return task


ON_IMAGES: dict[str, Callable[[Encoded, random.Random], Example]] = {
    "answer": present,
    "count": count,
    "detect": find("detect"),
    "point": find("point"),
    "landmark": find("landmark"),
}
ON_LANGUAGE: dict[str, Callable[[random.Random], Example]] = {"understand": understand, "explain": explain}
SKILLS = tuple(sorted((*ON_IMAGES, *ON_LANGUAGE)))


def draw_example(task: str, images: Sequence[Encoded], seed: int, index: int) -> Example:
    """Example ``index`` of a skill, or of the ``base``: half of its examples are about images, half are language."""
    rng = random.Random(f"{seed}-{task}-{index}")
    if task == "pictures":
        image = rng.choice(images)
        named = [name_region(image, rng) for _ in range(8)]
        pairs = [(e.prompt, e.target) for e in (*named, describe(image))]
        rng.shuffle(pairs)
        return turns(image, pairs)
    if task == "base":
        kind = rng.random()
        if kind < 0.45:
            return describe(rng.choice(images))
        if kind < 0.6:
            return name_region(rng.choice(images), rng)
        return restate(rng) if kind < 0.85 else Example("say", explain(rng).target)
    if task in ON_LANGUAGE:
        return ON_LANGUAGE[task](rng)
    return ON_IMAGES[task](rng.choice(images), rng)
