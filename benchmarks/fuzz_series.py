"""Folders with a DICOM series for ``fuzz.py``: one sound series, and seeded mutations of its slices and files."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fiducial.benchmarks.fuzz_files import ANY, Rng, dicom_field

Slices = list[Any]
STEP_MM = 2.5


def sound_series() -> Slices:
    """Seven oblique CT slices of 9 × 8 pixels, 2.5 mm apart."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
    from scipy.spatial.transform import Rotation

    turn, rng, slices = Rotation.from_euler("xyz", (8, -5, 12), degrees=True).as_matrix(), np.random.default_rng(5), []
    series, frame = generate_uid(entropy_srcs=["series"]), generate_uid(entropy_srcs=["frame"])
    for k in range(7):
        item: Any = Dataset()
        item.file_meta = FileMetaDataset()
        item.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        item.file_meta.MediaStorageSOPClassUID = item.SOPClassUID = CTImageStorage
        instance = generate_uid(entropy_srcs=[str(k)])
        item.file_meta.MediaStorageSOPInstanceUID = item.SOPInstanceUID = instance
        item.SeriesInstanceUID, item.FrameOfReferenceUID, item.Modality = series, frame, "CT"
        item.Rows, item.Columns, item.SamplesPerPixel, item.PhotometricInterpretation = 9, 8, 1, "MONOCHROME2"
        item.BitsAllocated = item.BitsStored = 16
        item.HighBit, item.PixelRepresentation, item.InstanceNumber = 15, 0, (3 * k) % 7
        item.RescaleSlope, item.RescaleIntercept, item.SliceThickness = "1", "-1000", "5"
        item.PixelSpacing = ["0.7", "0.5"]
        item.ImageOrientationPatient = [f"{v:.9f}" for v in turn[:, :2].T.ravel()]
        _place(item, np.array([10.0, -20, 30]) + k * STEP_MM * turn[:, 2])
        item.PixelData = rng.integers(0, 2000, (9, 8)).astype(np.uint16).tobytes()
        slices.append(item)
    return slices


def _place(item: Any, xyz: Any) -> None:
    item.ImagePositionPatient = [f"{v:.6f}" for v in xyz]


def _moved(item: Any, mm: Any) -> None:
    _place(item, np.array([float(v) for v in item.ImagePositionPatient]) + mm)


def _axes(item: Any) -> Any:
    """(3, 3): row direction, column direction and normal, as rows."""
    x, y = np.array([float(v) for v in item.ImageOrientationPatient]).reshape(2, 3)
    return np.array([x, y, np.cross(x, y)])


# --- mutations of slices ----------------------------------------------------------------------------------------------


def remove(slices: Slices, rng: Rng) -> None:
    """A slice is missing: a gap, or one less at an end."""
    del slices[int(rng.integers(0, len(slices)))]


def repeat(slices: Slices, rng: Rng) -> None:
    """A slice comes twice, perhaps a little moved."""
    item = copy.deepcopy(slices[int(rng.integers(0, len(slices)))])
    _moved(item, _axes(item)[2] * float(rng.choice([0, 0.001, 0.02, 0.5])))
    slices.append(item)


def exchange(slices: Slices, rng: Rng) -> None:
    """Two slices take each other's position, which is a sound series of another patient."""
    a, b = rng.choice(len(slices), 2, replace=False)
    first, second = slices[int(a)], slices[int(b)]
    first.ImagePositionPatient, second.ImagePositionPatient = second.ImagePositionPatient, first.ImagePositionPatient


def move(slices: Slices, rng: Rng) -> None:
    """A slice lies elsewhere: along the normal, or within its plane."""
    item = slices[int(rng.integers(0, len(slices)))]
    _moved(item, _axes(item)[int(rng.integers(0, 3))] * float(rng.choice([-3, -0.5, 0.004, 0.2, 1.2, 2.5, 40])))


def stretch(slices: Slices, rng: Rng) -> None:
    """From one slice on, the distance is another; or all slices shear against each other."""
    start, axis = int(rng.integers(0, len(slices))), int(rng.integers(0, 3))
    for k, item in enumerate(slices):
        _moved(item, _axes(item)[axis] * max(0, k - start) * float(rng.choice([0.3, 0.8])))


