"""NIfTI: one slice of a volume in an anatomical plane, with its spacing and its place in the world.

*Stored pixels* of a slice: x along the voxel axis that runs most nearly left–right (sagittal: front–back), y along the
one nearest front–back (coronal, sagittal: feet–head), each in the file's own direction. Displayed as a radiologist
expects it: the patient's left on the right, front or head on top, and front on the left in sagittal slices.
"""

from __future__ import annotations

import gzip
import os
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from fiducial.tools.frames import Floats, FrameError, nifti_map
from fiducial.tools.images.decoded import Decoded, DecodeError, Request, choose, require_pixels
from fiducial.tools.images.window import windowed_u8

MAX_VOLUME_BYTES = 1 << 30
RIGHT, ANTERIOR, SUPERIOR = 0, 1, 2
# plane: world axis across it, along x, along y
PLANES = {
    "axial": (SUPERIOR, RIGHT, ANTERIOR),
    "coronal": (ANTERIOR, RIGHT, SUPERIOR),
    "sagittal": (RIGHT, ANTERIOR, SUPERIOR),
}
MM_PER_SPATIAL_UNIT = {"mm": 1.0, "meter": 1000.0, "micron": 0.001}


def decode_nifti(file: BinaryIO, request: Request, gzipped: bool) -> Decoded:
    """Decode one slice. Raises DecodeError for damage and for a header that claims more voxels than the file holds."""
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
    try:
        volume = kind.from_stream(stream)
        _require_volume(file, volume, gzipped)
        return _slice(volume, request)
    except (DecodeError, MemoryError):
        raise
    except Exception as error:
        raise DecodeError("the NIfTI file is damaged or cut short; export it again") from error


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


def _slice(volume: Any, request: Request) -> Decoded:
    from nibabel.orientations import io_orientation

    notes: list[str] = []
    affine = np.asarray(volume.affine, np.float64)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-12:
        affine = np.diag([-1.0, -1.0, 1.0, 1.0])
        notes.append("the affine is not invertible, so sides and spacing are unknown")
    shape = (*volume.shape, 1, 1)[:3] if len(volume.shape) < 3 else volume.shape[:3]
    ornt = io_orientation(affine)
    plane = _plane_of(request.plane, shape, ornt, notes)
    across, along_x, along_y = (int(np.flatnonzero(ornt[:, 0] == axis)[0]) for axis in PLANES[plane])
    count = int(shape[across])
    index = choose(f"{plane} slice", count // 2 if request.index is None else request.index, count)
    require_pixels(int(shape[along_x]), int(shape[along_y]))
    values = _read(volume, across, index, request.frame, transpose=along_x < along_y)
    if values.ndim == 3:
        decoded = Decoded("NIfTI", np.ascontiguousarray(values.astype(np.uint8)))
    else:
        decoded = Decoded("NIfTI", windowed_u8(values), values.astype(np.float32), "stored value")
    flips = (ornt[along_x, 1] > 0, ornt[along_y, 1] > 0)
    decoded.orientation = {(False, False): 1, (True, False): 2, (True, True): 3, (False, True): 4}[flips]
    decoded.slice_count, decoded.slice_index, decoded.notes = count, index, notes
    _set_scale(decoded, volume, affine, (across, along_x, along_y), index)
    return decoded


def _plane_of(plane: str, shape: tuple[int, ...], ornt: Floats, notes: list[str]) -> str:
    """The plane asked for; a volume of one slice has only the plane of that slice."""
    thin = [axis for axis in range(3) if shape[axis] == 1]
    if len(thin) != 1:
        return plane
    world_axis = int(ornt[thin[0], 0])
    only = next(name for name, axes in PLANES.items() if axes[0] == world_axis)
    if only != plane:
        notes.append(f"the file holds a single {only} slice, which is shown")
    return only


def _read(volume: Any, across: int, index: int, frame: int, transpose: bool) -> NDArray[Any]:
    """Scaled values of one slice, (rows, columns) = (along y, along x), or (…, 3) for colour voxels."""
    dims = len(volume.shape)
    where: list[Any] = [slice(None)] * dims
    if dims >= 3:
        where[across] = index
    if dims >= 4:
        where[3] = choose("frame", frame, int(volume.shape[3]))
    if dims == 5:
        where[4] = 0
    plane = np.asarray(volume.dataobj[tuple(where)])
    if plane.dtype.fields:
        plane = np.stack([plane[name] for name in ("R", "G", "B")], axis=-1)
    return np.ascontiguousarray(np.swapaxes(plane, 0, 1)) if transpose else plane


def _set_scale(decoded: Decoded, volume: Any, affine: Floats, axes: tuple[int, int, int], index: int) -> None:
    """Spacing and position from the affine, unless the header contradicts itself or names no unit of length."""
    if decoded.notes and "affine" in decoded.notes[0]:
        decoded.scale_refused = decoded.notes[0]
        return
    header = volume.header
    unit = header.get_xyzt_units()[0]
    if unit == "unknown" and (header["sform_code"] or header["qform_code"]):
        unit = "mm"  # an affine into a named space: mm for nibabel, ITK and FSL alike; many writers leave the field 0
        decoded.notes.append("the NIfTI header names no unit; its affine is read as mm, as all NIfTI readers do")
    if unit not in MM_PER_SPATIAL_UNIT:
        decoded.scale_refused = "the NIfTI header names no unit of length (xyzt_units) and no space (sform, qform)"
        return
    to_mm = np.diag([*[MM_PER_SPATIAL_UNIT[unit]] * 3, 1.0])
    voxels = nifti_map(to_mm @ affine)
    zooms = np.ones(3)
    zooms[: min(3, len(volume.shape))] = header.get_zooms()[:3]
    stated = zooms * MM_PER_SPATIAL_UNIT[unit]
    shown = [axis for axis in axes if axis < len(volume.shape)]
    if not np.allclose(voxels.steps_mm[shown], stated[shown], rtol=1e-3, atol=0):
        decoded.scale_refused = "the NIfTI header contradicts itself: pixdim and affine give different spacings"
        return
    across, along_x, along_y = axes
    steps = voxels.steps_mm
    decoded.scale = {
        "row_mm": float(steps[along_y]),
        "column_mm": float(steps[along_x]),
        "slice_mm": float(steps[across]),
        "source": "acquisition",
    }
    if not _has_world(header, decoded.notes):
        return
    corner = np.zeros(3)
    corner[across] = index + 0.5
    try:
        origin = voxels.points(corner)
    except FrameError:
        return
    columns = voxels.matrix[:3, :3]
    decoded.world_mm = [origin.tolist(), columns[:, along_x].tolist(), columns[:, along_y].tolist()]


def _has_world(header: Any, notes: list[str]) -> bool:
    """Whether the header gives a position, and one only: sform and qform of one code must agree (nifti1.h)."""
    sform, sform_code = header.get_sform(coded=True)
    qform, qform_code = header.get_qform(coded=True)
    if not sform_code and not qform_code:
        notes.append("the NIfTI header has no orientation, so left and right are unknown")
        return False
    if sform_code and qform_code and not np.allclose(sform, qform, rtol=1e-3, atol=0.05):
        if sform_code == qform_code:
            notes.append("the NIfTI header contradicts itself: sform and qform place the volume differently")
            return False
        notes.append("sform and qform place the volume differently; world coordinates are those of the sform")
    return True
