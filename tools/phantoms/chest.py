"""A frontal chest X-ray as a digital detector stores it: heart, lungs, and an opacity where there is one.

Truth: the cardiothoracic ratio (Danzer, Am J Med Sci 157:513, 1919), the widest heart over the widest inner thorax,
which on exact outlines is exact; the opacity's ellipse and box. mm are those of the detector, not of the patient.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fiducial.tools.errors import InputError
from fiducial.tools.phantoms.dicom import DxImage
from fiducial.tools.phantoms.ellipse import WorldEllipse
from fiducial.tools.phantoms.noise import smooth_noise, wide_blur
from fiducial.tools.phantoms.outline import Canvas, Points, ellipse_points
from fiducial.tools.phantoms.phantom import (
    Phantom,
    PhantomObject,
    PhantomTruth,
    TruthQuantity,
    counts_of,
    ellipse_object,
    polygon_object,
)
from fiducial.tools.phantoms.thorax import Chest, build, draw_chest
from fiducial.tools.record import PointXY, Scale

LABELS = ("heart", "right_lung", "left_lung", "opacity")
FIELD_MM = 400.0
ENDS = ("thorax_right", "thorax_left", "heart_right", "heart_left")


def make_chest(
    seed: int,
    size_px: int = 1024,
    opacity: bool = True,
    cardiothoracic_ratio: float | None = None,
    photometric: Literal["MONOCHROME1", "MONOCHROME2"] | None = None,
) -> Phantom:
    """Draw a chest film of ``size_px`` × ``size_px``.

    opacity: with a rounded consolidation in one lung. cardiothoracic_ratio: 0.38 to 0.62, drawn when not given.
    photometric: how the DICOM file stores it, drawn when not given; what is shown is the same.
    Raises InputError for an impossible size or ratio.
    """
    rng = np.random.default_rng([seed, 7])
    if not 128 <= size_px <= 2048:
        raise InputError(f"a chest of {size_px} px cannot be drawn; ask for 128 to 2048 px")
    drawn = float(np.clip(rng.normal(0.47, 0.045), 0.39, 0.61))
    ratio = drawn if cardiothoracic_ratio is None else cardiothoracic_ratio
    if not 0.38 <= ratio <= 0.62:
        raise InputError(f"a cardiothoracic ratio of {ratio} cannot be drawn; ask for 0.38 to 0.62")
    stored = photometric or ("MONOCHROME1", "MONOCHROME2")[int(rng.integers(2))]
    step = round(FIELD_MM / size_px, 6)
    scale = Scale(row_mm=step, column_mm=step, source="detector")
    chest = build(rng, ratio)
    at = np.array([size_px * step / 2, 0.52 * size_px * step]) + rng.normal(0, 3, 2)
    canvas = Canvas(np.full((size_px, size_px), 0.05, np.float32), step)
    draw_chest(rng, canvas, chest, at)
    spot = _opacity(rng, chest, at) if opacity else None
    if spot:
        _draw_opacity(rng, canvas, spot)
    bright = _expose(rng, canvas)
    objects = _objects(chest, at, spot, scale, size_px)
    landmarks, quantities = _widths(chest, at, step)
    truth = PhantomTruth(kind="chest_xray", objects=objects, counts=counts_of(LABELS, objects),
                         landmarks_xy_px=landmarks, quantities=quantities)  # fmt: skip
    name = "chest" if opacity else "chest_clear"
    rgb = np.repeat((bright >> 4).astype(np.uint8)[:, :, None], 3, axis=2)
    image = DxImage(name, seed, bright, scale, stored, "CHEST", "PA")
    size = {"width_px": size_px, "height_px": size_px, "photometric": stored}
    return Phantom(name, seed, rgb, scale, truth, image, {}, size)


def _opacity(rng: np.random.Generator, chest: Chest, at: Points) -> WorldEllipse:
    """An ellipse wholly within the free part of one lung: lateral of heart and hilum."""
    a = math.exp(rng.uniform(math.log(9), math.log(24)))
    b = a * rng.uniform(0.65, 1.0)
    side = int(rng.choice([-1, 1]))
    free = rng.uniform(62, 84) if side < 0 else rng.uniform(72, 86)
    center = at + np.array([side * free * chest.half_width / 136, rng.uniform(-72, 34 if side < 0 else 0)])
    return WorldEllipse((float(center[0]), float(center[1])), a, b, float(rng.uniform(0, 180)))


def _draw_opacity(rng: np.random.Generator, canvas: Canvas, spot: WorldEllipse) -> None:
    """Half-way up on the outline; its middle is uneven, as airspaces fill unevenly."""
    axes = (spot.semi_major_mm, spot.semi_minor_mm)
    made = canvas.patch(ellipse_points(spot.center_xy_mm, axes, spot.angle_deg, 240), 1.1)
    texture = 1 + 0.10 * smooth_noise(rng, made.share.shape, 5 / canvas.mm_per_px)
    canvas.values[made.rows, made.columns] += np.float32(rng.uniform(0.17, 0.26)) * made.share * texture


def _objects(
    chest: Chest, at: Points, spot: WorldEllipse | None, scale: Scale, size_px: int
) -> tuple[PhantomObject, ...]:
    (cx, cy), (a, b), angle = chest.heart
    heart = WorldEllipse((cx + float(at[0]), cy + float(at[1])), a, b, angle)
    size = (size_px, size_px)
    lungs = [
        polygon_object(name, name, (lung + at) / scale.column_mm, scale)
        for name, lung in zip(("right_lung", "left_lung"), chest.lungs, strict=True)
    ]
    found = [ellipse_object("heart", "heart", heart, scale, size), *lungs]
    return (*found, *([ellipse_object("opacity", "opacity", spot, scale, size)] if spot else []))


def _widths(chest: Chest, at: Points, step: float) -> tuple[dict[str, PointXY], tuple[TruthQuantity, ...]]:
    """The four points between which the two widths lie, and the ratio. Right and left are the patient's."""
    right, left = chest.lungs
    center, (a, b), angle = chest.heart
    t = math.radians(angle)
    half = math.hypot(a * math.cos(t), b * math.sin(t))
    # Where the ellipse reaches furthest along x, it is this much lower on the one side than its centre.
    drop = (a * a - b * b) * math.sin(t) * math.cos(t) / half
    points = (
        right[np.argmin(right[:, 0])],
        left[np.argmax(left[:, 0])],
        np.array([center[0] - half, center[1] - drop]),
        np.array([center[0] + half, center[1] + drop]),
    )
    landmarks: dict[str, PointXY] = {}
    for name, point in zip(ENDS, points, strict=True):
        landmarks[name] = (float(point[0] + at[0]) / step, float(point[1] + at[1]) / step)
    thorax, heart = float(points[1][0] - points[0][0]), 2 * half
    unit = "mm at the detector"
    return landmarks, (
        TruthQuantity(quantity="thorax_width", value=thorax, unit=unit, of=ENDS[:2]),
        TruthQuantity(quantity="heart_width", value=heart, unit=unit, of=ENDS[2:]),
        TruthQuantity(quantity="cardiothoracic_ratio", value=heart / thorax, unit="1", of=(*ENDS[2:], *ENDS[:2])),
    )


