"""A length is withheld where the scale of an ultrasound does not hold: outside its calibrated region."""

from __future__ import annotations

import json
from pathlib import Path

import pydicom
import pytest

from fiducial.agent.ask import Asker
from fiducial.skills.families.recording import load
from fiducial.skills.landmarks import regions_of_head
from fiducial.tests.agent.recordings import HEAD, Recorded, codes, explained, intent, said, status
from fiducial.tools.phantoms import SCENES
from fiducial.tools.phantoms.files import write_scene
from fiducial.tools.record import Ellipse, Record


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ellipse]:
    """A phantom head as DICOM, whose region is the whole image, and its true ellipse."""
    image, truth = write_scene(SCENES["fetal_head"](3), tmp_path_factory.mktemp("head"))
    return image, Ellipse.model_validate(json.loads(truth.read_text())["objects"][0]["ellipse_px"])


def asked(folder: Path, image: Path, ellipse: Ellipse) -> Asker:
    regions = [r.model_dump(mode="json") for r in regions_of_head(ellipse, 0.9, sigma_px=2.0)]
    results = {
        "understand": intent("size", "head", quantity="head_circumference"),
        "answer": said(True),
        "landmark": {"regions": regions, "confidence": 0.9, "parsed": True, "text": ""},
        "explain": explained("The head is seen."),
    }
    return Asker(model=load(Recorded(folder, image).write(results, HEAD)), store=folder / "runs.db")


def ask_with_region(folder: Path, head: tuple[Path, Ellipse], last_x: float, scale: str | None = None) -> Record:
    """Ask for the circumference where the calibrated region ends at the column ``last_x``."""
    dataset = pydicom.dcmread(head[0])
    dataset.SequenceOfUltrasoundRegions[0].RegionLocationMaxX1 = int(last_x)
    image = folder / "head.dcm"
    dataset.save_as(image)
    asker = asked(folder, image, head[1])
    record = asker.ask(image, "What is the head circumference?", scale)
    assert asker.store is not None
    assert asker.store.run(record.run_id) == record.document()
    return record


def rightmost(ellipse: Ellipse) -> float:
    return max(x for x, _ in ellipse.vertices_xy_px)


def test_a_head_inside_the_region_is_measured(tmp_path: Path, head: tuple[Path, Ellipse]) -> None:
    record = ask_with_region(tmp_path, head, rightmost(head[1]) + 30)
    assert status(record) == "answered"
    assert [m.unit for m in record.measurements] == ["mm"]
    assert "inside_scale_region" in {c.name for c in record.checks if c.outcome == "pass"}


def test_a_head_that_leaves_the_region_has_no_millimetres(tmp_path: Path, head: tuple[Path, Ellipse]) -> None:
    record = ask_with_region(tmp_path, head, head[1].center_xy_px[0])
    assert (status(record), codes(record)) == ("abstained", ["outside_scale_region"])
    assert record.measurements == ()
    assert "mm" not in (record.answer.text if record.answer else "")
    assert "inside_scale_region" in {r.rejected_by for r in record.regions}


def test_a_scale_that_the_user_states_holds_everywhere(tmp_path: Path, head: tuple[Path, Ellipse]) -> None:
    record = ask_with_region(tmp_path, head, head[1].center_xy_px[0], "0.16 mm/px")
    assert record.image.scale_box_xyxy_px is None
    assert status(record) == "answered"
