"""A section of mucosa in haematoxylin and eosin: crypts with a lumen, their nuclei in a ring, fibrous stroma."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fiducial.tools.phantoms.ellipse import WorldEllipse, window
from fiducial.tools.phantoms.noise import Float, smooth_noise, stretched_noise
from fiducial.tools.phantoms.outline import Points, blob, cover
from fiducial.tools.record import Scale

# Optical density of haematoxylin and of eosin in R, G, B (Ruifrok and Johnston, Anal Quant Cytol Histol 23:291, 2001).
HAEMATOXYLIN, EOSIN = np.array([0.65, 0.70, 0.29], np.float32), np.array([0.10, 0.95, 0.28], np.float32)


@dataclass(frozen=True, eq=False)
class Tissue:
    """Where things lie. glands: (outer border, lumen) each, in µm; nuclei with their tint; labels: (H, W)."""

    glands: list[tuple[Points, Points]]
    nuclei: list[WorldEllipse]
    paleness: list[float]
    labels: NDArray[np.uint16]


def claim(labels: NDArray[np.uint16], ellipse: WorldEllipse, grid: Scale, value: int) -> bool:
    """Write ``value`` on the pixels whose centres lie in the ellipse, if none is taken (nor is the rim about it)."""
    area = window(ellipse, grid, labels.shape[0], labels.shape[1], 1)
    part = labels[area.rows, area.columns]
    if not (area.rho <= 1).any() or (part[area.rho <= 1 + 0.4 / area.radius_px] > 0).any():
        return False
    part[area.rho <= 1] = value
    return True


def place_tissue(rng: np.random.Generator, grid: Scale, height: int, width: int, count: int | None) -> Tissue:
    """Crypts cut across, as many as fit; nuclei in rings within the epithelium, spindles and lymphocytes between."""
    size = width * grid.column_mm * 1e3, height * grid.row_mm * 1e3
    labels = np.zeros((height, width), np.uint16)
    tissue = Tissue([], [], [], labels)
    taken: list[tuple[float, float, float]] = []
    for _ in range(60):
        radius = rng.uniform(26, 40)
        x, y = rng.uniform(-10, size[0] + 10), rng.uniform(-10, size[1] + 10)
        if any(math.hypot(x - a, y - b) < radius + r + 9 for a, b, r in taken):
            continue
        taken.append((x, y, radius))
        angle, rough, ratio = rng.uniform(0, 180), rng.uniform(0.03, 0.09), rng.uniform(0.8, 1.0)
        outer = blob(rng, (x, y), (radius, radius * ratio), angle, rough)
        lumen = (x, y) + (outer - (x, y)) * rng.uniform(0.16, 0.32)
        tissue.glands.append((outer, lumen + rng.normal(0, 0.4, lumen.shape)))
    limit = 10**6 if count is None else count
    for x, y, radius in taken:
        outer = next(g[0] for g, t in zip(tissue.glands, taken, strict=True) if t == (x, y, radius))
        _ring(rng, tissue, grid, (x, y), outer, limit)
    wanted = int(size[0] * size[1] / 130)
    for _ in range(wanted):
        _stromal(rng, tissue, grid, size, limit)
    return tissue


def _put(
    tissue: Tissue, grid: Scale, at: Sequence[float], axes: tuple[float, float], angle: float, pale: float, limit: int
) -> None:
    ellipse = WorldEllipse((at[0] / 1e3, at[1] / 1e3), max(axes) / 1e3, min(axes) / 1e3, angle % 180)
    if len(tissue.nuclei) < limit and claim(tissue.labels, ellipse, grid, len(tissue.nuclei) + 1):
        tissue.nuclei.append(ellipse)
        tissue.paleness.append(pale)


def _ring(
    rng: np.random.Generator, tissue: Tissue, grid: Scale, center: tuple[float, float], outer: Points, limit: int
) -> None:
    """Basal nuclei of one crypt, long axis across its wall."""
    turn = rng.uniform(0, 2 * math.pi)
    end = turn + 2 * math.pi
    while turn < end - 0.08:
        spoke = outer[int(turn / (2 * math.pi) * len(outer)) % len(outer)] - center
        reach = float(np.hypot(*spoke))
        long, short = rng.uniform(3.6, 5.2), rng.uniform(2.1, 2.9)
        inside = long + rng.uniform(0.8, 3.2) + (rng.uniform(5, 8) if rng.random() < 0.12 else 0.0)
        at = np.asarray(center) + spoke * (1 - inside / reach)
        angle = math.degrees(math.atan2(spoke[1], spoke[0])) + rng.normal(0, 9)
        _put(tissue, grid, at.tolist(), (long, short), angle, rng.uniform(0.15, 0.5), limit)
        turn += 2 * short * rng.uniform(1.0, 1.35) / (reach - inside)


def _stromal(rng: np.random.Generator, tissue: Tissue, grid: Scale, size: tuple[float, float], limit: int) -> None:
    """One nucleus of the stroma, if its place lies outside every crypt: a fibroblast or a small dark lymphocyte."""
    x, y = rng.uniform(0, size[0]), rng.uniform(0, size[1])
    for outer, _ in tissue.glands:
        middle = outer.mean(axis=0)
        spoke = np.array([x, y]) - middle
        at = int((math.atan2(spoke[1], spoke[0]) - math.atan2(*(outer[0] - middle)[::-1])) / (2 * math.pi) * len(outer))
        if np.hypot(*spoke) < np.hypot(*(outer[at % len(outer)] - middle)) + 3.5:
            return
    if rng.random() < 0.45:
        radius = rng.uniform(2.6, 3.4)
        _put(tissue, grid, (x, y), (radius, radius * rng.uniform(0.85, 1)), rng.uniform(0, 180), 0.05, limit)
    else:
        axes = rng.uniform(4.0, 7.0), rng.uniform(1.1, 1.9)
        _put(tissue, grid, (x, y), axes, rng.normal(-19, 20), rng.uniform(0.1, 0.35), limit)


def draw_section(rng: np.random.Generator, tissue: Tissue, grid: Scale) -> NDArray[np.uint8]:
    """(H, W, 3) uint8, light through two stains (Beer-Lambert)."""
    height, width = tissue.labels.shape
    eosin, haem = _ground(rng, tissue, grid)
    um = math.sqrt(grid.row_mm * grid.column_mm) * 1e3
    for ellipse, pale in zip(tissue.nuclei, tissue.paleness, strict=True):
        area = window(ellipse, grid, height, width, 3)
        if area.rho.size == 0:
            continue
        inside = area.coverage(max(1.0, 0.5 / um))
        chromatin = 0.16 * smooth_noise(rng, inside.shape, 0.9 / um) + 0.10 * smooth_noise(rng, inside.shape, 2.0 / um)
        rim = np.exp(-(((area.rho - 0.90) * np.float32(area.radius_px * um / 0.45)) ** 2))
        depth = np.float32(rng.uniform(0.75, 1.05)) * (
            1 - np.float32(pale) + chromatin + np.float32(0.35 + 0.4 * pale) * rim
        )
        if pale > 0.2:
            u, v = rng.uniform(-0.35, 0.35, 2).astype(np.float32)
            spot = ((area.u - u) * ellipse.semi_major_mm) ** 2 + ((area.v - v) * ellipse.semi_minor_mm) ** 2
            depth += np.float32(0.5) * np.exp(-spot / np.float32((0.55e-3) ** 2))
        part_h, part_e = haem[area.rows, area.columns], eosin[area.rows, area.columns]
        part_h += inside * (np.clip(depth, 0.1, None) - part_h)
        part_e += inside * (np.float32(0.22) - part_e)
    density = haem[:, :, None] * HAEMATOXYLIN + eosin[:, :, None] * EOSIN
    density *= np.float32(rng.uniform(0.9, 1.15))
    light = np.array([246, 245, 247], np.float32) * np.exp(-density * np.float32(1.35))
    light += np.float32(1.6) * smooth_noise(rng, (height, width), 1.4)[:, :, None]
    return np.asarray(np.clip(light + 0.5, 0, 255), np.uint8)


def _ground(rng: np.random.Generator, tissue: Tissue, grid: Scale) -> tuple[Float, Float]:
    """Amounts of eosin and haematoxylin without the nuclei: wavy collagen, pale apical cytoplasm, empty lumina."""
    from scipy.ndimage import map_coordinates

    shape = tissue.labels.shape
    um = math.sqrt(grid.row_mm * grid.column_mm) * 1e3
    # Collagen runs along bent paths: streaks sampled on a warped grid.
    straight = stretched_noise(rng, shape, (1.6 / um, 26 / um))
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    y += 9 / um * smooth_noise(rng, shape, 55 / um) + 0.35 * x
    streaks = map_coordinates(straight, [y, x], order=1, mode="mirror")
    patches = smooth_noise(rng, shape, 40 / um)
    eosin = 0.34 + 0.13 * streaks + 0.05 * patches + 0.03 * smooth_noise(rng, shape, 1.2 / um)
    gaps = np.clip((streaks - 1.15 + 0.4 * patches) * 2.2, 0, 1)
    eosin = np.clip(eosin * (1 - 0.9 * gaps), 0.015, None).astype(np.float32)
    haem = np.full(shape, 0.05, np.float32) + np.float32(0.02) * patches
    scale = np.array([grid.column_mm, grid.row_mm]) * 1e3
    for outer, lumen in tissue.glands:
        wall = cover(outer / scale, shape[0], shape[1], 0.4 / um)
        middle, reach = outer.mean(axis=0) / scale, float(np.hypot(*(outer - outer.mean(axis=0)).T).mean())
        y, x = np.mgrid[wall.rows, wall.columns] + 0.5
        far = np.hypot((x - middle[0]) * scale[0], (y - middle[1]) * scale[1]) / reach
        grain = smooth_noise(rng, far.shape, 1.4 / um)
        # Mucin lies towards the lumen: pale and foamy there, pink and faintly violet at the base.
        mucin = np.clip((0.74 - far) * 5 + 0.5 * smooth_noise(rng, far.shape, 4.5 / um), 0, 1)
        inside = wall.share.astype(np.float64)
        part_e, part_h = eosin[wall.rows, wall.columns], haem[wall.rows, wall.columns]
        part_e += inside * (0.30 - 0.20 * mucin + (0.035 + 0.03 * mucin) * grain - part_e)
        part_h += inside * (0.17 - 0.06 * mucin + 0.025 * grain - part_h)
        edge = cover(outer / scale, shape[0], shape[1], 0.8 / um).share
        rim = 4 * edge * (1 - edge) if edge.shape == part_e.shape else 0
        part_e += 0.10 * rim
        hole = cover(lumen / scale, shape[0], shape[1], 0.5 / um)
        eosin[hole.rows, hole.columns] *= 1 - 0.93 * hole.share
        haem[hole.rows, hole.columns] *= 1 - 0.9 * hole.share
    return eosin, haem
