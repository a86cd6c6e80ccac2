"""What the checks share: their outcome, and the extent of a region whatever its kind."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from fiducial.tools.hooks import CheckOutcome
from fiducial.tools.record import Check, Record, Region
from fiducial.tools.structures import members, structures

Floats = NDArray[np.float64]
LISTED = 8


def passed(name: str, detail: str) -> CheckOutcome:
    """An outcome without objection."""
    return CheckOutcome(Check(name=name, outcome="pass", detail=detail))


def rejecting(name: str, objections: Sequence[tuple[str, str]], ok: str) -> CheckOutcome:
    """A failure that rejects every region with an objection (id, why), or a pass that says ``ok``."""
    if not objections:
        return passed(name, ok)
    return CheckOutcome(
        Check(name=name, outcome="fail", detail=listed(f"{i} {why}" for i, why in objections)),
        tuple(dict.fromkeys(i for i, _ in objections)),
    )


def listed(items: Iterable[str]) -> str:
    """The first few items, and how many more there are."""
    every = list(items)
    more = f"; and {len(every) - LISTED} more" if len(every) > LISTED else ""
    return "; ".join(every[:LISTED]) + more


def coordinates(region: Region) -> Floats:
    """(N, 2) the coordinates a region is given by, finite or not; of an ellipse, the ends of its axes."""
    if region.box_xyxy_px is not None:
        return np.array(region.box_xyxy_px, dtype=np.float64).reshape(2, 2)
    if region.box_xyzxyz_voxel is not None:  # x and y; not finite at all where z is not
        ends = np.array(region.box_xyzxyz_voxel, dtype=np.float64).reshape(2, 3)
        return ends[:, :2] if np.isfinite(ends).all() else np.full((2, 2), np.nan)
    if region.point_xy_px is not None:
        return np.array([region.point_xy_px], dtype=np.float64)
    if region.polygon_xy_px is not None:
        return np.array(region.polygon_xy_px, dtype=np.float64).reshape(-1, 2)
    assert region.ellipse_px is not None
    return np.array(region.ellipse_px.vertices_xy_px, dtype=np.float64)


def extent(region: Region) -> Floats:
    """(4,) the upright box ``x0, y0, x1, y1`` around a region, in stored pixels; of no size for a point."""
    from fiducial.tools.geometry.ellipses import ellipse_box

    if region.box_xyxy_px is not None:
        return np.array(region.box_xyxy_px, dtype=np.float64)
    if region.box_xyzxyz_voxel is not None:
        return coordinates(region).reshape(4)
    if region.ellipse_px is not None:
        return np.array(ellipse_box(region.ellipse_px))
    points = coordinates(region)
    if not len(points):
        return np.full(4, np.nan)
    return np.concatenate([points.min(axis=0), points.max(axis=0)])


def finite(regions: Iterable[Region]) -> list[Region]:
    """The regions whose coordinates are all finite: what the geometry of the later checks can be asked about."""
    return [r for r in regions if len(coordinates(r)) and np.isfinite(coordinates(r)).all()]


def side_of(label: str) -> tuple[str, str] | None:
    """The side that a label names and the label without it: ``left_kidney`` → ("left", "kidney"); None for no side."""
    words = re.split(r"[ _-]+", label.lower())
    sides = [word for word in words if word in ("left", "right")]
    return (sides[0], " ".join(w for w in words if w != sides[0])) if len(sides) == 1 else None


def of_structure(record: Record, key: str | None) -> list[Region]:
    """Accepted regions of a structure or of a group's members, without the parts of another region."""
    labels = set(members(key)) if key in structures() else set()
    return [r for r in record.accepted if r.label in labels and r.parent_id is None]
