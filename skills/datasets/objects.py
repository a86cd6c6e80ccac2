"""Annotated objects: which boxes are sound, and the questions with typed targets that follow from them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fiducial.skills.datasets.sample import Ask, Object, Problem, Sample
from fiducial.skills.targets import (
    BoxesTarget,
    CountTarget,
    LabelledBox,
    LabelledPoint,
    LabelledPolygon,
    Number,
    NumbersTarget,
    PointsTarget,
    PolygonsTarget,
    PromptTask,
    Query,
    Target,
)
from fiducial.tools.record import BoxXYXY, PointXY
from fiducial.tools.structures import structures

if TYPE_CHECKING:
    from fiducial.tools.geometry.masks import Mask

Size = tuple[int, int]
LOCATED: tuple[PromptTask, ...] = ("point", "detect", "count", "count_and_point", "count_and_box", "segment")
MIN_SIDE_PX = 1.5  # a box of one pixel is a slip of the annotator's hand
MIN_INSIDE = 0.5  # less of a box inside the image than this: the numbers mean something else
OUTLINE_PX = 0.5
SLIP_PX = 2.0  # an overhang up to this is a matter of counting pixels from 0 or 1, and clipped without a word


class RawBox(NamedTuple):
    """A box as a set gives it, in stored pixels and the corner convention; not yet known to be sound."""

    label: str
    box_xyxy_px: tuple[float, float, float, float]
    polygon_xy_px: tuple[PointXY, ...] | None = None


def box_fault(box: Sequence[float], size: Size | None) -> Problem | None:
    """What makes a box unusable; None for one that can be used, perhaps clipped. size: width, height of the image."""
    x0, y0, x1, y1 = box
    text = f"box ({x0:g}, {y0:g}, {x1:g}, {y1:g})"
    if not all(math.isfinite(v) for v in box):
        return Problem("absurd box", f"{text} is not finite")
    if x1 <= x0 or y1 <= y0:
        return Problem("empty box", f"{text} is empty or inverted")
    if x1 - x0 < MIN_SIDE_PX and y1 - y0 < MIN_SIDE_PX:
        return Problem("empty box", f"{text} is a single pixel")
    if size is not None:
        inside = max(0.0, min(x1, size[0]) - max(x0, 0.0)) * max(0.0, min(y1, size[1]) - max(y0, 0.0))
        if inside < MIN_INSIDE * (x1 - x0) * (y1 - y0):
            return Problem("absurd box", f"{text} lies mostly outside the image of {size[0]}×{size[1]} px")
    return None


def sound_objects(
    boxes: Iterable[RawBox], size: Size | None, where: str
) -> tuple[tuple[Object, ...], tuple[Problem, ...]]:
    """The usable boxes, clipped to the image, and what is wrong with the others."""
    objects, problems = [], []
    for label, given, polygon in boxes:
        fault, box = box_fault(given, size), given
        if fault is not None:
            problems.append(Problem(fault.kind, f"{where}: {label}: {fault.detail}"))
            continue
        if size is not None:
            box = _clip(given, size)
            if max(abs(a - b) for a, b in zip(given, box, strict=True)) > SLIP_PX:
                detail = f"{where}: {label}: box {_short(given)} reaches out of the image"
                problems.append(Problem("clipped box", detail))
        objects.append(Object(label, box, None, polygon))
    return tuple(objects), tuple(problems)


def _clip(box: BoxXYXY, size: Size) -> BoxXYXY:
    width, height = size
    return (
        min(max(box[0], 0), width),
        min(max(box[1], 0), height),
        max(min(box[2], width), 0),
        max(min(box[3], height), 0),
    )


def _short(box: Sequence[float]) -> str:
    return "(" + ", ".join(f"{v:g}" for v in box) + ")"


def mask_object(mask: Mask, label: str) -> RawBox | None:
    """The box and the outline of one object's mask (H, W); None for an empty mask.

    The outline has as few corners as keep it within ``OUTLINE_PX`` of the contour: it is to be written out.
    """
    import shapely

    from fiducial.tools.geometry.masks import mask_box, mask_contour

    box, contour = mask_box(mask), mask_contour(mask)
    if box is None or contour is None:
        return None
    outline = shapely.get_coordinates(shapely.simplify(shapely.Polygon(contour), OUTLINE_PX))[:-1]
    return RawBox(label, box, tuple((float(x), float(y)) for x, y in outline))


def words_of(label: str) -> str:
    """The label in words: a structure's own name, else the label without underscores."""
    known = structures().get(label)
    return known.name if known else label.replace("_", " ").strip()


