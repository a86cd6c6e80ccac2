"""Phantoms as DICOM: a projection X-ray in one file, a CT series in a folder. No dates, no person, UIDs of the seed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fiducial.tools.record import Scale

DX_FOR_PRESENTATION = "1.2.840.10008.5.1.4.1.1.1.1"
CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"


def new_dataset(sop_class: str, name: str, seed: int, instance: int = 1) -> Any:
    """A data set of the patient ``PHANTOM``: patient, study, series and SOP common modules (DICOM PS3.3 A.1.4)."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import UID, generate_uid

    def uid(*what: str) -> Any:
        return generate_uid(entropy_srcs=[name, str(seed), *what])

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = UID(sop_class), uid("instance", str(instance))
    meta.TransferSyntaxUID = UID(EXPLICIT_VR_LITTLE_ENDIAN)
    data = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    data.StudyInstanceUID, data.SeriesInstanceUID = uid("study"), uid("series")
    data.FrameOfReferenceUID = uid("frame of reference")
    data.Manufacturer, data.ImageType = "fiducial phantom", ["ORIGINAL", "PRIMARY"]
    data.PatientName, data.PatientID, data.PatientBirthDate, data.PatientSex = "PHANTOM", "PHANTOM", "", ""
    data.StudyDate = data.StudyTime = data.AccessionNumber = data.StudyID = data.ReferringPhysicianName = ""
    data.SeriesNumber, data.InstanceNumber, data.BurnedInAnnotation = 1, instance, "NO"
    return data


def set_pixels(data: Any, pixels_u16: NDArray[np.uint16], photometric: str, bits: int = 12) -> None:
    """The image pixel module (PS3.3 C.7.6.3) of one grey frame."""
    data.Rows, data.Columns = pixels_u16.shape
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, photometric
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, bits, bits - 1, 0
    data.PixelData = np.ascontiguousarray(pixels_u16, "<u2").tobytes()
    data["PixelData"].VR = "OW"


@dataclass(frozen=True, eq=False)
class DxImage:
    """A digital X-ray for presentation (PS3.3 A.26) with the detector's spacing only, no calibration.

    bright_u12: (H, W) uint16, 0 to 4095, the more the brighter as shown. scale: of the detector.
    """

    name: str
    seed: int
    bright_u12: NDArray[np.uint16]
    scale: Scale
    photometric: Literal["MONOCHROME1", "MONOCHROME2"]
    body_part: str
    view: str
    ending: str = "dcm"

    def write(self, path: Path) -> None:
        """Write it. MONOCHROME1 (PS3.3 C.7.6.3.1.2) stores what is bright as a low value."""
        data = new_dataset(DX_FOR_PRESENTATION, self.name, self.seed)
        data.Modality, data.PresentationIntentType, data.BodyPartExamined = "DX", "FOR PRESENTATION", self.body_part
        data.ViewPosition, data.PatientOrientation = self.view, ["P", "F"] if self.view == "LL" else ["L", "F"]
        data.ImageLaterality, data.KVP, data.DistanceSourceToDetector = "U", "110", "1800"
        # PS3.3 C.8.11.4: at the detector's face, row then column. PixelSpacing would claim a calibration.
        data.ImagerPixelSpacing = [f"{self.scale.row_mm:.10g}", f"{self.scale.column_mm:.10g}"]
        data.PixelIntensityRelationship, data.PixelIntensityRelationshipSign = "LOG", 1
        data.RescaleIntercept, data.RescaleSlope, data.RescaleType = "0", "1", "US"
        data.PresentationLUTShape = "INVERSE" if self.photometric == "MONOCHROME1" else "IDENTITY"
        data.LossyImageCompression, data.WindowCenter, data.WindowWidth = "00", "2048", "4096"
        stored = 4095 - self.bright_u12 if self.photometric == "MONOCHROME1" else self.bright_u12
        set_pixels(data, stored, self.photometric)
        data.save_as(path, enforce_file_format=True)


@dataclass(frozen=True, eq=False)
class CtSeries:
    """An axial CT series, one file a slice, in a folder.

    The slices' order is that of their positions and no other: instance numbers run from the head, names are shuffled.
    hounsfield: (slices, H, W), from feet to head. origin_xyz_mm: centre of the first pixel of slice 0, LPS.
    scale: with slice_mm, the distance of slices, which is not ``thickness_mm``.
    """

    name: str
    seed: int
    hounsfield: NDArray[np.int16]
    scale: Scale
    thickness_mm: float
    origin_xyz_mm: tuple[float, float, float]
    ending: str = ""

    def position_mm(self, index: int) -> tuple[float, float, float]:
        """ImagePositionPatient of a slice: the centre of its first pixel."""
        x, y, z = self.origin_xyz_mm
        return x, y, z + index * (self.scale.slice_mm or 0.0)

    def write(self, path: Path) -> None:
        """Write the folder; the files of an earlier series in it are replaced."""
        path.mkdir(parents=True, exist_ok=True)
        for old in path.glob("IM*.dcm"):
            old.unlink()
        count = len(self.hounsfield)
        names = np.random.default_rng([self.seed, 99]).permutation(count)
        for index in range(count):
            self._slice(index, count).save_as(path / f"IM{names[index] + 1:04d}.dcm", enforce_file_format=True)

    def _slice(self, index: int, count: int) -> Any:
        """One slice: CT image module (PS3.3 C.8.2.1), image plane module (C.7.6.2)."""
        data = new_dataset(CT_IMAGE_STORAGE, self.name, self.seed, count - index)
        data.Modality, data.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
        data.BodyPartExamined, data.PatientPosition, data.PositionReferenceIndicator = "ABDOMEN", "HFS", ""
        data.KVP, data.ConvolutionKernel = "120", "B30f"
        position = self.position_mm(index)
        data.ImagePositionPatient = [f"{value:.10g}" for value in position]
        data.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
        data.PixelSpacing = [f"{self.scale.row_mm:.10g}", f"{self.scale.column_mm:.10g}"]
        data.SliceThickness = f"{self.thickness_mm:.10g}"
        data.SpacingBetweenSlices = f"{self.scale.slice_mm:.10g}"
        data.SliceLocation = f"{position[2]:.10g}"
        data.RescaleIntercept, data.RescaleSlope, data.RescaleType = "-1024", "1", "HU"
        data.WindowCenter, data.WindowWidth, data.WindowCenterWidthExplanation = "50", "400", "ABDOMEN"
        stored = np.clip(self.hounsfield[index].astype(np.int32) + 1024, 0, 4095).astype(np.uint16)
        set_pixels(data, stored, "MONOCHROME2")
        return data
