"""Every dialect: what it renders it parses back within half a quantisation step, and no text makes it raise.

FIDUCIAL_CASES and FIDUCIAL_MUTATED set how many cases a family and task, and how many mutated texts a family, are
tried; the bars ask for 2000 and 10000.
"""

from __future__ import annotations

import itertools
import math
import os
import random
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fiducial.skills.families.dialects import DIALECTS
from fiducial.skills.families.dialects.compare import difference, parts_of
from fiducial.skills.targets import TARGET_OF_TASK, PromptTask
from fiducial.tests.skills.families.targets import Case, cases

TASKS: tuple[PromptTask, ...] = get_args(PromptTask)
CASES = int(os.environ.get("FIDUCIAL_CASES", "6"))
MUTATED = int(os.environ.get("FIDUCIAL_MUTATED", "400"))
AT_ONCE = 20  # mutated texts of one case
HEALTH = [HealthCheck.too_slow, HealthCheck.filter_too_much]
SPLICES = (
    "[",
    "]",
    "{",
    "}",
    "(",
    ")",
    '"',
    ",",
    ":",
    "<",
    ">",
    "```",
    "<loc_",
    "<|box_start|>",
    "NaN",
    "1e999",
    "-",
    "\x00",
)


@pytest.mark.parametrize("name", sorted(DIALECTS))
@pytest.mark.parametrize("task", TASKS)
def test_what_is_rendered_is_parsed_back(name: str, task: PromptTask) -> None:
    @settings(max_examples=CASES, suppress_health_check=HEALTH, deadline=None, database=None)
    @given(cases(name, task))
    def check(case: Case) -> None:
        query, target, to_model = case
        dialect = DIALECTS[name]
        text = dialect.render(query, target, to_model)
        parsed = dialect.parse(query, text, to_model)
        assert parsed.target is not None, (text, parsed)
        assert parsed.complete and not parsed.marks, (text, parsed)
        assert difference(target, parsed.target, dialect.grid.half_step_px(to_model)).agrees, (text, parsed.target)

    check()


def mutated(text: str, rng: random.Random) -> str:
    """A text cut, spliced, doubled or with its parts exchanged, a few times over."""
    for _ in range(rng.randint(1, 4)):
        i, j = sorted((rng.randint(0, len(text)), rng.randint(0, len(text))))
        how = rng.randrange(5)
        if how == 0:
            text = text[:i]
        elif how == 1:
            text = text[:i] + text[j:]
        elif how == 2:
            text = text[:i] + rng.choice(SPLICES) + text[i:]
        elif how == 3:
            text = text[:j] + text[i:]
        else:
            text = text[:i] + chr(rng.choice([rng.randrange(32, 127), rng.randrange(0x4E00, 0x4F00)])) + text[i + 1 :]
    return text


@pytest.mark.parametrize("name", sorted(DIALECTS))
def test_no_mutated_text_raises_or_gives_a_number_that_is_not_finite(name: str) -> None:
    @settings(max_examples=max(1, MUTATED // AT_ONCE), suppress_health_check=HEALTH, deadline=None, database=None)
    @given(
        st.sampled_from(TASKS).flatmap(lambda task: cases(name, task)), st.integers(0, 2**32), st.sampled_from(TASKS)
    )
    def check(case: Case, seed: int, other: PromptTask) -> None:
        query, target, to_model = case
        rng = random.Random(seed)
        rendered = DIALECTS[name].render(query, target, to_model)
        for task, _ in itertools.product({query.task, other}, range(AT_ONCE)):
            text = mutated(rendered, rng)
            parsed = DIALECTS[name].parse(query.model_copy(update={"task": task}), text, to_model)
            assert (parsed.target is None) == (parsed.problem is not None)
            if parsed.target is not None:
                assert isinstance(parsed.target, TARGET_OF_TASK[task])
                parts = parts_of(parsed.target)
                corners = [v for corner in parts.corners for v in corner]
                assert all(math.isfinite(v) for v in [*parts.heights, *parts.numbers, *corners])

    check()


@pytest.mark.parametrize("name", sorted(DIALECTS))
@pytest.mark.parametrize("task", TASKS)
def test_odd_texts_are_survived(name: str, task: PromptTask) -> None:
    from fiducial.skills.targets import Query
    from fiducial.tools.frames import resize_map

    odd = [
        "",
        " ",
        "[" * 5000,
        "{" * 5000,
        '{"a":' * 3000,
        "(" * 5000,
        "<loc_1>" * 3001,
        '"' * 999,
        "9" * 9999,
        "[1e999]",
    ]
    odd += [
        '[{"bbox_2d": [NaN, 1, 2, Infinity], "point_2d": [true, null], "counts": NaN, "label": 3}]',
        "\ud800x",
        "1." * 5000,
    ]
    odd += ["a" + " " * 100_000 + "b", "9" * 100_000 + "x", "1." * 50_000 + "x", "(" + "1,1),(" * 20_000, "a" * 150_000]
    for text in odd:
        parsed = DIALECTS[name].parse(Query(task=task, label="polyp"), text, resize_map(640, 480, 644, 476))
        assert (parsed.target is None) == (parsed.problem is not None)
