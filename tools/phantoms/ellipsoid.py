"""The ellipsoid of a volume phantom, in mm, LPS: volume, box and sections by planes, all in closed form.

Deliberately free of the package's own geometry code, which the phantoms exist to test.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fiducial.tools.phantoms.noise import Float
from fiducial.tools.phantoms.phantom import XYZ, PhantomObject, TruthEllipsoid, TruthQuantity
from fiducial.tools.record import Ellipse

Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Plane:
    """A slice's plane. origin: of the *corner* of its first pixel; step_x, step_y: from pixel to pixel; LPS mm."""

    origin: Vector
    step_x: Vector
    step_y: Vector

    def shifted(self, offset: Vector) -> Plane:
        """The parallel plane at ``offset`` mm."""
        return Plane(self.origin + offset, self.step_x, self.step_y)


@dataclass(frozen=True)
class Section:
    """The ellipse in which a plane cuts an ellipsoid: in stored pixels of the plane, and its semi-axes in mm."""

    ellipse_px: Ellipse
    semi_major_mm: float
    semi_minor_mm: float


@dataclass(frozen=True, eq=False)
class WorldEllipsoid:
    """An ellipsoid. semi_axes_mm: longest first; axes: (3, 3), a row is the unit vector of its semi-axis."""

    center: Vector
    semi_axes_mm: Vector
    axes: Vector

    @classmethod
    def of(cls, center: ArrayLike, semi_axes_mm: Sequence[float], axes: ArrayLike | None = None) -> WorldEllipsoid:
        """From semi-axes in any order, each with its row of ``axes``: by default those of the patient."""
        order = np.argsort(semi_axes_mm)[::-1]
        turned = np.eye(3) if axes is None else np.asarray(axes, np.float64)
        return cls(np.asarray(center, np.float64), np.asarray(semi_axes_mm, np.float64)[order], turned[order])

    @property
    def volume_mm3(self) -> float:
        """4/3 π a b c."""
        return 4 / 3 * math.pi * float(np.prod(self.semi_axes_mm))

    @property
    def form(self) -> Vector:
        """(3, 3) A, with (x - center)ᵀ A (x - center) = 1 on the surface."""
        return np.asarray(self.axes.T @ np.diag(self.semi_axes_mm**-2.0) @ self.axes)

    @property
    def half_extent_mm(self) -> Vector:
        """Half of the tight box along x, y, z."""
        return np.asarray(np.sqrt(np.diag(self.axes.T @ np.diag(self.semi_axes_mm**2.0) @ self.axes)))

    def share_between(self, low_z: float, high_z: float) -> float:
        """Share of the volume with low_z <= z <= high_z: the caps' volumes depend on the height alone."""
        u = np.clip((np.array([low_z, high_z]) - self.center[2]) / self.half_extent_mm[2], -1, 1)
        return float(np.diff(u - u**3 / 3)[0]) * 0.75

    def section(self, plane: Plane) -> Section | None:
        """The ellipse in a plane whose steps are at right angles; None where they do not meet."""
        quadratic, linear, constant = self._on(plane)
        middle = -np.linalg.solve(quadratic, linear)
        left = 1 - (constant + float(linear @ middle))
        if left <= 0:
            return None
        values, vectors = np.linalg.eigh(quadratic / left)
        steps = np.array([np.linalg.norm(plane.step_x), np.linalg.norm(plane.step_y)])
        minor_mm, major_mm = np.linalg.eigvalsh(quadratic / left / np.outer(steps, steps))[::-1] ** -0.5
        angle = math.degrees(math.atan2(vectors[1, 0], vectors[0, 0])) % 180.0
        ellipse = Ellipse(
            center_xy_px=(float(middle[0]), float(middle[1])),
            semi_major_px=float(values[0] ** -0.5),
            semi_minor_px=float(values[1] ** -0.5),
            angle_deg=angle,
        )
        return Section(ellipse, float(major_mm), float(minor_mm))

    def _on(self, plane: Plane) -> tuple[Vector, Vector, float]:
        """The form as a polynomial of pixel coordinates: quadratic, linear (of 2 x · linear), constant."""
        steps, offset, form = np.stack([plane.step_x, plane.step_y], axis=1), plane.origin - self.center, self.form
        return steps.T @ form @ steps, steps.T @ form @ offset, float(offset @ form @ offset)

    def rho(self, plane: Plane, rows: slice, columns: slice) -> Float:
        """At each pixel centre of a window: 0 in the centre of the ellipsoid, 1 on its surface."""
        q, p, c = self._on(plane)
        x = np.arange(columns.start, columns.stop, dtype=np.float64)[None, :] + 0.5
        y = np.arange(rows.start, rows.stop, dtype=np.float64)[:, None] + 0.5
        squared = q[0, 0] * x * x + 2 * p[0] * x + c + (q[1, 1] * y * y + 2 * p[1] * y) + 2 * q[0, 1] * x * y
        return np.asarray(np.sqrt(np.maximum(squared, 0)), np.float32)

    def window(self, plane: Plane, height_px: int, width_px: int, margin_px: float) -> tuple[slice, slice]:
        """Rows and columns of the box of its section, clipped to the slice; empty where they do not meet."""
        made = self.section(plane)
        if made is None:
            return slice(0, 0), slice(0, 0)
        e, t = made.ellipse_px, math.radians(made.ellipse_px.angle_deg)
        reach = np.hypot(e.semi_major_px * np.array([math.cos(t), math.sin(t)]),
                         e.semi_minor_px * np.array([math.sin(t), math.cos(t)])) + margin_px  # fmt: skip
        (cx, cy), (rx, ry) = e.center_xy_px, reach.tolist()
        columns = slice(max(0, math.floor(cx - rx)), max(0, min(width_px, math.ceil(cx + rx))))
        rows = slice(max(0, math.floor(cy - ry)), max(0, min(height_px, math.ceil(cy + ry))))
        return rows, columns

    def coverage(self, planes: Sequence[Plane], rows: slice, columns: slice, softness_px: float) -> Float:
        """Mean over parallel planes within a slice's depth: 1 inside, 0 outside, one half on the surface."""
        step = float(np.linalg.norm(planes[0].step_x))
        steep = float(np.prod(self.semi_axes_mm) ** (1 / 3)) / step / softness_px
        total = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.float32)
        for plane in planes:
            t = np.clip(0.5 + (1 - self.rho(plane, rows, columns)) * np.float32(steep), 0, 1)
            total += t * t * (3 - 2 * t)
        return np.asarray(total / len(planes), np.float32)


