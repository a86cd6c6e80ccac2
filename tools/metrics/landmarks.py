"""Landmarks: mean radial error in mm and success detection rates, as UMIT and the ISBI 2015 challenge report them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fiducial.tools.metrics.means import mean
from fiducial.tools.record import PointXY, Scale

RADII_MM = (2.0, 2.5, 3.0, 4.0)


@dataclass(frozen=True)
class LandmarkScores:
    """Scores of single landmarks.

    mre_mm, sd_mm: mean radial error and its standard deviation over the landmarks that were given. sdr: share of those
    within each radius, in mm. honest_sdr: share of all landmarks, one that was not given being outside every radius.
    """

    landmarks: int
    given: float
    mre_mm: float
    sd_mm: float
    sdr: dict[float, float]
    honest_sdr: dict[float, float]


def landmark_scores(
    predicted: Sequence[PointXY | None], true: Sequence[PointXY], scales: Sequence[Scale] | Scale
) -> LandmarkScores:
    """Score landmarks in stored pixels. scales: of each image, or of all; distances are taken in world space.

    Raises ValueError for other lengths.
    """
    steps = [scales] * len(true) if isinstance(scales, Scale) else list(scales)
    errors_mm = []
    for guess, truth, scale in zip(predicted, true, steps, strict=True):
        away = np.asarray(guess if guess is not None else (np.nan, np.nan), dtype=np.float64) - np.asarray(truth)
        errors_mm.append(float(np.hypot(away[0] * scale.column_mm, away[1] * scale.row_mm)))
    error = np.asarray(errors_mm)
    given = error[np.isfinite(error)]
    return LandmarkScores(
        landmarks=len(error),
        given=mean(np.isfinite(error)),
        mre_mm=mean(given),
        sd_mm=float(given.std()) if given.size else float("nan"),
        sdr={radius: mean(given <= radius) for radius in RADII_MM},
        honest_sdr={radius: mean(error <= radius) for radius in RADII_MM},
    )
