"""A volume, and how it is cut: slices in the anatomical planes along its own axes, each with its frame and spacing.

*Stored pixels* of a slice: x along the voxel axis that runs most nearly left–right (sagittal: front–back), y along the
one nearest front–back (coronal, sagittal: feet–head), each in the file's own direction. Displayed as a radiologist
expects it: the patient's left on the right, front or head on top, and front on the left in sagittal slices.
Nothing is interpolated: of an oblique volume the nearest stored plane is cut, and a note says by how much it is tilted.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiducial.tools.frames import Floats, FrameMap3D
from fiducial.tools.images.decoded import Decoded, choose, require_pixels
from fiducial.tools.images.orientation import STEPS

MAX_VOLUME_BYTES = 1 << 30
RIGHT, ANTERIOR, SUPERIOR = 0, 1, 2
# plane: world axis across it, along x, along y
PLANES = {
    "axial": (SUPERIOR, RIGHT, ANTERIOR),
    "coronal": (ANTERIOR, RIGHT, SUPERIOR),
    "sagittal": (RIGHT, ANTERIOR, SUPERIOR),
}
TILT_DEG = 1.0  # beyond this, a slice is said to be oblique
SHEAR = 2e-3  # cosine between rows and columns beyond which a length by rows and columns is 0.1 % wrong


@dataclass(eq=False)
class Volume:
    """A volume before it is cut.

    voxels: from corner-based voxel coordinates to mm, LPS; of a file without them, a nominal map.
    read: the values of one slice by the voxel axis across it and the index, (first, second remaining axis) or
    (…, 3) for colour. show: (h, w, 3) uint8 of such values.
    scale_refused: why spacing is not known; has_world: whether the position in the patient is.
    frame_of_reference: a DICOM identifier of the space that positions are in, "" where there is none.
    single_slice: the distance to a next slice, the third axis, is only stated or nominal.
    frame: of a file that holds several volumes, frame_count of them, which this is; None of one alone.
    """

    format: str
    shape: tuple[int, int, int]
    voxels: FrameMap3D
    read: Callable[[int, int], NDArray[Any]]
    show: Callable[[NDArray[Any]], NDArray[np.uint8]]
    values_unit: str = "stored value"
    modality: str | None = None
    scale_refused: str | None = None
    has_world: bool = True
    frame: int | None = None
    frame_count: int = 1
    frame_of_reference: str = ""
    single_slice: bool = False
    notes: list[str] = field(default_factory=list)


def anatomical_axes(linear: Floats) -> Floats:
    """(3, 2): for each voxel axis the nearest anatomical axis (0 left–right, 1 front–back, 2 feet–head) and its sign.

    linear: (3, 3), LPS steps as columns. Sign +1: towards the patient's right, front, head (RAS).
    """
    from nibabel.orientations import io_orientation

    affine = np.eye(4)
    affine[:3, :3] = np.diag([-1.0, -1.0, 1.0]) @ linear
    return np.asarray(io_orientation(affine))


def plane_across(anatomical_axis: int) -> str:
    """The plane that an anatomical axis stands across."""
    return next(name for name, axes in PLANES.items() if axes[0] == anatomical_axis)


def display_orientation(plane: str, axes: Floats, along_x: int, along_y: int) -> int:
    """EXIF number of the turn from a slice, stored along these voxel axes, to its display; axes: anatomical_axes."""
    exchange = int(axes[along_x, 0]) != PLANES[plane][1]
    shown = (along_y, along_x) if exchange else (along_x, along_y)
    steps = (exchange, *(bool(axes[axis, 1] > 0) for axis in shown))
    return next(number for number, those in STEPS.items() if those == steps)


def tilt_note(plane: str, step_x: Floats, step_y: Floats) -> str | None:
    """A sentence where a slice with these steps is tilted against the anatomical plane that it is nearest to."""
    normal = np.cross(step_x, step_y)
    along = abs(float(normal[PLANES[plane][0]])) / (float(np.linalg.norm(normal)) or 1.0)
    tilt = math.degrees(math.acos(min(1.0, along)))
    if tilt <= TILT_DEG:
        return None
    return f"the volume is oblique: its {plane} slices, shown as stored, are tilted {tilt:.0f}° against that plane"


def cut(volume: Volume, plane: str | None, index: int | None) -> Decoded:
    """One slice of a volume; plane None is axial, index None the middle one. Raises DecodeError if there is no such."""
    linear = volume.voxels.matrix[:3, :3]
    axes, notes = anatomical_axes(linear), list(volume.notes)
    plane = _plane_of(plane or "axial", volume.shape, axes, notes)
    across, along_x, along_y = (int(np.flatnonzero(axes[:, 0] == axis)[0]) for axis in PLANES[plane])
    count = volume.shape[across]
    index = choose(f"{plane} slice", count // 2 if index is None else index, count)
    require_pixels(volume.shape[along_x], volume.shape[along_y])
    values = volume.read(across, index)
    if along_x < along_y:  # read gives the lower axis first, which is to be x, the column
        values = np.ascontiguousarray(np.swapaxes(values, 0, 1))
    decoded = Decoded(volume.format, volume.show(values))
    if values.ndim == 2:
        decoded.values, decoded.values_unit = values.astype(np.float32), volume.values_unit
    decoded.orientation = display_orientation(plane, axes, along_x, along_y)
    decoded.modality, decoded.notes, decoded.plane = volume.modality, notes, plane
    decoded.slice_count, decoded.slice_index = count, index
    decoded.frame, decoded.frame_count = volume.frame, volume.frame_count
    _set_scale(decoded, volume, (across, along_x, along_y))
    return decoded


def _plane_of(plane: str, shape: tuple[int, int, int], axes: Floats, notes: list[str]) -> str:
    """The plane asked for; a volume of one slice has only the plane of that slice."""
    thin = [axis for axis in range(3) if shape[axis] == 1]
    if len(thin) != 1:
        return plane
    only = plane_across(int(axes[thin[0], 0]))
    if only != plane:
        notes.append(f"the file holds a single {only} slice, which is shown")
    return only


def _set_scale(decoded: Decoded, volume: Volume, axes: tuple[int, int, int]) -> None:
    """Spacing and position of the slice."""
    decoded.scale_refused = volume.scale_refused
    if volume.scale_refused:
        return
    across, along_x, along_y = axes
    linear, steps = volume.voxels.matrix[:3, :3], volume.voxels.steps_mm
    if volume.has_world:
        corner = np.zeros(3)
        corner[across] = decoded.slice_index + 0.5
        vectors = (volume.voxels.points(corner), linear[:, along_x], linear[:, along_y])
        decoded.world_mm = [[float(v) for v in vector] for vector in vectors]
        decoded.across_mm = [float(v) for v in linear[:, across]]
        note = tilt_note(str(decoded.plane), linear[:, along_x], linear[:, along_y])
        decoded.notes += [note] if note else []
    cosine = float(linear[:, along_x] @ linear[:, along_y]) / float(steps[along_x] * steps[along_y])
    if abs(cosine) > SHEAR:
        angle = math.degrees(math.acos(max(-1.0, min(1.0, cosine))))
        decoded.scale_refused = (
            f"rows and columns of this cut are not perpendicular ({angle:.1f}°: a sheared affine or a tilted gantry)"
        )
        return
    normal = np.cross(linear[:, along_x], linear[:, along_y])
    apart_mm = abs(linear[:, across] @ normal) / np.linalg.norm(normal)  # not the step: slices may be shifted sideways
    decoded.scale = {
        "row_mm": float(steps[along_y]),
        "column_mm": float(steps[along_x]),
        "slice_mm": float(apart_mm),
        "source": "acquisition",
    }
