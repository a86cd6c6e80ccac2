"""Splits by group, and negatives at a stated rate."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fiducial.skills.datasets.check import is_negative
from fiducial.skills.datasets.negatives import with_negatives
from fiducial.skills.datasets.objects import asks_of
from fiducial.skills.datasets.sample import Object, Sample
from fiducial.skills.datasets.splits import SHARES, drawn_split, split_of
from fiducial.tools.errors import InputError


def sample(name: str, group: str, *labels: str) -> Sample:
    return Sample(
        name, group, "other", lambda: np.zeros((9, 9, 3), np.uint8), tuple(Object(v, (0, 0, 5, 5)) for v in labels)
    )


@given(groups=st.lists(st.text(), max_size=60), shares=st.lists(st.integers(0, 9), min_size=2, max_size=5))
def test_every_row_has_one_split_and_no_group_parts(groups: list[str], shares: list[int]) -> None:
    shares[0] += 1
    table = {f"s{i}": share / sum(shares) for i, share in enumerate(shares)}
    rows = [sample(f"row {i}", group) for i, group in enumerate(groups)]
    parts = {name: list(drawn_split(rows, name, table)) for name in table}
    assert sorted(s.id for part in parts.values() for s in part) == sorted(row.id for row in rows)
    splits = defaultdict(set)
    for name, part in parts.items():
        for row in part:
            assert row.split == name
            splits[row.group].add(name)
    assert all(len(found) == 1 for found in splits.values())
    assert not any(parts[name] for name, share in table.items() if share == 0)


@given(groups=st.lists(st.text(), min_size=1, max_size=30), more=st.lists(st.text(), max_size=30))
def test_a_set_that_grows_keeps_its_splits(groups: list[str], more: list[str]) -> None:
    before = {group: split_of(group) for group in groups}
    after = {group: split_of(group) for group in [*more, *reversed(groups)]}
    assert all(after[group] == split for group, split in before.items())


def test_the_shares_are_met_and_wrong_ones_refused() -> None:
    counts = Counter(split_of(f"patient {i}") for i in range(20_000))
    for name, share in SHARES.items():
        assert counts[name] / 20_000 == pytest.approx(share, abs=0.01)
    assert len({split_of(f"p{i}", salt="other") == split_of(f"p{i}") for i in range(99)}) == 2
    for shares in ({"train": 0.5, "val": 0.4}, {"train": 1.5, "val": -0.5}):
        with pytest.raises(InputError, match="do not add up to 1"):
            split_of("p", shares)
    with pytest.raises(InputError, match="unknown split 'dev'; there is: train, val, test, all"):
        list(drawn_split([], "dev"))


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.25, 0.5, 0.75])
def test_negatives_come_at_the_stated_rate(rate: float) -> None:
    labels = [f"c{i}" for i in range(12)]
    rows = [sample(f"row {i}", f"g{i}", labels[i % 12], labels[(i * 5 + 1) % 12]) for i in range(400)]
    asked = [ask for row in with_negatives(rows, labels, rate, ["detect"]) for ask in asks_of(row, ["detect"])]
    assert np.mean([is_negative(ask) for ask in asked]) == pytest.approx(rate, abs=0.03)
    again = [row.asks for row in with_negatives(rows[:50], labels, rate, ["detect"])]
    assert again == [row.asks for row in with_negatives(rows[:50], labels, rate, ["detect"])]


@settings(deadline=None, max_examples=40)
@given(rate=st.floats(0, 0.7), empty=st.floats(0, 0.8), shown=st.integers(1, 3), seed=st.integers(0, 99))
def test_the_stated_rate_is_the_rate_however_many_images_are_empty(
    rate: float, empty: float, shown: int, seed: int
) -> None:
    rng, labels = np.random.default_rng(seed), [f"c{i}" for i in range(12)]
    rows = [sample(f"{seed} {i}", "g", *rng.permutation(labels)[: shown * (rng.random() >= empty)]) for i in range(60)]
    asked = [ask for row in with_negatives(rows, labels, rate, ["detect"]) for ask in asks_of(row, ["detect"])]
    negative = sum(bool(is_negative(ask)) for ask in asked)
    assert abs(negative - rate * len(asked)) <= 1


def test_a_set_of_one_label_asks_about_it_where_it_is_not() -> None:
    rows = [sample(f"row {i}", "g", *(["polyp"] if i % 2 else [])) for i in range(200)]
    asked = [ask for row in with_negatives(rows, ["polyp"], 0.25, ["count"]) for ask in asks_of(row, ["count"])]
    assert np.mean([is_negative(ask) for ask in asked]) == pytest.approx(0.25, abs=0.01)


def test_what_is_shown_is_never_asked_about_as_absent() -> None:
    labels = ["a", "b", "c"]
    rows = [sample(f"row {i}", "g", *(labels[: i % 4])) for i in range(200)]
    for row in with_negatives(rows, labels, 0.6):
        asked = {ask.query.label for ask in row.asks}
        assert not asked & {item.label for item in row.objects}
        assert {ask.query.task for ask in row.asks} <= {"detect", "count", "point"}
        assert all(is_negative(ask) for ask in row.asks)
    with pytest.raises(InputError, match="rate of negatives 1"):
        list(with_negatives(rows, labels, 1.0))
