"""How one blood cell is drawn: within its exact outline, in the colours of a Romanowsky stain."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fiducial.tools.phantoms.ellipse import Window, WorldEllipse, window
from fiducial.tools.phantoms.noise import Float, smooth_noise
from fiducial.tools.record import Scale

CellLabel = Literal["red_cell", "white_cell", "platelet"]


@dataclass(frozen=True)
class Stain:
    """What one smear's cells share. Colours are transmissions 0 to 1 of (R, G, B), the ground's 0 to 255.

    red_density: optical density (natural) of a red cell's body. pallor: how pale its centre is. blur: focus, 1 normal.
    """

    ground: Float
    red_density: Float
    nucleus: Float
    cytoplasm: Float
    platelet: Float
    pallor: float
    blur: float


def make_stain(rng: np.random.Generator) -> Stain:
    """Draw a smear's stain: from rosy and thin to brown and dense, nuclei from blue to violet."""

    def mix(first: tuple[float, float, float], second: tuple[float, float, float], spread: float) -> Float:
        share = rng.uniform()
        colour = (1 - share) * np.array(first) + share * np.array(second)
        return np.asarray(colour * rng.normal(1, spread, 3), dtype=np.float32)

    return Stain(
        ground=np.clip(mix((207, 207, 199), (204, 211, 209), 0.015) * rng.normal(1, 0.025), 150, 244).astype(
            np.float32
        ),
        red_density=mix((0.12, 0.32, 0.27), (0.15, 0.46, 0.52), 0.06) * np.float32(rng.uniform(0.75, 1.2)),
        nucleus=np.clip(mix((0.36, 0.30, 0.88), (0.60, 0.28, 0.98), 0.05), 0.1, 1).astype(np.float32),
        cytoplasm=np.clip(mix((0.93, 0.87, 1.00), (0.84, 0.72, 1.00), 0.03), 0.4, 1).astype(np.float32),
        platelet=np.clip(mix((0.66, 0.62, 0.98), (0.74, 0.56, 0.98), 0.04), 0.3, 1).astype(np.float32),
        pallor=float(rng.uniform(0.35, 0.95)),
        blur=float(rng.uniform(0.9, 2.4)),
    )


def draw_cell(
    image: Float,
    label: CellLabel,
    ellipse: WorldEllipse,
    scale: Scale,
    stain: Stain,
    softness_px: float,
    rng: np.random.Generator,
) -> None:
    """Draw one cell into ``image`` ((H, W, 3), 0 to 255), in place. Its edge is half-way down on the outline."""
    area = window(ellipse, scale, image.shape[0], image.shape[1], softness_px + 1)
    if area.rho.size == 0:
        return
    drawers = {"red_cell": _red_cell, "white_cell": _white_cell, "platelet": _platelet}
    drawers[label](image[area.rows, area.columns], area, stain, softness_px, rng)


def _red_cell(patch: Float, area: Window, stain: Stain, softness_px: float, rng: np.random.Generator) -> None:
    """A biconcave disc: dense ring, pale centre a little off the middle, sometimes none, sometimes with a glint."""
    coverage = area.coverage(softness_px)
    pallor = float(np.clip(stain.pallor * rng.uniform(0.0, 1.3), 0, 0.92))
    du, dv = rng.normal(0, 0.12, 2)
    reach = rng.uniform(0.3, 0.72)
    bulge = ((area.u - du) ** 2 + (area.v - dv) ** 2) / np.float32(reach**2)
    thickness = 1 - np.float32(pallor) * np.exp(-bulge * bulge)
    ring = (area.rho - np.float32(0.93)) * np.float32(1 / 0.06)
    thickness += np.float32(rng.uniform(0.0, 0.35)) * np.exp(-ring * ring)
    thickness += np.float32(0.06) * smooth_noise(rng, area.rho.shape, max(3.0, area.radius_px / 3))
    thickness *= coverage * np.float32(rng.uniform(0.6, 1.25))
    # Where a cell already lies, the second one adds less: spread on glass, overlapping cells thin one another.
    thickness *= np.clip(patch[:, :, 1] / stain.ground[1], 0.3, 1) ** 1.3
    patch *= np.exp(-thickness[:, :, None] * stain.red_density)
    if rng.random() < 0.3:
        _glint(patch, area, rng)


def _glint(patch: Float, area: Window, rng: np.random.Generator) -> None:
    """A refractile spot: a small bright core with a dark rosy border, as drying leaves on real smears."""
    u0, v0 = rng.uniform(-0.4, 0.4, 2)
    size, squeeze = rng.uniform(0.06, 0.15), rng.uniform(0.4, 1.0)
    du, dv = area.u - np.float32(u0), area.v - np.float32(v0)
    row, column = np.unravel_index(int(np.argmin(du * du + dv * dv)), du.shape)
    reach = math.ceil(4 * size * area.radius_px) + 1
    near = (slice(max(0, row - reach), row + reach), slice(max(0, column - reach), column + reach))
    patch, du, dv = patch[near], du[near], dv[near]
    far = np.sqrt(du * du + (dv / np.float32(squeeze)) ** 2) / np.float32(size)
    border = np.exp(-((far - 1) ** 2) * 4)[:, :, None] * np.array([0.12, 0.38, 0.22], dtype=np.float32)
    patch *= 1 - border
    patch += (np.exp(-far * far * 2) * np.float32(rng.uniform(30, 90)))[:, :, None]


