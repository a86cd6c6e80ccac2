"""CT of the upper abdomen with one lesion in the liver: a series of axial slices, in HU.

Truth: the ellipsoids of lesion, spleen and kidneys; on the lesion's best slice its section, whose axes are the long and
short axis of RECIST 1.1 (Eisenhauer et al., Eur J Cancer 45:228, 2009). The step between slices is not their thickness.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from fiducial.tools.errors import InputError
from fiducial.tools.phantoms.abdomen import Organ, body, liver, organs, ribs
from fiducial.tools.phantoms.dicom import CtSeries
from fiducial.tools.phantoms.ellipsoid import Plane, WorldEllipsoid, ellipsoid_object, random_axes
from fiducial.tools.phantoms.noise import Float, smooth_noise
from fiducial.tools.phantoms.outline import Canvas, ellipse_points
from fiducial.tools.phantoms.phantom import Phantom, PhantomObject, PhantomTruth, counts_of
from fiducial.tools.record import Scale

LABELS = ("liver_lesion", "spleen", "left_kidney", "right_kidney")
FIELD_MM = 368.0
LIVER_HU = 112.0


def make_ct_lesion(seed: int, size_px: int = 512, slices: int = 24) -> Phantom:
    """Draw a series of ``slices`` square slices of ``size_px``. Raises InputError for an impossible size."""
    rng = np.random.default_rng([seed, 5])
    if not 64 <= size_px <= 1024 or not 8 <= slices <= 200:
        raise InputError(
            f"a series of {slices} x {size_px} px cannot be drawn; ask for 8 to 200 slices of 64 to 1024 px"
        )
    spacing = round(FIELD_MM / size_px * float(rng.choice((0.96, 1.0, 1.04))), 6)
    step = round(float(rng.choice((3.0, 4.0, 5.0))) * 24 / slices, 6)
    thickness = step * float(rng.choice((0.5, 1.25, 1.5)))
    scale = Scale(row_mm=spacing, column_mm=spacing, slice_mm=step, source="acquisition")
    corner = -spacing * size_px / 2
    middle = np.round(rng.uniform((-15, -180, -900), (15, -120, -100)), 2)  # where the scanner's zero is
    lobes, others = liver(rng), organs(rng)
    lesion = _lesion(rng, lobes, others, step * slices / 2)
    low = -step * (slices - 1) / 2
    planes = [
        Plane(np.array([corner, corner, low + i * step]), np.array([spacing, 0, 0]), np.array([0, spacing, 0]))
        for i in range(slices)
    ]
    volume = _scan(rng, lobes, others, lesion, planes, size_px, thickness)
    origin = np.array([corner + spacing / 2, corner + spacing / 2, low]) + middle
    series = CtSeries("ct_lesion", seed, volume, scale, thickness, _dicom_point(origin), "")
    # The origin that the files can state, to a hundredth of a micrometre, is the truth's.
    shift = np.array(series.origin_xyz_mm) - (corner + spacing / 2, corner + spacing / 2, low)
    objects = _objects(lesion, others, planes, shift, step)
    best = objects[0].slice_index or 0
    rgb = np.repeat(np.clip((volume[best] + 150) / 400 * 255, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)
    shape = {"width_px": size_px, "height_px": size_px, "slices": slices, "slice_thickness_mm": thickness,
             "origin_xyz_mm": list(series.origin_xyz_mm)}  # fmt: skip
    truth = PhantomTruth(kind="abdomen_ct", objects=objects, counts=counts_of(LABELS, objects))
    return Phantom("ct_lesion", seed, rgb, scale, truth, series, {}, shape)


def _dicom_point(point: NDArray[np.float64]) -> tuple[float, float, float]:
    """As a decimal string of DICOM holds it."""
    x, y, z = (round(float(v), 5) for v in point)
    return x, y, z


def _lesion(
    rng: np.random.Generator, lobes: list[WorldEllipsoid], others: list[Organ], half_mm: float
) -> WorldEllipsoid:
    """An ellipsoid in any direction, wholly within the right lobe, clear of all else, well within the scanned slab."""
    right, fat = lobes[0], next(o.solid for o in others if o.label == "fat" and o.solid.center[0] < 0)
    ball = rng.standard_normal((200, 3))
    ball /= np.linalg.norm(ball, axis=1)[:, None]
    largest = 25.0
    while True:
        largest = max(5.0, largest * 0.995)
        size = math.exp(rng.uniform(math.log(0.36 * largest), math.log(largest)))
        axes, semi = random_axes(rng), size * rng.uniform(0.62, 1.0, 3)
        center = right.center + right.axes.T @ (right.semi_axes_mm * rng.uniform(-0.7, 0.7, 3))
        border = center + ((semi + 3) * ball) @ axes
        inside = np.einsum("ni,ij,nj->n", border - right.center, right.form, border - right.center).max() < 1
        clear = np.einsum("ni,ij,nj->n", border - fat.center, fat.form, border - fat.center).min() > 1
        walled = np.hypot(border[:, 0] / 126, (border[:, 1] + 2) / 84.5).max() < 0.98
        if inside and clear and walled and np.abs(border[:, 2]).max() < 0.85 * half_mm:
            return WorldEllipsoid.of(center, semi.tolist(), axes)


def _objects(
    lesion: WorldEllipsoid, others: list[Organ], planes: list[Plane], shift: NDArray[np.float64], step: float
) -> tuple[PhantomObject, ...]:
    """The lesion first; each on the slice nearest to its centre, in the patient's coordinates of the files."""
    low, high = planes[0].origin[2] - step / 2, planes[-1].origin[2] + step / 2
    named = [("liver_lesion", lesion), *((o.label, o.solid) for o in others if o.label in LABELS)]
    objects = []
    for label, solid in named:
        best = int(np.clip(round((solid.center[2] - planes[0].origin[2]) / step), 0, len(planes) - 1))
        moved = WorldEllipsoid(solid.center + shift, solid.semi_axes_mm, solid.axes)
        objects.append(
            ellipsoid_object(label, label, moved, best, planes[best].shifted(shift), solid.share_between(low, high))
        )
    return tuple(objects)


