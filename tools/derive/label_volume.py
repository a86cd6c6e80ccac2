"""A label volume read from any file that holds one, behind the same limits on time and memory as every image.

The file is decoded in a process of its own (this module, run as a program), for it may come from a stranger; whole
volumes are asked for once a run, so the process serves one file and ends.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiducial.tools.errors import InputError
from fiducial.tools.frames import FrameMap3D
from fiducial.tools.images.decoder import DEFAULT_LIMITS, Limits

MEMORY_BYTES = 6 << 30  # address space: the file's limit of 1 GiB as stored, as read and as labels
SECONDS = 60.0
DTYPES = ("uint8", "uint16", "int32")
Labels = NDArray[Any]


@dataclass(frozen=True, eq=False)
class LabelVolume:
    """labels: (I, J, K) whole numbers, 0 for background. voxels: from corner-based voxel coordinates to mm, LPS.

    refused: why lengths are not known, or None; notes: what a reader of the numbers must know.
    format: of the file, as ``open_image`` names it. single_slice: the step to a next slice is only stated or nominal.
    frame_of_reference: a DICOM identifier of the space that positions are in, or "".
    """

    labels: Labels
    voxels: FrameMap3D
    refused: str | None = None
    notes: tuple[str, ...] = ()
    format: str = "NIfTI"
    single_slice: bool = False
    frame_of_reference: str = ""


def read_labels(path: str | Path, limits: Limits | None = None) -> LabelVolume:
    """The labels of a NIfTI, NRRD or DICOM SEG file. Raises InputError for what is no volume of whole numbers."""
    header, data = _ask(path, "labels", limits)
    labels = np.frombuffer(data, np.dtype(header["dtype"])).reshape(header["shape"], order="F")
    voxels, notes = FrameMap3D(np.array(header["voxels"])), tuple(header["notes"])
    kept = {name: header[name] for name in ("format", "single_slice", "frame_of_reference")}
    return LabelVolume(labels, voxels, header["refused"], notes, **kept)


@dataclass(frozen=True, eq=False)
class VolumeFrame:
    """The grid of an image volume: its shape, and the map from corner-based voxel coordinates to mm, LPS."""

    shape: tuple[int, ...]
    voxels: FrameMap3D
    frame_of_reference: str = ""


def read_frame(path: str | Path, limits: Limits | None = None) -> VolumeFrame:
    """The grid of any file or folder that holds a volume, without its voxels. Raises InputError."""
    header, _ = _ask(path, "frame", limits)
    return VolumeFrame(tuple(header["shape"]), FrameMap3D(np.array(header["voxels"])), header["frame_of_reference"])


def _ask(path: str | Path, what: str, limits: Limits | None) -> tuple[dict[str, Any], bytes]:
    limits = limits or Limits(seconds=max(SECONDS, DEFAULT_LIMITS.seconds), memory_bytes=MEMORY_BYTES)
    if not Path(path).exists():
        raise InputError(f"cannot read '{path}': there is no such file; check the path")
    command = [sys.executable, "-P", "-m", __name__, what, str(limits.memory_bytes), str(limits.seconds), str(path)]
    single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, **single}, check=False,
            timeout=4 * limits.seconds + 30,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise InputError(f"cannot read '{path}': it takes longer than {limits.seconds:g} s; crop it first") from None
    head, _, data = done.stdout.partition(b"\n")
    if done.returncode != 0 or not head:
        raise InputError(f"cannot read '{path}': decoding it takes more time or memory than is allowed; crop it first")
    header = json.loads(head)
    if "error" in header:
        raise InputError(f"cannot read '{path}': {header['error']}")
    return header, data


# --- in the process of its own ----------------------------------------------------------------------------------------


def _decode(path: str, with_labels: bool) -> tuple[dict[str, Any], bytes]:
    """The header of a file, and its labels in Fortran order. Raises DecodeError."""
    from fiducial.tools.frames import nifti_map
    from fiducial.tools.images.decoded import DecodeError
    from fiducial.tools.images.whole import opened_volume, whole_values

    with opened_volume(path) as volume:
        if with_labels and volume.frame_count > 1:
            raise DecodeError(f"it holds {volume.frame_count} volumes along a fourth axis; give one label volume")
        voxels = volume.voxels if volume.scale_refused is None else nifti_map(np.diag([-1.0, -1.0, 1.0, 1.0]))
        header = {
            "shape": volume.shape,
            "voxels": voxels.matrix.tolist(),
            "refused": volume.scale_refused or _sheared(voxels.matrix),
            "notes": volume.notes,
            "format": volume.format,
            "single_slice": volume.single_slice,
            "frame_of_reference": volume.frame_of_reference,
        }
        return _with_labels(header, whole_values(volume)) if with_labels else (header, b"")


def _sheared(affine: NDArray[np.float64]) -> str | None:
    """Why lengths in slices by rows and columns would be wrong, or None: the axes must be perpendicular."""
    from fiducial.tools.images.volume import SHEAR

    unit = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    cosine = float(np.abs(unit.T @ unit - np.eye(3)).max())
    return f"its axes are not perpendicular (a cosine of {cosine:.2g}: a shear)" if cosine > SHEAR else None


def _with_labels(header: dict[str, Any], values: NDArray[Any]) -> tuple[dict[str, Any], bytes]:
    from fiducial.tools.images.decoded import DecodeError

    low, high = (float(f(values)) for f in (np.min, np.max))
    fitting = next((d for d in DTYPES if np.iinfo(d).min <= low and high <= np.iinfo(d).max), None)
    labels = values.astype(fitting, copy=False) if fitting else values
    if not fitting or low < 0 or (values.dtype.kind == "f" and not np.array_equal(labels, values)):
        raise DecodeError("its values are not labels, whole numbers from 0; give a segmentation")
    return {**header, "dtype": fitting}, labels.tobytes(order="F")


def main() -> None:
    """Answer one request on stdout: a line of JSON, then the labels in Fortran order."""
    from fiducial.tools.images.decoded import DecodeError
    from fiducial.tools.images.worker import limit_memory, limit_time

    what, memory, seconds, path = sys.argv[1:5]
    limit_memory(int(memory))
    limit_time(float(seconds))
    try:
        header, data = _decode(path, what == "labels")
    except DecodeError as error:
        header, data = {"error": str(error)}, b""
    except MemoryError:
        header, data = {"error": "it takes more memory than is allowed; crop it first"}, b""
    except Exception as error:  # a stranger's file may raise anything; the user gets one sentence
        header, data = {"error": f"the file is damaged or not supported ({type(error).__name__}); export it again"}, b""
    sys.stdout.buffer.write(json.dumps(header).encode() + b"\n")
    sys.stdout.buffer.write(data)


if __name__ == "__main__":
    main()
