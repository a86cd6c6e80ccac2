"""HC18: fetal head ultrasound with the head's ellipse and circumference (van den Heuvel et al. 2018, CC BY 4.0).

A sample: ``010_HC.png``, 800×540, 0.0997 mm/px, head circumference 70.0 mm, ``010_HC_Annotation.png`` beside it.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image as PILImage
from skimage.measure import label, regionprops

from fiducial.skills.datasets.pictures import read_picture
from fiducial.skills.datasets.sample import Object, Sample
from fiducial.skills.datasets.splits import read_split
from fiducial.tools.geometry.ellipses import ellipse_box
from fiducial.tools.record import Ellipse, Scale

LINE_PX = 1.5  # the mask holds the annotator's own 3-pixel line; the true ellipse lies half of it inside the edge


def ellipse_of_mask(mask: np.ndarray) -> Ellipse:
    """The annotated ellipse of a filled HC18 mask (H, W), by its moments, with the annotator's line taken off."""
    region = max(regionprops(label(mask > 0)), key=lambda r: r.area)
    row, column = region.centroid
    # skimage's orientation is the angle from the row axis to the major axis, counter-clockwise.
    angle_deg = float(np.rad2deg(np.pi / 2 - region.orientation)) % 180
    return Ellipse(
        center_xy_px=(column + 0.5, row + 0.5),
        semi_major_px=region.axis_major_length / 2 - LINE_PX,
        semi_minor_px=region.axis_minor_length / 2 - LINE_PX,
        angle_deg=angle_deg,
    )


def open_hc18(root: Path, split: str) -> Iterator[Sample]:
    """Stream the samples of ``train`` or ``val``; the group is the examination, the leading number."""
    with (root / "pixel_size_and_hc.csv").open(newline="", encoding="utf-8") as rows:
        mm_per_px = {row["filename"]: float(row["pixel size(mm)"]) for row in csv.DictReader(rows)}
    for name in read_split(root, split):
        with PILImage.open(root / "images" / name.replace(".png", "_Annotation.png")) as mask:
            ellipse = ellipse_of_mask(np.asarray(mask.convert("L")))
        yield Sample(
            id=name,
            group=name.split("_")[0],
            kind="head_ultrasound",
            pixels=partial(read_picture, root / "images" / name),
            objects=(Object("head", ellipse_box(ellipse), ellipse),),
            scale=Scale(row_mm=mm_per_px[name], column_mm=mm_per_px[name], source="user"),
        )
