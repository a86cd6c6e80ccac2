"""Slices that make a volume: put in order by their positions in the patient, checked, and cut in the anatomical planes.

The order is the projection of ImagePositionPatient on the normal of the slices (PS3.3 C.7.6.2.1.1), never the instance
number. The step between slices is the distance of positions, never SliceThickness, which is the depth of one slice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiducial.tools.frames import Floats, FrameError, FrameMap3D, dicom_plane_map
from fiducial.tools.images.decoded import Decoded, DecodeError, choose
from fiducial.tools.images.dicom_scale import frame_value, spacing_of, whole
from fiducial.tools.images.volume import Volume, anatomical_axes, cut, display_orientation, plane_across, tilt_note
from fiducial.tools.images.window import windowed_u8

STEP_TOLERANCE = 0.02  # of the step; and never finer than this, which positions written with two decimals need:
POSITION_TOLERANCE_MM = 0.02


@dataclass(frozen=True, eq=False)
class StackSlice:
    """One slice. name: how to call it in a sentence; position_mm: of its first pixel's centre.

    load: decodes it; values: only its values, (rows, columns), which cuts across many slices need, or None for colour.
    """

    name: str
    position_mm: Floats
    orientation: Floats
    spacing_mm: tuple[float, float]
    shape: tuple[int, int]
    load: Callable[[], Decoded]
    values: Callable[[], NDArray[np.float32] | None]
    stated_step_mm: float | None = None
    frame_of_reference: str = ""

    @property
    def normal(self) -> Floats:
        """(3,): row direction cross column direction."""
        return np.cross(self.orientation[:3], self.orientation[3:])


@dataclass(frozen=True, eq=False)
class Stack:
    """Slices in the order of their positions. step_mm: (3,) the way to the next; None for one slice, or with a fault.

    fault: why the slices are no evenly spaced volume, though each is a slice of its own.
    """

    slices: tuple[StackSlice, ...]
    step_mm: Floats | None
    fault: str | None
    notes: tuple[str, ...] = ()


def stack_slice(
    dataset: Any,
    frame: int,
    name: str,
    load: Callable[[], Decoded],
    values: Callable[[], NDArray[np.float32] | None],
) -> StackSlice:
    """The place of one frame of a data set. Raises DecodeError that names what is missing or contradicts itself."""
    position = _numbers(frame_value(dataset, frame, "ImagePositionPatient"), 3)
    orientation = _numbers(frame_value(dataset, frame, "ImageOrientationPatient"), 6)
    spacing = spacing_of(frame_value(dataset, frame, "PixelSpacing"))
    places = (("ImagePositionPatient", position), ("ImageOrientationPatient", orientation), ("PixelSpacing", spacing))
    for keyword, value in places:
        if value is None:
            raise DecodeError(
                f"{name} has no usable {keyword}, so its place among the slices is unknown; open it alone"
            )
    assert position is not None and orientation is not None and spacing is not None
    try:
        dicom_plane_map(position, orientation.tolist(), *spacing)
    except FrameError:
        raise DecodeError(
            f"the ImageOrientationPatient of {name} contradicts itself; export the series again"
        ) from None
    shape = (whole(dataset, "Rows"), whole(dataset, "Columns"))
    stated = _numbers([frame_value(dataset, frame, "SpacingBetweenSlices")], 1)
    step = None if stated is None else abs(float(stated[0]))
    reference = str(dataset.get("FrameOfReferenceUID") or "")
    return StackSlice(name, position, orientation, spacing, shape, load, values, step, reference)


def _numbers(value: Any, count: int) -> Floats | None:
    """So many finite numbers; None for anything else."""
    try:
        numbers = np.array([float(v) for v in value], np.float64)
    except (TypeError, ValueError):
        return None
    return numbers if numbers.shape == (count,) and np.isfinite(numbers).all() else None


def make_stack(slices: Sequence[StackSlice]) -> Stack:
    """Put slices in order. Raises DecodeError where they cannot be slices of one volume."""
    first = slices[0]
    for other in slices[1:]:
        if not np.allclose(other.orientation, first.orientation, atol=1e-3):
            raise DecodeError(
                f"{first.name} and {other.name} differ in orientation (a localiser among the slices?); "
                "keep the slices of one orientation"
            )
        if other.shape != first.shape or not np.allclose(other.spacing_mm, first.spacing_mm, rtol=1e-3):
            raise DecodeError(f"{first.name} and {other.name} differ in size or PixelSpacing; keep one kind of slice")
    distances = np.array([item.position_mm @ first.normal for item in slices])
    order = np.argsort(distances, kind="stable")
    ordered, distances = tuple(slices[int(i)] for i in order), distances[order]
    gaps = np.diff(distances)
    if len(gaps) and float(gaps.min()) < POSITION_TOLERANCE_MM / 2:
        at = int(gaps.argmin())
        raise DecodeError(
            f"{ordered[at].name} and {ordered[at + 1].name} lie at the same position, as copies or moments of one "
            "slice do; keep one of each"
        )
    if len(ordered) == 1:
        return Stack(ordered, None, None)
    return _spaced(ordered, gaps)


def _spaced(ordered: tuple[StackSlice, ...], gaps: Floats) -> Stack:
    """The step of slices in order, or the fault: a gap, uneven distances, slices shifted against each other."""
    step = float(np.median(gaps))
    tolerance = max(STEP_TOLERANCE * step, POSITION_TOLERANCE_MM)
    odd = np.flatnonzero(np.abs(gaps - step) > tolerance)
    if len(odd):
        at = int(odd[0])
        missing = round(float(gaps[at]) / step) - 1
        even = missing > 0 and abs(gaps[at] - (missing + 1) * step) <= tolerance * (missing + 1)
        why = f"{missing} missing between them" if even else "the slices are not evenly spaced"
        names = f"{ordered[at].name} and {ordered[at + 1].name}"
        return Stack(ordered, None, f"{names} are {gaps[at]:.4g} mm apart where the step is {step:.4g} mm: {why}")
    vector = (ordered[-1].position_mm - ordered[0].position_mm) / len(gaps)
    expected = ordered[0].position_mm + np.arange(len(ordered))[:, None] * vector
    strays = np.linalg.norm(np.stack([item.position_mm for item in ordered]) - expected, axis=1)
    if float(strays.max()) > tolerance:
        name = ordered[int(strays.argmax())].name
        return Stack(ordered, None, f"{name} is shifted {strays.max():.2g} mm against the line of the other slices")
    stated, notes = ordered[0].stated_step_mm, []
    if stated is not None and abs(stated - step) > tolerance:
        notes.append(f"SpacingBetweenSlices says {stated:.4g} mm; the positions, which count, are {step:.4g} mm apart")
    return Stack(ordered, np.asarray(vector), None, tuple(notes))


def volume_map(stack: Stack) -> FrameMap3D:
    """From corner-based voxels (column, row, slice) to mm, LPS; of a single slice, its step as stated, else 1 mm."""
    first, matrix = stack.slices[0], np.eye(4)
    row_mm, column_mm = first.spacing_mm
    matrix[:3, 0], matrix[:3, 1] = first.orientation[:3] * column_mm, first.orientation[3:] * row_mm
    matrix[:3, 2] = first.normal * (first.stated_step_mm or 1.0) if stack.step_mm is None else stack.step_mm
    matrix[:3, 3] = first.position_mm - matrix[:3, :3].sum(axis=1) / 2
    return FrameMap3D(matrix)


def cut_stack(stack: Stack, plane: str | None, index: int | None) -> Decoded:
    """One slice: as it was acquired, or cut across the acquired ones. plane None: as acquired; index None: the middle.

    Raises DecodeError if there is no such slice, or for a cut across slices that are no evenly spaced volume.
    """
    first = stack.slices[0]
    linear = np.stack([first.orientation[:3], first.orientation[3:], first.normal], axis=1)
    axes = anatomical_axes(linear)
    acquired = plane_across(int(axes[2, 0]))
    if plane not in (None, acquired):
        if len(stack.slices) > 1 and stack.step_mm is not None:
            return _across(stack, str(plane), index)
        why = stack.fault or "it is a single slice"
        raise DecodeError(f"it cannot be cut in the {plane} plane, {why}; use --plane {acquired}")
    index = choose(f"{acquired} slice", len(stack.slices) // 2 if index is None else index, len(stack.slices))
    decoded = stack.slices[index].load()
    decoded.slice_count, decoded.slice_index, decoded.plane = len(stack.slices), index, acquired
    decoded.orientation = display_orientation(acquired, axes, 0, 1)
    note = tilt_note(acquired, linear[:, 0], linear[:, 1])
    decoded.notes += [*stack.notes, *([stack.fault] if stack.fault else []), *([note] if note else [])]
    if stack.step_mm is not None:
        decoded.across_mm = [float(v) for v in stack.step_mm]
    if decoded.scale is not None:
        decoded.scale["slice_mm"] = None if stack.step_mm is None else abs(float(stack.step_mm @ first.normal))
    return decoded


def _across(stack: Stack, plane: str, index: int | None) -> Decoded:
    """A slice across the acquired ones, of their values; shown through the window of the middle one."""
    return cut(stack_volume(stack), plane, index)


def stack_volume(stack: Stack) -> Volume:
    """A stack as a volume of values, (column, row, slice). Raises DecodeError for colour and a stack with a fault."""
    if stack.fault:
        raise DecodeError(f"it is no evenly spaced volume, for {stack.fault}; copy the series again")
    middle = stack.slices[len(stack.slices) // 2].load()
    rows, columns = stack.slices[0].shape
    if middle.values is None:
        raise DecodeError("its slices are in colour and cannot be cut in another plane; leave the plane out")
    refused = middle.scale_refused
    if len(stack.slices) == 1 and stack.slices[0].stated_step_mm is None:
        refused = refused or "it is a single slice, and the distance to a next one is unknown"
    return Volume(
        middle.format,
        (columns, rows, len(stack.slices)),
        volume_map(stack),
        partial(_read, stack),
        partial(_show, middle.window),
        middle.values_unit or "stored value",
        middle.modality,
        refused,
        middle.world_mm is not None,
        frame_of_reference=stack.slices[0].frame_of_reference,
        single_slice=len(stack.slices) == 1,
        notes=[*stack.notes, *middle.notes],
    )


def _read(stack: Stack, across: int, index: int) -> NDArray[Any]:
    """Values along one line of every slice: (line, slice). across: 0 for a column, 1 for a row of the slices.

    2 for a slice: (column, row).
    """
    if across == 2:
        return _values(stack.slices[index]).T
    lines = []
    for item in stack.slices:
        values = _values(item)
        lines.append(values[:, index] if across == 0 else values[index])
    return np.stack(lines, axis=-1)


def _values(item: StackSlice) -> NDArray[np.float32]:
    values = item.values()
    if values is None or values.shape != item.shape:
        raise DecodeError(f"{item.name} is of another kind than the other slices; keep one kind of slice")
    return values


def _show(window: tuple[float | None, float | None, str, bool] | None, values: NDArray[Any]) -> NDArray[np.uint8]:
    center, width, function, inverted = window or (None, None, "LINEAR", False)
    shown = windowed_u8(values, center, width, function)
    return 255 - shown if inverted else shown
