"""Sizes: outlines, ranks, units, and what happens without a scale, on a phantom head and on drawn cells."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from fiducial.agent.ask import Asker
from fiducial.skills.families.recording import load
from fiducial.skills.landmarks import regions_of_head
from fiducial.tests.agent.recordings import HEAD, Recorded, boxes, codes, explained, intent, said, status
from fiducial.tools.phantoms import SCENES
from fiducial.tools.phantoms.files import write_scene
from fiducial.tools.record import Ellipse, Record

PLAIN = explained("These are seen.")
RADII = (8.0, 12.0, 16.0)


@pytest.fixture
def discs(tmp_path: Path) -> Path:
    """Three dark discs of radius 8, 12 and 16 px on a bright 200 × 80 image."""
    y, x = np.mgrid[:80, :200] + 0.5
    pixels = np.full((80, 200, 3), 230, np.uint8)
    for (cx, cy), radius in zip(centres(), RADII, strict=True):
        pixels[(x - cx) ** 2 + (y - cy) ** 2 < radius**2] = (110, 40, 120)
    path = tmp_path / "discs.png"
    Pillow.fromarray(pixels).save(path)
    return path


def centres() -> list[tuple[float, float]]:
    return [(30.0, 40.0), (90.0, 40.0), (160.0, 40.0)]


def disc_boxes() -> list[tuple[float, float, float, float]]:
    return [(x - r, y - r, x + r, y + r) for (x, y), r in zip(centres(), RADII, strict=True)]


def measured(tmp_path: Path, discs: Path, scale: str | None, **asked: str) -> Record:
    understood = intent("size", "red_cell", **asked)
    found = boxes(*disc_boxes(), label="red_cell")
    path = Recorded(tmp_path, discs).write(
        {"understand": understood, "answer": said(True), "detect": found, "explain": PLAIN}
    )
    return Asker(model=load(path)).ask(discs, "How large?", scale)


def test_each_cell_is_measured_in_micrometres(tmp_path: Path, discs: Path) -> None:
    record = measured(tmp_path, discs, "0.3 µm/px")
    assert status(record) == "answered"
    assert [m.unit for m in record.measurements] == ["µm"] * 3
    for value, radius in zip(record.answer.value, RADII, strict=True):
        assert value == pytest.approx(2 * radius * 0.3, rel=0.06)


@pytest.mark.parametrize(
    ("selector", "radius"), [("largest", 16.0), ("second_largest", 12.0), ("third_largest", 8.0), ("smallest", 8.0)]
)
def test_rank(tmp_path: Path, discs: Path, selector: str, radius: float) -> None:
    record = measured(tmp_path, discs, "0.3 µm/px", selector=selector)
    assert record.answer.value == pytest.approx(2 * radius * 0.3, rel=0.06)
    assert len(record.measurements) == 1
    assert selector.replace("_", " ") in record.answer.text


def test_rank_beyond_what_there_is(ask: Recorded) -> None:
    understood = intent("size", "platelet", selector="third_largest")
    record = ask({"understand": understood, "answer": said(True), "detect": boxes((5, 5, 17, 17)), "explain": PLAIN})
    assert (status(record), codes(record)[0]) == ("abstained", "too_few_regions")


def test_without_a_scale_it_is_pixels_and_partial(tmp_path: Path, discs: Path) -> None:
    record = measured(tmp_path, discs, None)
    assert (status(record), "no_scale" in codes(record)) == ("partial", True)
    assert {m.unit for m in record.measurements} == {"px"}


def test_outline_is_a_part_of_the_region_it_refines(tmp_path: Path, discs: Path) -> None:
    record = measured(tmp_path, discs, "0.3 µm/px")
    regions = {r.id: r for r in record.regions}
    for measurement in record.measurements:
        outline = regions[measurement.region_ids[0]]
        assert outline.kind == "polygon"
        assert regions[outline.parent_id].kind == "box"


def test_implausible_sizes_are_withheld(tmp_path: Path, discs: Path) -> None:
    record = measured(tmp_path, discs, "1 mm/px")
    assert status(record) == "abstained"
    assert "implausible_size" in codes(record)


def test_compare_sizes(tmp_path: Path, discs: Path) -> None:
    found = disc_boxes()
    understood = intent("compare", "white_cell", other_structure="red_cell", quantity="long_axis")
    results = {
        "understand": understood,
        "answer": said(True),
        "detect:white_cell": boxes(found[2], label="white_cell"),
        "detect:red_cell": boxes(*found[:2], label="red_cell"),
        "explain": PLAIN,
    }
    record = Asker(model=load(Recorded(tmp_path, discs).write(results))).ask(discs, "Compare", "0.35 µm/px")
    first, second = record.answer.value
    assert first > second
    assert ("white blood cells are larger" in record.answer.text) == (status(record) == "answered")


def head_result(truth: dict, shift_px: float = 0.0) -> dict:
    """A result of ``landmark``: the true ellipse, moved and grown a little."""
    given = Ellipse.model_validate(truth["objects"][0]["ellipse_px"])
    (cx, cy), grown = given.center_xy_px, {"semi_major_px": given.semi_major_px + shift_px}
    ellipse = given.model_copy(update={"center_xy_px": (cx + shift_px, cy), **grown})
    regions = [r.model_dump(mode="json") for r in regions_of_head(ellipse, 0.9, sigma_px=2.0)]
    return {"regions": regions, "confidence": 0.9, "parsed": True, "text": ""}


def located(tmp_path: Path, discs: Path, selector: str, found: dict | None = None) -> Record:
    results = {
        "understand": intent("location", "red_cell", selector=selector),
        "answer": said(True),
        "detect": found or boxes(*disc_boxes(), label="red_cell"),
        "explain": PLAIN,
    }
    path = Recorded(tmp_path, discs).write(results)
    return Asker(model=load(path)).ask(discs, "Where is the largest?")


@pytest.mark.parametrize(
    ("selector", "words"),
    [
        ("largest", "The largest red blood cell (R3) is in this part of the image: right."),
        ("second_largest", "The second largest red blood cell (R2) is in this part of the image: centre."),
        ("smallest", "The smallest red blood cell (R1) is in this part of the image: left."),
    ],
)
def test_the_place_of_one_that_is_asked_for_by_rank(tmp_path: Path, discs: Path, selector: str, words: str) -> None:
    record = located(tmp_path, discs, selector)
    assert (status(record), record.answer.text, record.answer.value) == ("answered", words, 1)
    assert record.measurements == ()  # a rank needs no scale, and a place no size
    assert [c.name for c in record.checks].count("selection") == 1


def test_a_rank_that_is_not_there_has_no_place(tmp_path: Path, discs: Path) -> None:
    record = located(tmp_path, discs, "third_largest", boxes(*disc_boxes()[:2], label="red_cell"))
    assert (status(record), codes(record)) == ("abstained", ["too_few_regions"])


def test_without_any_there_is_no_largest(tmp_path: Path, discs: Path) -> None:
    none = {"regions": [], "confidence": 0.9, "parsed": True, "text": ""}
    results = {
        "understand": intent("location", "red_cell", selector="largest"),
        "answer": said(False),
        "detect": none,
        "explain": PLAIN,
    }
    record = Asker(model=load(Recorded(tmp_path, discs).write(results))).ask(discs, "Where is the largest?")
    assert (status(record), record.answer.value) == ("answered", 0)


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    """A phantom head with its scale in the file, and its truth."""
    image, truth = write_scene(SCENES["fetal_head"](3), tmp_path_factory.mktemp("head"))
    return image, json.loads(truth.read_text())


def ask_head(tmp_path: Path, head: tuple[Path, dict], **asked: str) -> Record:
    results = {
        "understand": intent("size", "head", **asked),
        "answer": said(True),
        "landmark": head_result(head[1]),
        "explain": PLAIN,
    }
    return Asker(model=load(Recorded(tmp_path, head[0]).write(results, HEAD))).ask(head[0], "How large is the head?")


def test_head_in_general_gives_three_sizes(tmp_path: Path, head: tuple[Path, dict]) -> None:
    record = ask_head(tmp_path, head)
    truth = head[1]["objects"][0]
    assert status(record) == "answered"
    assert [m.quantity for m in record.measurements] == [
        "head_circumference", "biparietal_diameter", "occipitofrontal_diameter",
    ]  # fmt: skip
    for m in record.measurements:
        assert (m.unit, m.value) == ("mm", pytest.approx(truth[f"{m.quantity}_mm"], rel=0.03))


def test_head_circumference(tmp_path: Path, head: tuple[Path, dict]) -> None:
    record = ask_head(tmp_path, head, quantity="head_circumference")
    assert record.answer.text.startswith("The head circumference is ")
    assert record.answer.value == pytest.approx(head[1]["objects"][0]["head_circumference_mm"], rel=0.03)
    assert [r.kind for r in record.accepted][:5] == ["ellipse"] + ["landmark"] * 4
    assert {r.parent_id for r in record.accepted if r.kind == "landmark"} == {"R1"}


def test_head_that_is_not_there_is_not_measured(tmp_path: Path, head: tuple[Path, dict]) -> None:
    none = {"regions": [], "confidence": 0.9, "parsed": True, "text": ""}
    results = {"understand": intent("size", "head"), "answer": said(True), "landmark": none, "explain": PLAIN}
    path = Recorded(tmp_path, head[0]).write(results, HEAD, {"landmark": [none]})
    record = Asker(model=load(path)).ask(head[0], "How large is the head?")
    assert (status(record), codes(record)) == ("abstained", ["positive_without_region"])
