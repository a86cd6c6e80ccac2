"""ISBI 2015 cephalograms: 19 landmarks on lateral skull radiographs by two readers (Wang et al., MedIA 31:63, 2016).

A sample: ``RawImage/TrainingData/001.bmp``, 1935×2400, 0.1 mm/px, with ``AnnotationsByMD/400_senior/001.txt`` and
``400_junior/001.txt``: 19 lines ``835,996`` (x,y in whole pixels), then 8 lines with the class of an anomaly each. The
readers differ by 2.15 mm on average; the target is their mean, as in the challenge. The group is the image, one a
patient.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from fiducial.skills.datasets.pictures import read_picture
from fiducial.skills.datasets.sample import Ask, Problem, Sample
from fiducial.skills.datasets.splits import require_split
from fiducial.skills.targets import LabelledPoint, LandmarksTarget, Query
from fiducial.tools.errors import InputError
from fiducial.tools.record import Scale

FOLDERS = {"train": "TrainingData", "val": "Test1Data", "test": "Test2Data"}
READERS = ("400_senior", "400_junior")
SCALE = Scale(row_mm=0.1, column_mm=0.1, source="user")
SIZE = (1935, 2400)
LANDMARKS = (
    "sella", "nasion", "orbitale", "porion", "subspinale", "supramentale", "pogonion", "menton", "gnathion", "gonion",
    "lower incisal incision", "upper incisal incision", "upper lip", "lower lip", "subnasale", "soft tissue pogonion",
    "posterior nasal spine", "anterior nasal spine", "articulare",
)  # fmt: skip
ANOMALIES = ("ANB", "SNB", "SNA", "ODI", "APDI", "FHI", "FMA", "MW")
FAR_APART_MM = 10.0


def read_landmarks(path: Path) -> tuple[np.ndarray, tuple[int, ...]]:
    """(19, 2) points in stored pixels (a whole pixel's centre is at +0.5), and the classes of the 8 anomalies."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        points = np.array([[float(v) for v in line.split(",")] for line in lines[: len(LANDMARKS)]]) + 0.5
        classes = tuple(int(line) for line in lines[len(LANDMARKS) : len(LANDMARKS) + len(ANOMALIES)])
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read the landmarks '{path}' ({error}); copy the file again") from None
    if points.shape != (len(LANDMARKS), 2) or not np.isfinite(points).all():
        raise InputError(f"'{path}' has no {len(LANDMARKS)} lines 'x,y' at its head; copy the file again")
    return points, classes


def _sample(root: Path, image: Path, split: str) -> Sample:
    annotations = root / "AnnotationsByMD"
    read = [read_landmarks(annotations / reader / f"{image.stem}.txt") for reader in READERS]
    first, second = read[0][0], read[1][0]
    apart_mm = np.linalg.norm((first - second) * (SCALE.column_mm, SCALE.row_mm), axis=1)
    asks, problems = [], []
    for name, point, apart in zip(LANDMARKS, (first + second) / 2, apart_mm, strict=True):
        x, y = float(point[0]), float(point[1])
        if apart > FAR_APART_MM or not (0 <= x <= SIZE[0] and 0 <= y <= SIZE[1]):
            problems.append(Problem("mismatch", f"{image.stem}: {name}: the readers are {apart:.1f} mm apart"))
            continue
        target = LandmarksTarget(landmarks=(LabelledPoint(label=name, point_xy_px=(x, y)),))
        asks.append(Ask(Query(task="landmark", label=name, scale=SCALE), target))
    facts = {name: str(value) for name, value in zip(ANOMALIES, read[0][1], strict=False)}
    facts["readers_apart_mm"] = f"{apart_mm.mean():.3f}"
    return Sample(
        image.stem, image.stem, "other", partial(read_picture, image), scale=SCALE, split=split, asks=tuple(asks),
        facts=facts, problems=tuple(problems),
    )  # fmt: skip


def open_cephalograms(root: Path, split: str) -> Iterator[Sample]:
    """Stream the radiographs of a split: the challenge's training set, its first test and its second."""
    folder = root / "RawImage" / require_split(split, FOLDERS, "cephalograms")
    if not folder.is_dir():
        raise InputError(f"{folder} is missing; give the folder that holds RawImage/ and AnnotationsByMD/")
    for image in sorted(folder.glob("*.bmp")):
        yield _sample(root, image, split)
