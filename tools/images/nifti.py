"""NIfTI: one slice of a volume in an anatomical plane, with its spacing and its place in the world."""

from __future__ import annotations

import gzip
import math
import os
from functools import partial
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from fiducial.tools.frames import Floats, nifti_map
from fiducial.tools.images.decoded import Decoded, DecodeError, Request, choose, damage_as
from fiducial.tools.images.volume import MAX_VOLUME_BYTES, Volume, cut
from fiducial.tools.images.window import windowed_u8

LAST_SPACE_CODE = 5  # nifti1.h: NIFTI_XFORM_TEMPLATE_OTHER
DAMAGED = "the NIfTI file is damaged or cut short; export it again"
MM_PER_SPATIAL_UNIT = {"mm": 1.0, "meter": 1000.0, "micron": 0.001}


def decode_nifti(file: BinaryIO, request: Request, gzipped: bool) -> Decoded:
    """Decode one slice. Raises DecodeError for damage and for a header that claims more voxels than the file holds."""
    with damage_as(DAMAGED):
        return cut(nifti_volume(file, request, gzipped), request.plane, request.index)


def nifti_volume(file: BinaryIO, request: Request, gzipped: bool) -> Volume:
    """The volume of a file, which stays open while it is read; of several, the frame asked for. Raises DecodeError."""
    import nibabel

    stream = cast(BinaryIO, gzip.GzipFile(fileobj=file)) if gzipped else file
    try:
        head = stream.read(540)
    except (OSError, EOFError) as error:
        raise DecodeError("the gzip file is damaged; copy it again") from error
    second = head[4:8] == b"n+2\0"
    if not second and head[344:348] != b"n+1\0":
        what = "a NIfTI header without its data" if head[344:348] == b"ni1\0" else "a gzip file without a NIfTI volume"
        raise DecodeError(f"it is {what}; give one .nii or .nii.gz file")
    stream.seek(0)
    kind: Any = nibabel.Nifti2Image if second else nibabel.Nifti1Image
    with damage_as(DAMAGED):
        # The fields alone: from_fileobj would read on into the header's extensions, which `head` cuts short.
        written = kind.header_class(head[: kind.header_class.template_dtype.itemsize], check=False)
        volume = kind.from_stream(stream)
        _require_volume(file, volume, gzipped)
        return _volume(volume, request, _repaired(written))


def _require_volume(file: BinaryIO, volume: Any, gzipped: bool) -> None:
    """Refuse a volume whose claimed size is not there, before anything of that size is allocated."""
    shape, dtype = volume.shape, volume.get_data_dtype()
    if not 2 <= len(shape) <= 5 or any(side < 1 for side in shape):
        raise DecodeError(f"its shape {shape} is not that of a picture or a volume; export it again")
    claimed = dtype.itemsize
    for side in shape:
        claimed *= int(side)
    if claimed > MAX_VOLUME_BYTES:
        raise DecodeError(f"it claims {claimed / 2**30:.1f} GiB of voxels, over the limit of 1 GiB; export a part")
    held = os.fstat(file.fileno()).st_size
    if not gzipped and claimed + float(volume.dataobj.offset) > held:
        raise DecodeError(f"it claims {claimed} bytes of voxels but holds {held} bytes in all; copy it again")
    if dtype.kind == "c":
        raise DecodeError("its values are complex numbers; export the magnitude")


def _repaired(header: Any) -> str | None:
    """Why a header, as written, gives no spacing: nibabel mends such fields without a word, a pixdim of 0 to 1."""
    steps = np.asarray(header["pixdim"], np.float64)[1 : 1 + min(3, max(0, int(header["dim"][0])))]
    if not (np.isfinite(steps).all() and (steps > 0).all()):
        return "the NIfTI header's pixdim are not positive numbers"
    for name in ("sform_code", "qform_code"):
        if not 0 <= int(header[name]) <= LAST_SPACE_CODE:
            return f"the NIfTI header's {name}, {int(header[name])}, names no space"
    return None


