"""DICOM segmentation (PS3.3 A.51): its frames, each of one segment and one position, as one volume of labels."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiducial.tools.images.decoded import Decoded, DecodeError, Request, require_pixels
from fiducial.tools.images.dicom_pixels import frame_pixels
from fiducial.tools.images.dicom_scale import frame_value, set_scale, whole
from fiducial.tools.images.dicom_stack import (
    POSITION_TOLERANCE_MM,
    Stack,
    StackSlice,
    cut_stack,
    make_stack,
    stack_slice,
)

MAX_FRAMES = 5000


def decode_seg(dataset: Any, request: Request) -> Decoded:
    """One slice of the volume of labels: each value is a segment's number, 0 is background.

    Where segments overlap the higher number is kept, and a note says so; of a fractional segmentation, what is at least
    half is inside. Raises DecodeError for frames that cannot be slices of one volume.
    """
    if request.frame is not None:
        raise DecodeError("a frame of a segmentation is of one segment only; leave the frame out and give a slice")
    decoded = cut_stack(seg_stack(dataset), request.plane, request.index)
    labels = [_segment(item) for item in list(dataset.get("SegmentSequence") or [])[:20]]
    decoded.notes += [f"segments: {', '.join(labels)}"] if labels else []
    return decoded


def seg_stack(dataset: Any) -> Stack:
    """The slices of labels of a segmentation, in order. Raises DecodeError."""
    count = whole(dataset, "NumberOfFrames", 1)
    if count > MAX_FRAMES:
        raise DecodeError(f"its {count} frames are more than the limit of {MAX_FRAMES}; export a part")
    frames = [stack_slice(dataset, n, f"frame {n}", _no_load, _no_values) for n in range(count)]
    normal = frames[0].normal
    groups: dict[int, list[int]] = {}
    for number, frame in enumerate(frames):
        groups.setdefault(round(float(frame.position_mm @ normal) / POSITION_TOLERANCE_MM), []).append(number)
    slices = [_at(dataset, frames[numbers[0]], numbers) for numbers in groups.values()]
    return make_stack(_with_empty(dataset, slices))


def _no_load() -> Decoded:
    raise DecodeError("a single frame of a segmentation is no slice of its labels; give an index")


def _no_values() -> None:
    return None


def _segment(item: Any) -> str:
    label = "".join(c for c in str(item.get("SegmentLabel", "")) if c.isprintable())[:40]
    return f"{item.get('SegmentNumber')} {label}".strip()


def _at(dataset: Any, place: StackSlice, frames: list[int]) -> StackSlice:
    """The slice of all frames at one position."""
    name = f"frame {frames[0]}" if frames else place.name
    load = partial(_labels, dataset, frames, place)
    return replace(place, name=name, load=load, values=lambda: load().values)


def _with_empty(dataset: Any, slices: list[StackSlice]) -> list[StackSlice]:
    """The slices, and between them the empty ones, which a writer may leave out (PS3.3 C.8.20.2)."""
    stated = slices[0].stated_step_mm
    places = sorted(slices, key=lambda item: float(item.position_mm @ item.normal))
    gaps = np.diff([float(item.position_mm @ item.normal) for item in places])
    if len(gaps) == 0:
        return slices
    step = min(float(gaps.min()), stated or np.inf)
    filled = [places[0]]
    for gap, item in zip(gaps, places[1:], strict=True):
        steps = round(float(gap) / step) if step > 0 else 1
        if steps > 1 and abs(gap - steps * step) <= 0.02 * step * steps and len(filled) + steps < MAX_FRAMES:
            last = filled[-1]
            for n in range(1, steps):
                at = last.position_mm + (item.position_mm - last.position_mm) * n / steps
                empty = replace(item, name="an empty slice", position_mm=at)
                filled.append(_at(dataset, empty, []))
        filled.append(item)
    return filled


def _labels(dataset: Any, frames: list[int], place: StackSlice) -> Decoded:
    """The labels at one position, with their place in the world."""
    require_pixels(place.shape[1], place.shape[0])
    labels: NDArray[np.float32] = np.zeros(place.shape, np.float32)
    notes = []
    fractional = dataset.get("SegmentationType") == "FRACTIONAL"
    full = float(dataset.get("MaximumFractionalValue") or 1) if fractional else 1.0
    label_map = dataset.get("SegmentationType") == "LABELMAP"
    for frame in frames:
        pixels = frame_pixels(dataset, frame)
        if label_map:
            labels = np.maximum(labels, pixels.astype(np.float32))
            continue
        inside = pixels >= full / 2 if fractional else pixels > 0
        number = float(frame_value(dataset, frame, "ReferencedSegmentNumber") or 1)
        if (labels[inside] > 0).any():
            notes.append("segments overlap; the higher number is kept")
        labels[inside] = np.maximum(labels[inside], number)
    if fractional:
        notes.append("the segmentation is fractional; what is at least half is inside")
    segments = len(dataset.get("SegmentSequence") or []) or 1
    top = float(max(segments, labels.max(), 1))
    shown = np.repeat((labels / top * 255 + 0.5).astype(np.uint8)[:, :, None], 3, axis=2)
    decoded = Decoded("DICOM SEG", shown, labels, "segment number")
    decoded.modality, decoded.notes = "SEG", notes
    decoded.window = (top / 2, top, "LINEAR_EXACT", False)
    set_scale(decoded, dataset, frames[0] if frames else 0)
    if not frames and decoded.scale is not None:
        _place(decoded, place)
    return decoded


def _place(decoded: Decoded, place: StackSlice) -> None:
    """Of a slice that the file leaves out: its own position, not that of the first frame."""
    row_mm, column_mm = place.spacing_mm
    step_x, step_y = place.orientation[:3] * column_mm, place.orientation[3:] * row_mm
    origin = place.position_mm - (step_x + step_y) / 2
    decoded.world_mm = [[float(v) for v in vector] for vector in (origin, step_x, step_y)]
