"""A view through a colonoscope: folds that recede into a dark lumen, vessels, glare, a masked black frame; polyps.

There is no scale: the distance to the wall is unknown, so the truth is in pixels. The outline of a polyp is a polygon.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fiducial.tools.errors import InputError
from fiducial.tools.phantoms.formats import Png
from fiducial.tools.phantoms.noise import Float, smooth_noise
from fiducial.tools.phantoms.outline import Points, blob, cover
from fiducial.tools.phantoms.phantom import Phantom, PhantomTruth, counts_of, polygon_object

MOST = 3


@dataclass(frozen=True, eq=False)
class _Polyp:
    center: tuple[float, float]
    radius: float
    outline: Points


@dataclass(frozen=True, eq=False)
class _Layers:
    """The scene before it is seen, (H, W) each: brightness, redness, relief, and glare, 0 to 1."""

    light: Float
    red: Float
    bump: Float
    glare: Float


def make_polyp(seed: int, width_px: int = 640, height_px: int = 512, count: int | None = None) -> Phantom:
    """Draw a colonoscopy frame.

    count: polyps, 0 to 3; drawn as 1 to 3 when not given; fewer where no room is left.
    Raises InputError for an impossible size or count.
    """
    rng = np.random.default_rng([seed, 4])
    if not 96 <= min(width_px, height_px) <= max(width_px, height_px) <= 2048:
        raise InputError(f"a polyp view of {width_px} x {height_px} px cannot be drawn; ask for 96 to 2048 px")
    if count is not None and not 0 <= count <= MOST:
        raise InputError(f"{count} polyps cannot be drawn; ask for 0 to {MOST}")
    number = int(rng.choice((1, 2, 3), p=(0.6, 0.27, 0.13))) if count is None else count
    shape, unit = (height_px, width_px), min(width_px, height_px) / 512
    lumen = np.array([rng.uniform(0.36, 0.64) * width_px, rng.uniform(0.34, 0.56) * height_px])
    mask = _mask(rng, shape)
    light, red = _wall(rng, shape, lumen, unit)
    polyps = _place(rng, shape, lumen, number, unit)
    layers = _Layers(light, red, np.zeros(shape, np.float32), np.zeros(shape, np.float32))
    for polyp in polyps:
        _draw(rng, layers, polyp, lumen, unit)
    rgb = _camera(rng, layers, mask, unit)
    objects = tuple(polygon_object(f"p{i}", "polyp", p.outline) for i, p in enumerate(polyps, 1))
    truth = PhantomTruth(kind="colonoscopy", objects=objects, counts=counts_of(("polyp",), objects))
    shape_of = {"width_px": width_px, "height_px": height_px}
    return Phantom("polyp", seed, rgb, None, truth, Png(rgb), {}, shape_of)


def _mask(rng: np.random.Generator, shape: tuple[int, int]) -> Float:
    """The lit part of the frame: a rectangle with cut corners, as endoscope processors draw it."""
    height, width = shape
    left, top = rng.uniform(0.01, 0.04) * width, rng.uniform(0.01, 0.03) * height
    right, bottom, cut = width - left, height - top, rng.uniform(0.10, 0.2) * height
    corners = [
        (left + cut, top),
        (right - cut, top),
        (right, top + cut),
        (right, bottom - cut),
        (right - cut, bottom),
        (left + cut, bottom),
        (left, bottom - cut),
        (left, top + cut),
    ]
    made, lit = cover(np.array(corners), height, width, 0.6), np.zeros(shape, np.float32)
    lit[made.rows, made.columns] = made.share
    return lit


def _wall(
    rng: np.random.Generator, shape: tuple[int, int], lumen: NDArray[np.float64], unit: float
) -> tuple[Float, Float]:
    """Brightness and redness of the wall: a tube seen along its axis, with crescent folds and vessels."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32) + np.float32(0.5)
    dx, dy = x - np.float32(lumen[0]), y - np.float32(lumen[1])
    warp = smooth_noise(rng, shape, 150 * unit)
    turn = np.arctan2(dy, dx)
    reach = np.hypot(dx, dy) / np.float32(256 * unit) * (1 + 0.07 * warp)
    light = 1.02 * reach**1.15 / (0.22 + reach**1.15)
    for fold in range(int(rng.integers(4, 6))):
        # Haustral folds are triangular: three crescents about the lumen, each ring turned and bent a little.
        ring = 0.15 * 1.62**fold * rng.uniform(0.9, 1.1)
        phase, bend = rng.uniform(0, 2 * math.pi), rng.uniform(0.06, 0.13)
        wave = 1 + bend * np.cos(3 * (turn - phase)) + 0.07 * np.cos(turn - rng.uniform(0, 6))
        at = (reach / (ring * wave) - 1) / np.float32(rng.uniform(0.13, 0.2))
        strong = np.clip(0.62 - 0.38 * np.cos(3 * (turn - phase) + rng.normal(0, 0.5)), 0, 1)
        lip = np.exp(-((at - 0.35) ** 2) * 2.6)
        # Behind its lip, towards the lumen, a fold hides the wall.
        behind = 1 / (1 + np.exp(np.clip(9 * (at + 0.15), -30, 30))) * np.exp(np.clip(at + 0.2, -8, 0) * 0.9)
        light *= 1 + strong * (0.20 * lip - 0.55 * behind)
    light *= 1 + 0.05 * smooth_noise(rng, shape, 70 * unit) + 0.018 * smooth_noise(rng, shape, 9 * unit)
    fine = np.abs(smooth_noise(rng, shape, 95 * unit) + 0.3 * smooth_noise(rng, shape, 26 * unit))
    thin = np.abs(smooth_noise(rng, shape, 52 * unit) + 0.3 * smooth_noise(rng, shape, 17 * unit))
    seen = np.clip(0.5 + 0.6 * smooth_noise(rng, shape, 110 * unit), 0, 1) * np.clip(reach * 1.6 - 0.4, 0, 1)
    red = seen * (0.42 * np.exp(-((fine / 0.040) ** 2)) + 0.25 * np.exp(-((thin / 0.030) ** 2)))
    red += 0.10 * smooth_noise(rng, shape, 120 * unit) + 0.03 * smooth_noise(rng, shape, 14 * unit)
    return light.astype(np.float32), red.astype(np.float32)


