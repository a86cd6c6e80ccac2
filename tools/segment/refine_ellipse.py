"""A head's approximate ellipse moved to the outer border of the skull, with what the image says about its uncertainty.

The posterior mean of the ellipse: a normal prior around the approximate one, and the likelihood of the border's place
on 64 rays (``skull_edge``), by population Monte Carlo (Cappé et al., J Comput Graph Stat 13:907, 2004). Where the
image says little, the mean stays near the prior's: the result is a blend by evidence, and says in ``support`` how
much there was.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from fiducial.tools.geometry.ellipses import ellipse_circumference, ellipse_polygon
from fiducial.tools.record import Ellipse, Region
from fiducial.tools.segment.skull_band import OFFSETS, RAYS, REACH, SAMPLES, changed, crossings, features, unrolled
from fiducial.tools.segment.skull_edge import edge_log_probability

Floats = NDArray[np.float64]

# Shift in semi-axes, log of the axes, turn: about twice the embedded tower's error on held-out images.
PRIOR_SD = (0.025, 0.025, 0.021, 0.021, math.radians(4.0))
RAY_WEIGHT = 0.12  # neighbouring rays err together: 64 count as 8
FLOOR = 1e-4  # of the probability at any place: one ray can not veto an ellipse
DRAWS, STAGES = 1200, 3
LEAST_SUPPORT = 0.15
# Held-out train heads alone ask for 1.16, but their tails are heavy; chosen on val, as the model card says.
SIGMA_FACTOR = 1.9


@dataclass(frozen=True)
class RefinedEllipse:
    """ellipse_px: the refined ellipse, or the given one where it was refused.

    moved_px: greatest distance between the two outlines. support: share of the prior's uncertainty of the
    circumference that the image took away, 0 to 1. sigma_px: one standard deviation of an axis end, such that
    ``measure`` gives the circumference the spread of its posterior.
    """

    ellipse_px: Ellipse
    moved_px: float
    support: float
    sigma_px: float
    refused: bool

    def region(self, found: Region) -> Region:
        """The refined ellipse as a region of the record: a part of the one that it was refined from."""
        return Region(
            id=f"{found.id}.edge",
            label=found.label,
            kind="ellipse",
            ellipse_px=self.ellipse_px,
            score=found.score,
            sigma_px=self.sigma_px,
            skill="refine_ellipse",
            parent_id=found.id,
        )


def refine_ellipse(
    rgb_u8: NDArray[np.uint8], ellipse_px: Ellipse, prior_sd: tuple[float, ...] = PRIOR_SD
) -> RefinedEllipse:
    """Refine an approximate ellipse of a fetal head to the outer border of its skull.

    rgb_u8: (height, width, 3) stored pixels of an ultrasound image. prior_sd: (5,) one standard deviation of the
    approximate
    ellipse: shift along its major and minor axis in semi-axes, relative error of each, angle in radians. Deterministic.
    """
    band = unrolled(np.ascontiguousarray(rgb_u8[..., 1]), ellipse_px)
    sd = np.array(prior_sd)
    draws, weights = _posterior(edge_log_probability(features(band)), ellipse_px, sd)
    mean = weights @ draws
    before = _circumferences(_normals(0) * sd, ellipse_px)
    after = _circumferences(draws, ellipse_px)
    centre = float(weights @ after)
    spread = math.sqrt(float(weights @ (after - centre) ** 2))
    prior_spread = float(before.std())
    support = min(1.0, max(0.0, 1.0 - spread / prior_spread))
    if support < LEAST_SUPPORT:
        return RefinedEllipse(ellipse_px, 0.0, support, prior_spread / math.pi, refused=True)
    refined = changed(ellipse_px, mean)
    moved = float(np.abs(crossings(mean[None], ellipse_px)[0] * np.linalg.norm(_radii(ellipse_px), axis=1)).max())
    return RefinedEllipse(refined, moved, support, SIGMA_FACTOR * spread / math.pi, refused=False)


def _radii(ellipse: Ellipse) -> Floats:
    return np.asarray(ellipse_polygon(ellipse, RAYS) - np.array(ellipse.center_xy_px))


@cache
def _normals(stage: int) -> Floats:
    """(DRAWS, 5) standard normal draws of a stage, the same in every call and symmetric about zero."""
    half = np.random.default_rng(stage).normal(size=(DRAWS // 2, 5))
    return np.concatenate([half, -half])


def _circumferences(draws: Floats, ellipse: Ellipse) -> Floats:
    """(N,) circumferences in pixels; linear in the logs of the axes around the ellipse, which is exact enough here."""
    a, b = ellipse.semi_major_px, ellipse.semi_minor_px
    whole = ellipse_circumference(a, b)
    slope_a = (ellipse_circumference(a * 1.001, b) - whole) / 0.001
    slope_b = (ellipse_circumference(a, b * 1.001) - whole) / 0.001
    return np.asarray(whole + slope_a * np.expm1(draws[:, 2]) + slope_b * np.expm1(draws[:, 3]))


def _posterior(log_probability: Floats, ellipse: Ellipse, sd: Floats) -> tuple[Floats, Floats]:
    """(DRAWS, 5) changes of the ellipse and their normalised weights under prior and image."""
    evidence = np.log(np.exp(log_probability) + FLOOR)
    centre, factor = np.zeros(5), np.diag(sd)
    draws, weights = np.zeros((DRAWS, 5)), np.full(DRAWS, 1.0 / DRAWS)
    for stage in range(STAGES):
        normal = _normals(stage)
        draws = centre + normal @ factor.T
        log_weight = RAY_WEIGHT * _along(evidence, crossings(draws, ellipse)) - ((draws / sd) ** 2).sum(axis=1) / 2
        log_weight += (normal**2).sum(axis=1) / 2  # importance: divided by the density they were drawn from
        weights = np.exp(log_weight - log_weight.max())
        weights /= weights.sum()
        centre = weights @ draws
        spread = (draws - centre).T @ ((draws - centre) * weights[:, None])
        factor = np.linalg.cholesky(1.5 * spread + np.diag((0.08 * sd) ** 2))  # wider, so that no tail is lost
    return draws, weights


def _along(evidence: Floats, offsets: Floats) -> Floats:
    """(N,) the sum over the rays of the evidence at each ellipse's offsets (N, RAYS), linear between samples."""
    place = (offsets - OFFSETS[0]) * (SAMPLES / (2.0 * REACH))
    place = np.clip(place, 0.0, SAMPLES - 1.001)
    low = place.astype(np.intp)
    rest = place - low
    rays = np.arange(RAYS)
    return np.asarray((evidence[rays, low] * (1.0 - rest) + evidence[rays, low + 1] * rest).sum(axis=1))
