"""Recordings on small real PNG files, through which each branch of the controller is driven."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow

from fiducial.agent.ask import Asker
from fiducial.skills.families.recording import load
from fiducial.tools.record import Record

SMEAR = {"kind": "blood_smear", "probabilities": {"blood_smear": 0.98}, "typicality": 0.6}
HEAD = {"kind": "head_ultrasound", "probabilities": {"head_ultrasound": 0.97}, "typicality": 0.5}


def intent(task: str, structure: str | None = None, **more: Any) -> dict[str, Any]:
    """A result of ``understand``."""
    sure = more.pop("sure", 0.95)
    return {"intent": {"task": task, "structure": structure, **more}, "confidence": sure, "parsed": True, "text": ""}


def said(value: Any, confidence: float = 0.9) -> dict[str, Any]:
    """A result of ``answer``."""
    return {"value": value, "confidence": confidence, "parsed": True, "text": str(value)}


def counted(count: int | None, confidence: float = 0.9) -> dict[str, Any]:
    """A result of ``count``."""
    return {"count": count, "confidence": confidence, "parsed": count is not None, "text": str(count)}


def boxes(*boxes_xyxy: tuple[float, ...], label: str = "platelet", score: float = 0.9) -> dict[str, Any]:
    """A result of ``detect``."""
    regions = [
        {"id": f"R{n}", "label": label, "kind": "box", "box_xyxy_px": box, "score": score, "skill": "detect"}
        for n, box in enumerate(boxes_xyxy, 1)
    ]
    return {"regions": regions, "confidence": score, "parsed": True, "text": ""}


def points(*points_xy: tuple[float, float], label: str = "platelet", score: float = 0.8) -> dict[str, Any]:
    """A result of ``point``."""
    regions = [
        {"id": f"R{n}", "label": label, "kind": "point", "point_xy_px": point, "score": score, "skill": "point"}
        for n, point in enumerate(points_xy, 1)
    ]
    return {"regions": regions, "confidence": score, "parsed": True, "text": ""}


def explained(text: str, *ids: str) -> dict[str, Any]:
    """A result of ``explain``."""
    return {"text": text, "region_ids": list(ids), "confidence": 0.9}


def grid(number: int, size: float = 12.0) -> list[tuple[float, float, float, float]]:
    """Boxes that lie apart from each other on the 160 × 120 image."""
    corners = [(5 + 30.0 * (n % 5), 5 + 30.0 * (n // 5)) for n in range(number)]
    return [(x, y, x + size, y + size) for x, y in corners]


def middles(number: int) -> list[tuple[float, float]]:
    """The middles of the boxes of ``grid``."""
    return [((x0 + x1) / 2, (y0 + y1) / 2) for x0, y0, x1, y1 in grid(number)]


def draw_picture(path: Path) -> Path:
    """A 160 × 120 image without a scale: dark discs on the places of ``grid``."""
    y, x = np.mgrid[:120, :160] + 0.5
    pixels = np.full((120, 160, 3), (235, 225, 228), np.uint8)
    for cx, cy in middles(20):
        pixels[(x - cx) ** 2 + (y - cy) ** 2 < 36] = (120, 60, 130)
    Pillow.fromarray(pixels).save(path)
    return path


class Recorded:
    """Writes a recording and asks with it."""

    def __init__(self, folder: Path, picture: Path) -> None:
        self.folder, self.picture = folder, picture

    def write(self, results: dict[str, Any], domain: dict[str, Any] | None = None, zoomed: Any = None) -> Path:
        path = self.folder / "recording.json"
        listed = {key: rows if isinstance(rows, list) else [rows] for key, rows in results.items()}
        document = json.dumps({"domain": domain or SMEAR, "results": listed, "zoomed": zoomed or {}})
        path.write_text(document.replace("Infinity", "1e999"))
        return path

    def asker(self, results: dict[str, Any], domain: dict[str, Any] | None = None, zoomed: Any = None) -> Asker:
        return Asker(model=load(self.write(results, domain, zoomed)))

    def __call__(
        self,
        results: dict[str, Any],
        domain: dict[str, Any] | None = None,
        zoomed: Any = None,
        scale: str | None = None,
    ) -> Record:
        return self.asker(results, domain, zoomed).ask(self.picture, "A question?", scale)


def codes(record: Record) -> list[str]:
    """The reasons of the verdict."""
    assert record.verdict is not None
    return [reason.code for reason in record.verdict.reasons]


def status(record: Record) -> str:
    assert record.verdict is not None
    return record.verdict.status
