"""Negatives: questions about structures that the image does not show, added at a stated rate.

The papers train on positive questions alone and then find models that invent (GI-VQA, open question 3). A structure is
absent where the set annotates every instance of it and the image has none; which labels those are, the caller says.
"""

from __future__ import annotations

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

    labels: those that the set annotates exhaustively. For each label that an image shows, one that it lacks is asked
    about with probability rate / (1 - rate), whole ones first; which, is a function of the sample's id. An image that
    shows none of the labels is asked about one of them at that rate. Raises InputError for a rate outside 0 to 0.9.
    """
    if not 0 <= rate <= 0.9:
        raise InputError(f"the rate of negatives {rate:g} is not between 0 and 0.9; give the share of the questions")
    odds = rate / (1 - rate)
    for sample in samples:
        shown = {item.label for item in sample.objects}
        absent = sorted((label for label in labels if label not in shown), key=lambda label: share_of(label, sample.id))
        wanted = odds * max(1, len(shown & set(labels)))
        count = int(wanted) + (share_of(sample.id, "negatives") < wanted - int(wanted))
        yield replace(sample, asks=sample.asks + tuple(_asks(absent[:count], tasks)))


def _asks(labels: Iterable[str], tasks: Sequence[PromptTask]) -> Iterator[Ask]:
    for label in labels:
        for task in tasks:
            ask = located_ask((), label, task)
            if ask is not None:
                yield ask
