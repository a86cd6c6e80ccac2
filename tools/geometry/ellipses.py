"""Ellipses: area, circumference, axes in world space, fit to points, conversion to polygons, landmarks and boxes.

An ``Ellipse`` (``tools/record.py``) lives in stored pixels. Where pixels are not square it is another ellipse in world
space, with other axes in other directions: ``world_ellipse`` transforms it exactly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fiducial.tools.record import Ellipse

Floats = NDArray[np.float64]

COLLINEAR = 1e-9  # points this thin, relative to their extent, are on a line


def ellipse_circumference(semi_major: float, semi_minor: float) -> float:
    """Circumference in the unit of the axes: 4 a E(m), with the complete elliptic integral E and m = 1 - (b/a)².

    Source: Abramowitz and Stegun, 17.3; exact, unlike Ramanujan's or Hadlock's 1.62 (BPD + OFD).
    """
    from scipy.special import ellipe

    a, b = max(semi_major, semi_minor), min(semi_major, semi_minor)
    return float(4.0 * a * ellipe(1.0 - (b / a) ** 2)) if a > 0 else 0.0


def ellipse_area(semi_major: float, semi_minor: float) -> float:
    """Area, in the squared unit of the axes."""
    return math.pi * semi_major * semi_minor


def _half_axes(ellipse: Ellipse) -> Floats:
    """(2, 2) the vectors from the centre to the ends of the major (column 0) and minor (column 1) axis, in pixels."""
    angle = math.radians(ellipse.angle_deg)
    direction = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return np.asarray(direction * np.array([ellipse.semi_major_px, ellipse.semi_minor_px]))


def world_ellipse(ellipse: Ellipse, row_mm: float, column_mm: float) -> Ellipse:
    """The ellipse in world space, exact: its fields hold mm (x · column_mm, y · row_mm), though they are named px.

    An ellipse is the image of the unit circle under its half axes M; scaling gives diag(column_mm, row_mm) M, whose
    singular values are the new semi-axes and whose left singular vectors are their directions.
    """
    left, values, _ = np.linalg.svd(np.diag([column_mm, row_mm]) @ _half_axes(ellipse))
    x, y = ellipse.center_xy_px
    angle = math.degrees(math.atan2(left[1, 0], left[0, 0])) % 180.0
    return Ellipse(
        center_xy_px=(x * column_mm, y * row_mm), semi_major_px=values[0], semi_minor_px=values[1], angle_deg=angle
    )


def ellipse_axes(ellipse: Ellipse, row_mm: float = 1.0, column_mm: float = 1.0) -> tuple[float, float]:
    """Full major and minor axis in world space (mm, or pixels where both steps are 1)."""
    world = world_ellipse(ellipse, row_mm, column_mm)
    return 2.0 * world.semi_major_px, 2.0 * world.semi_minor_px


def ellipse_polygon(ellipse: Ellipse, points: int = 128) -> Floats:
    """(points, 2) vertices at equal steps of the eccentric angle, from the major axis towards the minor."""
    t = np.linspace(0.0, 2.0 * math.pi, points, endpoint=False)
    return np.asarray(np.array(ellipse.center_xy_px) + np.stack([np.cos(t), np.sin(t)], axis=1) @ _half_axes(ellipse).T)


def ellipse_box(ellipse: Ellipse) -> tuple[float, float, float, float]:
    """The smallest upright box ``x0, y0, x1, y1`` around the ellipse."""
    (cx, cy), half = ellipse.center_xy_px, np.linalg.norm(_half_axes(ellipse), axis=1)
    return float(cx - half[0]), float(cy - half[1]), float(cx + half[0]), float(cy + half[1])


def normalised_radius(ellipse: Ellipse, points_xy_px: ArrayLike) -> Floats:
    """(N,) how far out each point lies: 0 at the centre, 1 on the ellipse, 2 twice as far out."""
    offset = np.asarray(points_xy_px, dtype=np.float64).reshape(-1, 2) - np.array(ellipse.center_xy_px)
    return np.asarray(np.linalg.norm(np.linalg.solve(_half_axes(ellipse), offset.T), axis=0))


def ellipse_from_axes(major_px: Sequence[Sequence[float]], minor_px: Sequence[Sequence[float]]) -> Ellipse:
    """The ellipse of four axis ends: two of the one axis, two of the other; which is the major one does not matter.

    Centre: mean of the four; semi-axes: half the two distances; direction: that of the longer. The axes of four points
    that a person or a model placed need not meet at right angles: the shorter one then gives its length alone.
    Raises ValueError where an axis has no length.
    """
    first, second = np.asarray(major_px, dtype=np.float64), np.asarray(minor_px, dtype=np.float64)
    vectors = [first[1] - first[0], second[1] - second[0]]
    lengths = [float(np.hypot(*v)) for v in vectors]
    if not (min(lengths) > 0.0 and max(lengths) < math.inf):
        raise ValueError("the ends of an axis coincide or are not finite, so they give no ellipse")
    long = int(lengths[1] > lengths[0])
    centre = np.concatenate([first, second]).mean(axis=0)
    angle = math.degrees(math.atan2(vectors[long][1], vectors[long][0])) % 180.0
    return Ellipse(
        center_xy_px=(float(centre[0]), float(centre[1])),
        semi_major_px=lengths[long] / 2,
        semi_minor_px=lengths[1 - long] / 2,
        angle_deg=angle,
    )


def fit_ellipse(points_xy_px: ArrayLike) -> Ellipse | None:
    """The ellipse of least algebraic distance to (N, 2) points; None where fewer than five or none fits.

    Halir and Flusser, Numerically stable direct least squares fitting of ellipses (1998). Our own: scikit-image's
    ``EllipseModel`` takes the eigenvectors of a matrix that is not symmetric, whose eigenvalues come out complex for
    some points that lie on an ellipse exactly, and then raises or fits none: 9 of 2,000 times.
    """
    points = np.asarray(points_xy_px, dtype=np.float64).reshape(-1, 2)
    if len(points) < 5 or not np.isfinite(points).all():
        return None
    middle = points.mean(axis=0)
    size = float(np.abs(points - middle).max())
    if size == 0.0:
        return None
    x, y = ((points - middle) / size).T
    linear = np.stack([x, y, np.ones_like(x)], axis=1)
    basis, spread, turn = np.linalg.svd(linear, full_matrices=False)
    if spread[-1] < COLLINEAR * spread[0]:
        return None
    square = np.stack([x * x, x * y, y * y], axis=1)
    rest = _least_conic(square - basis @ (basis.T @ square))
    found = _ellipse_of_conic(rest, -(turn.T / spread) @ (basis.T @ square) @ rest)
    if found is None:
        return None
    (cx, cy), (long, short), angle_deg = found
    return Ellipse(
        center_xy_px=(float(middle[0] + size * cx), float(middle[1] + size * cy)),
        semi_major_px=size * long,
        semi_minor_px=size * short,
        angle_deg=angle_deg,
    )


def _least_conic(residuals: Floats) -> Floats:
    """(3,) a, b, c of least |residuals (N, 3) @ (a, b, c)| among those with 4ac - b² = 1, which makes an ellipse.

    As a symmetric problem: with residuals = U s V', the greatest eigenvalue of s⁻¹ V' C V s⁻¹. Of an exact ellipse the
    least s is 0; the floor under it is rounding.
    """
    _, s, turn = np.linalg.svd(residuals, full_matrices=False)
    scaled = turn.T / np.maximum(s, 1e-14 * max(s[0], 1e-300))
    ellipticity = np.array([[0.0, 0.0, 2.0], [0.0, -1.0, 0.0], [2.0, 0.0, 0.0]])
    return np.asarray(scaled @ np.linalg.eigh(scaled.T @ ellipticity @ scaled)[1][:, -1])


def _ellipse_of_conic(quadratic: Floats, linear: Floats) -> tuple[Floats, tuple[float, float], float] | None:
    """Centre, semi-axes and angle of a x² + b xy + c y² + d x + e y + f = 0; None where that is no real ellipse."""
    a, b, c = quadratic / np.linalg.norm(quadratic)
    d, e, f = linear / np.linalg.norm(quadratic)
    form = np.array([[a, b / 2], [b / 2, c]])
    if np.linalg.det(form) <= 0.0:
        return None
    centre = np.linalg.solve(2.0 * form, [-d, -e])
    values, vectors = np.linalg.eigh(form)
    squared = -(f + (d * centre[0] + e * centre[1]) / 2) / values  # the smaller eigenvalue's axis is the longer
    if not (np.isfinite(squared).all() and squared.min() > 0.0):
        return None
    long, short = np.sqrt(squared).tolist()
    direction = vectors[:, 0]
    if short > long:  # both eigenvalues are negative
        long, short, direction = short, long, vectors[:, 1]
    return centre, (long, short), math.degrees(math.atan2(direction[1], direction[0])) % 180.0