def center_of(item: Object) -> PointXY:
    """A point on the object: the centre of its ellipse or box, moved into the outline where that is concave."""
    if item.ellipse_px is not None:
        return item.ellipse_px.center_xy_px
    x0, y0, x1, y1 = item.box_xyxy_px
    middle = ((x0 + x1) / 2, (y0 + y1) / 2)
    if item.polygon_xy_px is None:
        return middle
    import shapely

    outline = shapely.Polygon(np.asarray(item.polygon_xy_px))
    if not outline.is_valid or outline.contains(shapely.Point(middle)):
        return middle
    inner = outline.representative_point()
    return float(inner.x), float(inner.y)


def located_ask(objects: Sequence[Object], label: str, task: PromptTask) -> Ask | None:
    """One question about the objects of a label; none of them is an absent structure, and a question all the same.

    None for a task that the annotation cannot answer: outlines that the set does not have.
    """
    found, words = [o for o in objects if o.label == label], words_of(label)
    points, boxes = [center_of(o) for o in found], [o.box_xyxy_px for o in found]
    target: Target
    if task == "point":
        target = PointsTarget(points=tuple(LabelledPoint(label=words, point_xy_px=p) for p in points))
    elif task == "detect":
        target = BoxesTarget(boxes=tuple(LabelledBox(label=words, box_xyxy_px=b) for b in boxes))
    elif task == "segment":
        if any(o.polygon_xy_px is None for o in found):
            return None
        outlines = [o.polygon_xy_px for o in found if o.polygon_xy_px is not None]
        target = PolygonsTarget(polygons=tuple(LabelledPolygon(label=words, polygon_xy_px=p) for p in outlines))
    elif task in ("count", "count_and_point", "count_and_box"):
        target = CountTarget(
            label=words,
            count=len(found),
            points_xy_px=tuple(points) if task == "count_and_point" else None,
            boxes_xyxy_px=tuple(boxes) if task == "count_and_box" else None,
        )
    else:
        return None
    return Ask(Query(task=task, label=words), target)


def _axes_ask(sample: Sample, item: Object) -> Ask | None:
    """The two axes of an ellipse, in mm where the sample has a scale, else in pixels."""
    from fiducial.tools.geometry.ellipses import ellipse_axes

    if item.ellipse_px is None:
        return None
    scale = sample.scale
    axes = ellipse_axes(item.ellipse_px, scale.row_mm, scale.column_mm) if scale else ellipse_axes(item.ellipse_px)
    unit = "mm" if scale else "px"
    names = ("major axis", "minor axis")
    numbers = tuple(Number(name=n, value=v, unit=unit) for n, v in zip(names, axes, strict=True))
    words = words_of(item.label)
    query = Query(task="measure_size", label=words, quantities=names, unit=unit, scale=scale)
    return Ask(query, NumbersTarget(numbers=numbers))


def asks_of(sample: Sample, tasks: Sequence[PromptTask] | None = None) -> Iterator[Ask]:
    """Every question with its target: the set's own, then those that follow from the objects. tasks: only these."""
    for ask in sample.asks:
        if tasks is None or ask.query.task in tasks:
            yield ask
    for label in dict.fromkeys(item.label for item in sample.objects):
        for task in LOCATED:
            if tasks is None or task in tasks:
                ask_of_label = located_ask(sample.objects, label, task)
                if ask_of_label is not None:
                    yield ask_of_label
    for item in sample.objects:
        if (tasks is None or "measure_size" in tasks) and len(sample.of(item.label)) == 1:
            axes = _axes_ask(sample, item)
            if axes is not None:
                yield axes