def _lobes(area: Window, rng: np.random.Generator) -> Float:
    """Signed field of the nucleus, positive inside: one round body, a horseshoe, or two to five lobes on an arc."""
    shape = rng.choice(["round", "band", "lobed"], p=(0.25, 0.2, 0.55))
    if shape == "round":
        reach = rng.uniform(0.6, 0.86)
        places, radii = rng.normal(0, 0.06, (1, 2)), np.array([reach])
    else:
        count = int(rng.integers(2, 6)) if shape == "lobed" else 7
        arc = (count - 1) * rng.uniform(0.9, 1.25) if shape == "lobed" else rng.uniform(2.2, 4.7)
        angles = rng.uniform(0, 2 * math.pi) + np.linspace(-arc / 2, arc / 2, count)
        reach = rng.uniform(0.44, 0.56)
        spread = 0.05 if shape == "lobed" else 0.02
        places = reach * np.stack([np.cos(angles), np.sin(angles)], axis=1) + rng.normal(0, spread, (count, 2))
        radii = rng.uniform(0.24, 0.34, count) if shape == "lobed" else np.full(count, rng.uniform(0.2, 0.27))
    field = np.zeros_like(area.rho)
    for (u0, v0), radius in zip(places, radii, strict=True):
        field += np.exp(-((area.u - u0) ** 2 + (area.v - v0) ** 2) * np.float32(1.4 / radius**2))
    wobble = np.float32(0.035) * smooth_noise(rng, area.rho.shape, max(3.0, area.radius_px / 4))
    return field + wobble - np.float32(0.25)


def _white_cell(patch: Float, area: Window, stain: Stain, softness_px: float, rng: np.random.Generator) -> None:
    """Granular cytoplasm up to the outline, a dark lobed nucleus within; what lies beneath hardly shines through."""
    shape = area.rho.shape
    coverage = area.coverage(softness_px)[:, :, None]
    grain = smooth_noise(rng, shape, max(1.5, area.radius_px / 22))[:, :, None]
    clouds = smooth_noise(rng, shape, max(3.0, area.radius_px / 4))[:, :, None]
    tint = stain.cytoplasm.copy()
    if rng.random() < 0.15:  # an eosinophil's rosy granules
        tint, grain = tint * np.array([1.1, 0.82, 0.84], dtype=np.float32), 2.2 * grain
    weight = np.array([0.6, 1.0, 0.3], dtype=np.float32)
    cytoplasm = stain.ground * tint * (1 + weight * (0.028 * grain + 0.03 * clouds))
    cytoplasm *= 1 - np.float32(0.10) * np.exp(-(((area.rho - 0.96) / 0.05) ** 2))[:, :, None]
    inside = np.clip(_lobes(area, rng) * np.float32(area.radius_px / (softness_px * 2.5)) + 0.5, 0, 1)
    inside = (inside * np.clip((0.97 - area.rho) * 12, 0, 1))[:, :, None]
    chromatin = smooth_noise(rng, shape, max(2.0, area.radius_px / 9))[:, :, None]
    nucleus = stain.ground * stain.nucleus * (1 + weight * (0.10 * chromatin + 0.03 * grain))
    cell = cytoplasm + inside * (nucleus - cytoplasm)
    patch += coverage * np.float32(0.96) * (cell - patch)


def _platelet(patch: Float, area: Window, stain: Stain, softness_px: float, rng: np.random.Generator) -> None:
    """A small violet body with granules."""
    grain = smooth_noise(rng, area.rho.shape, max(1.5, area.radius_px / 4))
    depth = np.clip(1.0 + 0.22 * grain - 0.35 * area.rho * area.rho, 0.35, 1.6) * np.float32(rng.uniform(0.8, 1.5))
    patch *= stain.platelet ** (depth * area.coverage(softness_px))[:, :, None]


def draw_debris(image: Float, scale: Scale, rng: np.random.Generator) -> None:
    """Dust and droplets far below the size of a platelet, which a real smear is never free of; they are no objects."""
    height, width = image.shape[:2]
    for _ in range(int(rng.poisson(4))):
        radius = rng.uniform(0.15, 0.4) / 1e3
        center = float(rng.uniform(0, width) * scale.column_mm), float(rng.uniform(0, height) * scale.row_mm)
        area = window(WorldEllipse(center, radius, radius, 0.0), scale, height, width, 2)
        patch = image[area.rows, area.columns]
        patch *= 1 - np.float32(rng.uniform(0.05, 0.35)) * np.exp(-(area.rho**2))[:, :, None]
