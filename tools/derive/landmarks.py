"""Distances and angles of landmarks that a label volume marks: each landmark is the middle of its label.

The measurements are named in a JSON file, whose numbers are labels:

    {"distances": {"biparietal diameter": [1, 2]},
     "angles": {"hip": [3, 4, 5], "between endplates": [[6, 7], [8, 9]]}}

A distance has two ends; an angle has an arm, a vertex and an arm, or two lines. All in the world, in mm and degrees.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field, ValidationError

from fiducial.tools.errors import InputError
from fiducial.tools.geometry.angles import vector_angles_deg
from fiducial.tools.geometry.lengths import distances
from fiducial.tools.hooks import first_problem
from fiducial.tools.record import Part

Label = Annotated[int, Field(ge=1)]
Pair = tuple[Label, Label]


class Metrics(Part):
    """Measurements by name, on landmarks given as labels."""

    distances: dict[str, Pair] = Field(default_factory=dict)
    angles: dict[str, tuple[Label, Label, Label] | tuple[Pair, Pair]] = Field(default_factory=dict)


def read_metrics(path: Path) -> Metrics:
    """The measurements that a file names. Raises InputError for what is none."""
    try:
        return Metrics.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; check the path") from None
    except (ValueError, RecursionError) as error:
        what = first_problem(error) if isinstance(error, ValidationError) else str(error).splitlines()[0]
        mend = 'write it as {"distances": {"name": [1, 2]}, "angles": {"name": [3, 4, 5]}}'
        raise InputError(f"{path} names no measurements ({what}); {mend}") from None


def landmark_metrics(points_mm: Mapping[int, tuple[float, float, float]], metrics: Metrics) -> list[dict[str, Any]]:
    """Each measurement's name, value, unit and labels. points_mm: landmarks by label, in the world.

    Raises InputError for a label that is not there, and for an angle whose points coincide.
    """
    rows = []
    for name, ends in metrics.distances.items():
        first, second = _points(name, ends, points_mm)
        rows.append({"name": name, "value": float(distances(first, second)), "unit": "mm", "labels": list(ends)})
    for name, spec in metrics.angles.items():
        flat = [label for part in spec for label in (part if isinstance(part, tuple) else (part,))]
        p = _points(name, flat, points_mm)
        u, v = (p[1] - p[0], p[3] - p[2]) if len(p) == 4 else (p[0] - p[1], p[2] - p[1])
        angle = float(vector_angles_deg(u, v))
        if not np.isfinite(angle):
            raise InputError(f"the angle {name!r} has no direction: two of the landmarks {flat} coincide")
        rows.append({"name": name, "value": angle, "unit": "deg", "labels": flat})
    return rows


def _points(name: str, labels: Any, points_mm: Mapping[int, tuple[float, float, float]]) -> np.ndarray:
    missing = [label for label in labels if label not in points_mm]
    if missing:
        raise InputError(f"{name!r} is measured on label {missing[0]}, which the volume does not hold")
    return np.array([points_mm[label] for label in labels])
