"""Landmarks: a head's axis ends make an ellipse; pairs keep their sides, and numbers their order."""

from __future__ import annotations

import itertools
import re
from collections import defaultdict

import numpy as np

from fiducial.tools.checks.common import Floats, coordinates, finite, rejecting, side_of
from fiducial.tools.hooks import CheckOutcome, CheckSpec
from fiducial.tools.record import Record, Region

OFF_ELLIPSE = 0.1  # of the radius, at that direction
OFF_MIDDLE = 0.2  # of the shorter axis, between the middles of the two
LEAST_DEG = 70.0
LEAST_SEQUENCE = 3
DIAMETERS = {"occipitofrontal": ("ofd", "occipitofrontal"), "biparietal": ("bpd", "biparietal")}  # words of a label
AXIS_END = re.compile(r"ofd|bpd|(?<![a-z])end(?![a-z])|axis", re.IGNORECASE)
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
        name: [p for p, label in zip(world, labels, strict=True) if any(word in label.lower() for word in words)]
        for name, words in DIAMETERS.items()
    }
    if all(len(ends) == 2 for ends in named.values()):
        ofd, bpd = (_length(np.array(named[name])) for name in DIAMETERS)
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
    judged: set[str] = set()
    for parent_id, group in itertools.groupby(landmarks, key=lambda r: r.parent_id):
        ends: list[Region] = list(group)
        points = np.concatenate([coordinates(r) for r in ends])
        parent = by_id.get(parent_id or "")
        if parent is not None and parent.ellipse_px is not None and finite([parent]):
            judged |= {r.id for r in ends}
            off = np.abs(normalised_radius(parent.ellipse_px, points) - 1)
            bad += [
                (r.id, f"is off the ellipse {parent_id}") for r, o in zip(ends, off, strict=True) if o > OFF_ELLIPSE
            ]
        named = all(AXIS_END.search(r.label) for r in ends)  # four landmarks of a face or a chest span no ellipse
        if len(ends) == 4 and (parent is not None or named):
            judged |= {r.id for r in ends}
            why = _objection(points, [r.label for r in ends], steps)
            bad += [(r.id, why) for r in ends if why]
    return rejecting("landmark_order", bad, f"{len(judged)} landmarks are the ends of the axes") if judged else None


def _grouped(record: Record) -> dict[str | None, list[Region]]:
    """The landmarks of each parent."""
    found: dict[str | None, list[Region]] = defaultdict(list)
    for region in finite(record.accepted):
        if region.kind == "landmark":
            found[region.parent_id].append(region)
    return found


def landmark_symmetry(record: Record) -> CheckOutcome | None:
    """Reject a left-right pair of landmarks that runs against the other pairs: its two ends were exchanged.

    Pairs are labels that differ in the word left or right (``left_orbit``, ``right_orbit``). Two pairs at least are
    needed to see it, and three to say which: of two that disagree both go.
    """
    pairs = {
        (parent, stem): (sides["left"], sides["right"])
        for parent, landmarks in _grouped(record).items()
        for stem, sides in _sides(landmarks).items()
        if len(sides) == 2
    }
    if len(pairs) < 2:
        return None
    ways = np.array([(coordinates(right) - coordinates(left))[0] for left, right in pairs.values()])
    agree = np.sign(ways @ ways.T).sum(axis=1)  # with itself and the others, minus those it opposes
    wrong = agree <= 0 if len(pairs) > 2 else agree <= 1
    bad = [
        (end.id, "lies on the other side of its pair than in the other pairs")
        for ends, is_wrong in zip(pairs.values(), wrong, strict=True)
        if is_wrong
        for end in ends
    ]
    return rejecting("landmark_symmetry", bad, f"{len(pairs)} left-right pairs run one way")


def _sides(landmarks: list[Region]) -> dict[str, dict[str, Region]]:
    """By the label without its side: the landmarks on the left and on the right."""
    found: dict[str, dict[str, Region]] = defaultdict(dict)
    for landmark in landmarks:
        side = side_of(landmark.label)
        if side is not None:
            found[side[1]][side[0]] = landmark
    return found


def landmark_sequence(record: Record) -> CheckOutcome | None:
    """Reject numbered landmarks (``L1`` to ``L5``, ``rib_1`` …) whose path turns back: two of them were exchanged.

    From one number to the next the path may bend, but by less than 90°; fewer than three have no order to see.
    """
    scale = record.image.scale
    steps = np.array([scale.column_mm, scale.row_mm] if scale else [1.0, 1.0])
    judged, bad = 0, []
    for landmarks in _grouped(record).values():
        numbered: dict[str, list[tuple[int, Region]]] = defaultdict(list)
        for landmark in landmarks:
            if match := re.fullmatch(r"(.*?)[ _-]?(\d+)", landmark.label):
                numbered[match[1].lower()].append((int(match[2]), landmark))
        for stem, entries in numbered.items():
            if len(entries) < LEAST_SEQUENCE or stem in ("ofd", "bpd"):
                continue
            judged += 1
            ordered = [landmark for _, landmark in sorted(entries, key=lambda entry: entry[0])]
            ways = np.diff(np.concatenate([coordinates(r) for r in ordered]) * steps, axis=0)
            if (np.einsum("ij,ij->i", ways[1:], ways[:-1]) <= 0).any():
                bad += [(r.id, f"is one of {stem or 'numbers'} whose order turns back") for r in ordered]
    return rejecting("landmark_sequence", bad, f"{judged} numbered sequences run one way") if judged else None


CHECKS = [
    CheckSpec("landmark_order", str(landmark_order.__doc__), "ground", landmark_order),
    CheckSpec("landmark_symmetry", str(landmark_symmetry.__doc__), "ground", landmark_symmetry),
    CheckSpec("landmark_sequence", str(landmark_sequence.__doc__), "ground", landmark_sequence),
]
