"""Uncertainty of what is computed from coordinates: first-order propagation (GUM, JCGM 100:2008, 5.1.2).

The inputs are the coordinates of points, whose errors are independent, and the scale. A coordinate errs by the spread
of repeats or what a skill states of itself (a standard deviation, 4.2 and 4.3), and by the step of the grid that it was
spelled on (a rectangular distribution, step² / 12, F.2.2.1). The scale's relative tolerance multiplies every length
alike: a quantity that is a length to the power p takes p times it. Sensitivities are central differences. Where the
spread was estimated from few repeats, the interval is Student's with the effective degrees of freedom (G.4.1).

First order holds while the errors are small against what is measured: a length of ten standard deviations comes out
0.5 % too long on average, and an arm shorter than that gives no angle worth stating.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from fiducial.tools.record import Part

Floats = NDArray[np.float64]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
STEP_PX = 1e-4


class CoordinateErrors(Part):
    """What is known of the errors of coordinates, in stored pixels, and of the scale.

    degrees_of_freedom: of sigma_px, where it was estimated from repeats; None where it is taken as known.
    """

    sigma_px: Annotated[NonNegative, Field(description="One standard deviation of a coordinate")] = 0.0
    step_x_px: Annotated[NonNegative, Field(description="Quantisation step along x; side / 1000 for 0-1000")] = 0.0
    step_y_px: Annotated[NonNegative, Field(description="Quantisation step along y")] = 0.0
    tolerance_ratio: Annotated[NonNegative, Field(description="One standard deviation of the scale, relative")] = 0.0
    degrees_of_freedom: Annotated[float, Field(gt=0)] | None = None


class Estimate(Part):
    """A value with one standard deviation, and the interval of 95 % coverage; all in the value's own unit."""

    value: float
    uncertainty: float
    low: float
    high: float


def from_repeats(repeats_xy_px: ArrayLike, errors: CoordinateErrors | None = None) -> tuple[Floats, CoordinateErrors]:
    """The mean points (N, 2) of repeats (R, N, 2), and the errors of that mean; other errors are kept.

    Type A evaluation (GUM 4.2.3), pooled over all coordinates: s² / R with 2 · N · (R - 1) degrees of freedom.
    """
    repeats = np.asarray(repeats_xy_px, dtype=np.float64)
    if repeats.ndim != 3 or len(repeats) < 2 or not np.isfinite(repeats).all():
        raise ValueError("repeats need the shape (R, N, 2) with at least two, and finite coordinates")
    pooled = math.sqrt(float(repeats.var(axis=0, ddof=1).mean()) / len(repeats))
    freedom = float(repeats[0].size * (len(repeats) - 1))
    known = errors or CoordinateErrors()
    return repeats.mean(axis=0), known.model_copy(update={"sigma_px": pooled, "degrees_of_freedom": freedom})


def propagate(
    quantity: Callable[[Floats], float],
    points_xy_px: ArrayLike,
    errors: CoordinateErrors,
    power: int,
    period: float | None = None,
) -> Estimate:
    """The quantity of points (N, 2) in stored pixels, with its uncertainty.

    quantity: from (N, 2) pixels to a number in world units. power: that of a length that it is (an angle or ratio 0).
    period: of a signed angle, whose differences are taken the short way round.
    """
    points = np.asarray(points_xy_px, dtype=np.float64)
    slope = slopes(lambda p: np.array(quantity(p)), points, period)
    return combined(float(quantity(points)), slope, errors, power)


def slopes(quantity: Callable[[Floats], Floats], points_xy_px: Floats, period: float | None = None) -> Floats:
    """(..., N, 2) sensitivities of (...) quantities to points (N, 2), by central differences."""
    columns = []
    for index in np.ndindex(points_xy_px.shape):
        move = np.zeros(points_xy_px.shape)
        move[index] = STEP_PX
        rise = quantity(points_xy_px + move) - quantity(points_xy_px - move)
        columns.append((rise if period is None else (rise + period / 2) % period - period / 2) / (2 * STEP_PX))
    return np.moveaxis(np.reshape(columns, (*points_xy_px.shape, *columns[0].shape)), (0, 1), (-2, -1))


def combined(value: float, slope: ArrayLike, errors: CoordinateErrors, power: int) -> Estimate:
    """The estimate of a value whose sensitivities to the coordinates, (..., 2) as x and y, are known."""
    by_axis = (np.asarray(slope, dtype=np.float64).reshape(-1, 2) ** 2).sum(axis=0)
    spread = float(by_axis.sum()) * errors.sigma_px**2
    grid = float(by_axis @ (errors.step_x_px**2, errors.step_y_px**2)) / 12.0
    variance = spread + grid + (power * errors.tolerance_ratio * value) ** 2
    if not (math.isfinite(value) and math.isfinite(variance)):
        raise ValueError("the points give no finite value; are any of them equal, or not finite?")
    deviation = math.sqrt(variance)
    reach = _coverage_factor(errors.degrees_of_freedom, spread, variance) * deviation
    return Estimate(value=value, uncertainty=deviation, low=value - reach, high=value + reach)


def _coverage_factor(freedom: float | None, spread: float, variance: float) -> float:
    """How many standard deviations make 95 %: 1.96, more where the spread rests on few repeats (Welch-Satterthwaite).

    freedom is that of the spread alone: the others are known, so the effective one is freedom · (variance / spread)².
    """
    if freedom is None or spread <= 0.0:
        return 1.959964
    from scipy.stats import t

    return float(t.ppf(0.975, freedom * (variance / spread) ** 2))


def clipped(estimate: Estimate, low: float = 0.0, high: float = math.inf) -> Estimate:
    """The estimate with its interval cut to what is possible: no length is negative, no angle beyond 180 degrees."""
    return estimate.model_copy(update={"low": max(low, estimate.low), "high": min(high, estimate.high)})
