"""What a segmentation of a volume says of each label: in space, and slice by slice in the three anatomical planes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiducial.tools.derive.label_volume import LabelVolume
from fiducial.tools.derive.moments import PlaneFits, axis_sums, plane_fits
from fiducial.tools.frames import FrameMap3D
from fiducial.tools.images.volume import PLANES, anatomical_axes
from fiducial.tools.metrics.size_classes import size_class

Mask = NDArray[np.bool_]
MOST_LABELS = 1 << 16


@dataclass(frozen=True, eq=False)
class LabelFits:
    """One label of a volume.

    voxels: their number; volume_mm3. box_ijk: half-open voxel box i0, j0, k0, i1, j1, k1. box_xyzxyz_mm: the box in the
    world (LPS) around all its voxels, their outer faces included. centroid_mm: LPS. axes_mm: the three full axes of the
    ellipsoid with its moments, longest first. planes: the fits in each. greatest: of each plane, in the slice of the
    greatest area, the RECIST long and short axis in mm (None where rows and columns are not perpendicular).
    """

    label: int
    voxels: int
    volume_mm3: float
    box_ijk: tuple[int, int, int, int, int, int]
    box_xyzxyz_mm: tuple[float, ...]
    centroid_mm: tuple[float, float, float]
    axes_mm: tuple[float, float, float]
    planes: Mapping[str, PlaneFits]
    greatest: Mapping[str, tuple[int, tuple[float, float]]]


@dataclass(frozen=True, eq=False)
class Plane:
    """A plane of a volume: the voxel axes across it, along x, along y; its side lengths and steps."""

    axes: tuple[int, int, int]
    width_px: int
    height_px: int
    column_mm: float
    row_mm: float
    slice_mm: float


def planes_of(shape: tuple[int, ...], voxels: FrameMap3D) -> dict[str, Plane]:
    """The three anatomical planes of a volume, as ``open_image`` cuts them (``images/volume.py``)."""
    nearest, steps = anatomical_axes(voxels.matrix[:3, :3])[:, 0], voxels.steps_mm
    found = {}
    for name, wanted in PLANES.items():
        across, x, y = (int(np.flatnonzero(nearest == axis)[0]) for axis in wanted)
        found[name] = Plane((across, x, y), shape[x], shape[y], float(steps[x]), float(steps[y]), float(steps[across]))
    return found


def derive(volume: LabelVolume, recist: bool = True) -> list[LabelFits]:
    """Every label but 0, in their order. recist: also the RECIST axes, which need outlines and take the most time."""
    from scipy.ndimage import find_objects

    planes = planes_of(volume.labels.shape, volume.voxels)
    labels, numbers = _dense(volume.labels)
    found = []
    for dense, part in enumerate(find_objects(labels), 1):
        if part is not None:
            mask = labels[part] == dense
            offset = (part[0].start, part[1].start, part[2].start)
            found.append(_label(int(numbers[dense]), mask, offset, volume.voxels, planes, recist))
    return found


def _dense(labels: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Labels small enough to be counted up to, and the number that each stands for."""
    highest = int(labels.max(initial=0))
    if highest <= MOST_LABELS:
        return labels, np.arange(highest + 1)
    numbers, dense = np.unique(labels, return_inverse=True)
    if numbers[0] != 0:  # no background: nothing may take its place
        numbers, dense = np.concatenate([[0], numbers]), dense + 1
    return dense.reshape(labels.shape), numbers


