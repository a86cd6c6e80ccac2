"""Cell nuclei: DAPI fluorescence on a dark field, or a section stained with haematoxylin and eosin.

Nuclei are exact ellipses that never overlap, so that the label image has their areas. Sizes: nuclear diameter 5 to
10 µm in most mammalian cells, to 20 µm in spread cells in culture (Alberts et al., Molecular Biology of the Cell).
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fiducial.tools.errors import InputError
from fiducial.tools.phantoms.ellipse import WorldEllipse, window
from fiducial.tools.phantoms.formats import OmeTiff, Png
from fiducial.tools.phantoms.noise import smooth_noise
from fiducial.tools.phantoms.phantom import Phantom, PhantomTruth, ellipse_object
from fiducial.tools.phantoms.tissue import claim, draw_section, place_tissue
from fiducial.tools.record import Scale

Stain = Literal["fluorescence", "he"]
NAMES = {
    ("fluorescence", True): "nuclei",
    ("he", True): "nuclei_he",
    ("fluorescence", False): "nuclei_unscaled",
    ("he", False): "nuclei_he_unscaled",
}
LARGEST_PX, MOST = 4096, 2000


def make_nuclei(
    seed: int,
    stain: Stain = "fluorescence",
    scaled: bool = True,
    width_px: int = 512,
    height_px: int = 512,
    um_per_px_row: float | None = None,
    um_per_px_column: float | None = None,
    count: int | None = None,
) -> Phantom:
    """Draw nuclei.

    stain: ``fluorescence`` (16-bit grey) or ``he`` (colour). scaled: an OME-TIFF with µm per pixel; False: a PNG
    without a scale, whose truth is in px. um_per_px_row, um_per_px_column: steps along y and x; drawn when not
    given; equal where one is given, and where the image has no scale. count: how many at most.
    Raises InputError for an impossible size, count or scale.
    """
    rng = np.random.default_rng([seed, 3, ("fluorescence", "he").index(stain)])
    if not 32 <= min(width_px, height_px) <= max(width_px, height_px) <= LARGEST_PX:
        raise InputError(f"nuclei of {width_px} x {height_px} px cannot be drawn; ask for 32 to {LARGEST_PX} px")
    if count is not None and not 0 <= count <= MOST:
        raise InputError(f"a count of {count} nuclei cannot be drawn; ask for 0 to {MOST}")
    grid = _grid(rng, stain, scaled, um_per_px_row, um_per_px_column)
    image: Png | OmeTiff
    if stain == "fluorescence":
        ellipses, labels = _place_cells(rng, grid, height_px, width_px, count)
        grey = _fluoresce(rng, ellipses, grid, (height_px, width_px))
        rgb = np.repeat(_shown(grey)[:, :, None], 3, axis=2)
        image = OmeTiff(f"nuclei {seed}", grey, grid, "DAPI") if scaled else Png(rgb[:, :, 0].copy())
    else:
        tissue = place_tissue(rng, grid, height_px, width_px, count)
        ellipses, labels = tissue.nuclei, tissue.labels
        rgb = draw_section(rng, tissue, grid)
        image = OmeTiff(f"nuclei_he {seed}", rgb, grid) if scaled else Png(rgb)
    objects = tuple(
        ellipse_object(f"n{i}", "nucleus", e, grid, (width_px, height_px), scaled, i) for i, e in enumerate(ellipses, 1)
    )
    truth = PhantomTruth(kind=f"nuclei_{stain}", objects=objects, counts={"nucleus": len(objects)})
    shape = {"width_px": width_px, "height_px": height_px}
    return Phantom(
        NAMES[stain, scaled], seed, rgb, grid if scaled else None, truth, image, {"labels": Png(labels)}, shape
    )


def _grid(
    rng: np.random.Generator, stain: Stain, scaled: bool, um_per_px_row: float | None, um_per_px_column: float | None
) -> Scale:
    """The size of a pixel, which an image without a scale has too, but does not tell."""
    drawn = round(float(rng.uniform(0.24, 0.40) if stain == "fluorescence" else rng.uniform(0.22, 0.27)), 4)
    row, column = um_per_px_row or um_per_px_column or drawn, um_per_px_column or um_per_px_row or drawn
    if not (math.isfinite(row) and math.isfinite(column) and row > 0 and column > 0) or (row != column and not scaled):
        raise InputError(
            f"um_per_px of row {row} and column {column} is no scale; give positive numbers, equal for PNG"
        )
    return Scale(row_mm=row / 1e3, column_mm=column / 1e3, source="microscope")


def _place_cells(
    rng: np.random.Generator, grid: Scale, height: int, width: int, count: int | None
) -> tuple[list[WorldEllipse], NDArray[np.uint16]]:
    """Cultured cells: of one size, scattered or in clumps, touching but never overlapping."""
    size_um = width * grid.column_mm * 1e3, height * grid.row_mm * 1e3
    wanted = int(rng.uniform(0.25, 1.0) * size_um[0] * size_um[1] / 320) + 1 if count is None else count
    mean, clumping = rng.uniform(4.6, 6.6), rng.uniform(0, 0.7)
    labels = np.zeros((height, width), np.uint16)
    placed: list[WorldEllipse] = []
    for _ in range(60 * wanted):
        if len(placed) == wanted:
            break
        radius, ratio = mean * rng.lognormal(0, 0.16), rng.uniform(0.62, 0.97)
        center = rng.uniform(0, size_um[0]), rng.uniform(0, size_um[1])
        if placed and rng.random() < clumping:
            near, turn = placed[rng.integers(len(placed))].center_xy_mm, rng.uniform(0, 2 * math.pi)
            reach = 2.1 * radius * rng.uniform(0.9, 1.2)
            center = near[0] * 1e3 + reach * math.cos(turn), near[1] * 1e3 + reach * math.sin(turn)
        if not (0 <= center[0] <= size_um[0] and 0 <= center[1] <= size_um[1]):
            continue
        ellipse = WorldEllipse(
            (center[0] / 1e3, center[1] / 1e3),
            radius / math.sqrt(ratio) / 1e3,
            radius * math.sqrt(ratio) / 1e3,
            float(rng.uniform(0, 180)),
        )
        if claim(labels, ellipse, grid, len(placed) + 1):
            placed.append(ellipse)
    return placed, labels


def _fluoresce(
    rng: np.random.Generator, ellipses: list[WorldEllipse], grid: Scale, shape: tuple[int, int]
) -> NDArray[np.uint16]:
    """Photons of a 12-bit camera: chromatin, nucleoli, the lens's blur and its glow, shot noise."""
    from scipy.ndimage import gaussian_filter

    light = np.zeros(shape, np.float32)
    um = math.sqrt(grid.row_mm * grid.column_mm) * 1e3
    for ellipse in ellipses:
        area = window(ellipse, grid, shape[0], shape[1], 2)
        if area.rho.size == 0:
            continue
        level, round_off = rng.lognormal(0, 0.32), rng.uniform(0.10, 0.30)
        body = np.float32(level) * (1 - np.float32(round_off) * np.clip(area.rho, 0, 1) ** 2)
        chromatin = 0.13 * smooth_noise(rng, body.shape, 1.3 / um) + 0.10 * smooth_noise(rng, body.shape, 3.2 / um)
        for _ in range(int(rng.integers(0, 5))):  # nucleoli take no DAPI
            u, v = rng.uniform(-0.5, 0.5, 2).astype(np.float32)
            hole = ((area.u - u) ** 2 + (area.v - v) ** 2) / np.float32(rng.uniform(0.09, 0.2) ** 2)
            chromatin -= np.float32(rng.uniform(0.2, 0.4)) * np.exp(-hole)
        part = light[area.rows, area.columns]
        part += area.coverage(1.0) * np.clip(body * (1 + chromatin), 0, None)
    sharp = gaussian_filter(light, 0.22 / um)
    glow = gaussian_filter(light, 3.0 / um)
    haze = 0.02 + 0.015 * np.clip(smooth_noise(rng, shape, shape[1] / 3), -1, 2)
    y, x = np.ogrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    signal = (0.93 * sharp + 0.07 * glow + haze) * (1 - 0.12 * (x * x + y * y))
    counts = rng.poisson(np.clip(signal, 0, None) * rng.uniform(350, 800)) + rng.normal(0, 3, shape)
    return np.asarray(np.clip(100 + 2.4 * counts, 0, 4095), np.uint16)


def _shown(grey: NDArray[np.uint16]) -> NDArray[np.uint8]:
    low, high = np.percentile(grey, [1, 99.8])
    return np.asarray(np.clip((grey - low) / max(high - low, 1) * 250, 0, 255), np.uint8)