def _volume(image: Any, request: Request, refused: str | None) -> Volume:
    """The volume of an opened file, with what its header says of spacing and position. refused: why it says nothing."""
    shape = tuple(int(side) for side in (*image.shape, 1)[:3])
    count = math.prod(int(side) for side in image.shape[3:])
    request.require_frames(count)
    frame = choose("frame", request.frame or 0, count)
    affine, notes = np.asarray(image.affine, np.float64), list[str]()
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-12:
        affine = np.diag([-1.0, -1.0, 1.0, 1.0])
        refused = "the affine is not invertible, so sides and spacing are unknown"
        notes.append(refused)
    refused = refused or _unit_refused(image.header, notes)
    to_mm = MM_PER_SPATIAL_UNIT.get(image.header.get_xyzt_units()[0], 1.0)
    voxels = nifti_map(np.diag([to_mm, to_mm, to_mm, 1.0]) @ affine)
    refused = refused or _spacing_refused(image, voxels.steps_mm, to_mm)
    has_world = not refused and _has_world(image.header, notes)
    read = partial(_read, image, frame)
    return Volume(
        "NIfTI",
        (shape[0], shape[1], shape[2]),
        voxels,
        read,
        _show,
        scale_refused=refused,
        has_world=has_world,
        frame=frame if count > 1 else None,
        frame_count=count,
        notes=notes,
    )


def _read(image: Any, frame: int, across: int, index: int) -> NDArray[Any]:
    """Scaled values of one slice, the lower of the remaining axes first; (…, 3) for colour voxels.

    frame: of the fourth and fifth axis, the fourth counted first.
    """
    dims = len(image.shape)
    where: list[Any] = [slice(None)] * dims
    if dims >= 3:
        where[across] = index
    elif across != 2:  # a picture is a volume of one slice along the axis that it lacks
        raise DecodeError("it is a single slice, which lies in another plane; leave the plane out")
    if dims >= 4:
        where[3:] = [int(at) for at in np.unravel_index(frame, image.shape[3:], order="F")]
    plane = np.asarray(image.dataobj[tuple(where)])
    if plane.dtype.fields:
        plane = np.stack([plane[name] for name in ("R", "G", "B")], axis=-1)
    return plane


def _show(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Colour as it is, grey over its own range."""
    return np.ascontiguousarray(values.astype(np.uint8)) if values.ndim == 3 else windowed_u8(values)


def _unit_refused(header: Any, notes: list[str]) -> str | None:
    """Why the header's unit is no length, or None."""
    unit = header.get_xyzt_units()[0]
    if unit == "unknown" and (header["sform_code"] or header["qform_code"]):
        # An affine into a named space is mm for nibabel, ITK and FSL alike; many writers leave the field 0.
        notes.append("the NIfTI header names no unit; its affine is read as mm, as all NIfTI readers do")
        return None
    if unit not in MM_PER_SPATIAL_UNIT:
        return "the NIfTI header names no unit of length (xyzt_units) and no space (sform, qform)"
    return None


def _spacing_refused(image: Any, steps_mm: Floats, to_mm: float) -> str | None:
    """Why pixdim contradicts the affine, or None."""
    dims = min(3, len(image.shape))
    stated = np.asarray(image.header.get_zooms()[:dims], np.float64) * to_mm
    if np.allclose(steps_mm[:dims], stated, rtol=1e-3, atol=0):
        return None
    return "the NIfTI header contradicts itself: pixdim and affine give different spacings"


def _has_world(header: Any, notes: list[str]) -> bool:
    """Whether the header gives a position, and one only: sform and qform of one code must agree (nifti1.h)."""
    sform, sform_code = header.get_sform(coded=True)
    qform, qform_code = header.get_qform(coded=True)
    if not sform_code and not qform_code:
        notes.append("the NIfTI header has no orientation, so left and right are unknown")
        return False
    if sform_code and qform_code and not _agree(sform, qform, header.get_data_shape()):
        if sform_code == qform_code:
            notes.append("the NIfTI header contradicts itself: sform and qform place the volume differently")
            return False
        notes.append("sform and qform place the volume differently; world coordinates are those of the sform")
    return True


def _agree(first: Floats, second: Floats, shape: tuple[int, ...]) -> bool:
    """Whether two affines place every corner of the volume within a quarter of its smallest voxel's side."""
    ends = [(0, max(0, int(side) - 1)) for side in (*shape, 1, 1)[:3]]
    corners = np.array([(i, j, k, 1) for i in ends[0] for j in ends[1] for k in ends[2]], np.float64)
    apart = np.linalg.norm(corners @ (first - second)[:3].T, axis=1).max()
    return bool(apart <= 0.25 * np.linalg.norm(first[:3, :3], axis=0).min())
