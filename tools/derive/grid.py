"""Labels in the grid of the volume that they belong to: the same voxels, whatever the order and direction of axes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from fiducial.tools.derive.label_volume import LabelVolume, VolumeFrame, read_frame
from fiducial.tools.errors import InputError
from fiducial.tools.frames import Floats, FrameMap3D

TOLERANCE_VOXEL = 0.1  # files round positions and directions


def in_grid_of(volume: str | Path, labels: str | Path, mask: LabelVolume) -> LabelVolume:
    """The labels, as read from ``labels``, in the voxels of ``volume``. Nothing is interpolated.

    Axes are put in the volume's order and direction. A DICOM segmentation, which may leave out slices (PS3.3
    C.8.20.2), is filled up with nothing. Raises InputError where the voxels of the two are not the same, and for
    labels without lengths.
    """
    frame = read_frame(volume)
    references = {frame.frame_of_reference, mask.frame_of_reference} - {""}
    if len(references) > 1:
        raise InputError(f"{labels} and {volume} have different frames of reference; give a matching pair")
    sparse = mask.format == "DICOM SEG"
    if sparse and mask.single_slice:
        mask = _with_step(mask, frame)
    if mask.refused:
        raise InputError(f"cannot derive sizes from '{labels}': {mask.refused}; mend its header")
    relation = np.linalg.inv(frame.voxels.matrix) @ mask.voxels.matrix
    turn = np.rint(relation[:3, :3])
    if not np.array_equal(np.abs(turn) @ np.ones(3), np.ones(3)) or abs(np.linalg.det(turn)) != 1:
        _refuse(volume, labels, mask, frame)
    order = np.abs(turn).argmax(axis=1)
    ends = _corners(mask.labels.shape)
    start = np.rint((ends @ turn.T + relation[:3, 3]).min(axis=0))
    exact = ends @ turn.T + start - (ends @ turn.T).min(axis=0)
    turned = np.transpose(mask.labels, order)
    turned = turned[tuple(slice(None, None, int(turn[axis].sum())) for axis in range(3))]
    before = start.astype(int)
    after = np.array(frame.shape) - before - turned.shape
    off = float(np.abs(ends @ relation[:3, :3].T + relation[:3, 3] - exact).max())
    if off > TOLERANCE_VOXEL or (before < 0).any() or (after < 0).any() or ((before + after).any() and not sparse):
        _refuse(volume, labels, mask, frame)
    padded = (
        np.pad(turned, list(zip(before.tolist(), after.tolist(), strict=True))) if (before + after).any() else turned
    )
    return replace(mask, labels=padded, voxels=frame.voxels)


def _corners(shape: tuple[int, ...]) -> Floats:
    """(8, 3): the corners of a grid, corner-based voxel coordinates."""
    return np.array([(i, j, k) for i in (0, shape[0]) for j in (0, shape[1]) for k in (0, shape[2])], np.float64)


def _with_step(mask: LabelVolume, frame: VolumeFrame) -> LabelVolume:
    """A single slice of labels, as thick as the volume's slices are apart."""
    matrix = mask.voxels.matrix.copy()
    middle = mask.voxels.points((0.0, 0.0, 0.5))
    along = int(np.abs(frame.voxels.matrix[:3, :3].T @ matrix[:3, 2] / frame.voxels.steps_mm).argmax())
    matrix[:3, 2] = frame.voxels.matrix[:3, along]
    matrix[:3, 3] = middle - matrix[:3, 2] / 2
    return replace(mask, voxels=FrameMap3D(matrix), refused=None)


def _refuse(volume: str | Path, labels: str | Path, mask: LabelVolume, frame: VolumeFrame) -> None:
    """Raise InputError that says how the voxels of the two differ."""
    sizes = ["×".join(map(str, shape)) for shape in (mask.labels.shape, frame.shape)]
    if sorted(mask.labels.shape) != sorted(frame.shape):
        raise InputError(f"{labels} has {sizes[0]} voxels, but {volume} has {sizes[1]}; resample one")
    ours, theirs = frame.voxels.points(_corners(frame.shape)), mask.voxels.points(_corners(mask.labels.shape))
    apart = np.linalg.norm(ours[:, None] - theirs[None], axis=2).min(axis=1).max()
    raise InputError(f"{labels} and {volume} lie up to {apart:.3g} mm apart in the patient; give a matching pair")
