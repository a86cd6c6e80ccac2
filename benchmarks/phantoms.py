"""Phantoms as files with their scale in them, and which object a measurement was taken on."""

from __future__ import annotations

from pathlib import Path

from fiducial.benchmarks.common import box_of
from fiducial.benchmarks.truth import Thing, Truth
from fiducial.tools.geometry.boxes import iou_matrix
from fiducial.tools.phantoms.files import write_scene
from fiducial.tools.phantoms.phantom import Phantom
from fiducial.tools.phantoms.scene import Scene
from fiducial.tools.record import Measurement, Record

SAME_THING_IOU = 0.3


def save_phantom(scene: Scene | Phantom, folder: Path) -> Path:
    """Write a scene in its own format, OME-TIFF or DICOM, with its scale inside."""
    scale = f"_{scene.scale.row_mm:g}_{scene.scale.column_mm:g}" if scene.scale else ""
    return write_scene(scene, folder, stem=f"{scene.name}_{scene.seed}{scale}")[0]


def thing_of(measurement: Measurement, record: Record, truth: Truth) -> Thing | None:
    """The object that the first region of a measurement lies on; None where there is none."""
    boxes = [box for r in record.accepted if r.id in measurement.region_ids and (box := box_of(r)) is not None]
    if not boxes or not truth.things:
        return None
    overlap = iou_matrix(boxes[:1], [t.box_xyxy_px for t in truth.things])[0]
    return truth.things[int(overlap.argmax())] if overlap.max() >= SAME_THING_IOU else None
