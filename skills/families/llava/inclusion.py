"""Decoding a list of slots by the probability that each belongs to it.

A list in rising order is a chain of decisions, slot after slot: in or out. Greedy decoding names the slot that is
most probable to come *next*, and among many uncertain ones that is always the first, however unlikely: it names far
too many. Here each slot's inclusion probability is read off the same distribution, P(next is k) / P(next is k or
later), and the slot is named if that reaches a threshold.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor
from transformers import LogitsProcessor

EDGE = 1e-4  # probabilities nearer to 0 or 1 than this are taken for it, or one reader's certainty would be a veto


@dataclass(frozen=True)
class Rule:
    """How two readings of a slot become the probability that it is such an object, and from where on it is named.

    The decoder reads a slot in context, the tower reads it alone. Their log odds are weighed and shifted, a logarithmic
    opinion pool (Genest & Zidek 1986) whose numbers are a logistic regression on images kept back from training.
    """

    tower: float = 0.5
    decoder: float = 0.5
    shift: float = 0.0
    threshold: float = 0.5

    def probability(self, tower: float, decoder: float) -> float:
        """The pooled probability of a slot."""
        odds = self.tower * log_odds(tower) + self.decoder * log_odds(decoder) + self.shift
        return 1 / (1 + math.exp(-odds))


def log_odds(probability: float) -> float:
    """Log odds of a probability that is kept off 0 and 1."""
    p = min(max(probability, EDGE), 1 - EDGE)
    return math.log(p / (1 - p))


class Inclusion(LogitsProcessor):
    """Turns next-token scores into the decisions; afterwards ``probability`` has each slot's, pooled by the rule.

    evidence: of each slot, the tower's own score for the structure; ``decoder`` has the decoder's afterwards.
    """

    def __init__(
        self, slot_ids: Sequence[int], none_id: int, end_id: int, rule: Rule, evidence: Sequence[float]
    ) -> None:
        self.slot_ids, self.none_id, self.end_id, self.rule = tuple(slot_ids), none_id, end_id, rule
        self.evidence = tuple(evidence)
        self.probability: dict[int, float] = {}
        self.decoder: dict[int, float] = {}
        self._next = 0
        self._said_none = False

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Scores (1, V) with all but the decided token at minus infinity."""
        del input_ids
        chosen = self._decide(scores[0].float().softmax(-1))
        decided = torch.full_like(scores, -torch.inf)
        decided[0, chosen] = 0.0
        return decided

    def _decide(self, p: Tensor) -> int:
        if self._said_none:
            return self.end_id
        first = self._next == 0 and not self.probability
        stop = self.none_id if first else self.end_id
        rest = [float(p[token]) for token in self.slot_ids[self._next :]]
        # Summed from the end: subtracting from the whole leaves only rounding where little mass is left.
        later = [*accumulate([float(p[stop]), *reversed(rest)])][:0:-1]
        for slot, (mass, left) in enumerate(zip(rest, later, strict=True), self._next):
            self.decoder[slot] = mass / left if left > 0 else 0.0
            self.probability[slot] = self.rule.probability(self.evidence[slot], self.decoder[slot])
            if self.probability[slot] >= self.rule.threshold:
                self._next = slot + 1
                return self.slot_ids[slot]
        self._next = len(self.slot_ids)
        self._said_none = first
        return stop
