"""MedVision: boxes, sizes, angles and distances on slices of volumes (arXiv 2511.18676).

A row of ``benchmark_plan_biometry_v1.0.0.json.gz``: ``{"taskID": "01", "label": "kidney tumor", "image_file":
"images/a.nii.gz", "mask_file": "masks/a.nii.gz", "slice_dim": 2, "slice_idx": 41, "image_size_2d": [512, 480],
"bounding_boxes": {"min_coords": [100, 200], "max_coords": [140, 260], "dimensions": [40, 60]}, "ROI_area": 1900,
"biometric_profile": {"metric_type": "distance", "metric_map_name": "…", "metric_key": "…", "metric_unit": "mm",
"metric_value": 31.4}}``: dim 0 is the row, so this box is (200, 100, 260, 140). Also read are plans that nest such rows
as tasks, ``train_cases`` and ``slice_profiles_z`` (their keys are unverified). The spacing is the file's own. The group
is the volume.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from fiducial.skills.datasets.objects import RawBox, located_ask, sound_objects
from fiducial.skills.datasets.pictures import grey_rgb, inside
from fiducial.skills.datasets.rows import Row, find_file, read_rows
from fiducial.skills.datasets.sample import Ask, Problem, Sample
from fiducial.skills.datasets.splits import SHARES, split_of
from fiducial.skills.targets import Number, NumbersTarget, NumberUnit, PromptTask, Query
from fiducial.tools.errors import InputError
from fiducial.tools.images.nifti import MM_PER_SPATIAL_UNIT
from fiducial.tools.record import Scale

UNITS: dict[str, NumberUnit] = {
    "mm": "mm", "cm": "cm", "px": "px", "deg": "deg", "degree": "deg", "degrees": "deg", "°": "deg",
}  # fmt: skip
AXIS_NAMES = ("major axis", "minor axis")
AXES = {"x": 0, "y": 1, "z": 2}
CASES = {"train": ("train_cases",), "test": ("test_cases",), "all": ("train_cases", "test_cases")}


@lru_cache(maxsize=64)
def _spacing_mm(path: Path) -> tuple[float, ...] | None:
    """The three steps of a volume, in mm; None where the header has none."""
    import nibabel as nib
    from nibabel.filebasedimages import ImageFileError

    try:
        header: Any = nib.load(path).header
        unit = header.get_xyzt_units()[0] if hasattr(header, "get_xyzt_units") else "mm"
        steps = tuple(float(step) * MM_PER_SPATIAL_UNIT.get(unit, 1.0) for step in header.get_zooms()[:3])
    except (OSError, ImageFileError, EOFError) as error:
        raise InputError(f"cannot read '{path}': {error}; copy the volume again from the data set") from None
    return steps if len(steps) == 3 and all(np.isfinite(step) and step > 0 for step in steps) else None


def read_slice(path: Path, axis: int, index: int) -> np.ndarray:
    """(H, W, 3) uint8 of one slice as the plan addresses it: the first of the other two axes is the row."""
    import nibabel as nib
    from nibabel.filebasedimages import ImageFileError

    try:
        volume: Any = nib.load(path)
        data = volume.dataobj
        place: list[Any] = [slice(None)] * 3
        place[axis] = index
        return grey_rgb(np.asarray(data[tuple(place)], np.float32))
    except (OSError, ImageFileError, EOFError, IndexError, ValueError) as error:
        raise InputError(f"cannot read slice {index} of '{path}': {error}; copy the volume again") from None


def _pair(row: Row, fields: Mapping[str, Any], name: str) -> tuple[float, float]:
    ((first, second),) = Row(row.where, {name: [fields.get(name)]}).rows(name, 2)
    return first, second


def _boxes(row: Row, label: str) -> tuple[list[RawBox], tuple[Problem, ...]]:
    """The planner's boxes: rows first, its last index included or not as ``dimensions`` tells."""
    given = row.fields.get("bounding_boxes")
    boxes, problems = [], []
    for fields in given if isinstance(given, list) else [given] if given is not None else []:
        if not isinstance(fields, Mapping):
            raise row.bad("bounding_boxes", "is no object with min_coords and max_coords")
        (r0, c0), (r1, c1) = _pair(row, fields, "min_coords"), _pair(row, fields, "max_coords")
        rows, columns = _pair(row, fields, "dimensions") if fields.get("dimensions") else (r1 - r0, c1 - c0)
        if not (0 <= rows - (r1 - r0) <= 1 and 0 <= columns - (c1 - c0) <= 1):
            problems.append(Problem("mismatch", f"{row.where}: the box's dimensions do not fit its corners"))
            continue
        boxes.append(RawBox(label, (c0, r0, c0 + columns, r0 + rows)))
    return boxes, tuple(problems)


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value else value


