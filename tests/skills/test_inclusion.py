"""Lists of slots by inclusion probability: from distributions whose inclusion probabilities are known."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from fiducial.skills.families.llava.inclusion import EDGE, Inclusion, Rule

OTHER, NONE, END, FIRST = 0, 1, 2, 3  # token ids; slot k is FIRST + k
P = st.floats(0.001, 0.999)
RULE = Rule(tower=0.7, decoder=0.4, shift=0.2)
# At most 0.9: a slot with little evidence is passed over, and what is left after 24 such must be a float32 still.
SLOTS = st.lists(st.tuples(st.floats(0.001, 0.9), st.floats(0.0, 1.0)), max_size=24)


def odds(p: float) -> float:
    clipped = min(max(p, EDGE), 1 - EDGE)
    return clipped / (1 - clipped)


def next_scores(p: list[float], said: list[int], shift: float) -> torch.Tensor:
    """What a decoder says that includes slot k with probability p[k]: P(next = k) = p_k · Π_{j<k} (1 - p_j).

    A third of the mass is left on tokens that a list of slots does not contain; scores are known up to ``shift``.
    """
    scores = torch.full((1, FIRST + len(p)), -torch.inf)
    start, log_left = (max(said) + 1 if said else 0), math.log(2 / 3)
    for slot in range(start, len(p)):
        scores[0, FIRST + slot] = log_left + math.log(p[slot])
        log_left += math.log1p(-p[slot])
    scores[0, END if said else NONE] = log_left
    scores[0, OTHER] = math.log(1 / 3)
    return scores + shift


def decide(
    p: list[float], evidence: list[float], threshold: float, shift: float = 0.0, rule: Rule = RULE
) -> tuple[list[int], Inclusion]:
    """The tokens decided, with the end, and the decider."""
    inclusion = Inclusion(range(FIRST, FIRST + len(p)), NONE, END, replace(rule, threshold=threshold), evidence)
    tokens: list[int] = []
    while END not in tokens:
        said = [token - FIRST for token in tokens if token >= FIRST]
        scores = next_scores(p, said, shift)
        decided = inclusion(torch.tensor([tokens]), scores)
        assert decided.shape == scores.shape
        assert int(decided.isfinite().sum()) == 1
        tokens.append(int(decided.argmax()))
        assert len(tokens) <= len(p) + 2
    return tokens, inclusion


@given(SLOTS, st.floats(0.25, 0.75), st.floats(-20, 20))
def test_each_probability_is_recovered_and_exactly_those_that_reach_the_threshold_are_named(
    slots: list[tuple[float, float]], threshold: float, shift: float
) -> None:
    p, evidence = [slot[0] for slot in slots], [slot[1] for slot in slots]
    known = [1 / (1 + odds(b) ** -0.7 * odds(a) ** -0.4 * math.exp(-0.2)) for a, b in slots]
    assume(all(abs(value - threshold) > 1e-3 for value in known))  # at the threshold itself rounding decides
    tokens, inclusion = decide(p, evidence, threshold, shift)
    named = [FIRST + k for k, value in enumerate(known) if value >= threshold]
    assert tokens == ([*named, END] if named else [NONE, END])
    assert list(inclusion.probability) == list(range(len(p)))
    # Scores are float32, and those of a shift of 20 are known to 2e-6.
    assert list(inclusion.probability.values()) == pytest.approx(known, rel=2e-5, abs=1e-9)


@given(st.lists(P, min_size=1, max_size=40), st.floats(0.25, 0.75))
def test_where_decoder_and_tower_agree_it_is_their_probability(p: list[float], threshold: float) -> None:
    assume(all(abs(value - threshold) > 1e-3 for value in p))
    tokens, inclusion = decide(p, p, threshold, rule=Rule())
    assert [token - FIRST for token in tokens if token >= FIRST] == [k for k, v in enumerate(p) if v >= threshold]
    assert list(inclusion.probability.values()) == pytest.approx(p, rel=2e-5)


@given(st.lists(st.floats(-90, 0), min_size=5, max_size=30))
def test_whatever_the_scores_a_probability_is_one(logits: list[float]) -> None:
    scores = torch.tensor([logits])
    slots = len(logits) - FIRST
    inclusion = Inclusion(range(FIRST, len(logits)), NONE, END, replace(RULE, threshold=1.1), [1.0] * slots)
    assert int(inclusion(torch.tensor([[]]), scores).argmax()) == NONE
    assert list(inclusion.probability) == list(range(slots))
    assert all(0 <= value <= 1 for value in inclusion.probability.values())


def test_many_unlikely_slots_are_not_named_though_each_is_likelier_than_the_end() -> None:
    """What greedy decoding does wrong: the likeliest next token is always a slot, however unlikely."""
    p = [0.3] * 20
    assert int(next_scores(p, [], 0.0)[0, 1:].argmax()) + 1 == FIRST
    tokens, inclusion = decide(p, p, 0.5, rule=Rule())
    assert tokens == [NONE, END]
    assert set(inclusion.probability) == set(range(20))


def test_without_slots_there_is_none() -> None:
    assert decide([], [], 0.5)[0] == [NONE, END]
