"""MedMNIST: small images of one class each, in ``.npz`` files (Yang et al., Scientific Data 10:41, 2023, CC BY 4.0).

``bloodmnist.npz`` (or ``bloodmnist_224.npz``) holds ``train_images`` (11959, 28, 28, 3) uint8, ``train_labels`` (11959,
1) and the same for ``val`` and ``test``. A sample: ``bloodmnist/train/0``, "What kind of blood cell is this?",
``neutrophil`` of eight. Classes and questions are in ``medmnist.json``. The set does not name patients: the group is
the image. Rows are read one at a time out of the compressed file.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from fiducial.skills.datasets.questions import question_ask
from fiducial.skills.datasets.sample import Sample
from fiducial.skills.datasets.splits import require_split
from fiducial.tools.errors import InputError

SPLITS = ("train", "val", "test")


@cache
def medmnist_sets() -> dict[str, Any]:
    """Question and classes of each subset, by the name of its file."""
    document: dict[str, Any] = json.loads(files(__package__).joinpath("medmnist.json").read_text(encoding="utf-8"))
    return document


def _rows(archive: zipfile.ZipFile, name: str, path: Path) -> Iterator[np.ndarray]:
    """The rows of one array of an ``.npz``, one at a time."""
    with archive.open(f"{name}.npy") as file:
        shape, fortran, dtype = _header(file)
        if fortran or dtype.hasobject or not shape:
            raise InputError(f"{path}: the array '{name}' is not stored row by row; download the file again")
        size = int(np.prod(shape[1:], dtype=np.int64)) * dtype.itemsize
        for _ in range(shape[0]):
            data = file.read(size)
            if len(data) != size:
                raise InputError(f"{path}: the array '{name}' is cut off; download the file again")
            yield np.frombuffer(data, dtype).reshape(shape[1:])


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = npy.read_magic(file)
    shape, fortran, dtype = (npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0)(file)
    return shape, fortran, dtype


def _rgb(image: np.ndarray) -> np.ndarray:
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)


def read_medmnist(path: Path, split: str) -> Iterator[Sample]:
    """Stream one file's samples of a split. Raises InputError for a subset that is not known, or a broken file."""
    subset = path.stem.split("_")[0]
    if subset not in medmnist_sets():
        raise InputError(f"{path}: unknown subset '{subset}'; there is: {', '.join(medmnist_sets())}")
    classes, question = (medmnist_sets()[subset][key] for key in ("classes", "question"))
    try:
        with zipfile.ZipFile(path) as archive:
            images, labels = (_rows(archive, f"{split}_{what}", path) for what in ("images", "labels"))
            for number, (image, label) in enumerate(zip(images, labels, strict=True)):
                if label.size != 1 or not 0 <= int(label.ravel()[0]) < len(classes):
                    raise InputError(
                        f"{path}: {split}_labels {number} is {label.tolist()}, not one of {len(classes)} classes"
                    )
                name = f"{subset}/{split}/{number}"
                ask = question_ask(question, classes[int(label.ravel()[0])], classes)
                yield Sample(name, name, "other", partial(_rgb, image), split=split, asks=(ask,))
    except (OSError, zipfile.BadZipFile, KeyError, ValueError) as error:
        raise InputError(f"cannot read '{path}' as MedMNIST ({error}); download the file again") from None


def open_medmnist(root: Path, split: str) -> Iterator[Sample]:
    """Stream every subset that lies in the folder."""
    require_split(split, SPLITS, "medmnist")
    paths = sorted(root.glob("*mnist*.npz"))
    if not paths:
        raise InputError(f"{root} has no *mnist*.npz; give the folder of the downloaded files")
    for path in paths:
        yield from read_medmnist(path, split)
