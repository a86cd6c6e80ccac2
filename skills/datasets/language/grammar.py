"""The closed language of intents: one line of space-separated words, ``count red_cell`` or ``size head area each``.

::

    presence S | count S | location S [largest | …] | kind | report | unknown
    size S [quantity] selector | compare S S quantity | angle quantity | distance quantity
"""

from __future__ import annotations

from functools import cache
from typing import get_args

from fiducial.tools.landmark_measures import named_quantities
from fiducial.tools.record import Intent, Selector
from fiducial.tools.structures import structures

SELECTORS: tuple[str, ...] = get_args(Selector)
COMPARED = ("count", "long_axis", "short_axis", "equivalent_diameter", "perimeter", "area")


def render_intent(intent: Intent) -> str:
    """The line of an intent; inverse of ``parse_intent``. ValueError for an intent that no line says."""
    words: list[str | None] = [intent.task]
    if intent.task in ("presence", "count", "location", "size", "compare"):
        words.append(intent.structure)
    if intent.task == "location" and intent.selector != "each":
        words.append(intent.selector)
    if intent.task == "size":
        words += [intent.quantity, intent.selector]
    if intent.task in ("angle", "distance"):
        words.append(intent.quantity)
    if intent.task == "compare":
        words += [intent.other_structure, intent.quantity]
    line = " ".join(word for word in words if word is not None)
    if parse_intent(line) != intent:
        raise ValueError(f"no line says {intent!r}")
    return line


@cache
def _intents() -> dict[str, Intent]:
    """Every line of the grammar, and what it means."""
    known = structures()
    found = {
        "kind": Intent(task="kind", scope="image"),
        "report": Intent(task="report", scope="image"),
        "unknown": Intent(task="unknown"),
    }

    def add(line: str, **fields: object) -> None:
        found[line] = Intent.model_validate({"task": line.split(maxsplit=1)[0], **fields})

    for key, structure in known.items():
        for task in ("presence", "count", "location"):
            add(f"{task} {key}", structure=key)
        for selector in SELECTORS:
            if selector != "each":
                add(f"location {key} {selector}", structure=key, selector=selector)
            add(f"size {key} {selector}", structure=key, selector=selector)
            for quantity in structure.quantities:
                add(f"size {key} {quantity} {selector}", structure=key, quantity=quantity, selector=selector)
        for other in known:
            if other != key and structure.domain == known[other].domain == "blood_smear":  # the one with several
                for compared in COMPARED:
                    add(f"compare {key} {other} {compared}", structure=key, other_structure=other, quantity=compared)
    return found | _between()


def _between() -> dict[str, Intent]:
    """The lines of what is taken between landmarks and has a name."""
    tasks = {name: taken.task for name, taken in named_quantities().items()}
    return {f"{task} {name}": Intent.model_validate({"task": task, "quantity": name}) for name, task in tasks.items()}


def parse_intent(text: str) -> Intent | None:
    """The intent that a line says, or None where it is none of the language."""
    return _intents().get(" ".join(text.split()))


def closed_words() -> list[str]:
    """Every word of the language, sorted."""
    return sorted({word for line in _intents() for word in line.split()})


@cache
def _continuations() -> dict[tuple[str, ...], list[str]]:
    after: dict[tuple[str, ...], set[str]] = {}
    for line in _intents():
        words = line.split()
        for n in range(len(words) + 1):
            after.setdefault(tuple(words[:n]), set()).add(words[n] if n < len(words) else "")
    return {prefix: sorted(words) for prefix, words in after.items()}


def next_words(prefix: list[str]) -> list[str]:
    """The words that may follow these; ``""`` where the line may end; none for a prefix of no line."""
    return list(_continuations().get(tuple(prefix), ()))
