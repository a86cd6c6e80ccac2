"""A file that is displayed turned: answer, explanation, listing and check name the place where the overlay draws it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image as Pillow

from fiducial.agent.ask import Asker
from fiducial.skills.families.recording import load
from fiducial.tests.agent.recordings import Recorded, boxes, draw_picture, explained, intent, said
from fiducial.tools.images.open_image import open_image
from fiducial.tools.overlay import draw_overlay
from fiducial.tools.positions import PLACES
from fiducial.tools.record import Record

CORNER = (5.0, 5.0, 17.0, 17.0)  # the upper left of the stored pixels


def phone_jpeg(folder: Path) -> Path:
    """160 × 120 stored pixels that EXIF orientation 6 turns by 90° clockwise."""
    exif = Pillow.Exif()
    exif[0x0112] = 6
    with Pillow.open(draw_picture(folder / "picture.png")) as stored:
        stored.save(folder / "phone.jpg", exif=exif, quality=95)
    return folder / "phone.jpg"


def ras_volume(folder: Path) -> Path:
    """160 × 120 × 3 voxels that grow to the right, the front and the head: a slice is displayed turned by 180°."""
    array = np.random.default_rng(0).integers(0, 255, (160, 120, 3), np.uint8)
    image = nibabel.Nifti1Image(array, np.diag([0.02, 0.02, 0.1, 1.0]))
    image.header.set_xyzt_units("mm")
    nibabel.save(image, folder / "volume.nii.gz")
    return folder / "volume.nii.gz"


def drawn_place(path: Path, record: Record) -> str:
    """Which of the nine cells of the overlay the drawn regions are in the middle of."""
    image = open_image(path)
    bare = record.model_copy(update={"regions": ()})
    pictures = [
        draw_overlay(image.rgb_u8, r, image.stored_to_display, labels=False, caption=False).astype(int)
        for r in (record, bare)
    ]
    changed = np.abs(pictures[0] - pictures[1]).sum(axis=2) > 0
    row, column = (int(3 * at.mean() / side) for at, side in zip(np.nonzero(changed), changed.shape, strict=True))
    return PLACES[row][column]


FILES = [(phone_jpeg, 6, "upper right"), (ras_volume, 3, "lower right")]


@pytest.mark.parametrize(("make", "orientation", "place"), FILES)
@pytest.mark.parametrize("told", ["upper left", "upper right", "lower right"])
def test_the_words_are_where_the_overlay_draws(
    tmp_path: Path, make: Callable[[Path], Path], orientation: int, place: str, told: str
) -> None:
    path = make(tmp_path)
    results = {
        "understand": intent("location", "platelet"),
        "answer": said(True),
        "detect": boxes(CORNER),
        "explain": explained(f"R1 is a platelet in the {told}.", "R1"),
    }
    asker = Asker(model=load(Recorded(tmp_path, path).write(results)), store=tmp_path / "runs.db")
    record = asker.ask(path, "Where is the platelet?")
    assert record.answer is not None and record.explanation is not None
    assert drawn_place(path, record) == place
    assert record.answer.text.endswith(f": {place}.")
    assert place in record.explanation.text
    assert record.explanation.source == ("skill" if told == place else "listing")
    assert record.document()["image"]["orientation"] == orientation
    assert asker.store is not None
    assert asker.store.run(record.run_id) == record.document()
    assert asker.resume(record.run_id) == record


def test_the_record_of_a_file_shown_as_stored_names_no_orientation(ask: Recorded) -> None:
    record = ask({"understand": intent("presence", "platelet"), "answer": said(True), "detect": boxes(CORNER)})
    assert record.image.orientation == 1
    assert "orientation" not in record.document()["image"]
