"""Regions against each other and against the patient: a point in its box, left and right where they belong."""

from __future__ import annotations

from collections import defaultdict

from fiducial.tools.checks.common import coordinates, extent, finite, rejecting, side_of
from fiducial.tools.hooks import CheckOutcome, CheckSpec
from fiducial.tools.record import Record, Region

BESIDE_PX = 2.0  # a coordinate that was rounded


def point_in_box(record: Record) -> CheckOutcome | None:
    """Reject points and landmarks that lie more than 2 px outside the region that they are a part of."""
    by_id = {r.id: r for r in finite(record.regions)}
    points = [
        (r, by_id[r.parent_id])
        for r in finite(record.accepted)
        if r.kind in ("point", "landmark") and r.parent_id in by_id
    ]
    points = [(point, parent) for point, parent in points if parent.kind not in ("point", "landmark")]
    if not points:
        return None
    bad = []
    for point, parent in points:
        (x, y), (x0, y0, x1, y1) = coordinates(point)[0], extent(parent)
        if not (x0 - BESIDE_PX <= x <= x1 + BESIDE_PX and y0 - BESIDE_PX <= y <= y1 + BESIDE_PX):
            bad.append((point.id, f"lies outside {parent.id}, which it is a part of"))
    return rejecting("point_in_box", bad, f"{len(points)} points lie in the regions that they are a part of")


def laterality(record: Record) -> CheckOutcome | None:
    """Reject a left and a right of one structure that lie the other way round in the patient.

    Only in the world, where x grows towards the patient's left (LPS, PS3.3 C.7.6.2.1.1): in a picture without an
    orientation nobody knows which side is left. A single one of a pair is not judged, for the midline is not known.
    """
    sides: dict[str, dict[str, list[Region]]] = defaultdict(lambda: defaultdict(list))
    for region in finite(record.accepted):
        side = side_of(region.label)
        if side is not None and getattr(region, "box_xyzxyz_mm", None) is not None:
            sides[side[1]][side[0]].append(region)
    pairs = {stem: (found["left"], found["right"]) for stem, found in sides.items() if len(found) == 2}
    if not pairs:
        return None
    bad = []
    for stem, (left, right) in pairs.items():
        if min(map(_middle_mm, left)) <= max(map(_middle_mm, right)):
            bad += [(r.id, f"is a {r.label} on the wrong side of the other {stem}") for r in (*left, *right)]
    return rejecting("laterality", bad, f"left is left of right in {len(pairs)} pairs of structures")


def _middle_mm(region: Region) -> float:
    """Where along the patient's right-left axis a region lies, mm, growing to the left."""
    box = region.box_xyzxyz_mm
    assert box is not None
    return (box[0] + box[3]) / 2


CHECKS = [
    CheckSpec("point_in_box", str(point_in_box.__doc__), "ground", point_in_box),
    CheckSpec("laterality", str(laterality.__doc__), "ground", laterality),
]
