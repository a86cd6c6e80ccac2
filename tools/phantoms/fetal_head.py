"""A transverse section of a fetal head in ultrasound: a curvilinear field on black, speckle, a bright skull.

The truth is the skull's *outer* border, an exact ellipse in the world, as sonographers place it (ISUOG guidelines,
Salomon et al. 2011). Size by age: Hadlock et al., Radiology 152:497 (1984). Scale and framing as in the real images.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from fiducial.tools.errors import InputError
from fiducial.tools.phantoms.ellipse import WorldEllipse
from fiducial.tools.phantoms.noise import Float, smooth_noise
from fiducial.tools.phantoms.scene import Scene, make_truth
from fiducial.tools.phantoms.skull import draw_bone, draw_head, edge_shadows
from fiducial.tools.phantoms.ultrasound import Field, furnish, make_field, polar_speckle
from fiducial.tools.record import Scale

SMALLEST_HC_MM, LARGEST_HC_MM = 44.0, 360.0
MM_PER_PX_AT_800 = (0.05, 0.33)


def head_circumference_mm(age_weeks: float) -> float:
    """Median circumference at an age: the inverse of Hadlock's age = 8.96 + 0.540 HC + 0.0003 HC³ (HC in cm)."""
    hc_cm = np.linspace(0, 40, 401)
    return 10 * float(np.interp(age_weeks, 8.96 + 0.540 * hc_cm + 0.0003 * hc_cm**3, hc_cm))


def make_fetal_head(
    seed: int,
    width_px: int = 800,
    height_px: int = 540,
    mm_per_px_row: float | None = None,
    mm_per_px_column: float | None = None,
    head: bool = True,
    age_weeks: float | None = None,
) -> Scene:
    """Draw a fetal head, or with ``head=False`` a frame of the same kind without one.

    mm_per_px_row, mm_per_px_column: step along y and along x; without either, drawn so that the head fills as much of
    the image as on real ones; with one, pixels are square. age_weeks: 10 to 40; drawn when not given.
    Raises InputError for an impossible size, age or scale.
    """
    rng = np.random.default_rng([seed, 2])
    if width_px < 32 or height_px < 32:
        raise InputError(f"a fetal head of {width_px} x {height_px} px is too small; ask for at least 32 x 32")
    age = float(rng.triangular(10, 22, 40)) if age_weeks is None else age_weeks
    if not 10 <= age <= 40:
        raise InputError(f"age_weeks {age} is outside 10 to 40; give the weeks of pregnancy")
    hc_mm = float(np.clip(head_circumference_mm(age) * rng.lognormal(0, 0.05), SMALLEST_HC_MM, LARGEST_HC_MM))
    low, high = (limit * 800 / width_px for limit in MM_PER_PX_AT_800)
    fill = float(np.clip(rng.normal(0.50, 0.10), 0.22, 0.68)) * min(1.0, 1.48 * height_px / width_px)
    drawn = float(np.clip(hc_mm / math.pi / (fill * width_px), low, high))
    row, column = mm_per_px_row or mm_per_px_column or drawn, mm_per_px_column or mm_per_px_row or drawn
    if not (math.isfinite(row) and math.isfinite(column) and row > 0 and column > 0):
        raise InputError(f"mm_per_px of row {row} and column {column} is no scale; give two positive numbers")
    scale = Scale(row_mm=row, column_mm=column, source="ultrasound_region")
    ellipse = _draw_outline(rng, hc_mm, (width_px * column, height_px * row))
    field = make_field(rng, ellipse, scale, height_px, width_px)
    image = _scan(rng, field, ellipse if head else None, ellipse, scale)
    objects = [("head", ellipse)] if head else []
    truth = make_truth("head_ultrasound", ("head",), objects, scale, (width_px, height_px))
    name = "fetal_head" if head else "fetal_without_head"
    return Scene(name, seed, np.repeat(image[:, :, None], 3, axis=2), scale, truth)


