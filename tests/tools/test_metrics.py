"""The papers' metrics on small cases computed by hand, and what their honest twins say of the same."""

from __future__ import annotations

import math
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fiducial.tools.metrics.answers import answer_scores, same_answer, token_recall
from fiducial.tools.metrics.boxes import average_precision, box_scores, overlap, overlap_scores
from fiducial.tools.metrics.counting import count_scores
from fiducial.tools.metrics.landmarks import landmark_scores
from fiducial.tools.metrics.means import group_interval
from fiducial.tools.metrics.measuring import number_scores
from fiducial.tools.metrics.pointing import point_scores
from fiducial.tools.record import Scale


def test_counts() -> None:
    scores = count_scores([3, 1, None, None], [1, 1, 5, 0])
    assert (scores.samples, scores.parsed) == (4, 0.5)
    assert (scores.mae, scores.mse) == (1.0, 2.0)  # |3-1|, |1-1|
    assert (scores.honest_mae, scores.honest_mse) == (2.0, 7.5)  # 2, 0, 5 and 1
    assert scores.exact == 0.25
    silent = count_scores([None] * 3, [0, 2, 4])
    assert math.isnan(silent.mae)
    assert silent.honest_mae == pytest.approx(7 / 3)


def test_points_many_to_one_and_one_to_one() -> None:
    true = [[(0.0, 0.0), (100.0, 0.0)], [(50.0, 50.0)], [(9.0, 9.0)], []]
    predicted = [[(3.0, 4.0), (0.0, 6.0), (200.0, 0.0)], [], None, [(1.0, 1.0)]]
    scores = point_scores(predicted, true)
    assert scores.distance_px == pytest.approx((5 + 6 + 100) / 3)
    assert scores.matching_accuracy == pytest.approx((2 / 3 + 0) / 2)  # the two samples with a prediction
    assert scores.zero_cases == 2
    assert (scores.missed, scores.invented, scores.unread) == (3, 3, 1)
    assert (scores.precision, scores.recall, scores.f1) == pytest.approx((1 / 4, 1 / 4, 1 / 4))
    assert scores.right == 0.0


def test_the_paper_flatters_a_model_that_stays_silent() -> None:
    true = [[(10.0, 10.0)]] * 4
    bold, shy = [[(10.0, 12.0)]] * 4, [[(10.0, 12.0)], [], [], None]
    assert point_scores(bold, true).matching_accuracy == point_scores(shy, true).matching_accuracy == 1.0
    assert point_scores(shy, true).zero_cases == 3
    assert (point_scores(bold, true).f1, point_scores(shy, true).f1) == (1.0, pytest.approx(0.4))
    assert point_scores(shy, true).right == 0.25


def test_the_limit_of_ten_pixels_is_not_inside() -> None:
    assert point_scores([[(10.0, 0.0)]], [[(0.0, 0.0)]]).matching_accuracy == 0.0
    assert point_scores([[(10.0, 0.0)]], [[(0.0, 0.0)]]).f1 == 0.0
    assert point_scores([[(9.99, 0.0)]], [[(0.0, 0.0)]]).f1 == 1.0
    assert point_scores([[]], [[]]).right == 1.0
    assert point_scores([None], [[]]).right == 0.0


BOX = (0.0, 0.0, 10.0, 10.0)
HALF = (0.0, 0.0, 10.0, 5.0)  # IoU 0.5 with BOX
FAR = (50.0, 50.0, 60.0, 60.0)


def test_boxes() -> None:
    scores = box_scores([[BOX, FAR], [], None, [HALF]], [[BOX], [BOX], [FAR], [BOX]])
    assert scores.iou == pytest.approx((0.5 + 0.5) / 2)  # (1 + 0) / 2, and 0.5
    assert scores.zero_cases == 2
    assert (scores.precision, scores.recall, scores.f1) == pytest.approx((2 / 3, 2 / 4, 4 / 7))
    assert (scores.missed, scores.invented, scores.unread) == (2, 1, 1)
    assert scores.true_iou == pytest.approx((1 + 0 + 0 + 0.5) / 4)


def test_average_precision_at_101_recalls() -> None:
    # In order: hit, miss, hit of two true boxes: precision 1 up to recall 0.5, 2/3 up to 1.
    assert average_precision([[BOX, FAR], [BOX]], [[BOX], [BOX]], 0.5) == pytest.approx((51 + 50 * 2 / 3) / 101)
    assert average_precision([[BOX, BOX]], [[BOX]], 0.5) == 1.0  # a second one on the same box comes after
    assert average_precision([[FAR, BOX]], [[BOX]], 0.5) == pytest.approx(0.5)
    assert average_precision([[]], [[BOX]], 0.5) == 0.0
    assert math.isnan(average_precision([[BOX]], [[]], 0.5))
    assert box_scores([[HALF]], [[BOX]]).map == pytest.approx(0.1)  # only at the threshold 0.5 of ten


def test_overlaps_by_size_class() -> None:
    assert overlap(HALF, BOX) == pytest.approx((1.0, 0.5, 2 / 3, 0.5))
    assert overlap(FAR, BOX) == (0.0, 0.0, 0.0, 0.0)
    assert overlap((5.0, 5.0, 1.0, 9.0), BOX) == (0.0, 0.0, 0.0, 0.0)
    big = (0.0, 0.0, 50.0, 50.0)
    scores = overlap_scores([HALF, None, big], [BOX, BOX, big], [(100, 100)] * 3)
    small, large = scores["<5 %"], scores[">10 %"]
    assert (small.samples, small.success) == (2, 0.5)
    assert small.read == pytest.approx({"precision": 1.0, "recall": 0.5, "f1": 2 / 3, "iou": 0.5})
    assert small.all == pytest.approx({"precision": 0.5, "recall": 0.25, "f1": 1 / 3, "iou": 0.25})
    assert (large.samples, large.read["iou"]) == (1, 1.0)
    assert scores["all"].samples == 3
    assert scores["5-10 %"].samples == 0
    assert math.isnan(scores["5-10 %"].all["iou"])


