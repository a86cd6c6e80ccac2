"""A folder with a DICOM series: its slices, each in a file of its own, as one volume."""

from __future__ import annotations

import hashlib
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiducial.tools.images.bounded import BoundedReader
from fiducial.tools.images.decoded import MAX_FILE_BYTES, Decoded, DecodeError, Request
from fiducial.tools.images.dicom import decode_dataset, decode_dicom, decode_values, read_dataset, stack_of
from fiducial.tools.images.dicom_head import is_dicom
from fiducial.tools.images.dicom_scale import modality_of, whole
from fiducial.tools.images.dicom_stack import Stack, cut_stack, make_stack, stack_slice
from fiducial.tools.images.volume import MAX_VOLUME_BYTES

MAX_FILES = 5000
NO_IMAGES_OF_A_SERIES = {"SEG", "RTSTRUCT", "RTPLAN", "RTDOSE", "SR", "PR", "KO", "REG", "DOC", "RWV"}


def decode_series(folder: str, request: Request) -> tuple[Decoded, str]:
    """One slice of the series in a folder, and a hash of the files' contents in the order of the slices.

    Files that are no DICOM, and DICOM objects that only refer to images (segmentations, plans, reports), are left out.
    Raises DecodeError for a folder without a series, with several, and for slices that do not fit together.
    """
    images, aside = _images(folder)
    if len(images) == 1:
        decoded, digest = _single(next(iter(images)), request)
    else:
        decoded, digest = _sliced(images, request)
    decoded.format = "DICOM series" if len(images) > 1 else decoded.format
    decoded.notes += aside
    return decoded, digest


def series_stack(folder: str) -> Stack:
    """The slices of the series in a folder, in order. Raises DecodeError as ``decode_series`` does."""
    images, _ = _images(folder)
    return stack_of(_dataset(next(iter(images)))) if len(images) == 1 else _stack(images)


def _images(folder: str) -> tuple[dict[Path, Any], list[str]]:
    """The files of the one series in a folder with their headers, and a note of what was left out."""
    files = _files(folder)
    found = {path: head for path in files if (head := _head(path)) is not None}
    images = {path: head for path, head in found.items() if _is_image(head)}
    aside = [path.name for path in files if path not in images and path.name != "DICOMDIR"]
    if not images:
        raise DecodeError("it is a folder without a DICOM series; name one image file in it")
    _require_one_series(images)
    more = f" and {len(aside) - 3} more" if len(aside) > 3 else ""
    told = f"left out of the series, for they are no images of it: {', '.join(aside[:3])}{more}"
    return images, [told] if aside else []


def _is_image(head: Any) -> bool:
    return "Rows" in head and str(head.get("Modality", "")) not in NO_IMAGES_OF_A_SERIES


def _files(folder: str) -> list[Path]:
    try:
        names = sorted(path for path in Path(folder).iterdir() if not path.name.startswith(".") and path.is_file())
    except OSError as error:
        raise DecodeError(f"{error.strerror}; check the folder and its permissions") from None
    if len(names) > MAX_FILES:
        raise DecodeError(f"its {len(names)} files are more than the limit of {MAX_FILES}; give one series a folder")
    return names


def _head(path: Path) -> Any:
    """The data set of a DICOM file without its pixels; None for a file of another kind."""
    try:
        with BoundedReader(str(path)) as file:
            head = file.read(1024)
            if not is_dicom(head) or path.stat().st_size > MAX_FILE_BYTES:
                return None
            file.seek(0)
            return read_dataset(file, stop_before_pixels=True)
    except OSError as error:
        raise DecodeError(f"{path.name} cannot be read ({error.strerror}); check its permissions") from None
    except DecodeError:
        raise DecodeError(f"{path.name} is damaged or cut short; copy the series again") from None


def _require_one_series(images: dict[Path, Any]) -> None:
    """Refuse a folder in which several series, frames of reference or multi-frame files are mixed."""
    series = Counter((str(head.get("SeriesInstanceUID", "")), modality_of(head)) for head in images.values())
    if len(series) > 1:
        kinds = ", ".join(f"{modality or 'DICOM'}: {count} files" for (_, modality), count in series.most_common(4))
        raise DecodeError(f"it holds {len(series)} series ({kinds}); give each a folder of its own, or name one file")
    if len({str(head.get("FrameOfReferenceUID", "")) for head in images.values()}) > 1:
        raise DecodeError("its slices have different frames of reference, so they are no volume; name one file of it")
    if len(images) > 1 and any(whole(head, "NumberOfFrames", 1) > 1 for head in images.values()):
        raise DecodeError(f"it holds {len(images)} files, some of several frames; name one of them")


def _single(path: Path, request: Request) -> tuple[Decoded, str]:
    with BoundedReader(str(path)) as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        return decode_dicom(file, request), digest


def _sliced(images: dict[Path, Any], request: Request) -> tuple[Decoded, str]:
    if request.frame is not None:
        raise DecodeError("each file of the series is one slice without frames; leave the frame out and give a slice")
    stack, paths = _stack(images), {path.name: path for path in images}
    digest = hashlib.sha256()
    for item in stack.slices:
        with paths[item.name].open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return cut_stack(stack, request.plane, request.index), digest.hexdigest()


def _stack(images: dict[Path, Any]) -> Stack:
    first = next(iter(images.values()))
    claimed = whole(first, "Rows") * whole(first, "Columns") * 4 * len(images)
    if claimed > 2 * MAX_VOLUME_BYTES:
        raise DecodeError(f"its {len(images)} slices are {claimed / 2**30:.1f} GiB of values; give a part of them")
    slices = [
        stack_slice(head, 0, path.name, partial(_load, path), partial(_values, path)) for path, head in images.items()
    ]
    return make_stack(slices)


def _load(path: Path) -> Decoded:
    """One file of a series, decoded. Raises DecodeError that names it."""
    return decode_dataset(_dataset(path), 0)


def _values(path: Path) -> NDArray[np.float32] | None:
    return decode_values(_dataset(path), 0)


def _dataset(path: Path) -> Any:
    try:
        with BoundedReader(str(path)) as file:
            return read_dataset(file)
    except (DecodeError, OSError) as error:
        raise DecodeError(f"of {path.name}, {error}") from None
