"""Outlines as polygons, and how much of each pixel they cover: the ruler and the brush of the drawn phantoms.

Deliberately free of the package's own geometry code, which the phantoms exist to test. A curve is a polygon of many
vertices, and *that polygon* is the truth: its area and extent are exact, not those of a curve that it approximates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fiducial.tools.phantoms.noise import Float
from fiducial.tools.record import BoxXYXY

Points = NDArray[np.float64]
SCANLINES = 8  # a pixel row is cut into so many; along x the coverage is exact


@dataclass(frozen=True)
class Patch:
    """A part of an image, and how much of each of its pixels is covered. share: (h, w), 0 to 1."""

    rows: slice
    columns: slice
    share: Float


def spline(points: ArrayLike, closed: bool = False, samples: int = 240) -> Points:
    """A smooth curve through ``points`` ((n, 2), any unit): a cubic spline, natural or periodic, (samples, 2).

    Centripetal knots (Lee, Computer-Aided Design 21:363, 1989). scipy's is the same curve; its import takes longer
    than a phantom.
    """
    knots = np.asarray(points, np.float64)
    if closed:  # three turns: in the middle one the ends are not felt
        knots = np.concatenate([knots, knots, knots, knots[:1]])
    step = np.sqrt(np.linalg.norm(np.diff(knots, axis=0), axis=1))
    at = np.concatenate([[0.0], np.cumsum(step)])
    slope = np.diff(knots, axis=0) / step[:, None]
    count = len(knots)
    system, right = np.eye(count), np.zeros((count, 2))
    inner = np.arange(1, count - 1)
    system[inner, inner - 1], system[inner, inner], system[inner, inner + 1] = (
        step[:-1],
        2 * (step[:-1] + step[1:]),
        step[1:],
    )
    right[inner] = 6 * np.diff(slope, axis=0)
    bend = np.linalg.solve(system, right)
    turn = (count - 1) // 3
    low, high = (at[turn], at[2 * turn]) if closed else (at[0], at[-1])
    where = np.linspace(low, high, samples, endpoint=not closed)
    i = np.clip(np.searchsorted(at, where, side="right") - 1, 0, count - 2)
    t, h = (where - at[i])[:, None], step[i][:, None]
    cubic = (bend[i + 1] - bend[i]) / (6 * h)
    linear = slope[i] - h * (2 * bend[i] + bend[i + 1]) / 6
    return np.asarray(knots[i] + t * (linear + t * (bend[i] / 2 + t * cubic)))


def blob(
    rng: np.random.Generator,
    center: ArrayLike,
    radii: ArrayLike,
    angle_deg: float,
    rough: float,
    samples: int = 240,
) -> Points:
    """An ellipse with low harmonics on its radius: a star-shaped outline, (samples, 2), in the unit of its arguments.

    rough: about the standard deviation of the radius, relative.
    """
    turn = np.linspace(0, 2 * math.pi, samples, endpoint=False)
    radius = np.ones(samples)
    for order in range(2, 7):
        radius += rng.normal(0, rough / order) * np.cos(order * turn + rng.uniform(0, 2 * math.pi))
    return ellipse_points(center, radii, angle_deg, samples, radius)


def ellipse_points(
    center: ArrayLike,
    radii: ArrayLike,
    angle_deg: float = 0.0,
    samples: int = 240,
    radius: NDArray[np.float64] | float = 1.0,
) -> Points:
    """Points around an ellipse, from its first axis on: (samples, 2)."""
    turn, t = np.linspace(0, 2 * math.pi, samples, endpoint=False), math.radians(angle_deg)
    (cx, cy), (a, b) = np.asarray(center, np.float64), np.asarray(radii, np.float64)
    u, v = a * radius * np.cos(turn), b * radius * np.sin(turn)
    return np.stack([cx + u * math.cos(t) - v * math.sin(t), cy + u * math.sin(t) + v * math.cos(t)], axis=1)


def ribbon(points: ArrayLike, width: ArrayLike) -> Points:
    """The outline of a band along ``points`` ((n, 2)); width: one number, or one a point."""
    middle = np.asarray(points, np.float64)
    step = np.gradient(middle, axis=0)
    normal = np.stack([-step[:, 1], step[:, 0]], axis=1) / np.maximum(np.linalg.norm(step, axis=1), 1e-12)[:, None]
    half = normal * (np.broadcast_to(np.asarray(width, np.float64), len(middle)) / 2)[:, None]
    return np.concatenate([middle + half, (middle - half)[::-1]])


def inset(polygon: Points, distance: float) -> Points:
    """A closed outline moved inwards along its normals by ``distance``, which must be small to its curvature."""
    step = np.roll(polygon, -1, axis=0) - np.roll(polygon, 1, axis=0)
    normal = np.stack([-step[:, 1], step[:, 0]], axis=1) / np.maximum(np.linalg.norm(step, axis=1), 1e-12)[:, None]
    x, y = polygon.T
    turn = 1.0 if np.dot(x, np.roll(y, -1)) > np.dot(y, np.roll(x, -1)) else -1.0
    return np.asarray(polygon + turn * distance * normal)


def area(polygon: Points) -> float:
    """Area by the shoelace formula, in the square of the polygon's unit."""
    x, y = (polygon - polygon.mean(axis=0)).T
    return abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2


def perimeter(polygon: Points) -> float:
    """Sum of the edges."""
    return float(np.linalg.norm(np.roll(polygon, -1, axis=0) - polygon, axis=1).sum())