def _measured(row: Row, label: str, scale: Scale | None) -> tuple[tuple[Ask, ...], tuple[Problem, ...]]:
    """The numbers of a row's profile: two axes, a distance or an angle."""
    given = _first(row.fields.get("biometric_profile"))
    if not isinstance(given, Mapping):
        return (), ()
    profile = Row(f"{row.where}, biometric_profile", given)
    unit = UNITS.get(profile.text("metric_unit").lower())
    if unit is None:
        return (), (Problem("mismatch", f"{profile.where}: the unit '{profile.text('metric_unit')}' is not known"),)
    task: PromptTask = "measure_angle" if unit == "deg" else "measure_distance"
    names: tuple[str, ...] = (profile.text("metric_key", label),)
    values = [_first(given.get("metric_value"))]
    if "metric_value_major_axis" in given:
        task, names = "measure_size", AXIS_NAMES
        values = [_first(given.get(f"metric_value_{name.replace(' ', '_')}")) for name in AXIS_NAMES]
    checked = [Row(profile.where, {"metric_value": value}).number("metric_value") for value in values]
    numbers = tuple(Number(name=name, value=value, unit=unit) for name, value in zip(names, checked, strict=True))
    query = Query(task=task, label=label, quantities=names, unit=unit, scale=scale)
    return (Ask(query, NumbersTarget(numbers=numbers)),), ()


def _sample(root: Path, row: Row, split: str) -> Sample:
    image, label = row.text("image_file"), row.text("label")
    axis, index = int(row.number("slice_dim")), int(row.number("slice_idx"))
    if axis not in AXES.values():
        raise row.bad("slice_dim", "is not 0, 1 or 2")
    height, width = _pair(row, row.fields, "image_size_2d")
    file = inside(root, image, row.where)
    steps = _spacing_mm(file) if file.is_file() else None
    row_axis, column_axis = (other for other in range(3) if other != axis)
    scale = steps and Scale(
        row_mm=steps[row_axis], column_mm=steps[column_axis], slice_mm=steps[axis], source="acquisition"
    )
    raw, problems = _boxes(row, label)
    objects, faults = sound_objects(raw, (int(width), int(height)), row.where)
    asks, unknown = _measured(row, label, scale or None)
    detect = located_ask(objects, label, "detect") if raw and not faults else None
    name = f"{image}:{axis}:{index}"
    return Sample(
        f"{name}:{row.text('taskID', '')}:{label}", image, "other", partial(read_slice, file, axis, index),
        scale=scale or None, split=split, image=name, asks=((detect,) if detect else ()) + asks,
        problems=problems + faults + unknown,
    )  # fmt: skip


def _objects(row: Row, field: str) -> list[Mapping[str, Any]]:
    """A field as a list of objects; a missing one is empty."""
    value = row.fields.get(field)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(part, Mapping) for part in value):
        raise row.bad(field, "is no list of objects")
    return value


def _nested(plan: Row, split: str) -> Iterator[Row]:
    """The rows of a plan that nests tasks, cases and slices."""
    if split not in CASES:
        raise InputError(f"{plan.where}: a nested plan has no split '{split}'; there is: {', '.join(CASES)}")
    for task in _objects(plan, "tasks"):
        names = task.get("labels_map")
        parts = [case for key in CASES[split] for case in _objects(Row(f"{plan.where}, task", task), key)]
        for fields in parts:
            case = Row(f"{plan.where}, case {fields.get('case_ID')}", fields)
            info = fields.get("image_file_info")
            shape = info.get("array_size") if isinstance(info, Mapping) else None
            for letter, axis in AXES.items():
                for entry in _objects(case, f"slice_profiles_{letter}"):
                    row: dict[str, Any] = {"taskID": task.get("task_ID"), "image_file": fields.get("image_file")}
                    if isinstance(shape, list):
                        row["image_size_2d"] = [side for other, side in enumerate(shape) if other != axis]
                    row |= {"slice_dim": axis, **entry}
                    if isinstance(names, Mapping):
                        row["label"] = names.get(str(row.get("label")), row.get("label"))
                    yield Row(case.where, row)


def open_medvision(root: Path, split: str) -> Iterator[Sample]:
    """Stream the rows of every plan in the folder; of a plain list the splits are drawn by volume."""
    find_file(root, "benchmark_plan_*.json*")
    for path in sorted(root.glob("benchmark_plan_*.json*")):
        first = next(read_rows(path), None)
        if first is not None and "tasks" in first.fields:
            for row in _nested(first, split):
                yield _sample(root, row, split)
            continue
        for row in read_rows(path):
            drawn = split_of(row.text("image_file"), SHARES)
            if split in (drawn, "all"):
                yield _sample(root, row, drawn)
