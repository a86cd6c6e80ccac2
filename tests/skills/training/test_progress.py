"""Progress: the time left is what is still to come, and a warning comes where an average hides a failure."""

from __future__ import annotations

import pytest

from fiducial.skills.training.failures import Scores
from fiducial.skills.training.progress import Pace, duration, step_line, warnings_of, watch_line, watched_steps

FINE: Scores = {
    "rows": 16,
    "unread": 0.0,
    "zero": 0.0,
    "distinct": 9,
    "distinct_true": 9,
    "mae": 2.0,
    "honest_mae": 2.0,
}


def test_the_time_left_counts_steps_watches_and_saves() -> None:
    pace = Pace(100, watches=(25, 50, 75, 100), every_save=30)
    assert pace.left(0) == "time left unknown"
    pace.step_s.extend([60.0, 2.0, 2.0])  # the first step is slow, and the median does not mind
    assert pace.left_s(3) == (97 * 2.0, False)
    assert pace.left(3) == "at least 3 min"
    pace.watch_s.append(10.0)
    pace.save_s.append(5.0)
    assert pace.left_s(50) == (50 * 2.0 + 2 * 10.0 + 3 * 5.0, True)  # saved after 60, 90 and 100
    assert pace.left(50) == "about 2 min"
    assert pace.left_s(100) == (5.0, True)  # the last checkpoint comes after the last line


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.2, "1 s"), (40, "40 s"), (89, "89 s"), (720, "12 min"), (5300, "88 min"), (12000, "3 h 20 min"), (7200, "2 h")],
)
def test_a_duration_is_said_plainly(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_rows_are_watched_evenly_and_at_the_end() -> None:
    assert watched_steps(100, 30) == (30, 60, 90, 100)
    assert watched_steps(100, 0) == ()
    assert watched_steps(100, 500) == (100,)
    assert len(watched_steps(1000, None)) == 8
    assert watched_steps(1, None) == (1,)


def test_one_line_a_log_step() -> None:
    entry = {"loss": 2.13, "losses": {"count": 1.2, "detect": 2.51}}
    said = "step 40/100  loss 2.13 (count 1.2, detect 2.51)  12 rows/s  about 12 min left"
    assert step_line(40, 100, entry, 12.0, "about 12 min") == said
    assert step_line(100, 100, entry, 12.0, "about 1 s").endswith("12 rows/s")
    assert "unread" in watch_line("count", FINE)


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ({"unread": 0.35}, "35% of the answers cannot be read"),
        ({"distinct": 1}, "all 16 rows get the same answer"),
        ({"zero": 0.5, "mae": 1.0}, "zero cases rise from 0% to 50% while mae improves"),
    ],
)
def test_a_failure_that_rises_is_said(now: Scores, said: str) -> None:
    found = warnings_of("count", {**FINE, **now}, FINE)
    assert len(found) == 1
    assert said in found[0]


def test_what_is_no_failure_is_not_warned_of() -> None:
    assert warnings_of("count", FINE, FINE) == warnings_of("count", FINE, None) == []
    assert warnings_of("count", {**FINE, "zero": 0.5, "mae": 9.0}, FINE) == []  # the average says it too
    assert warnings_of("count", {**FINE, "distinct": 1, "distinct_true": 1}, FINE) == []