def random_axes(rng: np.random.Generator) -> Vector:
    """(3, 3) a uniformly random right-handed triple of unit vectors, as rows."""
    q, r = np.linalg.qr(rng.standard_normal((3, 3)))
    q = q * np.sign(np.diag(r))
    return np.asarray(q * np.sign(np.linalg.det(q)))


def ellipsoid_object(
    id: str,
    label: str,
    solid: WorldEllipsoid,
    slice_index: int,
    plane: Plane,
    visible_fraction: float = 1.0,
    label_value: int | None = None,
) -> PhantomObject:
    """An object of a volume: the ellipsoid, its box and volume, and its section on one slice with that ellipse's axes.

    Quantities: volume, the three axes of the ellipsoid, long and short axis of the section (as RECIST reads them).
    """
    made = solid.section(plane)
    if made is None:
        raise ValueError(f"{id} does not reach slice {slice_index}")
    e, t = made.ellipse_px, math.radians(made.ellipse_px.angle_deg)
    half_x = math.hypot(e.semi_major_px * math.cos(t), e.semi_minor_px * math.sin(t))
    half_y = math.hypot(e.semi_major_px * math.sin(t), e.semi_minor_px * math.cos(t))
    (cx, cy), low, high = e.center_xy_px, solid.center - solid.half_extent_mm, solid.center + solid.half_extent_mm
    lengths = {
        "long_axis": 2 * made.semi_major_mm,
        "short_axis": 2 * made.semi_minor_mm,
        **{f"axis_{i}": 2 * float(a) for i, a in enumerate(solid.semi_axes_mm, 1)},
    }
    return PhantomObject(
        id=id,
        label=label,
        label_value=label_value,
        slice_index=slice_index,
        box_xyxy_px=(cx - half_x, cy - half_y, cx + half_x, cy + half_y),
        ellipse_px=e,
        box_xyzxyz_mm=(*_xyz(low), *_xyz(high)),
        ellipsoid_mm=TruthEllipsoid(
            center_xyz_mm=_xyz(solid.center),
            semi_axes_mm=_xyz(solid.semi_axes_mm),
            axes_xyz=(_xyz(solid.axes[0]), _xyz(solid.axes[1]), _xyz(solid.axes[2])),
        ),
        visible_fraction=visible_fraction,
        quantities=(
            TruthQuantity(quantity="volume", value=solid.volume_mm3, unit="mm³"),
            *(TruthQuantity(quantity=name, value=value, unit="mm") for name, value in lengths.items()),
        ),
    )


def _xyz(values: Vector) -> XYZ:
    x, y, z = (float(v) for v in values)
    return x, y, z
