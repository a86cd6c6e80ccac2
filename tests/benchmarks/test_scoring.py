"""The scoring functions on small cases with numbers worked out by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from fiducial.benchmarks import hc18_val, objects_val, questions
from fiducial.benchmarks.adapters_matter import at, paired_f1, pooled_f1
from fiducial.benchmarks.common import (
    bootstrap,
    boxes_of,
    matched,
    precision_recall_f1,
    table,
    within,
    write,
    zero_case,
)
from fiducial.benchmarks.explanations import agreement, first_text
from fiducial.benchmarks.truth import Thing, Truth, inscribed, size
from fiducial.skills.datasets.sample import Object, Sample
from fiducial.tools.record import (
    Answer,
    Check,
    Ellipse,
    Explanation,
    ImageInfo,
    Intent,
    Interval,
    Measurement,
    Reason,
    Record,
    Region,
    Understanding,
    Verdict,
)

SQUARE = (0.0, 0.0, 10.0, 10.0)


def box(i: int, xyxy: tuple[float, float, float, float], label: str = "white_cell", status: str = "accepted") -> Region:
    return Region(id=f"R{i}", label=label, kind="box", box_xyxy_px=xyxy, score=0.9, skill="detect", status=status)


def measured(quantity: str, value: float, unit: str, half: float, regions: tuple[str, ...] = ("R1",)) -> Measurement:
    interval = Interval(low=value - half, high=value + half, level=0.95, method="test")
    return Measurement(
        quantity=quantity,
        value=value,
        unit=unit,
        uncertainty=half / 2,
        interval=interval,
        scale_source="none" if unit.startswith("px") else "user",
        region_ids=regions,
    )


def record(task: str, structure: str | None, value: object, status: str = "answered", **parts: object) -> Record:
    text = str(parts.pop("text", "…"))
    intent = Intent(task=task, structure=structure, other_structure=parts.pop("other", None))
    reasons = tuple(Reason(code=c, detail="") for c in parts.pop("codes", ()))  # type: ignore[attr-defined]
    return Record(
        run_id="t",
        question="q",
        image=ImageInfo(path="p", sha256="0", width_px=100, height_px=50),
        understanding=Understanding(intent=intent, confidence=1.0),
        answer=Answer(text=text, value=value, confidence=1.0),
        verdict=Verdict(status=status, reasons=reasons),
        **parts,
    )


def test_matching_is_one_to_one_and_the_most_that_is_possible() -> None:
    # The best pair, 0.8, would leave the other two boxes alone; 0.5 (60 of 120) and 0.75 pair all four.
    found = [SQUARE, (0.0, 0.0, 10.0, 6.0)]
    assert matched(found, [(0.0, 0.0, 10.0, 8.0), (0.0, 4.0, 10.0, 12.0)]) == 2
    assert matched([SQUARE, SQUARE], [SQUARE]) == 1
    assert matched([], [SQUARE]) == matched([SQUARE], []) == 0


def test_half_an_overlap_is_a_match_and_less_is_none() -> None:
    assert matched([SQUARE], [(0.0, 0.0, 10.0, 5.0)]) == 1
    assert matched([SQUARE], [(0.0, 0.0, 10.0, 4.99)]) == 0


def test_precision_recall_f1() -> None:
    assert precision_recall_f1(3, 4, 6) == {"precision": 0.75, "recall": 0.5, "f1": 0.6}
    assert precision_recall_f1(0, 0, 5)["f1"] == 0
    assert precision_recall_f1(0, 0, 0)["f1"] == 1


def test_bootstrap_holds_the_mean_and_narrows_with_more_values() -> None:
    few, many = [0.0, 1.0] * 10, [0.0, 1.0] * 200
    low, high = bootstrap(few)
    assert low < 0.5 < high
    assert low == pytest.approx(0.5 - 1.96 * 0.5 / math.sqrt(20), abs=0.05)
    assert bootstrap(many)[1] - bootstrap(many)[0] < (high - low) / 3
    assert bootstrap([2.0, 2.0, 2.0]) == (2.0, 2.0)
    assert all(math.isnan(v) for v in bootstrap([]))


def test_within_takes_the_wider_of_the_two_tolerances() -> None:
    assert within(22, 20, 0.15, 1)
    assert within(3, 2, 0.15, 1)
    assert not within(4, 2, 0.15, 1)


def test_an_abstained_run_counts_as_nothing_found() -> None:
    regions = (box(1, SQUARE), box(2, SQUARE, status="rejected"), box(3, SQUARE, label="platelet"))
    assert boxes_of(record("count", "white_cell", 1, regions=regions), ("white_cell",)) == [SQUARE]
    assert boxes_of(record("count", "white_cell", 1, "abstained", regions=regions), ("white_cell",)) == []


@pytest.mark.parametrize(
    ("value", "status", "regions", "expected"),
    [
        (1, "answered", (), True),
        (True, "partial", (), True),
        (0, "answered", (), False),
        (False, "answered", (), False),
        (1, "abstained", (), False),
        (1, "answered", (box(1, SQUARE),), False),
        (1, "answered", (box(1, SQUARE, status="rejected"),), True),
        ([2.0, 0.0], "answered", (), True),
        ([0.0, 0.0], "answered", (), False),
        (None, "answered", (), True),
    ],
)
def test_zero_case(value: object, status: str, regions: tuple[Region, ...], expected: bool) -> None:
    assert zero_case(record("count", "white_cell", value, status, regions=regions)) is expected


def test_the_kind_of_an_image_needs_no_region() -> None:
    assert not zero_case(record("kind", None, "blood_smear"))


def test_summary_of_counts_keeps_the_abstained_out_of_the_error_but_in_the_recall() -> None:
    rows = [
        {"status": "answered", "said": 2, "truth": 3, "found": 2, "matched": 2},
        {"status": "partial", "said": 5, "truth": 5, "found": 5, "matched": 4},
        {"status": "abstained", "said": None, "truth": 4, "found": 0, "matched": 0},
    ]
    figures = objects_val.summary(rows, train_median=3)
    assert figures["count_mae"] == 0.5
    assert figures["count_mae_answered_only"] == 1
    assert figures["count_exact"] == 0.5
    assert figures["share_answered"] == pytest.approx(1 / 3)
    assert figures["share_answered_or_partial"] == pytest.approx(2 / 3)
    assert figures["recall"] == 0.5
    assert figures["precision"] == pytest.approx(6 / 7)
    assert figures["train_median_mae"] == pytest.approx((0 + 2 + 1) / 3)
    assert figures["train_median_mae_same_images"] == 1


def test_a_kind_of_image_is_compared_with_the_median_of_its_own_kind() -> None:
    def image(kind: str, number: int) -> Sample:
        return Sample("a", "a", kind, lambda: None, (Object("nucleus", SQUARE),) * number)  # type: ignore[arg-type, return-value]

    train = [image("nuclei_he", n) for n in (2, 4, 6)] + [image("nuclei_fluorescence", n) for n in (30, 50)]
    told = {"structure": "nucleus", "task": "count", "status": "answered", "said": 5, "found": 5, "matched": 5}
    rows = [told | {"kind": kind, "truth": 5} for kind in ("nuclei_he", "nuclei_fluorescence", "unknown")]
    objects = objects_val.ObjectSet("dsb2018", ("nucleus",), {"count": ("How many {plural}?",)})
    figures = objects_val.figures_of(objects, train, rows)
    medians = {title: own["train_median"] for title, own in figures.items()}
    assert math.isnan(medians.pop("nucleus, unknown"))
    assert medians == {"nucleus": 6, "nucleus, nuclei_he": 4, "nucleus, nuclei_fluorescence": 40}
    assert figures["nucleus, nuclei_he"]["train_median_mae"] == 1
    assert [*objects_val.figures_of(objects, train, rows[:1])] == ["nucleus"]


def test_a_circle_of_pixels_and_its_dice() -> None:
    circle = Ellipse(center_xy_px=(50, 25), semi_major_px=20, semi_minor_px=20, angle_deg=0)
    mask = hc18_val.inside(circle, 100, 50)
    assert mask.shape == (50, 100)
    assert mask.sum() == pytest.approx(math.pi * 400, rel=0.01)
    assert hc18_val.dice(mask, mask) == 1
    assert hc18_val.dice(mask, np.zeros_like(mask)) == 0
    shifted = hc18_val.inside(circle.model_copy(update={"center_xy_px": (60, 25)}), 100, 50)
    # Two circles of radius r whose centres are d apart share 2 r² acos(d/2r) - d/2 √(4r² - d²).
    lens = 2 * 400 * math.acos(10 / 40) - 5 * math.sqrt(1600 - 100)
    assert hc18_val.dice(mask, shifted) == pytest.approx(lens / (math.pi * 400), abs=0.01)


def test_circumference_against_the_file() -> None:
    ellipse = Ellipse(center_xy_px=(50, 25), semi_major_px=20, semi_minor_px=10, angle_deg=30)
    head = Region(id="R1", label="head", kind="ellipse", ellipse_px=ellipse, score=1, skill="landmark")
    m = measured("head_circumference", 172.0, "mm", 4.0)
    row = hc18_val.score(record("size", "head", 172.0, regions=(head,), measurements=(m,)), 175.0, ellipse)
    assert (row["error_mm"], row["in_one_sd"], row["in_interval"], row["dice"]) == (-3.0, False, True, 1.0)
    refused = hc18_val.score(record("size", "head", None, "abstained", codes=["off_domain"]), 175.0, ellipse)
    assert refused["off_domain"]
    assert "error_mm" not in refused
    figures = hc18_val.summary([row, refused])
    assert figures["median_absolute_error_mm"] == 3
    assert figures["share_answered"] == figures["share_off_domain"] == 0.5


def test_sizes_of_an_ellipse_in_non_square_pixels() -> None:
    # 20 × 10 px along x and y at 1 and 2 mm a pixel is a circle of 20 mm.
    outline = inscribed((0.0, 0.0, 20.0, 10.0))
    assert size(outline, "long_axis", 2.0, 1.0) == pytest.approx(20)
    assert size(outline, "biparietal_diameter", 2.0, 1.0) == pytest.approx(20)
    assert size(outline, "head_circumference", 2.0, 1.0) == pytest.approx(20 * math.pi)
    assert size(outline, "area", 1.0, 1.0) == pytest.approx(50 * math.pi)
    assert size(outline, "cephalic_index", 1.0, 1.0) == pytest.approx(0.5)
    assert size(inscribed((0.0, 0.0, 10.0, 20.0)), "long_axis", 2.0, 1.0) == pytest.approx(40)


def truth(*things: tuple[str, tuple[float, float, float, float], bool], mm: float | None = None) -> Truth:
    made = [Thing(label, xyxy, inscribed(xyxy), whole) for label, xyxy, whole in things]
    return Truth(Path("p"), "blood_smear", made, mm, mm)


CELLS = truth(
    ("red_cell", (0, 0, 30, 30), False),
    ("red_cell", (40, 0, 60, 20), True),
    ("white_cell", (60, 20, 90, 50), True),
    mm=0.0001,
)


def want(
    task: str, structure: str | None, other: str | None = None, quantity: str | None = None, selector: str = "each"
) -> dict:
    return {"task": task, "structure": structure, "other_structure": other, "quantity": quantity, "selector": selector}


def test_presence_count_kind_and_place() -> None:
    assert questions.right(want("presence", "white_cell"), record("presence", "white_cell", True), CELLS)
    assert not questions.right(want("presence", "platelet"), record("presence", "platelet", True), CELLS)
    assert questions.right(want("presence", "platelet"), record("presence", "platelet", False), CELLS)
    assert questions.right(want("count", "blood_cell"), record("count", "blood_cell", 3), CELLS)
    assert not questions.right(want("count", "red_cell"), record("count", "red_cell", 3), CELLS)
    assert not questions.right(want("count", "red_cell"), record("count", "red_cell", 2, "abstained"), CELLS)
    assert questions.right(want("kind", None), record("kind", None, "blood_smear"), CELLS)
    there = record("location", "white_cell", 1, regions=(box(1, (62, 20, 90, 50)),))
    assert questions.right(want("location", "white_cell"), there, CELLS)
    beside = record("location", "white_cell", 1, regions=(box(1, (0, 0, 30, 30)),))
    assert not questions.right(want("location", "white_cell"), beside, CELLS)


@pytest.mark.parametrize(
    ("value", "unit", "half", "expected"),
    [
        (3.1, "µm", 0.0, True),  # the cut cell of 30 px at 0.1 µm
        (2.05, "µm", 0.0, True),  # the largest whole one
        (2.5, "µm", 0.1, False),
        (2.5, "µm", 0.6, True),
        (20.5, "px", 0.0, True),
        (3.1, "px", 0.0, False),
    ],
)
def test_size_of_the_largest(value: float, unit: str, half: float, expected: bool) -> None:
    done = record("size", "red_cell", value, measurements=(measured("long_axis", value, unit, half),))
    assert questions.right(want("size", "red_cell", None, "long_axis", "largest"), done, CELLS) is expected


def test_sizes_of_each_need_all_of_them() -> None:
    both = tuple(measured("long_axis", v, "µm", 0.0) for v in (2.0, 3.0))
    asked = want("size", "red_cell", None, "long_axis")
    assert questions.right(asked, record("size", "red_cell", [2.0, 3.0], measurements=both), CELLS)
    assert questions.right(
        asked, record("size", "red_cell", [2.0], measurements=both[:1]), CELLS
    )  # the whole one alone
    assert not questions.right(asked, record("size", "red_cell", [3.0], measurements=both[1:]), CELLS)


@pytest.mark.parametrize(
    ("asked", "value", "codes", "quantity", "expected"),
    [
        (("red_cell", "white_cell"), [2.0, 1.0], [], "count", True),
        (("white_cell", "red_cell"), [1.0, 2.0], [], "count", True),
        (("white_cell", "red_cell"), [2.0, 1.0], [], "count", False),
        (("red_cell", "white_cell"), [2.0, 2.0], [], "count", False),
        (("red_cell", "white_cell"), [2.0, 1.0], ["ranges_overlap"], "count", False),
        (("red_cell", "white_cell"), [2.5, 3.0], [], None, True),
        (("red_cell", "white_cell"), None, [], None, False),
    ],
)
def test_comparisons(
    asked: tuple[str, str], value: object, codes: list[str], quantity: str | None, expected: bool
) -> None:
    done = record("compare", asked[0], value, codes=codes, other=asked[1])
    assert questions.right(want("compare", "red_cell", "white_cell", quantity), done, CELLS) is expected


def test_understood_reads_only_what_the_question_settles() -> None:
    def got(**parts: object) -> bool:
        return all(questions.understood(wanted, Intent(**parts)).values())

    wanted = want("size", "head", None, "perimeter")
    assert got(task="size", structure="head", quantity="head_circumference", selector="largest")
    assert not got(task="size", structure="head", quantity="area")
    wanted = want("size", "red_cell", None, "area", "smallest")
    assert not got(task="size", structure="red_cell", quantity="area")
    wanted = want("compare", "platelet", "red_cell", "count")
    assert got(task="compare", structure="red_cell", other_structure="platelet", quantity="count")
    wanted = want("kind", None)
    assert got(task="kind", structure="head")
    wanted = want("unknown", None)
    assert got(task="unknown")
    assert not got(task="count", structure="red_cell")
    assert not all(questions.understood(wanted, None).values())


@pytest.mark.parametrize(
    ("value", "status", "expected"),
    [
        (0, "answered", True),
        (False, "partial", True),
        (3, "abstained", True),
        (3, "answered", False),
        (None, "partial", False),
    ],
)
def test_an_unanswerable_question_is_withheld_or_answered_with_none(value: object, status: str, expected: bool) -> None:
    asked = {"id": "q", "answerable": False, "intent": want("count", "red_cell", quantity="count")}
    row = questions.score(asked, record("count", "red_cell", value, status), CELLS)
    assert row["withheld"] is expected
    assert row["understood"]


def test_the_held_out_questions_are_eighty_of_which_a_quarter_is_unanswerable() -> None:
    rows = questions.read_questions("eighty")
    assert len(rows) == len({r["id"] for r in rows}) == len({r["question"].lower() for r in rows}) == 80
    assert sum(not r["answerable"] for r in rows) == 20
    assert sum(r["image"].startswith("phantom:") for r in rows) == 40
    for row in rows:
        Intent(**row["intent"])


def test_claims_that_agree() -> None:
    regions = (box(1, (5.0, 5.0, 15.0, 15.0)), box(2, (80.0, 40.0, 90.0, 48.0)))
    done = record("count", "white_cell", 2, regions=regions)
    # A number, a presence, two regions with a label each, and that these two are all.
    assert agreement("There are two white blood cells, R1 and R2.", done) == (7, 7)
    # That there are white cells is true, that they are three is not.
    assert agreement("There are three white blood cells.", done) == (1, 2)
    # R9 is no region, so that it is none and no white cell are two wrong claims; the number and the presence hold.
    assert agreement("There are two white blood cells, among them R9.", done) == (2, 4)


def test_the_first_attempt_is_read_from_the_check_that_turned_it_down() -> None:
    turned_down = Check(name="explanation_contradicts", outcome="warn", detail="attempt 1: gives 3: “There are “3”.”")
    listing = Explanation(text="A plain listing.", region_ids=(), source="listing")
    assert first_text(record("count", "head", 1, checks=(turned_down,), explanation=listing)) == "There are “3”."
    kept = Explanation(text="One head.", region_ids=())
    assert first_text(record("count", "head", 1, explanation=kept)) == "One head."
    assert first_text(record("count", "head", 1, explanation=listing)) is None


def test_a_threshold_and_a_paired_interval_of_f1() -> None:
    far = (50.0, 50.0, 60.0, 60.0)
    rows = [{"image": "a", "found": [(SQUARE, 0.9), (far, 0.4)], "boxes": [SQUARE]}]
    assert at(rows, 0.5) == [{"image": "a", "found": 1, "truth": 1, "matched": 1}]
    assert pooled_f1(at(rows, 0.3)) == pytest.approx(2 / 3)
    better, worse = [{"matched": 1, "found": 1, "truth": 1}] * 9, [{"matched": 1, "found": 2, "truth": 1}] * 9
    assert paired_f1(better, worse) == pytest.approx((1 / 3, 1 / 3))


def test_table_and_json(tmp_path: Path) -> None:
    assert table(("a", "b"), [["x", 0.5], ["long", math.nan]]).splitlines() == [
        "| a    | b     |",
        "|------|-------|",
        "| x    | 0.500 |",
        "| long | –     |",
    ]
    write(tmp_path / "o.json", {"a": math.nan, "b": (np.float64(1.5), {"c": np.int64(2)})})
    assert json.loads((tmp_path / "o.json").read_text()) == {"a": None, "b": [1.5, {"c": 2}]}
