"""The ellipse of a phantom, in world millimetres: everything a scene claims is computed from it in closed form.

Deliberately free of the package's own geometry code, which the phantoms exist to test.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fiducial.tools.geometry.ellipses import ellipse_circumference
from fiducial.tools.record import BoxXYXY, Ellipse, PointXY, Scale

Float = NDArray[np.float32]


def _disc_samples(count: int = 2048) -> NDArray[np.float64]:
    """Equal-area samples of the unit disc, shape (2, count): a sunflower spiral."""
    index = np.arange(count) + 0.5
    radius, angle = np.sqrt(index / count), index * math.pi * (3 - math.sqrt(5))
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)])


DISC = _disc_samples()


@dataclass(frozen=True)
class WorldEllipse:
    """An ellipse in the plane of the image, in mm from the corner of the first pixel; x right, y down.

    angle_deg: from +x towards +y to the major axis, in world space (not the angle seen in non-square pixels).
    """

    center_xy_mm: PointXY
    semi_major_mm: float
    semi_minor_mm: float
    angle_deg: float

    @property
    def area_mm2(self) -> float:
        """π a b."""
        return math.pi * self.semi_major_mm * self.semi_minor_mm

    @property
    def perimeter_mm(self) -> float:
        """By the complete elliptic integral."""
        return ellipse_circumference(self.semi_major_mm, self.semi_minor_mm)

    def disc_to_px(self, scale: Scale) -> NDArray[np.float64]:
        """The 2×2 matrix from the unit disc to offsets in stored pixels from the centre."""
        t = math.radians(self.angle_deg)
        turn = np.array([[math.cos(t), -math.sin(t)], [math.sin(t), math.cos(t)]])
        to_mm = turn @ np.diag([self.semi_major_mm, self.semi_minor_mm])
        return np.asarray(to_mm / np.array([[scale.column_mm], [scale.row_mm]]))

    def center_xy_px(self, scale: Scale) -> PointXY:
        """The centre in stored pixels."""
        return self.center_xy_mm[0] / scale.column_mm, self.center_xy_mm[1] / scale.row_mm

    def ellipse_px(self, scale: Scale) -> Ellipse:
        """The same outline in stored pixels: the image of an ellipse under an affine map is an ellipse (its SVD)."""
        axes, lengths, _ = np.linalg.svd(self.disc_to_px(scale))
        angle = math.degrees(math.atan2(axes[1, 0], axes[0, 0])) % 180.0
        return Ellipse(
            center_xy_px=self.center_xy_px(scale),
            semi_major_px=float(lengths[0]),
            semi_minor_px=float(lengths[1]),
            angle_deg=angle,
        )

    def box_xyxy_px(self, scale: Scale) -> BoxXYXY:
        """The tight box of the outline in stored pixels; it may reach outside the image."""
        (cx, cy), (hx, hy) = self.center_xy_px(scale), np.linalg.norm(self.disc_to_px(scale), axis=1).tolist()
        return cx - hx, cy - hy, cx + hx, cy + hy

    def visible_fraction(self, scale: Scale, width_px: int, height_px: int) -> float:
        """Share of the area that lies in the image, from 2,048 equal-area samples."""
        x, y = self.disc_to_px(scale) @ DISC + np.array(self.center_xy_px(scale))[:, None]
        return float(np.mean((x >= 0) & (x < width_px) & (y >= 0) & (y < height_px)))


@dataclass(frozen=True)
class Window:
    """The part of the image in which an ellipse is drawn, and each pixel centre's place in the ellipse's unit disc.

    rows, columns: slices into the image. u, v, rho: (h, w), rho is 1 on the outline. radius_px: mean radius.
    """

    rows: slice
    columns: slice
    u: Float
    v: Float
    rho: Float
    radius_px: float

    def coverage(self, softness_px: float) -> Float:
        """1 inside, 0 outside, exactly one half on the outline, falling over about ``softness_px`` pixels."""
        t: Float = np.clip(0.5 + (1 - self.rho) * (self.radius_px / softness_px), 0, 1)
        return t * t * (3 - 2 * t)


def window(ellipse: WorldEllipse, scale: Scale, height_px: int, width_px: int, margin_px: float) -> Window:
    """The window of an ellipse, clipped to the image (it may be empty)."""
    x0, y0, x1, y1 = ellipse.box_xyxy_px(scale)
    columns = slice(max(0, math.floor(x0 - margin_px)), max(0, min(width_px, math.ceil(x1 + margin_px))))
    rows = slice(max(0, math.floor(y0 - margin_px)), max(0, min(height_px, math.ceil(y1 + margin_px))))
    matrix, (cx, cy) = ellipse.disc_to_px(scale), ellipse.center_xy_px(scale)
    inverse = np.linalg.inv(matrix).astype(np.float32)
    dx = np.arange(columns.start, columns.stop, dtype=np.float32)[None, :] + np.float32(0.5 - cx)
    dy = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] + np.float32(0.5 - cy)
    u = inverse[0, 0] * dx + inverse[0, 1] * dy
    v = inverse[1, 0] * dx + inverse[1, 1] * dy
    return Window(rows, columns, u, v, np.sqrt(u * u + v * v), math.sqrt(abs(np.linalg.det(matrix))))
