r"""Chat lines of ms-swift: a prompt about an image and the JSON that answers it (MedMultiPoints, Kvasir-VQA-x1).

A sample: ``{"messages": [{"role": "user", "content": "<image> How many polyps are there? Must output in this json
format: {\"counts\": n, \"label\": lbl}", "task": "counting", "source": "…"}, {"role": "assistant", "content":
"```json\n{\"counts\": 2, \"label\": \"polyp\"}\n```"}], "images": ["x.png"]}``, one object a line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fiducial.skills.datasets.objects import box_fault
from fiducial.skills.datasets.pictures import inside, picture, picture_size
from fiducial.skills.datasets.questions import question_ask
from fiducial.skills.datasets.rows import Row, read_rows
from fiducial.skills.datasets.sample import Ask, Problem, Sample
from fiducial.skills.targets import (
    BoxesTarget,
    CountTarget,
    LabelledBox,
    LabelledPoint,
    PointsTarget,
    PromptTask,
    Query,
    Target,
)

TASKS: dict[str, PromptTask] = {
    "pointing": "point",
    "bounding": "detect",
    "counting": "count",
    "cnt_and_point": "count_and_point",
    "count_and_box": "count_and_box",
}
COUNTS = ("counts", "count")  # the format sentences say one, the targets the other
FENCE = re.compile(r"^\s*```(?:json)?\s*(.*?)\s*```\s*$", re.DOTALL | re.IGNORECASE)


class _Unreadable(ValueError):
    """A target that is not what its task asks for."""


def _document(content: str) -> Any:
    fenced = FENCE.match(content)
    try:
        return json.loads(fenced[1] if fenced else content)
    except (ValueError, RecursionError) as error:
        raise _Unreadable(f"is no JSON ({error})") from None


def _items(document: Any, key: str, width: int) -> list[tuple[str, tuple[float, ...]]]:
    """Label and numbers of each object of ``[{"point_2d": [x, y], "label": …}]``."""
    if not isinstance(document, list) or not all(isinstance(item, dict) for item in document):
        raise _Unreadable(f"is no list of objects with '{key}'")
    return [(str(item.get("label", "")), _numbers(item.get(key), key, width)) for item in document]


def _numbers(values: Any, key: str, width: int) -> tuple[float, ...]:
    if not isinstance(values, Sequence) or len(values) != width or not all(isinstance(v, int | float) for v in values):
        raise _Unreadable(f"has a '{key}' that is not {width} numbers")
    return tuple(float(v) for v in values)


def _counted(document: Any) -> tuple[str, int, Mapping[str, Any]]:
    if not isinstance(document, dict):
        raise _Unreadable("is no object with 'counts'")
    count = next((document[key] for key in COUNTS if key in document), None)
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise _Unreadable("has no whole number as 'counts'")
    return str(document.get("label", "")), count, document


def _all(fields: Mapping[str, Any], key: str, width: int) -> list[tuple[float, ...]]:
    values = fields.get(key)
    if not isinstance(values, list):
        raise _Unreadable(f"has no list '{key}'")
    return [_numbers(value, key, width) for value in values]


def chat_target(task: PromptTask, content: str) -> tuple[str, Target]:
    """The label and the typed target of an assistant's JSON. Raises ValueError for JSON that does not fit the task."""
    document = _document(content)
    if task == "point":
        points = _items(document, "point_2d", 2)
        label = points[0][0] if points else ""
        return label, PointsTarget(points=tuple(LabelledPoint(label=n, point_xy_px=(p[0], p[1])) for n, p in points))
    if task == "detect":
        boxes = _items(document, "bbox_2d", 4)
        label = boxes[0][0] if boxes else ""
        return label, BoxesTarget(
            boxes=tuple(LabelledBox(label=n, box_xyxy_px=(b[0], b[1], b[2], b[3])) for n, b in boxes)
        )
    label, count, fields = _counted(document)
    counted_points = _all(fields, "point_2d", 2) if task == "count_and_point" else None
    counted_boxes = _all(fields, "bbox_2d", 4) if task == "count_and_box" else None
    return label, CountTarget(
        label=label,
        count=count,
        points_xy_px=None if counted_points is None else tuple((p[0], p[1]) for p in counted_points),
        boxes_xyxy_px=None if counted_boxes is None else tuple((b[0], b[1], b[2], b[3]) for b in counted_boxes),
    )


def _message(row: Row, role: str) -> Mapping[str, Any]:
    messages = row.fields.get("messages")
    if isinstance(messages, list):
        for message in messages:
            if isinstance(message, dict) and message.get("role") == role and isinstance(message.get("content"), str):
                return message
    raise row.bad("messages", f"has no {role} with a text")


def boxes_of(target: Target) -> list[tuple[float, float, float, float]]:
    """Every box of a target, stored pixels."""
    if isinstance(target, BoxesTarget):
        return [box.box_xyxy_px for box in target.boxes]
    return list(target.boxes_xyxy_px or ()) if isinstance(target, CountTarget) else []


def _ask(row: Row, size: tuple[int, int] | None) -> tuple[tuple[Ask, ...], tuple[Problem, ...]]:
    """The question and target of a line, or what is wrong with it."""
    user, content = _message(row, "user"), str(_message(row, "assistant")["content"])
    prompt = str(user["content"]).replace("<image>", "").strip()
    task = TASKS.get(str(user.get("task", row.fields.get("task", ""))))
    if task is None:
        return (question_ask(prompt, content),), ()
    try:
        label, target = chat_target(task, content)
    except _Unreadable as error:
        return (), (Problem("unreadable target", f"{row.where}: the assistant's text {error}"),)
    faults = [fault for box in boxes_of(target) if (fault := box_fault(box, size)) is not None]
    if faults:
        return (), tuple(Problem(fault.kind, f"{row.where}: {fault.detail}") for fault in faults)
    return (Ask(Query(task=task, label=label or None, question=prompt), target),), ()


def read_chat(path: Path, images: Path, split: str) -> Iterator[Sample]:
    """Stream the lines of a chat file; the group is the image. images: the folder that the lines' names start from."""
    for number, row in enumerate(read_rows(path), 1):
        names = row.fields.get("images")
        if not isinstance(names, list) or not names or not isinstance(names[0], str):
            raise row.bad("images", "names no image")
        file = inside(images, names[0], row.where)
        asks, problems = _ask(row, picture_size(file) if file.is_file() else None)
        user = _message(row, "user")
        facts = {key: str(user[key]) for key in ("task", "source") if key in user}
        yield Sample(
            f"{path.stem}-{number}", names[0], "other", picture(images, names[0], row.where), split=split,
            image=names[0], asks=asks, facts=facts, problems=problems,
        )  # fmt: skip
