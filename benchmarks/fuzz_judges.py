"""Judges for ``fuzz.py``: they read the header of a mutated file on their own, and hold the opened image against it."""

from __future__ import annotations

import io
import re
import struct
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from fiducial.tools.images.image import Image


def contradiction(data: bytes, image: Image) -> str | None:
    """What of the header contradicts itself although the image says nothing of it; None if nothing does."""
    if image.format == "NIfTI" and data[344:348] == b"n+1\0":
        return _nifti_contradiction(data, image)
    if image.format.startswith("DICOM"):
        return _dicom_contradiction(data, image)
    if image.format == "NRRD":
        try:
            return _nrrd_contradiction(data, image)
        except (ValueError, KeyError, np.linalg.LinAlgError) as error:
            return f"a scale of a header that is not numbers ({error})"
    scale = image.info.scale
    values = [scale.row_mm, scale.column_mm] if scale else []
    return None if all(np.isfinite(v) and v > 0 for v in values) else "a scale that is no positive number"


def _nifti_contradiction(data: bytes, image: Image) -> str | None:
    order = "<" if struct.unpack_from("<h", data, 40)[0] in range(1, 8) else ">"
    pixdim = np.array(struct.unpack_from(f"{order}8f", data, 76), np.float64)
    qform_code, sform_code = struct.unpack_from(f"{order}2h", data, 252)
    sform = np.array(struct.unpack_from(f"{order}12f", data, 280), np.float64).reshape(3, 4)
    said = any("contradicts itself" in note or "place the volume differently" in note for note in image.notes)
    if sform_code > 0 and image.info.scale is not None:
        steps = np.linalg.norm(sform[:, :3], axis=0)
        dims = min(3, struct.unpack_from(f"{order}h", data, 40)[0])
        if not np.allclose(steps[:dims], pixdim[1 : 1 + dims], rtol=0.01):
            return f"pixdim {pixdim[1:4]} and affine {steps} with a scale"
    if sform_code > 0 and qform_code > 0 and image.stored_to_world is not None and not said:
        qform = _qform(data, order, pixdim)
        corners = np.array([(i, j, k, 1) for i in (0, 8) for j in (0, 7) for k in (0, 6)], np.float64)
        apart = np.linalg.norm(corners @ (qform - sform).T, axis=1).max()
        if not apart < 1.0:
            return f"sform and qform are {apart:.3g} mm apart"
    return None


def _qform(data: bytes, order: str, pixdim: Any) -> Any:
    """(3, 4), from the quaternion, nifti1.h method 2."""
    b, c, d, *offset = struct.unpack_from(f"{order}6f", data, 256)
    a = np.sqrt(max(0.0, 1 - b * b - c * c - d * d))
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    zooms = pixdim[1:4] * [1, 1, -1 if pixdim[0] < 0 else 1]
    return np.column_stack([rotation * zooms, offset])


def _dicom_contradiction(data: bytes, image: Image) -> str | None:
    import pydicom

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        head = pydicom.dcmread(io.BytesIO(data), force=True, stop_before_pixels=True)
        if image.stored_to_world is not None and "ImageOrientationPatient" in head:
            x, y = np.array([float(v) for v in head.ImageOrientationPatient], np.float64).reshape(2, 3)
            if not (abs(x @ x - 1) < 0.01 and abs(y @ y - 1) < 0.01 and abs(x @ y) < 0.01):
                return "an orientation that is not two perpendicular unit vectors, with a place in the world"
        scale = image.info.scale
        if scale is not None and "PixelSpacing" in head and scale.source == "acquisition":
            row, column = (float(v) for v in head.PixelSpacing)
            if not (np.isclose(scale.row_mm, row) and np.isclose(scale.column_mm, column)):
                return "a scale that is not PixelSpacing"
    return None


NRRD_SIGNS = {"left-posterior-superior": (1, 1, 1), "right-anterior-superior": (-1, -1, 1)}


def cuts(directions: list[list[float]]) -> Iterator[list[float]]:
    """What the scale of a slice may be, sorted, for each axis that it may be cut across.

    Two steps within the slice, and the distance of slices: in a sheared volume less than the step to the next one.
    """
    steps = np.array(directions, np.float64)
    for across in range(len(steps)):
        within = np.delete(steps, across, 0)
        normal = np.cross(*within) if len(steps) == 3 else np.zeros(3)
        apart = [abs(float(steps[across] @ normal)) / float(np.linalg.norm(normal))] if normal.any() else []
        yield sorted([*np.linalg.norm(within if apart else steps, axis=1).tolist(), *apart])