def test_measurements_over_what_was_read_and_over_everything() -> None:
    true = [(10.0, 5.0), (20.0, 10.0), (10.0, 10.0), (40.0, 20.0)]
    predicted = [(11.0, 5.0), (20.0, 5.0), None, (40.0,)]
    scores = number_scores(predicted, true)
    assert scores.success == 0.5
    assert scores.mae == pytest.approx((0.5 + 2.5) / 2)
    assert scores.mre == pytest.approx((0.05 + 0.25) / 2)
    assert scores.within == {0.1: 0.25, 0.2: 0.25, 0.3: 0.5}
    assert scores.honest_mae == pytest.approx((0.5 + 2.5 + 10 + 30) / 4)
    assert scores.honest_mre == pytest.approx((0.05 + 0.25 + 1 + 1) / 4)
    assert number_scores([(math.nan,)], [(5.0,)]).success == 0.0
    with pytest.raises(ValueError, match="other than 0"):
        number_scores([(1.0,)], [(0.0,)])


def test_a_collapse_to_one_answer_shows() -> None:
    scores = number_scores([(10.0,)] * 9 + [(11.0,)], [(float(v),) for v in range(8, 18)])
    assert (scores.distinct, scores.commonest) == (2, 0.9)


def test_landmarks_in_millimetres() -> None:
    scale = Scale(row_mm=0.2, column_mm=0.1, source="user")
    scores = landmark_scores([(20.0, 0.0), (0.0, 12.5), (0.0, 20.0), None], [(0.0, 0.0)] * 4, scale)
    assert scores.given == 0.75
    assert scores.mre_mm == pytest.approx((2.0 + 2.5 + 4.0) / 3)
    assert scores.sdr == pytest.approx({2.0: 1 / 3, 2.5: 2 / 3, 3.0: 2 / 3, 4.0: 1.0})
    assert scores.honest_sdr == pytest.approx({2.0: 0.25, 2.5: 0.5, 3.0: 0.5, 4.0: 0.75})
    assert math.isnan(landmark_scores([None], [(0.0, 0.0)], scale).mre_mm)
    assert landmark_scores([None], [(0.0, 0.0)], scale).honest_sdr[4.0] == 0.0


def test_answers_in_words() -> None:
    assert same_answer("The Liver.", "liver")
    assert same_answer("右 肺", "右肺。")
    assert not same_answer("", "")
    assert not same_answer(None, "the")
    assert not same_answer("no", "not")
    assert token_recall("in the left lower lung", "left lung") == 1.0
    assert token_recall("lung", "left lung") == 0.5
    assert token_recall(None, "left lung") == 0.0


def test_accuracy_stands_beside_the_majority_and_its_interval() -> None:
    predicted = ["Yes", "no", "yes", None, "left lung", "liver"]
    true = ["yes", "yes", "yes", "no", "lung", "liver"]
    closed = [True] * 4 + [False] * 2
    scores = answer_scores(predicted, true, closed, ["a", "a", "b", "b", "c", "c"])
    assert (scores["closed"].questions, scores["closed"].accuracy, scores["closed"].answered) == (4, 0.5, 0.75)
    assert scores["closed"].majority == 0.75
    assert scores["open"].accuracy == 0.5
    assert scores["open"].recall == 1.0
    assert scores["all"].accuracy == 0.5
    assert scores["closed"].interval[0] <= 0.5 <= scores["closed"].interval[1]
    by_type = answer_scores(predicted, true, closed, ["a"] * 6, ["p", "p", "p", "q", "r", "r"])
    assert by_type["closed"].majority == 1.0
    assert answer_scores([], [], [], [])["all"].questions == 0


def test_an_interval_draws_images_and_not_rows() -> None:
    rng = np.random.default_rng(1)
    image = rng.random(40) < 0.5
    rows = np.repeat(image, 10).astype(float).tolist()
    low, high = group_interval(rows, [i // 10 for i in range(400)])
    alone_low, alone_high = group_interval(rows, list(range(400)))
    assert high - low > 2 * (alone_high - alone_low)
    assert group_interval([0.5, 1.0], ["a", "a"]) == (0.75, 0.75)
    assert all(math.isnan(v) for v in group_interval([], []))


points = st.lists(st.tuples(st.floats(0, 60), st.floats(0, 60)), max_size=6)


@given(rows=st.lists(st.tuples(st.none() | points, points), max_size=6))
def test_point_scores_are_shares_and_perfect_only_where_everything_is_found(rows: list) -> None:
    predicted, true = [p for p, _ in rows], [t for _, t in rows]
    scores = point_scores(predicted, true)
    for name, value in asdict(scores).items():
        if name in ("matching_accuracy", "precision", "recall", "f1", "right"):
            assert math.isnan(value) or 0 <= value <= 1
    assert scores.missed + scores.invented >= abs(sum(map(len, true)) - sum(len(p or ()) for p in predicted))
    if rows and all(p is not None for p in predicted):
        perfect = point_scores(true, true)
        assert perfect.right == 1.0
        assert (perfect.missed, perfect.invented) == (0, 0)
