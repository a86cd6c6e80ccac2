"""Strategies for queries, typed targets and the maps to a model's input."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from fiducial.skills.families.dialects import DIALECTS
from fiducial.skills.families.dialects.json_lists import JsonDialect
from fiducial.skills.targets import (
    Boxes3DTarget,
    BoxesTarget,
    ChoiceTarget,
    CountTarget,
    LabelledBox,
    LabelledBox3D,
    LabelledPoint,
    LabelledPolygon,
    LandmarksTarget,
    Number,
    NumbersTarget,
    PointsTarget,
    PolygonsTarget,
    PromptTask,
    Query,
    ReportTarget,
    Target,
    TextTarget,
)
from fiducial.tools.frames import FrameMap2D, crop_map, letterbox_map, resize_map

Case = tuple[Query, Target, FrameMap2D]
LETTERS = "abcdefghijklmnopqrstuvwxyzABCXYZäéµ细胞息肉左"
WORDS = st.text(LETTERS + "0123456789-'", min_size=1, max_size=8)
PLAIN_LABELS = st.lists(WORDS, min_size=1, max_size=3).map(" ".join).filter(lambda s: s.strip(" -'"))
ANY_LABELS = st.text(min_size=1, max_size=20)


@st.composite
def maps(draw: st.DrawFn) -> tuple[int, int, FrameMap2D]:
    """An image's size, and the map to a model's input: a resize, a letterbox, or either of a crop."""
    width, height = draw(st.integers(9, 4000)), draw(st.integers(9, 4000))
    to = draw(st.integers(1, 40)) * 28, draw(st.integers(1, 40)) * 28
    how = draw(st.sampled_from(["resize", "letterbox", "crop"]))
    if how == "crop":
        box = (width * 0.25, height * 0.125, width * 0.75, height * 0.875)
        crop = crop_map(box)
        return width, height, crop.then(resize_map(box[2] - box[0], box[3] - box[1], *to))
    return width, height, (resize_map if how == "resize" else letterbox_map)(width, height, *to)


def _in_view(width: int, height: int, frame_map: FrameMap2D) -> tuple[float, float, float, float]:
    """The part of the image that the model sees, stored pixels."""
    extent = (0.0, 0.0, frame_map.target.width or 0.0, frame_map.target.height or 0.0)
    x0, y0, x1, y1 = frame_map.inverse().box_xyxy(extent)
    return max(x0, 0.0), max(y0, 0.0), min(x1, float(width)), min(y1, float(height))


def _between(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_nan=False)


@st.composite
def cases(draw: st.DrawFn, dialect_name: str, task: PromptTask) -> Case:  # noqa: PLR0911
    """A query, a target that answers it, and a map. MedVision names no numbers, so its names come from the query."""
    width, height, frame_map = draw(maps())
    x_low, y_low, x_high, y_high = _in_view(width, height, frame_map)
    xs, ys = _between(x_low, x_high), _between(y_low, y_high)
    points = st.tuples(xs, ys)
    boxes = st.tuples(xs, ys, xs, ys).map(
        lambda b: (min(b[0], b[2]), min(b[1], b[3]), max(b[0], b[2]), max(b[1], b[3]))
    )
    labels = ANY_LABELS if isinstance(DIALECTS[dialect_name], JsonDialect) else PLAIN_LABELS
    asked = draw(labels)
    label = st.just(asked) if draw(st.booleans()) else labels
    slices = st.tuples(_between(0, 400), _between(0, 400)).map(sorted)
    query = Query(task=task, label=asked)
    few: dict[str, Any] = {"max_size": 4}
    if task == "point":
        made = draw(st.lists(st.builds(LabelledPoint, label=label, point_xy_px=points), **few))
        return query, PointsTarget(points=tuple(made)), frame_map
    if task == "landmark":
        made = draw(st.lists(st.builds(LabelledPoint, label=label, point_xy_px=points), unique_by=_label, **few))
        return query, LandmarksTarget(landmarks=tuple(made)), frame_map
    if task == "detect":
        rows = draw(st.lists(st.builds(LabelledBox, label=label, box_xyxy_px=boxes), **few))
        return query, BoxesTarget(boxes=tuple(rows)), frame_map
    if task == "detect_3d":
        solid = st.tuples(boxes, slices).map(lambda b: (b[0][0], b[0][1], b[1][0], b[0][2], b[0][3], b[1][1]))
        found = draw(st.lists(st.builds(LabelledBox3D, label=label, box_xyzxyz_voxel=solid), **few))
        return query, Boxes3DTarget(boxes=tuple(found)), frame_map
    if task == "segment":
        outline = st.lists(points, min_size=3, max_size=7).map(tuple)
        parts = draw(st.lists(st.builds(LabelledPolygon, label=label, polygon_xy_px=outline), **few))
        return query, PolygonsTarget(polygons=tuple(parts)), frame_map
    if task in ("count", "count_and_point", "count_and_box"):
        return query, _count(draw, task, asked, points, boxes), frame_map
    return (*_words(draw, dialect_name, task), frame_map)


def _label(thing: Any) -> str:
    return str(thing.label)


def _count(draw: st.DrawFn, task: str, label: str, points: Any, boxes: Any) -> CountTarget:
    count = draw(st.integers(0, 999_999))
    if task == "count_and_point":
        return CountTarget(label=label, count=count, points_xy_px=tuple(draw(st.lists(points, max_size=4))))
    if task == "count_and_box":
        return CountTarget(label=label, count=count, boxes_xyxy_px=tuple(draw(st.lists(boxes, max_size=4))))
    return CountTarget(label=label, count=count)


def _words(draw: st.DrawFn, dialect_name: str, task: PromptTask) -> tuple[Query, Target]:
    if task == "choose":
        options = draw(st.lists(PLAIN_LABELS, min_size=1, max_size=6, unique_by=lambda s: s.casefold()))
        return Query(task=task, options=tuple(options)), ChoiceTarget(choice=draw(st.sampled_from(options)))
    if task.startswith("measure"):
        names = draw(st.lists(st.text(LETTERS, min_size=1, max_size=12), min_size=1, max_size=3, unique=True))
        unit = draw(st.sampled_from(["mm", "cm", "px", "mm²", "px²", "deg", "1"]))
        values = [Number(name=n, value=draw(st.floats(-1e4, 1e4)), unit=unit) for n in names]
        return Query(task=task, quantities=tuple(names), unit=unit), NumbersTarget(numbers=tuple(values))
    text = draw(st.text(min_size=1, max_size=60).map(str.strip).filter(bool))
    return Query(task=task), (ReportTarget if task == "report" else TextTarget)(text=text)
