"""Whatever stands in a field, a reader gives samples or one sentence: never another error, never a number like NaN."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fiducial.skills.datasets.chimed_vl import open_chimed_vl
from fiducial.skills.datasets.coco import open_coco
from fiducial.skills.datasets.kvasir_vqa import open_kvasir_vqa
from fiducial.skills.datasets.m3d_cap import open_m3d_cap
from fiducial.skills.datasets.medmultipoints import open_medmultipoints, open_medmultipoints_chat
from fiducial.skills.datasets.medvision import open_medvision
from fiducial.skills.datasets.objects import asks_of
from fiducial.skills.datasets.path_vqa import open_path_vqa
from fiducial.skills.datasets.sample import Sample
from fiducial.skills.datasets.slake import open_slake
from fiducial.skills.datasets.vqa_rad import open_vqa_rad
from fiducial.tools.errors import InputError

scalars = st.none() | st.booleans() | st.integers(-9, 99999) | st.floats(-99, 99) | st.text(max_size=4)
values = st.recursive(
    scalars | st.sampled_from(["1e400", "..", "/", "a.png"]),
    lambda v: (
        st.lists(v, max_size=4) | st.dictionaries(st.sampled_from(["value", "from", "role", "content", "bytes"]), v)
    ),
    max_leaves=5,
)

PLAN = {
    "taskID": "01", "label": "tumor", "image_file": "a.nii.gz", "slice_dim": 2, "slice_idx": 3,
    "image_size_2d": [30, 40], "bounding_boxes": {"min_coords": [5, 10], "max_coords": [9, 19], "dimensions": [5, 10]},
    "biometric_profile": {"metric_key": "L", "metric_unit": "mm", "metric_value": 31.5},
}  # fmt: skip
NESTED = {
    "tasks": [{
        "task_ID": "01", "labels_map": {"1": "tumor"},
        "train_cases": [{
            "case_ID": "a", "image_file": "a.nii.gz", "image_file_info": {"array_size": [30, 40, 8]},
            "slice_profiles_z": [{**PLAN, "label": 1}],
        }],
    }],
}  # fmt: skip
RECORD = {
    "image": "a.png", "image_sha256": "9f", "img_size": [64, 48], "points": [[15, 20]], "bbox": [[10, 15, 20, 25]],
    "count": 1, "label": "polyp",
}  # fmt: skip
CHAT = {
    "messages": [
        {"role": "user", "content": "<image> Where?", "task": "cnt_and_point"},
        {"role": "assistant", "content": '{"counts": 1, "point_2d": [[1, 2]], "label": "polyp"}'},
    ],
    "images": ["a.png"],
}
WORDS = {"question": "Is it?", "answer": "yes"}
TALK = {"image": "a.png", "conversations": [{"from": "human", "value": "?"}, {"from": "gpt", "value": "!"}]}
ANNOTATION = {"id": 1, "image_id": 9, "category_id": 2, "bbox": [1, 2, 3, 4], "segmentation": [[1, 1, 9, 1, 9, 9]]}


def listed(name: str) -> Callable[[Path, Any], None]:
    return lambda root, row: (root / name).write_text(json.dumps([row])) and None


def write_coco(root: Path, row: Any) -> None:
    image = {"id": 9, "file_name": "a.png", "width": 64, "height": 48}
    document = {"images": [image], "categories": [{"id": 2, "name": "polyp"}], "annotations": [row]}
    (root / "val.json").write_text(json.dumps(document))


def write_m3d(root: Path, row: Any) -> None:
    (root / "t.txt").write_text("text")
    (root / "M3D_Cap.json").write_text(json.dumps({"train": [row]}))


Read = Callable[[Path, str], Iterator[Sample]]
CASES: dict[str, tuple[Read, str, Callable[[Path, Any], None], dict[str, Any]]] = {
    "vqa_rad": (open_vqa_rad, "all", listed("train.json"), WORDS | {"qid": 1, "image_name": "a.png"}),
    "kvasir": (
        open_kvasir_vqa,
        "train",
        listed("x-train.json"),
        WORDS | {"img_id": "a", "complexity": 1, "original": []},
    ),
    "slake": (open_slake, "train", listed("train.json"), WORDS | {"qid": 1, "img_name": "a/s.jpg", "q_lang": "en"}),
    "path_vqa": (open_path_vqa, "train", listed("train.jsonl"), WORDS | {"image": "a"}),
    "medmultipoints": (open_medmultipoints, "all", listed("records.json"), RECORD),
    "chat": (open_medmultipoints_chat, "train", listed("multi-task-train.jsonl"), CHAT),
    "chimed": (open_chimed_vl, "all", listed("a.json"), TALK),
    "coco": (open_coco, "val", write_coco, ANNOTATION),
    "m3d_cap": (open_m3d_cap, "train", write_m3d, {"image": "a.npy", "text": "t.txt"}),
    "medvision_nested": (open_medvision, "train", listed("benchmark_plan_a.json"), NESTED),
    "medvision": (open_medvision, "all", listed("benchmark_plan_a.json"), PLAN),
}


def coordinates(value: Any) -> Iterator[float]:
    if isinstance(value, float):
        yield value
    elif isinstance(value, dict | list | tuple):
        for part in value.values() if isinstance(value, dict) else value:
            yield from coordinates(part)


@pytest.mark.parametrize("name", CASES)
def test_the_row_itself_is_read(tmp_path: Path, name: str) -> None:
    read, split, write, row = CASES[name]
    write(tmp_path, row)
    assert sum(len(list(asks_of(sample))) for sample in read(tmp_path, split)) > 0


def _broken(row: Any, data: st.DataObject) -> Any:
    """The row with one value, at any depth, replaced."""
    if isinstance(row, dict | list) and row and data.draw(st.integers(0, 3)):
        keys = sorted(row) if isinstance(row, dict) else range(len(row))
        key = data.draw(st.sampled_from(list(keys)))
        changed = dict(row) if isinstance(row, dict) else list(row)
        changed[key] = _broken(row[key], data)
        return changed
    return data.draw(values)


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_a_broken_field_is_a_problem_or_one_sentence(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    read, split, write, row = CASES[name]
    root = tmp_path_factory.mktemp("set")
    broken = {
        **row,
        **{key: _broken(row[key], data) for key in data.draw(st.sets(st.sampled_from(sorted(row)), max_size=2))},
    }
    write(root, broken)
    try:
        for sample in read(root, split):
            for ask in asks_of(sample):
                assert np.isfinite(list(coordinates(ask.target.model_dump()))).all()
    except InputError as error:
        assert "\n" not in str(error)
        assert len(str(error)) < 2000
