"""The band around an approximate ellipse, unrolled: rays at equal steps of the eccentric angle, samples along each.

Positions are relative to the ellipse: offset 0 lies on it, 0.1 a tenth of the way further out from its centre, whatever
its size. Other ellipses near it are described by five numbers (``Change``) and by the offset at which each ray
crosses them.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from fiducial.tools.record import Ellipse

Floats = NDArray[np.float64]

RAYS, SAMPLES, REACH = 64, 64, 0.192
ANGLES = np.arange(RAYS) * (2.0 * math.pi / RAYS)
DIRECTIONS = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)
OFFSETS = (np.arange(SAMPLES) + 0.5) / SAMPLES * 2.0 * REACH - REACH


def unrolled(grey: NDArray[np.generic], ellipse: Ellipse) -> Floats:
    """(RAYS, SAMPLES) grey levels around the ellipse, bilinear; 0 outside the image. grey: (height, width)."""
    from scipy.ndimage import map_coordinates

    angle = math.radians(ellipse.angle_deg)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    rays = DIRECTIONS * np.array([ellipse.semi_major_px, ellipse.semi_minor_px])
    points = (1.0 + OFFSETS)[None, :, None] * (rays @ turn.T)[:, None, :] + np.array(ellipse.center_xy_px)
    at = [points[..., 1] - 0.5, points[..., 0] - 0.5]  # continuous pixels → indices of pixel centres
    return np.asarray(map_coordinates(grey, at, order=1, mode="constant", output=np.float64, prefilter=False))


def features(band: Floats) -> Floats:
    """(2, RAYS, SAMPLES): root brightness, normalised over the band, and over each ray with three on either side."""
    from scipy.ndimage import uniform_filter1d

    root = np.sqrt(band)
    whole = (root - root.mean()) / (root.std() + 1e-3)
    mean = uniform_filter1d(root.mean(axis=1), 7, mode="wrap")[:, None]
    square = uniform_filter1d((root**2).mean(axis=1), 7, mode="wrap")[:, None]
    return np.stack([whole, (root - mean) / (np.sqrt(np.maximum(square - mean**2, 0.0)) + 0.3)])


def crossings(changes: Floats, ellipse: Ellipse) -> Floats:
    """(N, RAYS) the offset at which each ray of ``ellipse`` crosses each changed ellipse.

    changes: (N, 5) shift along the major and minor axis, in semi-axes; log of the factor of each; turn, in radians.
    """
    a, b = ellipse.semi_major_px, ellipse.semi_minor_px
    along, across, log_a, log_b, turn = (changes[:, i, None] for i in range(5))
    cos, sin, semi_a, semi_b = np.cos(turn), np.sin(turn), a * np.exp(log_a), b * np.exp(log_b)
    x, y = a * DIRECTIONS[None, :, 0], b * DIRECTIONS[None, :, 1]
    # A point (1 + s)(x, y) in the changed ellipse's own unit-circle coordinates is g (1 + s) − o, of length 1.
    gx, gy = (cos * x + sin * y) / semi_a, (cos * y - sin * x) / semi_b
    ox, oy = (cos * along * a + sin * across * b) / semi_a, (cos * across * b - sin * along * a) / semi_b
    square, mixed, rest = gx**2 + gy**2, gx * ox + gy * oy, ox**2 + oy**2 - 1.0
    return np.asarray((mixed + np.sqrt(np.maximum(mixed**2 - square * rest, 0.0))) / square - 1.0)


def changed(ellipse: Ellipse, change: Floats) -> Ellipse:
    """The ellipse after one change, (5,) as in ``crossings``."""
    a, b, angle = ellipse.semi_major_px, ellipse.semi_minor_px, math.radians(ellipse.angle_deg)
    dx, dy = change[0] * a, change[1] * b
    x, y = ellipse.center_xy_px
    x, y = x + dx * math.cos(angle) - dy * math.sin(angle), y + dx * math.sin(angle) + dy * math.cos(angle)
    major, minor, turn = a * math.exp(change[2]), b * math.exp(change[3]), math.degrees(angle + change[4])
    if minor > major:
        major, minor, turn = minor, major, turn + 90.0
    return Ellipse(center_xy_px=(x, y), semi_major_px=major, semi_minor_px=minor, angle_deg=turn % 180.0)