def _nrrd_contradiction(data: bytes, image: Image) -> str | None:
    """Steps and origin of the opened slice against the text of the header."""
    lines = data.partition(b"\n\n")[0].decode("ascii", "ignore").splitlines()[1:]
    fields = dict(line.split(": ", 1) for line in lines if ": " in line)
    scale, world = image.info.scale, image.stored_to_world
    if scale is None or "space directions" not in fields:
        return None
    rows = [[float(v) for v in row.split(",")] for row in re.findall(r"\(([^)]*)\)", fields["space directions"])]
    norms = sorted(float(np.linalg.norm(row)) for row in rows)
    stated = sorted(v for v in (scale.row_mm, scale.column_mm, scale.slice_mm) if v is not None)
    if not fields.get("space units") and not any(np.allclose(cut, stated, rtol=1e-3) for cut in cuts(rows)):
        return f"steps {stated} where the header has {rows}"
    spacings = [float(v) for v in fields.get("spacings", "").split() if v not in ("nan", "none")]
    if spacings and not np.allclose(sorted(spacings), norms, rtol=0.01):
        return f"spacings {spacings} and directions of the lengths {norms} with a scale"
    if world is None:
        return None
    if fields.get("space") not in NRRD_SIGNS:
        return f"a place in the world in the space {fields.get('space')!r}"
    origin = [float(v) for v in fields["space origin"].strip("()").split(",")] * np.array(NRRD_SIGNS[fields["space"]])
    linear = np.array(rows).T * np.array(NRRD_SIGNS[fields["space"]])[:, None]
    corner = world.points((0.5, 0.5))
    voxel = np.linalg.solve(linear, corner - origin)  # of a whole number of voxels from the first one's centre
    return None if np.abs(voxel - np.rint(voxel)).max() < 0.01 else f"a slice {voxel} voxels from the origin"


def series_contradiction(files: dict[str, bytes], image: Image, across: Image | None) -> str | None:
    """What the headers of a folder's slices contradict each other in, although they were opened as one volume.

    image: the middle slice as acquired; across: one cut across the slices, None where it was refused.
    """
    import pydicom

    heads = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for data in files.values():
            try:
                head = pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True)
                _ = head.Rows, head.ImagePositionPatient, head.ImageOrientationPatient, head.PixelSpacing
            except Exception:
                continue  # the reader may refuse it or leave it out, and then says so
            heads.append(head)
        told = any("left out" in note for note in image.notes)
        if image.slice_count < len(files) and not told:
            return f"{image.slice_count} slices of {len(files)} files without a word"
        if image.slice_count < 2 or len(heads) != image.slice_count:
            return None
        return _differing(heads) or _uneven(heads, image, across)


def _differing(heads: list[Any]) -> str | None:
    for keyword in ("SeriesInstanceUID", "FrameOfReferenceUID", "Rows", "Columns", "Modality"):
        if len({str(head.get(keyword, "")) for head in heads}) > 1:
            return f"slices of different {keyword}"
    for keyword, tolerance in (("ImageOrientationPatient", 0.01), ("PixelSpacing", 0.01)):
        values = np.array([[float(v) for v in head[keyword].value] for head in heads])
        if not (np.isfinite(values).all() and np.abs(values - values[0]).max() <= tolerance):
            return f"slices of different {keyword}"
    return None


def _uneven(heads: list[Any], image: Image, across: Image | None) -> str | None:
    """Positions that do not lie on a line at even distances, unless a note says so and no step is given."""
    places = np.array([[float(v) for v in head.ImagePositionPatient] for head in heads])
    row, column = np.array([float(v) for v in heads[0].ImageOrientationPatient]).reshape(2, 3)
    heights = places @ np.cross(row, column)
    places, heights = places[np.argsort(heights)], np.sort(heights)
    gaps, scale = np.diff(heights), image.info.scale
    if gaps.min() < 0.005:
        return "two slices at the same position"
    if image.stored_to_world is not None:
        off = np.linalg.norm(image.stored_to_world.points((0.5, 0.5)) - places[image.slice_index])
        if off > 0.01:
            return f"a slice {off:.3g} mm from where its file is"
    step = float(np.median(gaps))
    line = places[0] + np.linspace(0, 1, len(places))[:, None] * (places[-1] - places[0])
    even = np.abs(gaps - step).max() <= 0.05 * step + 0.05
    straight = np.linalg.norm(places - line, axis=1).max() <= 0.1 * step + 0.05
    if not (even and straight):
        if image.slice_step_mm is not None or across is not None or (scale is not None and scale.slice_mm is not None):
            return "a step between slices that are not evenly spaced on a line"
        return None if image.notes else "slices that are not evenly spaced on a line, without a word"
    if scale is not None and scale.slice_mm is not None and abs(scale.slice_mm - step) > 0.05 * step + 0.05:
        return f"a step of {scale.slice_mm} mm where the positions are {step} mm apart"
    return None
