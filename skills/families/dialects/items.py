"""Typed targets as lists of labelled items, the one form in which every dialect maps, writes and reads coordinates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from fiducial.skills.targets import (
    Boxes3DTarget,
    BoxesTarget,
    LabelledBox,
    LabelledBox3D,
    LabelledPoint,
    LabelledPolygon,
    LandmarksTarget,
    PointsTarget,
    PolygonsTarget,
)
from fiducial.tools.frames import FrameMap2D
from fiducial.tools.record import PointXY

Shape = Literal["point", "box", "box_3d", "polygon"]
ItemsTarget = PointsTarget | BoxesTarget | Boxes3DTarget | PolygonsTarget | LandmarksTarget
CORNERS: dict[Shape, int | None] = {"point": 1, "box": 2, "box_3d": 2, "polygon": None}
SHAPE_OF_KIND: dict[str, Shape] = {
    "points": "point",
    "landmarks": "point",
    "boxes": "box",
    "boxes_3d": "box_3d",
    "polygons": "polygon",
}


@dataclass(frozen=True)
class Item:
    """One labelled thing. corners: of a point one, of a box two (low and high x, y), of a polygon all; z: of a 3-D box.

    Coordinates are in stored pixels or in the text's own units, as the context says; z is in slices.
    """

    label: str
    corners: tuple[PointXY, ...]
    z: tuple[float, float] | None = None

    def fits(self, shape: Shape) -> bool:
        """Whether it has as many corners as its shape needs."""
        wanted = CORNERS[shape]
        return (self.z is not None) == (shape == "box_3d") and (
            len(self.corners) >= 3 if wanted is None else len(self.corners) == wanted
        )


def items_of(target: ItemsTarget) -> list[Item]:
    """A target's things, in its order."""
    if isinstance(target, PointsTarget):
        return [Item(p.label, (p.point_xy_px,)) for p in target.points]
    if isinstance(target, LandmarksTarget):
        return [Item(p.label, (p.point_xy_px,)) for p in target.landmarks]
    if isinstance(target, BoxesTarget):
        return [Item(b.label, (b.box_xyxy_px[:2], b.box_xyxy_px[2:])) for b in target.boxes]
    if isinstance(target, PolygonsTarget):
        return [Item(p.label, p.polygon_xy_px) for p in target.polygons]
    return [
        Item(b.label, ((x0, y0), (x1, y1)), (z0, z1))
        for b in target.boxes
        for x0, y0, z0, x1, y1, z1 in [b.box_xyzxyz_voxel]
    ]


def target_of(kind: str, items: Sequence[Item]) -> ItemsTarget:
    """Inverse of ``items_of``. Of landmarks of one name the first is kept."""
    if kind == "points":
        return PointsTarget(points=tuple(LabelledPoint(label=i.label, point_xy_px=i.corners[0]) for i in items))
    if kind == "landmarks":
        first = {i.label: i for i in reversed(items)}
        kept = [i for i in items if first[i.label] is i]
        return LandmarksTarget(landmarks=tuple(LabelledPoint(label=i.label, point_xy_px=i.corners[0]) for i in kept))
    if kind == "boxes":
        return BoxesTarget(boxes=tuple(LabelledBox(label=i.label, box_xyxy_px=flat(i)) for i in items))
    if kind == "polygons":
        return PolygonsTarget(polygons=tuple(LabelledPolygon(label=i.label, polygon_xy_px=i.corners) for i in items))
    boxes = []
    for i in items:
        (x0, y0, x1, y1), (z0, z1) = flat(i), i.z or (0.0, 0.0)
        boxes.append(LabelledBox3D(label=i.label, box_xyzxyz_voxel=(x0, y0, z0, x1, y1, z1)))
    return Boxes3DTarget(boxes=tuple(boxes))


def flat(item: Item) -> tuple[float, float, float, float]:
    """The two corners of a box as one tuple x0, y0, x1, y1."""
    (x0, y0), (x1, y1) = item.corners
    return x0, y0, x1, y1


def mapped(item: Item, shape: Shape, frame_map: FrameMap2D) -> Item:
    """The item in the frame that the map leads to; a box that a map mirrors still names its low corner first."""
    if shape in ("box", "box_3d"):
        x0, y0, x1, y1 = frame_map.box_xyxy(flat(item))
        return replace(item, corners=((x0, y0), (x1, y1)))
    return replace(item, corners=tuple((x, y) for x, y in frame_map.points(item.corners).tolist()))
