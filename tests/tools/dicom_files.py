"""DICOM files for the tests: small data sets, and a volume as a series, a multi-frame file or a segmentation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from scipy.spatial.transform import Rotation

TURN = Rotation.from_euler("xyz", (6, -4, 9), degrees=True).as_matrix()
ORIGIN = np.array([-30.0, 12.5, 40.0])
SPACING = (0.75, 0.5)  # row, column
STEP = 2.5
VOLUME = np.random.default_rng(8).integers(0, 2000, (5, 7, 9)).astype(np.uint16)  # slice, row, column


def new_dicom(pixels: np.ndarray, modality: str, **elements: Any) -> Dataset:
    """A small data set, grey or RGB."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = generate_uid()
    ds.Modality, ds.Rows, ds.Columns = modality, pixels.shape[0], pixels.shape[1]
    ds.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
    ds.PhotometricInterpretation = "RGB" if pixels.ndim == 3 else "MONOCHROME2"
    if pixels.ndim == 3:
        ds.PlanarConfiguration = 0
    ds.BitsAllocated = ds.BitsStored = pixels.dtype.itemsize * 8
    ds.HighBit, ds.PixelRepresentation = ds.BitsStored - 1, 0
    ds.PixelData = pixels.tobytes()
    for name, value in elements.items():
        setattr(ds, name, value)
    return ds


def region(units: tuple[int, int], deltas: tuple[float, float], box: tuple[int, int, int, int]) -> Dataset:
    """An ultrasound region: units and steps along x and y, and its box, the maxima inclusive."""
    item = Dataset()
    item.RegionSpatialFormat, item.RegionDataType = 1, 1
    item.PhysicalUnitsXDirection, item.PhysicalUnitsYDirection = units
    item.PhysicalDeltaX, item.PhysicalDeltaY = deltas
    item.RegionLocationMinX0, item.RegionLocationMinY0, item.RegionLocationMaxX1, item.RegionLocationMaxY1 = box
    return item


def saved(ds: Dataset, path: Path) -> Path:
    """Write it as a file."""
    ds.save_as(path, enforce_file_format=True)
    return path


def group(keyword: str, **values: Any) -> Dataset:
    """A functional group with one macro of these values."""
    inner, outer = Dataset(), Dataset()
    for name, value in values.items():
        setattr(inner, name, value)
    setattr(outer, keyword, Sequence([inner]))
    return outer


def text(numbers: Any) -> list[str]:
    """Numbers as DICOM's decimal strings, at most 16 characters."""
    return [f"{float(v):.10g}"[:16] for v in np.ravel(numbers)]


def position(k: float) -> np.ndarray:
    """(3,): the centre of the first pixel of slice k."""
    return ORIGIN + k * STEP * TURN[:, 2]


def world(i: float, j: float, k: float) -> np.ndarray:
    """(3,): the centre of a voxel (column, row, slice) in mm, LPS."""
    return position(k) + i * SPACING[1] * TURN[:, 0] + j * SPACING[0] * TURN[:, 1]


def series(folder: Path, **elements: Any) -> dict[int, Path]:
    """VOLUME as a CT series, with names and instance numbers that contradict the positions; path by slice."""
    folder.mkdir(exist_ok=True)
    uid, frame = generate_uid(), generate_uid()
    paths = {}
    for k, name in enumerate("cabed"):
        ds = new_dicom(VOLUME[k], "CT", SeriesInstanceUID=uid, FrameOfReferenceUID=frame)
        ds.ImagePositionPatient, ds.ImageOrientationPatient = text(position(k)), text(TURN[:, :2].T)
        ds.PixelSpacing, ds.SliceThickness, ds.InstanceNumber = text(SPACING), "5", (3 * k) % 5 + 1
        ds.RescaleSlope, ds.RescaleIntercept, ds.WindowCenter, ds.WindowWidth = "1", "-1000", "40", "400"
        for keyword, value in elements.items():
            setattr(ds, keyword, value)
        paths[k] = saved(ds, folder / f"{name}.dcm")
    return paths


def enhanced(path: Path, order: tuple[int, ...] = (3, 0, 4, 1, 2), moved: int | None = None) -> Path:
    """VOLUME as one multi-frame CT file, its frames in this order; the frame ``moved`` gets the place of the first."""
    ds = new_dicom(VOLUME[list(order)].reshape(-1, VOLUME.shape[2]), "CT", NumberOfFrames=len(order))
    ds.Rows = VOLUME.shape[1]
    shared = group("PixelMeasuresSequence", PixelSpacing=text(SPACING), SliceThickness="5")
    shared.PlaneOrientationSequence = Sequence([Dataset()])
    shared.PlaneOrientationSequence[0].ImageOrientationPatient = text(TURN[:, :2].T)
    places = [order[0] if n == moved else k for n, k in enumerate(order)]
    frames = [group("PlanePositionSequence", ImagePositionPatient=text(position(k))) for k in places]
    ds.SharedFunctionalGroupsSequence, ds.PerFrameFunctionalGroupsSequence = Sequence([shared]), Sequence(frames)
    return saved(ds, path)


def segmentation(path: Path, masks: dict[tuple[int, int], np.ndarray]) -> Path:
    """A binary DICOM SEG of masks by (segment, slice); slices that are not there are left out."""
    bits = np.concatenate([mask.astype(np.uint8).ravel() for mask in masks.values()])
    rows, columns = next(iter(masks.values())).shape
    ds = new_dicom(np.zeros((rows, columns), np.uint8), "SEG", NumberOfFrames=len(masks), SegmentationType="BINARY")
    ds.BitsAllocated = ds.BitsStored = 1
    ds.HighBit = 0
    packed = np.packbits(bits, bitorder="little").tobytes()
    ds.PixelData = packed + b"\0" * (len(packed) % 2)
    shared = group("PixelMeasuresSequence", PixelSpacing=text(SPACING), SliceThickness="5")
    shared.PlaneOrientationSequence = Sequence([Dataset()])
    shared.PlaneOrientationSequence[0].ImageOrientationPatient = text(TURN[:, :2].T)
    frames = []
    for segment, k in masks:
        frame = group("PlanePositionSequence", ImagePositionPatient=text(position(k)))
        frame.SegmentIdentificationSequence = Sequence([Dataset()])
        frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber = segment
        frames.append(frame)
    ds.SharedFunctionalGroupsSequence, ds.PerFrameFunctionalGroupsSequence = Sequence([shared]), Sequence(frames)
    segments = []
    for number in sorted({segment for segment, _ in masks}):
        item = Dataset()
        item.SegmentNumber, item.SegmentLabel = number, f"part {number}"
        segments.append(item)
    ds.SegmentSequence = Sequence(segments)
    return saved(ds, path)
