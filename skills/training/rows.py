"""What is trained on: rows, one question about one sample each, and their order in an epoch.

A row holds a sample, whose pixels are read when it is asked for: annotations are in memory, images are not. The order
is a function of seed, epoch and the rows' ids alone, so that a run that was cut off goes on with the same rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from fiducial.skills.datasets.objects import asks_of
from fiducial.skills.datasets.sample import Ask, Sample
from fiducial.skills.datasets.splits import share_of
from fiducial.skills.recipes import Recipe
from fiducial.skills.targets import PromptTask
from fiducial.tools.errors import InputError


@dataclass(frozen=True)
class Row:
    """One question. id: unique in the mixture; skill: the one it teaches."""

    id: str
    skill: str
    sample: Sample
    ask: Ask

    @property
    def task(self) -> PromptTask:
        """What is asked, the unit of balancing."""
        return self.ask.query.task


def rows_of(sets: Mapping[str, Iterable[Sample]], recipe: Recipe, skills: Sequence[str]) -> list[Row]:
    """The rows of these skills in every set, by the set's name. InputError where a skill finds none.

    A prompt task that several of the skills ask by goes to the first of them.
    """
    if unknown := [skill for skill in skills if skill not in recipe.skills]:
        known = ", ".join(recipe.skills)
        raise InputError(f"the recipe '{recipe.name}' does not train the skill '{unknown[0]}'; it trains: {known}")
    owner: dict[PromptTask, str] = {}
    for skill in skills:
        for task in recipe.skills[skill]:
            owner.setdefault(task, skill)
    rows = []
    for name, samples in sets.items():
        for sample in samples:
            for number, ask in enumerate(asks_of(sample, tuple(owner))):
                rows.append(Row(f"{name}/{sample.id}/{number}", owner[ask.query.task], sample, ask))
    found = {row.skill for row in rows}
    if missing := [skill for skill in skills if skill in owner.values() and skill not in found]:
        asked = ", ".join(task for task, skill in owner.items() if skill == missing[0])
        raise InputError(
            f"none of the sets {', '.join(sets)} asks for the skill '{missing[0]}' ({asked}); give another set"
        )
    return rows


def shares(counts: Mapping[str, int], temperature: float) -> dict[str, float]:
    """How often each task is drawn: ∝ count^(1/temperature) (Raffel et al. 1910.10683, 3.5.2); 1 is by their counts."""
    powers = {task: count ** (1 / temperature) for task, count in counts.items()}
    return {task: power / sum(powers.values()) for task, power in powers.items()}


def order(rows: Sequence[Row], seed: int, epoch: int, temperature: float = 1.0) -> list[Row]:
    """The rows of one epoch, in order. With a temperature above 1, rare tasks repeat rows and frequent ones omit some.

    The number stays that of the rows.
    """
    shuffled = sorted(rows, key=lambda row: share_of(row.id, f"{seed}-{epoch}"))
    if temperature == 1.0:
        return shuffled
    wanted = numbers_of(Counter(row.task for row in rows), temperature)
    taken: list[tuple[float, Row]] = []
    for task, number in wanted.items():
        own = [row for row in shuffled if row.task == task]
        taken += [((k + 0.5) / number, own[k % len(own)]) for k in range(number)]
    return [row for _, row in sorted(taken, key=lambda pair: pair[0])]


def numbers_of(counts: Mapping[str, int], temperature: float) -> dict[str, int]:
    """How many rows of each task an epoch has: by their shares, one at least, and as many as there are in all."""
    total = sum(counts.values())
    exact = {task: share * total for task, share in sorted(shares(counts, temperature).items())}
    numbers = {task: max(1, int(number)) for task, number in exact.items()}
    while (missing := total - sum(numbers.values())) != 0:
        step = 1 if missing > 0 else -1
        able = [task for task in numbers if numbers[task] + step > 0]
        numbers[max(able, key=lambda task: step * (exact[task] - numbers[task]))] += step
    return numbers
