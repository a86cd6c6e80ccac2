"""A whole volume, whatever file or folder it lies in. To be called in a process with limits on time and memory."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiducial.tools.images.bounded import BoundedReader
from fiducial.tools.images.decoded import DecodeError, Request, damage_as
from fiducial.tools.images.dicom_head import is_dicom
from fiducial.tools.images.volume import MAX_VOLUME_BYTES, Volume


@contextmanager
def opened_volume(path: str) -> Iterator[Volume]:
    """The volume of a NIfTI, NRRD or DICOM file (frames or labels) or a folder with a series, open to be read.

    Of a file with several volumes, the first. Raises DecodeError for a picture, and for what is no volume.
    """
    with damage_as("the file is damaged or cut short; export it again"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if Path(path).is_dir():
            from fiducial.tools.images.dicom_series import series_stack
            from fiducial.tools.images.dicom_stack import stack_volume

            yield stack_volume(series_stack(path))
            return
        with BoundedReader(path) as file:
            yield _volume(file, Request(path))


def _volume(file: BoundedReader, request: Request) -> Volume:
    head = file.read(1024)
    file.seek(0)
    if is_dicom(head):
        from fiducial.tools.images.dicom import read_dataset, stack_of
        from fiducial.tools.images.dicom_stack import stack_volume

        return stack_volume(stack_of(read_dataset(file)))
    if head.startswith(b"NRRD000"):
        from fiducial.tools.images.nrrd import nrrd_volume

        return nrrd_volume(file, request)
    if head.startswith((b"\x89PNG", b"\xff\xd8\xff", b"BM", b"GIF8", b"II*\0", b"MM\0*")):
        raise DecodeError("it is a picture; give a volume: a NIfTI, NRRD or DICOM file or a folder with a series")
    from fiducial.tools.images.nifti import nifti_volume

    return nifti_volume(file, request, gzipped=head[:2] == b"\x1f\x8b")


def whole_values(volume: Volume) -> NDArray[Any]:
    """All values, (I, J, K) as the volume's voxels are counted, in Fortran order. Raises DecodeError for colour."""
    first = volume.read(2, 0)
    if first.ndim != 2:
        raise DecodeError("its voxels are colours and not numbers; export the numbers")
    if first.dtype.itemsize * int(np.prod(volume.shape, dtype=np.int64)) > 2 * MAX_VOLUME_BYTES:
        raise DecodeError("its voxels take more than the limit of 2 GiB; crop it first")
    values = np.empty(volume.shape, first.dtype, order="F")
    values[:, :, 0] = first
    for k in range(1, volume.shape[2]):
        values[:, :, k] = volume.read(2, k)
    return values