def longest_axis(polygon: Points) -> tuple[float, float]:
    """RECIST: the greatest distance of two vertices, and the longest chord inside at right angles to it."""
    offset = polygon[:, None] - polygon[None]
    first, second = np.unravel_index(int(np.argmax((offset**2).sum(axis=2))), offset.shape[:2])
    axis = polygon[second] - polygon[first]
    length = float(np.hypot(*axis))
    along, across = (polygon @ axis) / length, (polygon @ np.array([-axis[1], axis[0]])) / length
    to_along, to_across = np.roll(along, -1), np.roll(across, -1)
    longest = 0.0
    for level in along:  # between two vertices a chord's length is linear, so the longest ends on one
        cut = (along <= level) != (to_along <= level)
        at = across[cut] + (level - along[cut]) / (to_along - along)[cut] * (to_across - across)[cut]
        ends = np.sort(at)
        longest = max(longest, float((ends[1::2] - ends[::2]).max(initial=0.0)))
    return length, longest


def box_of(polygon: Points) -> BoxXYXY:
    """The tight box."""
    (x0, y0), (x1, y1) = polygon.min(axis=0).tolist(), polygon.max(axis=0).tolist()
    return x0, y0, x1, y1


def cover(polygon_px: ArrayLike, height_px: int, width_px: int, blur_px: float = 0.0) -> Patch:
    """How much of each pixel a simple polygon covers, within its box clipped to the image (it may be empty).

    Each of 8 scanlines a row adds the exact lengths between its crossings; ``blur_px``: standard deviation of a
    Gaussian that softens the edge, half-way down on the outline still.
    """
    polygon = np.asarray(polygon_px, np.float64)
    margin = 3 * blur_px + 1
    (x0, y0), (x1, y1) = polygon.min(axis=0) - margin, polygon.max(axis=0) + margin
    left, top = max(0, math.floor(x0)), max(0, math.floor(y0))
    right, bottom = max(left, min(width_px, math.ceil(x1))), max(top, min(height_px, math.ceil(y1)))
    # Beyond the image, but within reach of the blur, the shape goes on.
    reach = math.ceil(margin)
    wide = _covered(polygon - (left - reach, top - reach), bottom - top + 2 * reach, right - left + 2 * reach)
    if blur_px > 0 and wide.size:
        from scipy.ndimage import gaussian_filter

        wide = gaussian_filter(wide, blur_px, truncate=3.0, mode="nearest")
    return Patch(
        slice(top, bottom), slice(left, right), wide[reach : wide.shape[0] - reach, reach : wide.shape[1] - reach]
    )


def _covered(polygon: Points, height: int, width: int) -> Float:
    """Coverage on a grid whose corner is the origin, by summing each edge's signed share of every scanline."""
    start, end = polygon, np.roll(polygon, -1, axis=0)
    low = np.clip(np.ceil(np.minimum(start, end)[:, 1] * SCANLINES - 0.5).astype(int), 0, height * SCANLINES)
    high = np.clip(np.ceil(np.maximum(start, end)[:, 1] * SCANLINES - 0.5).astype(int), 0, height * SCANLINES)
    count = high - low
    edge = np.repeat(np.arange(len(polygon)), count)
    line = low[edge] + np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count)
    delta = (end - start)[edge]
    share = ((line + 0.5) / SCANLINES - start[edge, 1]) / delta[:, 1]
    x = np.clip(start[edge, 0] + share * delta[:, 0], 0, width)
    column = np.minimum(x.astype(int), width - 1)
    part, sign = x - column, np.sign(delta[:, 1])
    # Left of its crossing an edge fills each pixel wholly, the crossing's partly: two steps, summed from the right.
    flat = (line // SCANLINES) * (width + 1) + column
    size = height * (width + 1)
    steps = np.bincount(flat + 1, sign * part, size + 1)[:size] + np.bincount(flat, sign * (1 - part), size)
    filled = np.cumsum(steps.reshape(height, width + 1)[:, ::-1], axis=1)[:, ::-1][:, 1:]
    return np.clip(np.abs(filled) / SCANLINES, 0, 1).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Canvas:
    """A grey image to draw on in place, in mm. values: (H, W) float32; mm_per_px: of x and y alike."""

    values: Float
    mm_per_px: float

    def patch(self, polygon_mm: ArrayLike, blur_mm: float = 0.0) -> Patch:
        """The coverage of a polygon in mm."""
        height, width = self.values.shape
        return cover(np.asarray(polygon_mm) / self.mm_per_px, height, width, blur_mm / self.mm_per_px)

    def add(self, polygon_mm: ArrayLike, amount: float, blur_mm: float = 0.0) -> None:
        """Add ``amount`` inside a polygon."""
        made = self.patch(polygon_mm, blur_mm)
        self.values[made.rows, made.columns] += np.float32(amount) * made.share

    def blend(self, polygon_mm: ArrayLike, value: float, blur_mm: float = 0.0, weight: float = 1.0) -> None:
        """Move what is inside a polygon towards ``value``."""
        made = self.patch(polygon_mm, blur_mm)
        part = self.values[made.rows, made.columns]
        part += np.float32(weight) * made.share * (np.float32(value) - part)

    def line(self, points_mm: ArrayLike, width_mm: ArrayLike, amount: float, blur_mm: float = 0.0) -> None:
        """Add ``amount`` along a band."""
        self.add(ribbon(points_mm, width_mm), amount, blur_mm)

    def tube(self, points_mm: ArrayLike, width_mm: ArrayLike, amount: float, blur_mm: float = 0.0) -> None:
        """Add a hollow bone seen from the side: its two walls, tangent to the rays, are brighter than its middle."""
        width = np.asarray(width_mm, np.float64)
        self.line(points_mm, width, amount, blur_mm)
        self.line(points_mm, 0.62 * width, -0.45 * amount, blur_mm)