def _scan(
    rng: np.random.Generator,
    lobes: list[WorldEllipsoid],
    others: list[Organ],
    lesion: WorldEllipsoid,
    planes: list[Plane],
    size: int,
    thickness: float,
) -> NDArray[np.int16]:
    """HU of each slice, averaged over its depth, with the noise of a soft kernel; (slices, H, W)."""
    from scipy.ndimage import gaussian_filter

    spacing, corner = float(planes[0].step_x[0]), float(planes[0].origin[0])
    wall, cavity = body(rng, (size, size), spacing, (corner, corner))
    vessels = _vessels(rng, lobes)
    phase, darkness, noise = rng.uniform(0, 30), rng.uniform(42, 72), rng.uniform(7, 11)
    volume = np.empty((len(planes), size, size), np.int16)
    for index, plane in enumerate(planes):
        hu = wall.copy()
        depth = [plane.shifted(np.array([0, 0, z * thickness])) for z in (-1 / 3, 0, 1 / 3)]
        canvas = Canvas(hu, spacing)
        for x, y, turn in ribs(float(plane.origin[2]), phase):
            canvas.blend(ellipse_points((x - corner, y - corner), (9.5, 4.2), turn, 60), 480, 0.6)
            canvas.blend(ellipse_points((x - corner, y - corner), (7.6, 2.5), turn, 60), 160, 0.6)
        for (x, y), (rx, ry), level in (((11, 20), (10.5, 10.5), 185), ((-17, 21), (13, 10), 150)):
            canvas.blend(ellipse_points((x - corner, y - corner), (rx, ry), 0, 90), level, 0.6)
        for organ in (o for o in others if not o.over_liver):
            _fill(hu, organ, depth, cavity, spacing, corner)
        _liver(rng, hu, lobes, vessels, depth, cavity)
        for organ in (o for o in others if o.over_liver):
            _fill(hu, organ, depth, cavity, spacing, corner)
        rows, columns = lesion.window(plane, size, size, 4)
        if rows.stop > rows.start:
            share, part = lesion.coverage(depth, rows, columns, 1.2), hu[rows, columns]
            part += share * (np.float32(darkness) - 10 * np.clip(1 - lesion.rho(plane, rows, columns), 0, 1) - part)
        grain = rng.standard_normal((size, size), dtype=np.float32)
        fine = gaussian_filter(grain, 0.75) * np.float32(2.7 * noise)  # 2.7: what the filter takes away
        volume[index] = np.round(hu + np.where(hu > -900, fine, fine * 0.5))
    return volume


