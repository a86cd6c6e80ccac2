"""Negatives: questions about structures that the image does not show, added at a stated rate.

The papers train on positive questions alone and then find models that invent (GI-VQA, open question 3). A structure is
absent where the set annotates every instance of it and the image has none; which labels those are, the caller says.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from fiducial.skills.datasets.objects import located_ask
from fiducial.skills.datasets.sample import Ask, Sample
from fiducial.skills.datasets.splits import share_of
from fiducial.skills.targets import PromptTask
from fiducial.tools.errors import InputError


def with_negatives(
    samples: Iterable[Sample],
    labels: Sequence[str],
    rate: float,
    tasks: Sequence[PromptTask] = ("detect", "count", "point"),
) -> Iterator[Sample]:
    """The samples, some with questions about labels that they lack, so that ``rate`` of the located ones are negative.

    labels: those that the set annotates exhaustively. Each label that an image shows owes rate / (1 - rate) questions
    about one that an image lacks; what an image cannot take, because it shows every label, is left to those after it,
    and images that show none take part. So the rate holds to one label at the end, and comes short only where later
    images lack too few. The draw depends on the samples' ids and order alone. Raises InputError for a rate outside 0
    to 0.9.
    """
    if not 0 <= rate <= 0.9:
        raise InputError(f"the rate of negatives {rate:g} is not between 0 and 0.9; give the share of the questions")
    owed = 0.0
    for sample in samples:
        shown = {item.label for item in sample.objects}
        absent = sorted((label for label in labels if label not in shown), key=lambda label: share_of(label, sample.id))
        owed += len(shown) * rate / (1 - rate)
        count = min(len(absent), max(0, math.floor(owed + share_of(sample.id, "negatives"))))
        owed -= count
        yield replace(sample, asks=sample.asks + tuple(_asks(absent[:count], tasks)))


def _asks(labels: Iterable[str], tasks: Sequence[PromptTask]) -> Iterator[Ask]:
    for label in labels:
        for task in tasks:
            ask = located_ask((), label, task)
            if ask is not None:
                yield ask
