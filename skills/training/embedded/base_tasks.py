"""What the base is taught before any skill: to describe an image and name its regions, to copy, restate and retell.

A skill's adapter then finds every word of the dialect already said and every slot already bound to its region; the
embeddings are tied, so a word that the base never says stays short and cannot win against two thousand others.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import cache

from fiducial.skills.datasets.language import (
    closed_words,
    explain_prompt,
    prompt_text,
    sample_question,
    write_explanation,
)
from fiducial.skills.families.llava import dialect
from fiducial.skills.families.llava.tokenizer import SLOT_TOKENS
from fiducial.skills.training.embedded.examples import Encoded, Example
from fiducial.skills.training.embedded.records import random_record
from fiducial.tools.positions import PLACE_WORDS, place_of
from fiducial.tools.record import Intent
from fiducial.tools.structures import DOMAIN_NAMES, structures

NAMED, COPIES, COPIED, RESTATED, PLACED = 5, 4, 16, 3, 6


def pictures(images: Sequence[Encoded], rng: random.Random) -> Example:
    """Turns about one image, in any order: what some of its slots hold, and a description."""
    image = rng.choice(images)
    turns = [name_region(image, rng) for _ in range(NAMED)]
    turns.insert(rng.randrange(len(turns) + 1), ("describe", describe(image)))
    return Example.of(turns, image)


def describe(image: Encoded) -> str:
    """Kind, then every structure with its number and its slots, the landmarks' slots, the report's line."""
    lists = (f"{k} {image.counts[k]} {dialect.render_slots(image.slots[k])}" for k in image.labels)
    marks = [dialect.render_slots([*image.marks.values()])] if image.marks else []
    return " ".join([image.kind, *lists, *marks, image.report]).strip()


def name_region(image: Encoded, rng: random.Random) -> tuple[str, str]:
    """What a slot holds: an object of a structure, or none."""
    names = {slot: label for label, slots in image.slots.items() for slot in slots}
    names |= {slot: name for name, slot in image.marks.items()}
    slot = rng.choice(sorted(names)) if names and rng.random() < 0.6 else rng.randrange(len(SLOT_TOKENS) * 3 // 5)
    return f"name <r{slot}>", names.get(slot, dialect.NONE)


@cache
def said_words() -> tuple[str, ...]:
    """Every word, number, id and slot that a prompt or target of the dialect is made of."""
    prompts = "describe name copy restate retell place understand answer presence kind count detect point landmark"
    lines = " ".join([*dialect.report_lines(), "explain report zh"])
    words = {
        *prompts.split(),
        *lines.split(),
        *dialect.YES_NO,
        dialect.NONE,
        *DOMAIN_NAMES,
        "other",
        *closed_words(),
        *PLACE_WORDS,
    }
    return (*sorted(words), *map(str, range(61)), *(f"R{i}" for i in range(1, 41)), *SLOT_TOKENS)


def copy(images: Sequence[Encoded], rng: random.Random) -> Example:
    """Words of the dialect, to be said again."""
    del images
    turns = [" ".join(rng.choices(said_words(), k=rng.randint(2, COPIED))) for _ in range(COPIES)]
    return Example.of([(f"copy {line}", line) for line in turns])


def restate(images: Sequence[Encoded], rng: random.Random) -> Example:
    """Questions in other words, each to one plain wording."""
    del images
    turns = []
    for _ in range(RESTATED):
        question, intent = sample_question(rng)
        turns.append((f"restate {prompt_text(question)}", plain_wording(intent)))
    return Example.of(turns)


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
        "angle": "what is the {quantity}",
        "distance": "what is the {quantity}",
        "report": "write a report",
        "unknown": "something else",
    }[intent.task]
    return words.format(*names, selector=intent.selector, quantity=intent.quantity or "size")


def retell(images: Sequence[Encoded], rng: random.Random) -> Example:
    """A record in a line, to be told in a sentence, and where some of its regions lie."""
    del images
    intent, answer, regions, size = random_record(rng)
    record = explain_prompt(intent, answer, regions, *size).removeprefix("explain ")
    turns = [(f"retell {record}", write_explanation(intent, answer, regions, *size, rng))]
    told = [r for r in regions if f"{r.id} {place_of(r, *size)}" in record]
    turns += [(f"place {r.id}", place_of(r, *size)) for r in rng.sample(told, min(PLACED, len(told)))]
    return Example.of(turns)


# How likely each task is. Copying is learned late and all at once, and everything that cites a record waits for it.
MIXTURE: dict[Callable[[Sequence[Encoded], random.Random], Example], float] = {
    pictures: 0.35,
    copy: 0.25,
    restate: 0.15,
    retell: 0.25,
}


def base_example(images: Sequence[Encoded], rng: random.Random) -> Example:
    """One example of the mixture."""
    (task,) = rng.choices(list(MIXTURE), list(MIXTURE.values()))
    return task(images, rng)