def _fill(hu: Float, organ: Organ, depth: list[Plane], cavity: Float, spacing: float, corner: float) -> None:
    """Draw one organ into one slice, in place."""
    rows, columns = organ.solid.window(depth[1], hu.shape[0], hu.shape[1], 4)
    if rows.stop <= rows.start or columns.stop <= columns.start:
        return
    part, share = hu[rows, columns], organ.solid.coverage(depth, rows, columns, 1.2)
    share = share if organ.label in LABELS else share * cavity[rows, columns]
    part += share * (np.float32(organ.hounsfield) - part)
    if organ.core:
        size, level = organ.core
        inner = WorldEllipsoid(organ.solid.center, organ.solid.semi_axes_mm * size, organ.solid.axes)
        share = inner.coverage(depth[1:2], rows, columns, 1.2)
        part += share * (np.float32(level) - part)
        if organ.gas_level_mm is not None:
            y = corner + spacing * (np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] + 0.5)
            gas = share * np.clip((np.float32(organ.gas_level_mm) - y) / spacing + 0.5, 0, 1)
            part += gas * (np.float32(-960) - part)
    elif organ.label.endswith("kidney"):  # medulla, and the fat of the sinus towards the spine
        rho = organ.solid.rho(depth[1], rows, columns)
        part -= np.float32(38) * np.clip((0.72 - rho) * 6, 0, 1)
        inward = WorldEllipsoid(
            organ.solid.center * (0.86, 1, 1) - (0, 4, 0),
            organ.solid.semi_axes_mm * (0.55, 0.42, 0.36),
            organ.solid.axes,
        )
        sinus = inward.coverage(depth[1:2], rows, columns, 3) * np.clip((0.93 - rho) * 8, 0, 1)
        part += sinus * (np.float32(-30) - part)


def _vessels(rng: np.random.Generator, lobes: list[WorldEllipsoid]) -> list[WorldEllipsoid]:
    """Hepatic and portal branches: thin ellipsoids that point away from the hilum."""
    made = []
    for _ in range(46):
        lobe = lobes[0] if rng.random() < 0.75 else lobes[1]
        center = lobe.center + lobe.axes.T @ (lobe.semi_axes_mm * rng.uniform(-0.62, 0.62, 3))
        away = center - (-28, -6, 6) + rng.normal(0, 14, 3)
        axes = random_axes(rng)
        axes[0] = away / np.linalg.norm(away)
        axes[1] -= axes[0] * (axes[0] @ axes[1])
        axes[1] /= np.linalg.norm(axes[1])
        axes[2] = np.cross(axes[0], axes[1])
        wide = rng.uniform(1.6, 4.2)
        made.append(WorldEllipsoid.of(center, (rng.uniform(9, 26), wide, wide), axes))
    return made


def _liver(
    rng: np.random.Generator,
    hu: Float,
    lobes: list[WorldEllipsoid],
    vessels: list[WorldEllipsoid],
    depth: list[Plane],
    cavity: Float,
) -> None:
    """The union of the lobes, cut off by the wall, with its vessels, in place."""
    share = np.zeros_like(hu)
    for lobe in lobes:
        rows, columns = lobe.window(depth[1], hu.shape[0], hu.shape[1], 4)
        if rows.stop > rows.start:
            share[rows, columns] = np.maximum(share[rows, columns], lobe.coverage(depth[1:2], rows, columns, 1.4))
    share *= cavity
    hu += share * (np.float32(LIVER_HU) + 2.0 * smooth_noise(rng, hu.shape, hu.shape[1] / 60) - hu)
    for vessel in vessels:
        rows, columns = vessel.window(depth[1], hu.shape[0], hu.shape[1], 4)
        if rows.stop > rows.start and columns.stop > columns.start:
            inside = vessel.coverage(depth[1:2], rows, columns, 2.5) * share[rows, columns]
            hu[rows, columns] += inside * (np.float32(158) - hu[rows, columns])
