"""The four axis ends of a head: they lie on its ellipse, and make two axes that bisect each other at a right angle."""

from __future__ import annotations

import itertools

import numpy as np

from fiducial.tools.checks.common import Floats, coordinates, finite, rejecting
from fiducial.tools.hooks import CheckOutcome, CheckSpec
from fiducial.tools.record import Record, Region

OFF_ELLIPSE = 0.1  # of the radius, at that direction
OFF_MIDDLE = 0.2  # of the shorter axis, between the middles of the two
LEAST_DEG = 70.0
PAIRINGS = (((0, 1), (2, 3)), ((0, 2), (1, 3)), ((0, 3), (1, 2)))


def _axes(points: Floats) -> tuple[Floats, Floats]:
    """(2, 2) longer and shorter axis: the pairing of four points whose middles lie closest together."""
    options = [(points[list(a)], points[list(b)]) for a, b in PAIRINGS]
    first, second = min(options, key=lambda o: float(np.linalg.norm(o[0].mean(axis=0) - o[1].mean(axis=0))))
    return (first, second) if _length(first) >= _length(second) else (second, first)


def _length(axis: Floats) -> float:
    return float(np.linalg.norm(axis[1] - axis[0]))


def _objection(points: Floats, labels: list[str], scale: Floats) -> str | None:
    """What is wrong with four axis ends (4, 2) in pixels, if anything; lengths and angles in world space."""
    world = points * scale
    longer, shorter = _axes(world)
    if _length(shorter) == 0:
        return "are axis ends that coincide"
    if np.linalg.norm(longer.mean(axis=0) - shorter.mean(axis=0)) > OFF_MIDDLE * _length(shorter):
        return "make axes that do not cross near their middles"
    u, v = longer[1] - longer[0], shorter[1] - shorter[0]
    angle = np.degrees(np.arctan2(abs(u[0] * v[1] - u[1] * v[0]), abs(u @ v)))
    if angle < LEAST_DEG:
        return f"make axes at {angle:.0f}° to each other"
    named = {
        name: [p for p, label in zip(world, labels, strict=True) if name in label.lower()] for name in ("ofd", "bpd")
    }
    if all(len(ends) == 2 for ends in named.values()):
        ofd, bpd = (_length(np.array(named[name])) for name in ("ofd", "bpd"))
        if bpd > ofd:
            return f"give a biparietal diameter longer than the occipitofrontal one ({bpd:.4g} > {ofd:.4g})"
    return None


def landmark_order(record: Record) -> CheckOutcome | None:
    """Reject a head's landmarks that are not the ends of its two axes.

    On the parent's ellipse (within a tenth of its radius), axes crossing near their middles and at 70° or more in world
    space, the biparietal no longer than the occipitofrontal diameter where the labels say which is which.
    """
    from fiducial.tools.geometry.ellipses import normalised_radius

    landmarks = sorted((r for r in finite(record.accepted) if r.kind == "landmark"), key=lambda r: r.parent_id or "")
    if not landmarks:
        return None
    by_id = {r.id: r for r in record.regions}
    scale = record.image.scale
    steps = np.array([scale.column_mm, scale.row_mm] if scale else [1.0, 1.0])
    bad: list[tuple[str, str]] = []
    for parent_id, group in itertools.groupby(landmarks, key=lambda r: r.parent_id):
        ends: list[Region] = list(group)
        points = np.concatenate([coordinates(r) for r in ends])
        parent = by_id.get(parent_id or "")
        if parent is not None and parent.ellipse_px is not None and finite([parent]):
            off = np.abs(normalised_radius(parent.ellipse_px, points) - 1)
            bad += [
                (r.id, f"is off the ellipse {parent_id}") for r, o in zip(ends, off, strict=True) if o > OFF_ELLIPSE
            ]
        if len(ends) == 4 and (why := _objection(points, [r.label for r in ends], steps)):
            bad += [(r.id, why) for r in ends]
    return rejecting("landmark_order", bad, f"{len(landmarks)} landmarks are the ends of the axes")


CHECKS = [CheckSpec("landmark_order", str(landmark_order.__doc__), "ground", landmark_order)]