def _label(
    number: int,
    mask: Mask,
    offset: tuple[int, int, int],
    voxels: FrameMap3D,
    planes: Mapping[str, Plane],
    recist: bool,
) -> LabelFits:
    sums = axis_sums(mask)
    fits = {name: plane_fits(sums, offset, p.axes, (p.column_mm, p.row_mm)) for name, p in planes.items()}
    linear = voxels.matrix[:3, :3]
    count = int(sums.counts[0].sum())
    sides = [np.arange(side, dtype=np.float64) for side in mask.shape]
    # The sums along the other axes: i by counts over (i, j), j by those over (i, j), k by those over (i, k).
    by_axis = [sums.counts[2].sum(axis=1), sums.counts[2].sum(axis=0), sums.counts[1].sum(axis=0)]
    mean = np.array([counts @ side / count for counts, side in zip(by_axis, sides, strict=True)])
    second = np.empty((3, 3))
    for a in range(3):
        second[a, a] = by_axis[a] @ sides[a] ** 2 / count - mean[a] ** 2 + 1 / 12
    for a, b, c in ((0, 1, 2), (0, 2, 1), (1, 2, 0)):  # counts[c] is over (a, b)
        second[a, b] = second[b, a] = sides[a] @ sums.counts[c] @ sides[b] / count - mean[a] * mean[b]
    # An ellipsoid's variance along an axis is a fifth of its squared semi-axis.
    axes = 2.0 * np.sqrt(5.0 * np.maximum(np.linalg.eigvalsh(linear @ second @ linear.T)[::-1], 0.0))
    low, high = _world_box(mask, offset, voxels)
    centroid = voxels.points(mean + offset + 0.5).tolist()
    i, j, k = offset
    return LabelFits(
        label=number,
        voxels=count,
        volume_mm3=count * abs(float(np.linalg.det(linear))),
        box_ijk=(i, j, k, i + mask.shape[0], j + mask.shape[1], k + mask.shape[2]),
        box_xyzxyz_mm=(*low.tolist(), *high.tolist()),
        centroid_mm=(centroid[0], centroid[1], centroid[2]),
        axes_mm=(float(axes[0]), float(axes[1]), float(axes[2])),
        planes=fits,
        greatest={name: _greatest(mask, offset, fits[name], p) for name, p in planes.items()} if recist else {},
    )


def _world_box(mask: Mask, offset: tuple[int, int, int], voxels: FrameMap3D) -> tuple[NDArray[Any], NDArray[Any]]:
    """Lowest and highest world coordinates of the voxels' outer faces: their centres, and half a voxel's extent."""
    linear = voxels.matrix[:3, :3]
    straight = np.count_nonzero(np.abs(linear) > 1e-9 * np.abs(linear).max()) == 3
    # Along the world's axes the corners of the box do; of an oblique volume, every voxel may be the outermost.
    index = np.array([(0, 0, 0), np.array(mask.shape) - 1]) if straight else np.argwhere(mask)
    centres = voxels.points(index + np.array(offset) + 0.5)
    half = np.abs(linear).sum(axis=1) / 2
    return centres.min(axis=0) - half, centres.max(axis=0) + half


def _greatest(
    mask: Mask, offset: tuple[int, int, int], fits: PlaneFits, plane: Plane
) -> tuple[int, tuple[float, float]]:
    """The slice of the greatest area (the first of equals), and the RECIST axes of the label's largest part in it."""
    from fiducial.tools.geometry.masks import mask_recist_axes

    index = int(fits.slices[np.argmax(fits.area_px)])
    across, x, y = plane.axes
    cut = np.take(mask, index - offset[across], axis=across)
    axes = mask_recist_axes(cut.T if x < y else cut, plane.row_mm, plane.column_mm)
    assert axes is not None
    return index, axes


def slice_rows(fits: LabelFits, planes: Mapping[str, Plane]) -> Iterator[dict[str, Any]]:
    """One JSON-ready row a slice, in the slice's stored pixels, as ``fiducial ask --plane --slice`` has them."""
    for name, found in fits.planes.items():
        plane = planes[name]
        image = plane.width_px * plane.height_px
        boxes, centers, axes = found.box_xyxy_px.tolist(), found.center_xy_px.tolist(), found.axes.tolist()
        for n, index in enumerate(found.slices.tolist()):
            x0, y0, x1, y1 = boxes[n]
            share = (x1 - x0) * (y1 - y0) / image
            yield {
                "label": fits.label,
                "plane": name,
                "slice": index,
                "box_xyxy_px": boxes[n],
                "box_mm": [(x1 - x0) * plane.column_mm, (y1 - y0) * plane.row_mm],
                "box_share": share,
                "size_class": size_class(share),
                "area_mm2": int(found.area_px[n]) * plane.column_mm * plane.row_mm,
                "center_xy_px": centers[n],
                "ellipse_axes_mm": axes[n],
                "ellipse_angle_deg": float(found.angle_deg[n]),
            }