def _place(
    rng: np.random.Generator, shape: tuple[int, int], lumen: NDArray[np.float64], number: int, unit: float
) -> list[_Polyp]:
    """Polyps on the wall: off the lumen, whole within the lit frame, apart from one another."""
    placed: list[_Polyp] = []
    height, width = shape
    for _ in range(400):
        if len(placed) == number:
            break
        radius = unit * math.exp(rng.uniform(math.log(30), math.log(100))) * (1 if not placed else 0.7)
        x, y = rng.uniform(0.1, 0.9) * width, rng.uniform(0.1, 0.9) * height
        if math.hypot(x - lumen[0], y - lumen[1]) < radius + 62 * unit:
            continue
        if any(math.hypot(x - p.center[0], y - p.center[1]) < 1.5 * (radius + p.radius) for p in placed):
            continue
        ratio = rng.uniform(0.68, 1.0)
        shape_of = blob(rng, (x, y), (radius / ratio**0.5, radius * ratio**0.5), rng.uniform(0, 180), 0.07)
        margin = 0.055 * height
        low, high = shape_of.min(axis=0), shape_of.max(axis=0)
        corner = np.abs(shape_of - (width / 2, height / 2)).sum(axis=1).max()
        if min(low) < margin or high[0] > width - margin or high[1] > height - margin:
            continue
        if corner > (width + height) / 2 - 0.28 * height:
            continue
        placed.append(_Polyp((x, y), radius, shape_of))
    return placed


def _star(polyp: _Polyp, x: Float, y: Float) -> tuple[Float, Float, Float]:
    """Each point's place in the polyp's unit disc: u, v and rho, which is 1 on the outline."""
    dx, dy = x - np.float32(polyp.center[0]), y - np.float32(polyp.center[1])
    rim = polyp.outline - np.array(polyp.center)
    angles = np.arctan2(rim[:, 1], rim[:, 0])
    order = np.argsort(angles)
    radius = np.interp(np.arctan2(dy, dx), angles[order], np.hypot(*rim[order].T), period=2 * math.pi).astype(
        np.float32
    )
    return dx / radius, dy / radius, np.hypot(dx, dy) / radius