def turn(slices: Slices, rng: Rng) -> None:
    """One slice, or each by itself, is turned by some degrees."""
    from scipy.spatial.transform import Rotation

    degrees = float(rng.choice([0.01, 0.3, 2, 90, 180]))
    about = np.eye(3)[int(rng.integers(0, 3))]
    several = slices if rng.random() < 0.3 else [slices[int(rng.integers(0, len(slices)))]]
    for k, item in enumerate(several):
        rotation = Rotation.from_rotvec(np.radians(degrees) * (k + 1) * about)
        item.ImageOrientationPatient = [f"{v:.9f}" for v in rotation.apply(_axes(item)[:2]).ravel()]


def respace(slices: Slices, rng: Rng) -> None:
    """The pixels of one slice have another size; sometimes row and column are exchanged."""
    item = slices[int(rng.integers(0, len(slices)))]
    factor = float(rng.choice([0.5, 0.98, 1.0001, 1.02, 3]))
    row, column = (float(v) for v in item.PixelSpacing)
    new = (column, row) if rng.random() < 0.3 else (row * factor, column)
    item.PixelSpacing = [f"{v:.6g}" for v in new]


OTHER: dict[str, tuple[Any, ...]] = {
    "SeriesInstanceUID": ("1.2.3", ""),
    "FrameOfReferenceUID": ("1.2.3", ""),
    "Modality": ("MR", "SEG", "CR", ""),
    "RescaleSlope": ("2", "0"),
    "SpacingBetweenSlices": ("2.5", "7", "-2.5", "0"),
    "NumberOfFrames": ("2", "1"),
    "Rows": (8, 18, 0),
    "Columns": (9, 4),
    "PhotometricInterpretation": ("MONOCHROME1", "RGB"),
}
REMOVED = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "FrameOfReferenceUID", "PixelData")


def change(slices: Slices, rng: Rng) -> None:
    """An element of one slice has another value, or is missing."""
    item = slices[int(rng.integers(0, len(slices)))]
    if rng.random() < 0.3:
        keyword = str(rng.choice(REMOVED))
        if keyword in item:
            del item[keyword]
        return
    keyword = str(rng.choice(list(OTHER)))
    setattr(item, keyword, OTHER[keyword][int(rng.integers(0, len(OTHER[keyword])))])


MUTATIONS: tuple[Callable[[Slices, Rng], None], ...] = (
    remove, repeat, exchange, move, move, stretch, turn, turn, respace, change, change
)  # fmt: skip


def series_mutants(count: int, seed: int) -> Iterator[tuple[str, dict[str, bytes]]]:
    """So many folders: what was done, and the files by name, in an order that says nothing of the positions."""
    for number in range(count):
        rng = np.random.default_rng([seed, 77, number])
        slices, done = sound_series(), []
        for _ in range(int(rng.integers(1, 3))):
            mutation = MUTATIONS[int(rng.integers(0, len(MUTATIONS)))]
            try:
                mutation(slices, rng)
            except (AttributeError, ValueError):  # what an earlier one has taken away
                continue
            done.append(mutation.__name__)
        names = [f"{letter}.dcm" for letter in rng.permutation(list("abcdefghij"))]
        files = {name: _written(item) for name, item in zip(names, slices, strict=False)}
        if rng.random() < 0.2:
            done.append(_damage(files, rng))
        yield " and ".join(done) or "nothing", files


def _written(item: Any) -> bytes:
    buffer = io.BytesIO()
    item.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _damage(files: dict[str, bytes], rng: Rng) -> str:
    """Bytes of one file are mutated, as those of a file alone; or a file of another kind joins them."""
    if rng.random() < 0.2:
        files["notes.txt"] = b"no image"
        return "a text file"
    name = sorted(files)[int(rng.integers(0, len(files)))]
    mutation = (*ANY, dicom_field, dicom_field)[int(rng.integers(0, len(ANY) + 2))]
    data = bytearray(files[name])
    mutation(data, rng)
    files[name] = bytes(data)
    return f"{mutation.__name__} of one"
