"""What is measured of a found cell: its outline in stored pixels, and a warning where the outline is a guess."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from fiducial.agent.ask import Asker
from fiducial.skills.families.recording import load
from fiducial.tests.agent.recordings import Recorded, boxes, explained, intent, said
from fiducial.tools.record import Record
from fiducial.tools.segment.segment_in_box import segment_in_box

WIDTH, HEIGHT = 200, 160
EMPTY, CELL = (215, 218, 208), (178, 140, 132)
Box = tuple[float, float, float, float]
BLED: tuple[tuple[float, float], ...] = ((100, 80), (92, 140), (156, 94), (156, 86))
BLED_BOX = (60.0, 46.0, 120.0, 112.0)
BOX = (64.0, 46.0, 136.0, 114.0)
FREE_BOX = (264.0, 46.0, 336.0, 114.0)  # of a cell alone, in a second picture to the right


def draw(*centres: tuple[float, float]) -> np.ndarray:
    """Round red cells of radius 34 px and stretched by 36 / 34 along x, that light passes through."""
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    image = np.ones((HEIGHT, WIDTH, 3)) * EMPTY
    for cx, cy in centres:
        edge = 35 * (1 - np.hypot((x - cx) / 36, (y - cy) / 34))
        share = np.clip(edge + 0.5, 0, 1)[..., None]
        image *= 1 - share * (1 - np.array(CELL) / np.array(EMPTY))
    return image.round().astype(np.uint8)


def ask(
    folder: Path, path: Path, *found: Box, asked: dict[str, str] | None = None, question: str = "How large is it?"
) -> Record:
    """The size of the red cells in the boxes, which are in stored pixels."""
    results = {
        "understand": intent(**{"task": "size", "structure": "red_cell"} | (asked or {})),
        "answer": said(True),
        "detect": boxes(*(found or (BOX,)), label="red_cell"),
        "explain": explained("A cell is seen."),
    }
    return Asker(model=load(Recorded(folder, path).write(results))).ask(path, question)


def warnings(record: Record) -> list[str]:
    return [c.detail for c in record.checks if c.name == "outline_refined" and c.outcome == "warn"]


def test_an_outline_that_neighbours_cover_is_measured_with_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "cells.png"
    Pillow.fromarray(draw((100, 80))).save(path)
    assert warnings(ask(tmp_path, path)) == []
    around = [(100 + 62 * math.cos(t), 80 + 60 * math.sin(t)) for t in (0.2, 2.3, 3.3)]
    Pillow.fromarray(draw((100, 80), *around)).save(path)
    (said_so,) = warnings(ask(tmp_path, path))
    assert said_so.startswith("R1") and "clear" in said_so


def in_box(record: Record) -> list[str]:
    return [c.outcome for c in record.checks if c.name == "outline_in_box"]


def test_an_outline_that_leaves_its_box_without_a_clear_edge_is_never_measured(tmp_path: Path) -> None:
    """A cell amid three that overlap it, and a box that misses a quarter of it."""
    path = tmp_path / "cells.png"
    Pillow.fromarray(draw(*BLED)).save(path)
    record = ask(tmp_path, path, BLED_BOX)
    assert in_box(record) == ["fail"]
    assert record.measurements == () and record.verdict is not None and record.verdict.status != "answered"
    assert "outline_left_box" in {reason.code for reason in record.verdict.reasons}
    (outline,) = (r for r in record.regions if r.kind == "polygon")
    assert (outline.status, outline.rejected_by) == ("rejected", "outline_in_box")


LEFT_OUT = " 1 of the 2 found is not measured and left out."


@pytest.mark.parametrize(
    ("asked", "question", "told"),
    [
        ({}, "How large are they?", LEFT_OUT),
        ({"selector": "smallest"}, "How large is the smallest?", LEFT_OUT),
        ({"task": "location", "selector": "largest"}, "Where is the largest?", LEFT_OUT),
        ({"selector": "largest"}, "最大的红细胞有多大？", "找到2个，其中1个未测量，未计入。"),
    ],
)
def test_an_answer_about_the_rest_says_how_many_it_leaves_out(
    tmp_path: Path, asked: dict[str, str], question: str, told: str
) -> None:
    path = tmp_path / "cells.png"
    Pillow.fromarray(np.concatenate([draw(*BLED), draw((100, 80))], axis=1)).save(path)
    record = ask(tmp_path, path, BLED_BOX, FREE_BOX, asked=asked, question=question)
    assert record.verdict is not None and record.verdict.status == "partial"
    assert "outline_left_box" in {reason.code for reason in record.verdict.reasons}
    assert record.answer is not None and record.answer.text.endswith(told)


def test_two_that_are_both_measured_leave_none_out(tmp_path: Path) -> None:
    path = tmp_path / "cells.png"
    Pillow.fromarray(np.concatenate([draw((100, 80)), draw((100, 80))], axis=1)).save(path)
    record = ask(tmp_path, path, BOX, FREE_BOX)
    assert record.answer is not None and "left out" not in record.answer.text


def test_a_free_cell_is_followed_out_of_a_box_that_misses_a_part_of_it(tmp_path: Path) -> None:
    path = tmp_path / "cells.png"
    Pillow.fromarray(draw((100, 80))).save(path)
    record = ask(tmp_path, path, (80.0, 46.0, 136.0, 114.0))
    assert in_box(record) == []
    assert record.measurements[0].value == pytest.approx(72, rel=0.02)


@pytest.mark.parametrize("orientation", [6, 8, 3, 5])
def test_a_turned_jpeg_has_its_outline_in_stored_pixels(tmp_path: Path, orientation: int) -> None:
    """The file stores the same pixels; only a tag says that they are to be shown turned."""
    plain, turned = tmp_path / "plain.jpg", tmp_path / "turned.jpg"
    picture = Pillow.fromarray(draw((100, 80)))
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    picture.save(plain, quality=95, subsampling=0)
    picture.save(turned, quality=95, subsampling=0, exif=exif)
    records = [ask(tmp_path, path) for path in (plain, turned)]
    outlines = [next(r for r in record.accepted if r.kind == "polygon").polygon_xy_px for record in records]
    stored = np.asarray(Pillow.open(plain).convert("RGB"))
    found = segment_in_box(stored, BOX, "red_cell")
    assert found is not None
    assert np.allclose(outlines[0], found.polygon_xy_px)
    assert outlines[1] == outlines[0]
    assert records[1].answer.value == records[0].answer.value
