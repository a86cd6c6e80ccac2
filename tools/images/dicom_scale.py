"""The physical scale of a DICOM frame, by the kind of image: tomographic, projection X-ray, ultrasound, microscopy.

PS3.3 10.7.1 (PixelSpacing is row, then column), 10.7.1.3 (calibrated or at the detector),
C.8.5.5 (ultrasound regions), C.8.6.2 (a secondary capture has PixelSpacing if it was
calibrated). mm are stated only where the file says whose mm they are.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from fiducial.tools.frames import Floats, FrameError, dicom_plane_map
from fiducial.tools.geometry.boxes import iou_matrix
from fiducial.tools.images.decoded import Decoded, DecodeError

PROJECTION = {"CR", "DX", "MG", "IO", "PX", "XA", "RF", "RG", "XC"}
TOMOGRAPHIC = {"CT", "MR", "PT", "NM", "SEG", "RTDOSE", "OPT", "OCT", "IVOCT"}
_CM, _SECONDS = 3, 4


def frame_value(dataset: Any, frame: int, keyword: str) -> Any:
    """A value for one frame: from its own functional group, the shared ones (PS3.3 C.7.6.16), or the top level."""
    groups = []
    per_frame = dataset.get("PerFrameFunctionalGroupsSequence") or []
    if frame < len(per_frame):
        groups.append(per_frame[frame])
    groups.extend(dataset.get("SharedFunctionalGroupsSequence") or [])
    for group in groups:
        for element in group:
            if element.VR == "SQ" and element.value and keyword in element.value[0]:
                return element.value[0].get(keyword)
    return dataset.get(keyword)


def whole(dataset: Any, keyword: str, default: int = 0) -> int:
    """A whole number of the header; absent, empty or 0 is the default. Raises DecodeError for anything else."""
    try:
        value = int(dataset.get(keyword) or default)
    except NotImplementedError:  # what pydicom says of a value representation that it does not know
        raise DecodeError(f"its {keyword} has a VR that DICOM does not have; export the file again") from None
    except (TypeError, ValueError):
        value = -1
    if value < 0:
        raise DecodeError(f"its {keyword} is not a whole number; export it again")
    return value


def modality_of(dataset: Any) -> str:
    """The code of the modality; "" where there is none, or what stands there is no code (PS3.5 6.2, CS).

    A damaged length can make it a text with half the header in it, a patient's name too.
    """
    code = str(dataset.get("Modality", "")).strip()
    return code if re.fullmatch("[A-Z0-9_]{1,16}", code) else ""


def spacing_of(value: Any) -> tuple[float, float] | None:
    """Two positive, finite numbers, row first; None for anything else."""
    try:
        row, column = (float(v) for v in value)
    except (TypeError, ValueError):
        return None
    return (row, column) if all(math.isfinite(v) and v > 0 for v in (row, column)) else None


def set_scale(decoded: Decoded, dataset: Any, frame: int) -> None:
    """Set scale or scale_refused, the box it holds in, and the position in the world."""
    modality = modality_of(dataset)
    if dataset.get("SequenceOfUltrasoundRegions"):
        _from_regions(decoded, dataset)
        return
    raw = frame_value(dataset, frame, "PixelSpacing")
    spacing = spacing_of(raw)
    if raw is not None and spacing is None:
        decoded.scale_refused = f"PixelSpacing is not two positive numbers: {str(raw)[:60]}"
        return
    source: str | None
    if modality in PROJECTION:
        spacing, source, reason = _projection(dataset, spacing)
    else:
        source = "acquisition" if modality in TOMOGRAPHIC else "microscope" if modality == "SM" else "calibrated"
        reason = f"the {modality or 'DICOM'} file has no PixelSpacing"
    if spacing is None or source is None:
        decoded.scale_refused = reason + _aspect_note(dataset)
        return
    decoded.scale = {"row_mm": spacing[0], "column_mm": spacing[1], "source": source}
    if source == "acquisition":
        decoded.scale["slice_mm"] = _slice_step(dataset, frame)
        _set_world(decoded, dataset, frame, spacing)


def _projection(
    dataset: Any, spacing: tuple[float, float] | None
) -> tuple[tuple[float, float] | None, str | None, str]:
    """Spacing, source and reason of a projection X-ray: only a calibration brings its mm into the patient."""
    detector = spacing_of(dataset.get("ImagerPixelSpacing")) or spacing_of(dataset.get("NominalScannedPixelSpacing"))
    if spacing is None:
        return detector, "detector", "the projection image has neither PixelSpacing nor ImagerPixelSpacing"
    calibrated = dataset.get("PixelSpacingCalibrationType") in ("GEOMETRY", "FIDUCIAL")
    differs = detector is not None and any(
        not math.isclose(a, b, rel_tol=1e-6) for a, b in zip(spacing, detector, strict=True)
    )
    return spacing, "calibrated" if calibrated or differs else "detector", ""


def _aspect_note(dataset: Any) -> str:
    """A clause where the pixels are known not to be square."""
    aspect = spacing_of(dataset.get("PixelAspectRatio"))
    if aspect is None or aspect[0] == aspect[1]:
        return ""
    return f"; its pixels are not square (aspect {aspect[0]:g}:{aspect[1]:g}), so lengths in px depend on direction"


def _slice_step(dataset: Any, frame: int) -> float | None:
    """Distance of slices: SpacingBetweenSlices, never SliceThickness, which is the depth of one slice."""
    try:
        step = abs(float(frame_value(dataset, frame, "SpacingBetweenSlices")))
    except (TypeError, ValueError):
        return None
    return step if math.isfinite(step) and step > 0 else None


def _set_world(decoded: Decoded, dataset: Any, frame: int, spacing: tuple[float, float]) -> None:
    position = frame_value(dataset, frame, "ImagePositionPatient")
    orientation = frame_value(dataset, frame, "ImageOrientationPatient")
    if position is None or orientation is None:
        return
    try:
        plane = dicom_plane_map([float(v) for v in position], [float(v) for v in orientation], *spacing)
        world = [list(map(float, v)) for v in (plane.origin_mm, plane.step_x_mm, plane.step_y_mm)]
    except (FrameError, TypeError, ValueError):
        decoded.notes.append("ImageOrientationPatient contradicts itself, so there are no world coordinates")
        return
    if all(math.isfinite(v) for row in world for v in row):
        decoded.world_mm = world
        decoded.plane = _nearest_plane(np.cross(plane.step_x_mm, plane.step_y_mm))


def _nearest_plane(normal: Floats) -> str:
    """Of the axes of LPS, which is nearest to the normal of a slice."""
    return ("sagittal", "coronal", "axial")[int(np.argmax(np.abs(normal)))]


def _from_regions(decoded: Decoded, dataset: Any) -> None:
    """The largest tissue region in cm gives the scale, valid inside it only; an axis in seconds has no length."""
    height, width = decoded.shown_u8.shape[:2]
    usable: list[tuple[float, list[float], tuple[float, float]]] = []
    refused: list[tuple[float, str]] = []
    for region in dataset.SequenceOfUltrasoundRegions:
        box = _region_box(region, width, height)
        if box is None:
            continue
        area = (box[2] - box[0]) * (box[3] - box[1])
        units = (region.get("PhysicalUnitsXDirection"), region.get("PhysicalUnitsYDirection"))
        deltas = (region.get("PhysicalDeltaY"), region.get("PhysicalDeltaX"))
        spacing = spacing_of([abs(float(d)) * 10 if d is not None else math.nan for d in deltas])
        if units == (_CM, _CM) and spacing is not None:
            usable.append((area, box, spacing))
        else:
            why = "an axis in seconds" if _SECONDS in units else "no calibration in cm"
            refused.append((area, why))
    if not usable:
        why = max(refused)[1] if refused else "no region inside the image"
        decoded.scale_refused = f"the ultrasound regions give no length: {why}"
        return
    _, box, spacing = max(usable, key=lambda item: item[0])
    others = [other for _, other, its in usable if not np.allclose(spacing, its, rtol=1e-6)]
    if others and iou_matrix([box], others).any():
        decoded.scale_refused = "calibrated ultrasound regions of different scales overlap"
        return
    decoded.scale = {"row_mm": spacing[0], "column_mm": spacing[1], "source": "ultrasound_region"}
    decoded.scale_box_xyxy_px = box
    if len(usable) > 1:
        decoded.notes.append(f"{len(usable)} calibrated ultrasound regions; the scale is that of the largest")


def _region_box(region: Any, width: int, height: int) -> list[float] | None:
    """The region's box clipped to the image, half-open; None if nothing of it is inside. The maxima are inclusive."""
    names: Sequence[str] = ("MinX0", "MinY0", "MaxX1", "MaxY1")
    try:
        x0, y0, x1, y1 = (float(region.get(f"RegionLocation{name}")) for name in names)
    except (TypeError, ValueError):
        return None
    box = [max(0.0, x0), max(0.0, y0), min(float(width), x1 + 1), min(float(height), y1 + 1)]
    return box if box[2] > box[0] and box[3] > box[1] else None