def _draw(rng: np.random.Generator, layers: _Layers, polyp: _Polyp, lumen: NDArray[np.float64], unit: float) -> None:
    """A dome lit by the scope, redder than the wall, with a pit pattern, a crevice about it and a shadow behind it."""
    light, red, bump, glare = layers.light, layers.red, layers.bump, layers.glare
    height, width = light.shape
    near = math.ceil(1.7 * np.abs(polyp.outline - np.array(polyp.center)).max())
    rows = slice(max(0, int(polyp.center[1]) - near), min(height, int(polyp.center[1]) + near))
    columns = slice(max(0, int(polyp.center[0]) - near), min(width, int(polyp.center[0]) + near))
    y, x = np.mgrid[rows, columns].astype(np.float32) + np.float32(0.5)
    u, v, rho = _star(polyp, x, y)
    toward = np.array(lumen) - np.array(polyp.center)
    toward = toward / np.hypot(*toward)
    part, tint, relief = light[rows, columns], red[rows, columns], bump[rows, columns]
    # Light comes from the lens, so what lies behind the dome, towards the lumen, is in its shade.
    shade = np.exp(-(((rho - 1) / 0.22) ** 2)) * (0.5 + 0.5 * np.clip(u * toward[0] + v * toward[1], -1, 1))
    part *= 1 - 0.5 * shade.astype(np.float32)
    inside = np.zeros_like(part)
    made = cover(polyp.outline - (columns.start, rows.start), part.shape[0], part.shape[1], 0.9 * unit)
    inside[made.rows, made.columns] = made.share
    dome = np.sqrt(np.clip(1.04 - rho * rho, 0.01, None))
    facing = dome * 0.92 - 0.34 * (u * toward[0] + v * toward[1]).astype(np.float32)
    pits = smooth_noise(rng, part.shape, 4.5 * unit)
    lumps = smooth_noise(rng, part.shape, max(6.0, polyp.radius / 3.2))
    base = float(np.clip(np.mean(part[inside > 0.5]), 0.55, 0.82))
    lit = np.clip(base * (0.60 + 0.62 * facing) * (1 + 0.045 * pits + 0.05 * lumps), 0.06, 1.15)
    part += inside * (lit - part)
    tint += inside * (rng.uniform(0.20, 0.42) + 0.10 * lumps * 0.6 + 0.06 * np.clip(-pits, 0, 2) - tint)
    relief += inside * (dome + 0.05 * lumps)
    for _ in range(int(rng.integers(3, 8))):  # wet glare about the point that faces the lamps
        at = -0.35 * toward + rng.normal(0, 0.17, 2)
        spot = ((u - at[0]) * rng.uniform(0.7, 1.4)) ** 2 + ((v - at[1]) * rng.uniform(0.7, 1.4)) ** 2
        size = rng.uniform(0.02, 0.10) * (1 + 0.35 * lumps)
        wet = np.clip(1.6 - 1.6 * spot / np.maximum(size, 0.01) ** 2, 0, 1)
        glare[rows, columns] = np.maximum(glare[rows, columns], (wet * inside).astype(np.float32))


def _camera(rng: np.random.Generator, layers: _Layers, mask: Float, unit: float) -> NDArray[np.uint8]:
    """Colour, wet glare where the surface faces the lamps, vignette, blur, noise, frame."""
    from scipy.ndimage import gaussian_filter

    light, red, bump, shape = layers.light, layers.red, layers.bump, layers.light.shape
    wall, blood = np.array([248, 156, 122], np.float32), np.array([205, 62, 50], np.float32)
    share = np.clip(0.22 + red, 0, 1)[:, :, None]
    rgb = (wall + share * (blood - wall)) * (
        np.clip(1.14 * light, 0, 1.3)[:, :, None] ** np.array([0.82, 1.12, 1.18], np.float32)
    )
    surface = bump + 0.11 * smooth_noise(rng, shape, 26 * unit) + 0.025 * smooth_noise(rng, shape, 7 * unit)
    surface += 0.55 * gaussian_filter(light, 3 * unit)
    gy, gx = np.gradient(gaussian_filter(surface, 1.2 * unit))
    tilt = np.hypot(gx - rng.normal(0, 0.004), gy + 0.010 / unit) * 60 * unit
    wet = np.clip(0.45 + 0.7 * smooth_noise(rng, shape, 60 * unit), 0, 1) + np.clip(bump, 0, 1) * 0.35
    glare = np.clip((wet * np.clip(light * 1.5 - 0.35, 0, 1) - 0.50 - 2.3 * tilt) * 6, 0, 1)
    glare = np.maximum(glare, layers.glare)
    glare = gaussian_filter(glare, 0.8 * unit) + 0.30 * gaussian_filter(glare, 4 * unit)
    rgb += np.clip(glare, 0, 1)[:, :, None] * (np.array([255, 252, 246], np.float32) - rgb)
    y, x = np.ogrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    rgb *= (1 - 0.34 * (x * x + y * y) ** 1.3 / 1.6)[:, :, None]
    rgb += np.float32(3.0) * np.stack([smooth_noise(rng, shape, 2.0) for _ in range(3)], axis=-1)
    rgb = rgb * mask[:, :, None] + 4
    return np.asarray(np.clip(rgb, 0, 255), np.uint8)
