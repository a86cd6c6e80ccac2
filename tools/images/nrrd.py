"""NRRD (.nrrd, .seg.nrrd) through pynrrd: one slice of a volume in an anatomical plane. An optional extra.

https://teem.sourceforge.net/nrrd/format.html: ``space directions`` are the steps of each axis and ``space origin`` the
centre of the first sample, in the axes that ``space`` names.
"""

from __future__ import annotations

import math
import os
import warnings
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from fiducial.tools.frames import Floats, FrameMap3D
from fiducial.tools.images.decoded import Decoded, DecodeError, Request, choose, damage_as
from fiducial.tools.images.volume import MAX_VOLUME_BYTES, Volume, cut
from fiducial.tools.images.window import windowed_u8
from fiducial.tools.scale import MM_PER_UNIT

# space: the signs that lead to LPS
SPACES = {
    "left-posterior-superior": (1.0, 1.0, 1.0),
    "lps": (1.0, 1.0, 1.0),
    "right-anterior-superior": (-1.0, -1.0, 1.0),
    "ras": (-1.0, -1.0, 1.0),
    "left-anterior-superior": (1.0, -1.0, 1.0),
    "las": (1.0, -1.0, 1.0),
}
DAMAGED = "the NRRD file is damaged or cut short; export it again"
COLOUR_KINDS = {"rgb-color", "3-color", "rgba-color", "4-color"}


def decode_nrrd(file: BinaryIO, request: Request) -> Decoded:
    """Decode one slice. Raises DecodeError for damage, a header that lies about its size, and data in another file."""
    with damage_as(DAMAGED):
        return cut(nrrd_volume(file, request), request.plane, request.index)


def nrrd_volume(file: BinaryIO, request: Request) -> Volume:
    """The volume of a file; of several, the frame asked for. Raises DecodeError."""
    try:
        import nrrd
    except ImportError:
        raise DecodeError("no reader of NRRD is installed; run `pip install 'fiducial[nrrd]'`") from None
    with damage_as(DAMAGED), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        header: dict[str, Any] = nrrd.read_header(file)
        _require_data(file, header)
        data = np.asarray(nrrd.read_data(header, file))
        return _volume(header, data, request)


def _require_data(file: BinaryIO, header: dict[str, Any]) -> None:
    """Refuse what would be read from another file, and a size that is not there, before it is allocated."""
    if any(name.lower().replace(" ", "") == "datafile" for name in header):
        raise DecodeError("it is an NRRD header without its data; save it as one .nrrd file")
    sizes = [int(size) for size in header["sizes"]]
    if not 2 <= len(sizes) <= 4 or any(size < 1 for size in sizes):
        raise DecodeError(f"its shape {tuple(sizes)} is not that of a picture or a volume; export it again")
    voxels = math.prod(sizes)  # of a byte at least; the decoder's memory limit stands behind this
    if voxels > MAX_VOLUME_BYTES:
        raise DecodeError(f"it claims {voxels / 2**30:.1f} Gi of voxels, over the limit of 1 Gi; export a part")
    if header.get("encoding") == "raw" and voxels > os.fstat(file.fileno()).st_size:
        raise DecodeError(f"it claims {voxels} voxels but is shorter than that; copy it again")


def _volume(header: dict[str, Any], data: NDArray[Any], request: Request) -> Volume:
    """The volume, its spatial axes first; a further axis is colour, or one of which ``frame`` is taken."""
    spatial = _spatial_axes(header, data.ndim)
    others = [axis for axis in range(data.ndim) if axis not in spatial]
    colour, frame, count = False, None, 1
    if others:
        kind = str((list(header.get("kinds") or []) or [""] * data.ndim)[others[0]]).lower()
        colour = kind in COLOUR_KINDS and data.shape[others[0]] in (3, 4)
        data = np.moveaxis(data, others[0], -1)
        count = 1 if colour else int(data.shape[-1])
        frame = choose("frame", request.frame or 0, count) if count > 1 else None
        data = data[..., :3] if colour else data[..., frame or 0]
    request.require_frames(count)
    voxels, refused, has_world, notes = _place(header, spatial)
    if len(spatial) == 2:
        data = data[:, :, None]
    shape = (int(data.shape[0]), int(data.shape[1]), int(data.shape[2]))

    def read(across: int, index: int) -> NDArray[Any]:
        return np.asarray(np.take(data, index, axis=across))

    return Volume(
        "NRRD",
        shape,
        voxels,
        read,
        _show,
        scale_refused=refused,
        has_world=has_world,
        frame=frame,
        frame_count=count,
        notes=notes,
    )