def _draw_outline(rng: np.random.Generator, hc_mm: float, size_mm: tuple[float, float]) -> WorldEllipse:
    """An ellipse of exactly that circumference, usually lying, usually near the middle and all of it in the image."""
    from scipy.special import ellipe

    cephalic_index = float(np.clip(rng.normal(0.78, 0.045), 0.66, 0.92))
    a = hc_mm / (4 * float(ellipe(1 - cephalic_index**2)))
    b = a * cephalic_index
    angle = float((rng.normal(0, 18) if rng.random() < 0.85 else rng.uniform(0, 180)) % 180)
    t = math.radians(angle)
    half = math.hypot(a * math.cos(t), b * math.sin(t)), math.hypot(a * math.sin(t), b * math.cos(t))
    center = []
    for side, reach, middle in zip(size_mm, half, (rng.normal(0.48, 0.07), rng.normal(0.50, 0.07)), strict=True):
        room = max(0.0, side / 2 - 0.97 * reach)
        center.append(float(np.clip(middle * side, side / 2 - room, side / 2 + room)))
    return WorldEllipse((center[0], center[1]), a, b, angle)


def _scan(
    rng: np.random.Generator, field: Field, head: WorldEllipse | None, place: WorldEllipse, scale: Scale
) -> NDArray[np.uint8]:
    """The image, (H, W) uint8: echo strength × speckle × attenuation, log-compressed, within the field."""
    shape = field.depth.shape
    tissue = np.float32(rng.uniform(0.10, 0.22))
    echo = tissue * np.exp(
        0.35 * smooth_noise(rng, shape, shape[1] / 6) + 0.22 * smooth_noise(rng, shape, shape[1] / 18)
    )
    if rng.random() < (0.45 if head else 0.6):
        echo *= _fluid(rng, shape)
    echo *= 1 + np.float32(rng.uniform(0, 1.0)) * np.clip(field.depth - 0.75, 0, 1)
    _layers(rng, echo, field)
    if head is None:
        for _ in range(int(rng.integers(0, 3))):
            draw_bone(rng, echo, scale, place)
    else:
        echo *= edge_shadows(rng, field, head)
    solid = draw_head(rng, echo, field, head, scale) if head else np.zeros(shape, dtype=np.float32)
    speckle = polar_speckle(rng, field)
    # Bone saturates: its speckle is flatter than that of soft tissue.
    contrast = np.float32(rng.uniform(0.35, 0.65))
    echo *= np.exp(np.log(speckle) * (contrast - np.float32(0.6) * contrast * solid))
    fade = np.float32(rng.uniform(0.1, 0.7))
    echo *= np.exp(-fade * np.clip(field.depth - 0.4, 0, None))
    gray = 255 * np.float32(rng.uniform(0.85, 1.1)) * echo
    return furnish(rng, gray, field)


def _fluid(rng: np.random.Generator, shape: tuple[int, int]) -> Float:
    """Amniotic fluid: pockets that return next to nothing."""
    pockets = smooth_noise(rng, shape, shape[1] / rng.uniform(1.5, 3.5)) - np.float32(rng.uniform(-0.2, 0.8))
    steepness = np.float32(rng.uniform(8, 25))
    passed: Float = 1 - np.float32(0.9) / (1 + np.exp(np.clip(-pockets * steepness, -30, 30)))
    return passed


def _layers(rng: np.random.Generator, echo: Float, field: Field) -> None:
    """Skin, fascia and wall of the uterus: bright sheets that follow the probe's surface, in place."""
    bend = 0.02 * smooth_noise(rng, echo.shape, echo.shape[1] / 3)
    for _ in range(int(rng.integers(2, 6))):
        at, thick = rng.uniform(0.0, 0.22), rng.uniform(0.006, 0.02)
        sheet = np.exp(-(((field.depth + bend - np.float32(at)) / np.float32(thick)) ** 2))
        echo += np.float32(rng.uniform(0.05, 0.35)) * sheet
