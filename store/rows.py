"""A record's document as rows of the store, and back. ``document_of(rows_of(document)) == document``.

JSON has no NaN: a coordinate, score or time that is not finite is ``null`` in the document and NULL in the store, and
becomes NaN again in ``record_of``; whether it was NaN or an infinity is lost, that it was not finite is not.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from fiducial.tools.record import GEOMETRY_OF_KIND, Record

PARTS = ("understanding", "answer", "explanation", "verdict")
LISTS = ("regions", "measurements", "checks", "steps")
_IMAGE = ("path", "sha256", "width_px", "height_px", "scale", "scale_refused", "scale_box_xyxy_px")
_IMAGE_JSON = ("scale", "scale_box_xyxy_px", "file_slice", "file_slices")
_IMAGE_OMITTED_WHEN_NONE = ("file_slice", "file_slices", "orientation")
_JSON_COLUMNS = frozenset({"geometry", "interval", "region_ids", "box_xyzxyz_mm"})
_OMITTED_WHEN_NONE = ("sigma_px", "parent_id", "box_xyzxyz_mm")

Row = dict[str, Any]


def _dumps(value: Any) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False, allow_nan=False)


def _loads(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def run_row(document: Mapping[str, Any]) -> Row:
    """The columns of ``runs`` that come from the document."""
    image = {f"image_{name}": document["image"][name] for name in _IMAGE}
    image.update({f"image_{name}": _dumps(document["image"].get(name)) for name in _IMAGE_JSON})
    image["image_orientation"] = document["image"].get("orientation")
    parts = {name: _dumps(document[name]) for name in PARTS}
    status = (document["verdict"] or {}).get("status")
    return {"run_id": document["run_id"], "question": document["question"], "status": status} | image | parts


def list_rows(document: Mapping[str, Any], name: str) -> list[Row]:
    """The rows of one of ``LISTS``."""
    rows = [dict(item) for item in document[name]]
    for position, row in enumerate(rows):
        if name == "regions":
            row["geometry"] = row.pop(GEOMETRY_OF_KIND[row["kind"]])
            row.update({field: row.get(field) for field in _OMITTED_WHEN_NONE})
        row.update({column: _dumps(row[column]) for column in _JSON_COLUMNS & row.keys()})
        row.update(run_id=document["run_id"], position=position)
    return rows


def _list_item(name: str, row: Mapping[str, Any]) -> Row:
    item = {key: value for key, value in row.items() if key not in ("run_id", "position")}
    item.update({column: _loads(item[column]) for column in _JSON_COLUMNS & item.keys()})
    if name == "regions":
        item[GEOMETRY_OF_KIND[item["kind"]]] = item.pop("geometry")
        for field in _OMITTED_WHEN_NONE:
            if item[field] is None:
                del item[field]
    return item


def document_of(run: Mapping[str, Any], lists: Mapping[str, Sequence[Mapping[str, Any]]]) -> Row:
    """The document that the rows were made of. ``lists``: the rows of each of ``LISTS``, by position."""
    document: Row = {"run_id": run["run_id"], "question": run["question"]}
    document["image"] = {name: run[f"image_{name}"] for name in _IMAGE}
    document["image"].update({name: _loads(run[f"image_{name}"]) for name in _IMAGE_JSON})
    document["image"]["orientation"] = run["image_orientation"]
    for name in _IMAGE_OMITTED_WHEN_NONE:
        if document["image"][name] is None:
            del document["image"][name]
    document.update({name: _loads(run[name]) for name in PARTS})
    document.update({name: [_list_item(name, row) for row in lists[name]] for name in LISTS})
    return {name: document[name] for name in Record.model_fields}


def _nan(value: Any) -> Any:
    """``value`` with NaN where JSON had to say null, at any depth."""
    if isinstance(value, list):
        return [_nan(part) for part in value]
    return math.nan if value is None else value


def record_of(document: Mapping[str, Any]) -> Record:
    """The record of a document, for those who present it."""
    data = json.loads(json.dumps(document))
    for region in data["regions"]:
        geometry = GEOMETRY_OF_KIND[region["kind"]]
        region.update({geometry: _nan(region[geometry]), "score": _nan(region["score"])})
    for measurement in data["measurements"]:
        measurement["interval"] |= {end: _nan(measurement["interval"][end]) for end in ("low", "high", "level")}
    for step in data["steps"]:
        step["ms"] = _nan(step["ms"])
    for part in (data["answer"], data["understanding"]):
        if part is not None:
            part["confidence"] = _nan(part["confidence"])
    if data["answer"] is not None and isinstance(data["answer"]["value"], list):
        data["answer"]["value"] = _nan(data["answer"]["value"])
    return Record.model_validate(data)
