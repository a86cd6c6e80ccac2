"""RSNA pneumonia: chest radiographs with boxes of opacities (RSNA Pneumonia Detection Challenge 2018).

Rows of ``stage_2_train_labels.csv``, one a box: ``patientId,x,y,width,height,Target`` as in
``00436515-870c-4b36-a041-de91049b9ab4,264.0,152.0,213.0,379.0,1``; of a patient without an opacity the numbers are
blank and Target is 0. The image is ``stage_2_train_images/PATIENTID.dcm``, 1024×1024, without a scale in the patient.
The group is the patient; the publisher's labels are all of ``train``, so splits are drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fiducial.skills.datasets.objects import LOCATED, RawBox, located_ask, sound_objects
from fiducial.skills.datasets.pictures import picture
from fiducial.skills.datasets.questions import question_ask
from fiducial.skills.datasets.rows import Row, find_file, read_rows
from fiducial.skills.datasets.sample import Sample
from fiducial.skills.datasets.splits import drawn_split

LABEL = "pneumonia_opacity"
SIZE = (1024, 1024)
QUESTION = "Is there an opacity suspicious for pneumonia?"


def _box(row: Row) -> RawBox | None:
    """The box of a row; None where Target is 0. Raises InputError where the two do not agree."""
    target, blank = row.text("Target"), not row.text("x", "")
    if target not in ("0", "1") or blank != (target == "0"):
        raise row.bad("Target", f"is '{target}', which does not fit the box beside it")
    if blank:
        return None
    x, y, width, height = (row.number(field) for field in ("x", "y", "width", "height"))
    return RawBox(LABEL, (x, y, x + width, y + height))


def _sample(root: Path, patient: str, rows: list[Row]) -> Sample:
    boxes = [box for row in rows if (box := _box(row)) is not None]
    objects, problems = sound_objects(boxes, SIZE, patient)
    asks = [question_ask(QUESTION, "yes" if boxes else "no")]
    if not boxes:  # an absent structure, stated by the set
        asks += [ask for task in LOCATED if (ask := located_ask((), LABEL, task))]
    pixels = picture(root, f"stage_2_train_images/{patient}.dcm", rows[0].where)
    return Sample(patient, patient, "other", pixels, objects, asks=tuple(asks), problems=problems)


def open_rsna(root: Path, split: str) -> Iterator[Sample]:
    """Stream one sample a patient. The table of boxes, not the images, is held in memory."""
    patients: dict[str, list[Row]] = {}
    for row in read_rows(find_file(root, "stage_2_train_labels.csv", "*train_labels*.csv")):
        patients.setdefault(row.text("patientId"), []).append(row)
    yield from drawn_split((_sample(root, patient, rows) for patient, rows in patients.items()), split)