def _expose(rng: np.random.Generator, canvas: Canvas) -> NDArray[np.uint16]:
    """12 bits of brightness: scatter, quantum noise, the processing's local contrast, a side marker."""
    from scipy.ndimage import gaussian_filter

    depth, step = canvas.values, canvas.mm_per_px
    depth = 0.9 * gaussian_filter(depth, 0.35 / step) + 0.1 * wide_blur(depth, 18 / step)
    # Fewer quanta pass where the body is dense.
    noise = rng.standard_normal(depth.shape, dtype=np.float32)
    depth += 0.014 * (0.4 + depth) * gaussian_filter(noise, 0.6) * 2.1
    shown = 0.46 + 1.12 * (depth - 0.46) - 0.34 * (wide_blur(depth, 30 / step) - 0.46)
    shown *= np.clip(0.1 + depth * 6, 0, 1)  # what the direct beam has hit is black
    size = depth.shape[0]
    bright: NDArray[np.uint16] = np.clip(shown * 3600, 0, 4095).astype(np.uint16)
    from PIL import Image, ImageDraw, ImageFont

    plate = Image.new("L", (size, size))
    font = ImageFont.load_default(size=max(8, size // 32))
    ImageDraw.Draw(plate).text((0.92 * size, 0.05 * size), "L", fill=255, font=font)
    return np.maximum(bright, (np.asarray(plate, np.uint16) * 15).astype(np.uint16))
