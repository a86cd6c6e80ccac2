"""A blood smear under the oil-immersion objective: red cells, white cells, platelets on a pale ground.

Light is absorbed (Beer-Lambert): cells multiply what lies under them, so that overlaps darken as they do on glass.
Sizes: red cells 6.2-8.2 µm (Turgeon 2012), white cells 8-18 µm, platelets 1.8-4 µm (Bain, Blood Cells, 2015).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from fiducial.tools.errors import InputError
from fiducial.tools.phantoms.cells import CellLabel, Stain, draw_cell, draw_debris, make_stain
from fiducial.tools.phantoms.ellipse import WorldEllipse
from fiducial.tools.phantoms.noise import Float, smooth_noise
from fiducial.tools.phantoms.scene import Scene, make_truth
from fiducial.tools.record import Scale

LABELS: tuple[CellLabel, ...] = get_args(CellLabel)
# Field of view of the real smears (about 45 × 34 µm), on which some 15 red cells lie, those at the border included.
FIELD_UM2 = 45.0 * 34.0
MAX_RED_CELLS = 600
Placed = list[tuple[CellLabel, WorldEllipse]]


def make_blood_smear(
    seed: int,
    width_px: int = 640,
    height_px: int = 480,
    um_per_px_row: float | None = None,
    um_per_px_column: float | None = None,
    counts: Mapping[str, int] | None = None,
) -> Scene:
    """Draw a blood smear.

    um_per_px_row, um_per_px_column: step along y and along x, in µm; without either, drawn so that the field of view
    is that of the real smears; with one, pixels are square. counts: how many of ``red_cell``, ``white_cell``,
    ``platelet``, those not named being absent; without it, drawn as on real smears (also none of a kind).
    Raises InputError for an unknown label or an impossible size.
    """
    rng = np.random.default_rng([seed, 1])
    if width_px < 16 or height_px < 16:
        raise InputError(f"a blood smear of {width_px} x {height_px} px is too small; ask for at least 16 x 16")
    drawn = float(rng.uniform(0.062, 0.080)) * 640 / width_px
    row, column = um_per_px_row or um_per_px_column or drawn, um_per_px_column or um_per_px_row or drawn
    if not (math.isfinite(row) and math.isfinite(column) and row > 0 and column > 0):
        raise InputError(f"um_per_px of row {row} and column {column} is no scale; give two positive numbers")
    scale = Scale(row_mm=row / 1e3, column_mm=column / 1e3, source="microscope")
    field_um = width_px * column, height_px * row
    wanted = _draw_counts(rng, field_um) if counts is None else _check_counts(counts)
    stain = make_stain(rng)
    cells = _place(rng, wanted, field_um)
    image = _ground(rng, height_px, width_px, stain)
    softness = max(1.0, 2.6 * stain.blur * 0.07 / max(row, column))
    for label, ellipse in cells:
        draw_cell(image, label, ellipse, scale, stain, softness, rng)
    draw_debris(image, scale, rng)
    truth = make_truth("blood_smear", LABELS, cells, scale, (width_px, height_px))
    name = "blood_smear" if cells else "blood_smear_empty"
    return Scene(name, seed, _expose(rng, image), scale, truth)


def _check_counts(counts: Mapping[str, int]) -> dict[CellLabel, int]:
    if unknown := set(counts) - set(LABELS):
        raise InputError(f"unknown cell '{min(unknown)}' in counts; there is: {', '.join(LABELS)}")
    if any(n < 0 or n > MAX_RED_CELLS for n in counts.values()):
        raise InputError(f"counts must lie between 0 and {MAX_RED_CELLS}")
    return {label: int(counts.get(label, 0)) for label in LABELS}


def _draw_counts(rng: np.random.Generator, field_um: tuple[float, float]) -> dict[CellLabel, int]:
    """How many of each: mostly as on the real smears, sometimes nearly empty or crowded."""
    area = field_um[0] * field_um[1] / FIELD_UM2
    low, high = ((7, 22), (0, 5), (20, 30))[rng.choice(3, p=(0.80, 0.10, 0.10))]
    red = min(MAX_RED_CELLS, round(int(rng.integers(low, high + 1)) * area))
    white = int(rng.choice(4, p=(0.18, 0.57, 0.18, 0.07)))
    platelets = int(rng.choice(9, p=(0.30, 0.22, 0.16, 0.11, 0.08, 0.05, 0.04, 0.02, 0.02)))
    return {"red_cell": red, "white_cell": white, "platelet": platelets}


def _draw_outline(rng: np.random.Generator, label: CellLabel, mean_red_um: float) -> tuple[float, float]:
    """Semi-axes in µm."""
    if label == "red_cell":
        diameter, ratio = mean_red_um * rng.normal(1, 0.07), 1 - abs(rng.normal(0, 0.12))
        diameter, ratio = float(np.clip(diameter, 5.9, 9.4)), max(0.62, ratio)
    elif label == "white_cell":
        diameter, ratio = rng.uniform(8.5, 17.5), rng.uniform(0.78, 1.0)
    else:
        diameter, ratio = float(np.clip(rng.lognormal(math.log(2.7), 0.2), 1.8, 4.2)), rng.uniform(0.65, 1.0)
    return diameter / 2 / math.sqrt(ratio), diameter / 2 * math.sqrt(ratio)


def _allowed(first: CellLabel, second: CellLabel, crowding: float) -> float:
    """Least distance of two centres, as a share of the sum of their mean radii."""
    pair = {first, second}
    if pair == {"red_cell"}:
        return crowding
    if pair == {"red_cell", "platelet"}:
        return 0.9 + crowding / 4
    return 0.92 if pair == {"red_cell", "white_cell"} else 1.1


def _place(rng: np.random.Generator, wanted: Mapping[CellLabel, int], field_um: tuple[float, float]) -> Placed:
    """Exactly the wanted cells, in drawing order; each keeps its distance where there is room for it."""
    crowding, clumping = rng.uniform(0.55, 0.92), rng.uniform(0, 0.9)
    mean_red = rng.uniform(6.8, 7.9)
    placed: list[tuple[CellLabel, float, float, float, WorldEllipse]] = []
    for label in ("white_cell", "red_cell", "platelet"):
        for _ in range(wanted[label]):
            a, b = _draw_outline(rng, label, mean_red)
            radius = math.sqrt(a * b)
            x, y = _find_room(rng, label, radius, placed, field_um, crowding, clumping)
            ellipse = WorldEllipse((x / 1e3, y / 1e3), a / 1e3, b / 1e3, float(rng.uniform(0, 180)))
            placed.append((label, x, y, radius, ellipse))
    order = {"red_cell": 0, "platelet": 1, "white_cell": 2}
    return [(item[0], item[4]) for item in sorted(placed, key=lambda item: order[item[0]])]


def _find_room(
    rng: np.random.Generator,
    label: CellLabel,
    radius: float,
    placed: list[tuple[CellLabel, float, float, float, WorldEllipse]],
    field_um: tuple[float, float],
    crowding: float,
    clumping: float,
) -> tuple[float, float]:
    """The first of 40 places with room, else the roomiest of them. Centres stay inside but for a few red cells."""
    best, best_room = (0.0, 0.0), -math.inf
    reds = [item for item in placed if item[0] == "red_cell"]
    others = np.array([(x, y, _allowed(label, other, crowding) * (r + radius)) for other, x, y, r, _ in placed])
    beyond = 0.2 * radius if label == "red_cell" else -0.4 * radius
    for _ in range(40):
        if label == "red_cell" and reds and rng.random() < clumping:
            _, rx, ry, rr, _ = reds[rng.integers(len(reds))]
            reach, angle = (rr + radius) * rng.uniform(crowding, 1.05), rng.uniform(0, 2 * math.pi)
            x, y = rx + reach * math.cos(angle), ry + reach * math.sin(angle)
        else:
            x, y = rng.uniform(-beyond, field_um[0] + beyond), rng.uniform(-beyond, field_um[1] + beyond)
        outside = [max(-p, p - side) for p, side in zip((x, y), field_um, strict=True)]
        if min(outside) > 0 or max(outside) > max(beyond, 0):
            continue
        room = (
            math.inf if not len(others) else float(np.min(np.hypot(others[:, 0] - x, others[:, 1] - y) - others[:, 2]))
        )
        if room > best_room:
            best, best_room = (x, y), room
        if room >= 0:
            break
    if best_room == -math.inf:
        return float(rng.uniform(0, field_um[0])), float(rng.uniform(0, field_um[1]))
    return float(best[0]), float(best[1])


def _ground(rng: np.random.Generator, height: int, width: int, stain: Stain) -> Float:
    """The pale ground, unevenly lit: (H, W, 3), 0 to 255."""
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    cx, cy, tx, ty = rng.uniform(-0.5, 0.5, 4).astype(np.float32)
    light = 1 - np.float32(rng.uniform(0, 0.10)) * ((x - cx) ** 2 + (y - cy) ** 2) + 0.05 * (tx * x + ty * y)
    light += 0.012 * smooth_noise(rng, (height, width), width / 5)
    tint = smooth_noise(rng, (height, width), width / 3)
    shift = np.array([0.006, 0.0, -0.010], dtype=np.float32)
    return np.stack([light * stain.ground[c] * (1 + shift[c] * tint) for c in range(3)], axis=-1)


def _expose(rng: np.random.Generator, image: Float) -> NDArray[np.uint8]:
    """Sensor noise with JPEG's look: fine grain in the brightness, blotches of colour over a few pixels."""
    height, width = image.shape[:2]
    grain = np.float32(rng.uniform(0.8, 2.2)) * smooth_noise(rng, (height, width), 1.6)
    image += grain[:, :, None]
    for channel in (0, 2):
        image[:, :, channel] += np.float32(rng.uniform(0.6, 2.0)) * smooth_noise(rng, (height, width), 5)
    exposed: NDArray[np.uint8] = np.clip(image + 0.5, 0, 255).astype(np.uint8)
    return exposed
