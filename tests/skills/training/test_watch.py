"""Watched rows: what is kept back, what counts as a failure, and that a training does not notice being watched."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from fiducial.skills.datasets.sample import Object, Sample
from fiducial.skills.families.dialects.base import Parsed
from fiducial.skills.recipes import Recipe
from fiducial.skills.targets import (
    BoxesTarget,
    ChoiceTarget,
    CountTarget,
    LabelledBox,
    LabelledPoint,
    LandmarksTarget,
    Number,
    NumbersTarget,
    PolygonsTarget,
    Query,
    Target,
)
from fiducial.skills.training.curves import read_log
from fiducial.skills.training.failures import AVERAGES, KINDS, Outcome, scores_of, size_of, task_scores
from fiducial.skills.training.rows import rows_of
from fiducial.skills.training.run import Plan, train
from fiducial.skills.training.watch import chosen, parted, undisturbed, watched_rows
from fiducial.tests.skills.training.samples import samples
from fiducial.tests.skills.training.tiny_run import RECIPE

Checkpoint = Callable[[str], Path]
FOUND = CountTarget(label="cell", count=4)


def recipe(**changes: Any) -> Recipe:
    return Recipe.model_validate({"name": "tiny", **RECIPE, **changes})


def outcome(query: Query, target: Target, said: Target | None, text: str = "", size: str | None = None) -> Outcome:
    return Outcome(text, query, target, Parsed(said), text, size)


def boxes(*found: tuple[float, float, float, float]) -> BoxesTarget:
    return BoxesTarget(boxes=tuple(LabelledBox(label="cell", box_xyxy_px=box) for box in found))


def test_no_group_is_trained_on_and_watched() -> None:
    given = [Sample(f"s{k}", f"patient {k // 3}", "other", lambda: None) for k in range(300)]  # type: ignore[arg-type,return-value]
    train_sets, watch_sets = parted({"a": given}, {})
    kept = {sample.group for sample in watch_sets["a"]}
    assert not kept & {sample.group for sample in train_sets["a"]}
    assert len(train_sets["a"]) + len(watch_sets["a"]) == 300
    assert 2 <= len(kept) <= 25
    more = [Sample(f"v{k}", group, "other", lambda: None) for k, group in enumerate(("patient 1", "new"))]  # type: ignore[arg-type,return-value]
    train_sets, watch_sets = parted({"a": given}, {"a": more})
    assert [sample.id for sample in watch_sets["a"]] == ["v1"]
    assert len(train_sets["a"]) == 300
    assert parted({"a": given[:3]}, {}) == ({"a": given[:3]}, {"a": []})  # one patient cannot be parted


def test_rows_of_other_groups_come_before_more_of_one() -> None:
    rows = rows_of({"discs": samples(6)}, recipe(), ("count", "detect"))
    found = chosen([*rows, *rows], 6)
    assert {row.task for row in found} == {"count", "detect"}
    assert all(count == 1 for count in Counter((row.task, row.sample.group) for row in found).values())
    assert chosen(reversed(rows), 3) == chosen(rows, 3)
    assert watched_rows({"discs": samples(1)}, recipe(skills={"count": ["count"], "p": ["report"]}), ("count",), 4)
    assert not watched_rows({"discs": []}, recipe(), ("count",), 4)


def test_silence_is_a_failure_that_the_paper_s_average_leaves_out() -> None:
    detect, box = Query(task="detect", label="cell"), (0.0, 0.0, 10.0, 10.0)
    said = [boxes(box), boxes(), None, boxes((50.0, 50.0, 60.0, 60.0))]
    true = [boxes(box), boxes(box), boxes(box), boxes()]
    scores = task_scores([outcome(detect, t, s, str(k)) for k, (t, s) in enumerate(zip(true, said, strict=True))])
    assert scores["zero"] == pytest.approx(2 / 3)  # one says that there is none, one cannot be read
    assert (scores["unread"], scores["invented"]) == (0.25, 1.0)
    assert scores["iou"] == 0.5 > scores["true_iou"] == pytest.approx(1 / 3)


def test_one_answer_to_everything_is_counted() -> None:
    query = Query(task="count", label="cell")
    true = [CountTarget(label="cell", count=count) for count in (3, 4, 5, 4)]
    scores = task_scores([outcome(query, t, FOUND) for t in true])
    assert (scores["distinct"], scores["distinct_true"], scores["commonest"]) == (1, 3, 1.0)
    assert (scores["mae"], scores["exact"]) == (0.5, 0.5)


def test_every_kind_of_target_has_its_averages() -> None:
    for sample in samples(2):
        for ask in sample.asks:
            average, honest, less = AVERAGES[ask.query.task]
            right = task_scores([outcome(ask.query, ask.target, ask.target)])
            wrong = task_scores([outcome(ask.query, ask.target, None)])
            assert right[average] == right[honest] == (0.0 if less else 1.0)
            assert average not in wrong or average == "recall"
            assert wrong[honest] > right[honest] if less else wrong[honest] == 0.0
            assert wrong["unread"] == 1.0
    assert set(KINDS) == {ask.target.kind for ask in samples(1)[0].asks}


def test_other_figures() -> None:
    line = Query(task="measure_distance", quantities=("distance",), unit="mm")
    truth = NumbersTarget(numbers=(Number(name="distance", value=10.0, unit="mm"),))
    zero = NumbersTarget(numbers=(Number(name="distance", value=0.0, unit="mm"),))
    near = NumbersTarget(numbers=(Number(name="distance", value=10.5, unit="mm"),))
    scores = task_scores([outcome(line, truth, near), outcome(line, zero, near)])
    assert (scores["mre"], scores["within_10_percent"], scores["rows"]) == (pytest.approx(0.05), 1.0, 2)
    query = Query(task="landmark", label="apex")
    apex = LandmarksTarget(landmarks=(LabelledPoint(label="apex", point_xy_px=(5.0, 5.0)),))
    other = LandmarksTarget(landmarks=(LabelledPoint(label="base", point_xy_px=(5.0, 5.0)),))
    assert task_scores([outcome(query, apex, other)])["honest_within_10_px"] == 0.0
    segment = Query(task="segment", label="cell")
    assert task_scores([outcome(segment, PolygonsTarget(), PolygonsTarget())])["invented"] == 0.0
    choose = Query(task="choose", options=("yes", "no"))
    answers = [ChoiceTarget(choice="yes"), None]
    scores = task_scores([outcome(choose, ChoiceTarget(choice="yes"), said) for said in answers])
    assert (scores["read_accuracy"], scores["accuracy"]) == (1.0, 0.5)


def test_size_classes_are_those_of_the_objects_asked_about() -> None:
    items = (Object("red_cell", (0, 0, 10, 10)), Object("platelet", (0, 0, 60, 60)))
    sample = Sample("s", "s", "other", lambda: np.zeros((100, 100, 3), np.uint8), items)
    from fiducial.skills.datasets.objects import asks_of

    sizes = {ask.query.label: size_of(sample, ask, (100, 100)) for ask in asks_of(sample, ("count",))}
    assert set(sizes.values()) == {"<5 %", ">10 %"}
    count = Query(task="count", label="cell")
    scores = scores_of([outcome(count, FOUND, FOUND, size="<5 %"), outcome(count, FOUND, None)])
    assert set(scores) == {"count", "count <5 %"}
    assert (scores["count"]["unread"], scores["count <5 %"]["unread"]) == (0.5, 0.0)


def test_watching_leaves_modes_and_random_states_as_they_were() -> None:
    network = torch.nn.Sequential(torch.nn.Dropout(), torch.nn.Linear(2, 2))
    network[1].eval()
    torch.manual_seed(1)
    random.seed(1)
    np.random.seed(1)
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    with undisturbed(network):
        assert not network[0].training
        torch.rand(3), random.random(), np.random.rand()
    assert (network.training, network[0].training, network[1].training) == (True, True, False)
    assert torch.equal(before[0], torch.get_rng_state())
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before[1:]


@pytest.mark.parametrize("family", ["qwen2_5_vl", "florence2"])
def test_a_training_is_the_same_to_the_bit_whether_watched_or_not(
    checkpoint: Checkpoint, family: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base, given, weights = checkpoint(family), samples(6), []
    for name, every in (("plain", 0), ("watched", 1)):
        plan = Plan(
            ("count", "detect"), recipe(), base, {"discs": given[:3]}, tmp_path / name, max_steps=3,
            held_out={"discs": given[3:5]}, watch_every=every, watch_rows=1,
        )  # fmt: skip
        folder = train(plan)
        weights.append(load_file(folder / "adapter_model.safetensors"))
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    head, entries = read_log(folder / "metrics.jsonl")
    assert [entry["step"] for entry in entries if entry["kind"] == "watch"] == [1, 2, 3]
    assert [entry["step"] for entry in entries if entry["kind"] == "train"] == [1, 2, 3]
    assert set(entries[-1]["scores"]) >= {"count", "detect"}
    assert head["watched"] == {"discs": 2}
    assert (folder / "curves.png").is_file()
    assert "## Figures" in (folder / "README.md").read_text()
    assert "step 3/3  loss" in capsys.readouterr().err
