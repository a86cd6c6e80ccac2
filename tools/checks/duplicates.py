"""Regions against each other: the same thing must not be pointed at twice."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from fiducial.tools.checks.common import coordinates, extent, finite, rejecting
from fiducial.tools.geometry.boxes import iou_matrix, iou_matrix_3d
from fiducial.tools.hooks import CheckOutcome, CheckSpec
from fiducial.tools.record import Record, Region

MAX_IOU = 0.8
MIN_DISTANCE_FRACTION = 0.005  # of the image's longer side: 3.2 px in 640


def _same(a: Region, b: Region, distance_px: float) -> bool:
    """Whether two regions of one kind and label point at one thing."""
    from fiducial.tools.geometry.ellipses import ellipse_polygon
    from fiducial.tools.geometry.polygons import polygon_iou

    if a.kind in ("point", "landmark"):
        return bool(np.linalg.norm(coordinates(a) - coordinates(b)) < distance_px)
    if a.box_xyzxyz_voxel is not None and b.box_xyzxyz_voxel is not None:
        return float(iou_matrix_3d([a.box_xyzxyz_voxel], [b.box_xyzxyz_voxel])[0, 0]) > MAX_IOU
    if iou_matrix([extent(a)], [extent(b)])[0, 0] <= MAX_IOU / 2:  # cheap; no outline overlaps more than its box can
        return False
    if a.ellipse_px is not None and b.ellipse_px is not None:
        return polygon_iou(ellipse_polygon(a.ellipse_px), ellipse_polygon(b.ellipse_px)) > MAX_IOU
    if a.polygon_xy_px is not None and b.polygon_xy_px is not None:
        return polygon_iou(a.polygon_xy_px, b.polygon_xy_px) > MAX_IOU
    return bool(iou_matrix([extent(a)], [extent(b)])[0, 0] > MAX_IOU)


def no_duplicates(record: Record) -> CheckOutcome | None:
    """Reject the lower-scored of two regions of one label with an IoU above 0.8, or of two points that coincide."""
    regions = finite(record.accepted)
    if not regions:
        return None
    distance_px = MIN_DISTANCE_FRACTION * max(record.image.width_px, record.image.height_px)
    groups: dict[tuple[str, str, str | None], list[Region]] = defaultdict(list)
    bad = []
    # Stable, best first: of equals the one found first stays; a NaN score ranks last.
    for region in sorted(regions, key=lambda r: -r.score if r.score == r.score else 0.0):
        kept = groups[region.label, region.kind, region.parent_id]
        twin = next((other for other in kept if _same(region, other, distance_px)), None)
        if twin is None:
            kept.append(region)
        else:
            bad.append((region.id, f"repeats {twin.id}"))
    return rejecting("no_duplicates", bad, f"no two of {len(regions)} regions are the same")


CHECKS = [CheckSpec("no_duplicates", str(no_duplicates.__doc__), "ground", no_duplicates)]
