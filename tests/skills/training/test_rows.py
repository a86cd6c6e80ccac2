"""Rows: which there are, and their order in an epoch."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fiducial.skills.datasets.sample import Ask
from fiducial.skills.recipes import Recipe
from fiducial.skills.targets import PromptTask, Query, TextTarget
from fiducial.skills.training.rows import Row, numbers_of, order, rows_of, shares
from fiducial.tests.skills.training.samples import samples
from fiducial.tests.skills.training.tiny_run import RECIPE
from fiducial.tools.errors import InputError

SAMPLE = samples(1)[0]
COUNTS = st.dictionaries(st.sampled_from(("count", "detect", "point", "report")), st.integers(1, 60), min_size=1)


def rows_asking(counts: dict[PromptTask, int]) -> list[Row]:
    return [
        Row(f"set/{task}/{k}", task, SAMPLE, Ask(Query(task=task), TextTarget(text="-")))
        for task, count in counts.items()
        for k in range(count)
    ]


def ids(rows: list[Row]) -> list[str]:
    return [row.id for row in rows]


@settings(max_examples=60, deadline=None)
@given(COUNTS, st.integers(0, 99), st.integers(0, 9), st.randoms())
def test_an_epoch_has_each_row_once_in_an_order_that_depends_on_seed_epoch_and_ids_alone(counts, seed, epoch, rng):
    rows = rows_asking(counts)
    made = ids(order(rows, seed, epoch))
    assert sorted(made) == sorted(ids(rows))
    rng.shuffle(rows)
    assert ids(order(rows, seed, epoch)) == made


@settings(max_examples=60, deadline=None)
@given(COUNTS, st.floats(1.0, 20.0), st.integers(0, 99), st.integers(0, 9), st.randoms())
def test_with_a_temperature_an_epoch_is_as_long_and_every_task_has_its_share(counts, temperature, seed, epoch, rng):
    rows = rows_asking(counts)
    made = order(rows, seed, epoch, temperature)
    assert len(made) == len(rows)
    drawn, wanted = Counter(row.task for row in made), shares(counts, temperature)
    assert drawn == numbers_of(counts, temperature) or temperature == 1.0
    for task, share in wanted.items():
        assert drawn[task] >= 1
        assert abs(drawn[task] - share * len(rows)) < len(counts)
        repeats = Counter(row.id for row in made if row.task == task).values()
        assert max(repeats) - min(repeats) <= 1
    rng.shuffle(rows)
    assert ids(order(rows, seed, epoch, temperature)) == ids(made)


def test_epochs_and_seeds_differ_in_their_order():
    rows = rows_asking({"count": 30, "detect": 30})
    orders = {tuple(ids(order(rows, seed, epoch))) for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9


def test_shares_are_those_of_the_t5_paper():
    assert shares({"a": 900, "b": 100}, 1.0) == pytest.approx({"a": 0.9, "b": 0.1})
    assert shares({"a": 900, "b": 100}, 2.0) == pytest.approx({"a": 0.75, "b": 0.25})  # 30 : 10
    assert shares({"a": 900, "b": 100}, 1e9) == pytest.approx({"a": 0.5, "b": 0.5})


def recipe() -> Recipe:
    return Recipe.model_validate({"name": "tiny", **RECIPE})


def test_rows_ask_for_the_skills_and_each_has_an_id_of_its_own():
    rows = rows_of({"a": samples(3), "b": samples(2)}, recipe(), ("detect", "count"))
    assert {(row.skill, row.task) for row in rows} == {("detect", "detect"), ("count", "count")}
    assert len(set(ids(rows))) == len(rows) == 10
    assert Counter(row.id.partition("/")[0] for row in rows) == {"a": 6, "b": 4}


def test_a_task_that_two_skills_ask_by_goes_to_the_first():
    doubled = recipe().model_copy(update={"skills": {"question": ("answer",), "answer": ("answer", "choose")}})
    rows = rows_of({"a": samples(1)}, doubled, ("answer", "question"))
    assert {row.skill for row in rows} == {"answer"}


def test_a_skill_without_a_row_and_one_that_the_recipe_lacks_are_refused():
    silent = [replace(SAMPLE, asks=())]
    with pytest.raises(InputError, match="none of the sets a asks for the skill 'count'"):
        rows_of({"a": silent}, recipe(), ("count",))
    with pytest.raises(InputError, match="does not train the skill 'angle'; it trains: detect, count, point"):
        rows_of({"a": samples(1)}, recipe(), ("angle",))