def _show(values: NDArray[Any]) -> NDArray[np.uint8]:
    if values.ndim == 3 and values.dtype == np.uint8:
        return np.ascontiguousarray(values)
    if values.ndim == 3:
        return windowed_u8(values.reshape(values.shape[0], -1))[:, :, 0].reshape(values.shape)
    return windowed_u8(values)


def _spatial_axes(header: dict[str, Any], dims: int) -> list[int]:
    """The axes that are places: those with a direction, else those with a spacing or that are no list or colour."""
    directions = header.get("space directions")
    if directions is not None:
        rows = np.asarray(directions, np.float64)
        axes = [axis for axis in range(dims) if np.isfinite(rows[axis]).all()]
    else:
        kinds = [str(kind).lower() for kind in (header.get("kinds") or [])] or ["domain"] * dims
        axes = [axis for axis in range(dims) if kinds[axis] in ("domain", "space", "none", "???")]
    if len(axes) not in (2, 3) or dims - len(axes) > 1:
        raise DecodeError(f"{len(axes)} of its {dims} axes are places; export a picture or a volume")
    return axes


def _place(header: dict[str, Any], axes: list[int]) -> tuple[FrameMap3D, str | None, bool, list[str]]:
    """From corner-based voxels to mm (LPS); why there is no scale; whether the position is known; notes."""
    notes: list[str] = []
    nominal = FrameMap3D(np.eye(4))
    linear, given = _steps(header, axes)
    if linear is None:
        return nominal, f"the NRRD header has no usable {given}", False, notes
    sign = SPACES.get(str(header.get("space", "")).lower())
    unit = _unit(header, axes, sign is not None)
    if unit not in MM_PER_UNIT:
        return nominal, f"the NRRD header names no unit of length ({unit or 'none'})", False, notes
    matrix = np.eye(4)
    matrix[:3, :3] = np.diag(sign or (1.0, 1.0, 1.0)) @ linear * MM_PER_UNIT[unit]
    origin = header.get("space origin")
    start = np.asarray(origin if origin is not None else (np.nan,) * 3, np.float64)
    known = sign is not None and given == "space directions" and start.shape == (3,) and bool(np.isfinite(start).all())
    if known:
        matrix[:3, 3] = np.asarray(sign) * start * MM_PER_UNIT[unit] - matrix[:3, :3].sum(axis=1) / 2
    else:
        notes.append("the NRRD header names no anatomical space, so left and right are unknown")
    try:
        return FrameMap3D(matrix), None, known, notes
    except Exception:
        return nominal, "the NRRD header's space directions are not independent", False, notes


def _steps(header: dict[str, Any], axes: list[int]) -> tuple[Floats | None, str]:
    """(3, 3): the step of each spatial axis as a column, and the field it is of; None where that is unusable."""
    linear: Floats = np.eye(3)
    directions = header.get("space directions")
    if directions is not None:
        rows = np.asarray(directions, np.float64)[axes]
        if rows.shape[1] != 3:
            return None, "space directions in three dimensions"
        linear[:, : len(axes)] = rows.T
        if len(axes) == 2:
            normal = np.cross(rows[0], rows[1])
            linear[:, 2] = normal / (float(np.linalg.norm(normal)) or 1.0)
        usable = bool(np.isfinite(linear).all()) and abs(float(np.linalg.det(linear))) > 1e-12
        return (linear if usable else None), "space directions"
    spacings = np.asarray(header.get("spacings", [np.nan] * 4), np.float64)[axes]
    if not (np.isfinite(spacings).all() and (spacings > 0).all()):
        return None, "space directions or spacings"
    linear[range(len(axes)), range(len(axes))] = spacings
    return linear, "spacings"


def _unit(header: dict[str, Any], axes: list[int], anatomical: bool) -> str:
    """The unit of length: as named; mm in an anatomical space, as ITK and 3D Slicer read it; else none."""
    named = header.get("space units") or [(header.get("units") or [""] * 4)[axis] for axis in axes]
    names = {str(unit).strip().strip('"') for unit in named} - {""}
    if not names:
        return "mm" if anatomical else ""
    return names.pop() if len(names) == 1 else " and ".join(sorted(names))
