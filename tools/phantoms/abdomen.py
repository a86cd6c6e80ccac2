"""The upper abdomen in portal venous contrast, as a radiologist sees it in CT: what stands around the lesion.

Organs are ellipsoids; body wall and spine are the same in every slice. Coordinates: mm from the middle of the body,
LPS (x to the patient's left, y to the back, z to the head).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fiducial.tools.phantoms.ellipsoid import WorldEllipsoid
from fiducial.tools.phantoms.noise import Float, smooth_noise
from fiducial.tools.phantoms.outline import Canvas, Points, blob, ellipse_points, spline

FAT, MUSCLE, AIR = -102.0, 58.0, -1000.0


@dataclass(frozen=True, eq=False)
class Organ:
    """An organ. hounsfield: its mean; level: inside it, above (in front of) this y in mm there is gas; None for none.

    core: (relative size, HU) of a concentric ellipsoid. over_liver: drawn after the liver, else before it.
    """

    label: str
    solid: WorldEllipsoid
    hounsfield: float
    gas_level_mm: float | None = None
    core: tuple[float, float] | None = None
    over_liver: bool = False


def turned(about_z_deg: float, about_x_deg: float = 0.0) -> Float:
    """(3, 3) axes turned about z, then about x; rows are unit vectors."""
    z, x = math.radians(about_z_deg), math.radians(about_x_deg)
    first = np.array([[math.cos(z), math.sin(z), 0], [-math.sin(z), math.cos(z), 0], [0, 0, 1]])
    second = np.array([[1, 0, 0], [0, math.cos(x), math.sin(x)], [0, -math.sin(x), math.cos(x)]])
    return np.asarray(first @ second)


def liver(rng: np.random.Generator) -> list[WorldEllipsoid]:
    """Right and left lobe; the right lobe, where the lesion lies, first."""
    grow = rng.uniform(0.95, 1.05)
    right = WorldEllipsoid.of((-69, -6, 8), (57 * grow, 72 * grow, 84), turned(-12, 8))
    left = WorldEllipsoid.of((-16, -46, 22), (66, 29, 56), turned(rng.uniform(2, 12)))
    caudate = WorldEllipsoid.of((-24, -4, 24), (27, 25, 40), turned(20))
    return [right, left, caudate]


def organs(rng: np.random.Generator) -> list[Organ]:
    """All but the liver, in the order in which they are drawn; spleen and kidneys come last and stay whole."""

    def near(*values: float, spread: float = 2.5) -> list[float]:
        return [v + rng.normal(0, spread) for v in values]

    made = []
    for _ in range(44):  # bowel: below the stomach in front, and the colon at both flanks
        flank = rng.random() < 0.3
        x = rng.choice([-1, 1]) * rng.uniform(92, 104) if flank else rng.uniform(-50, 90)
        center = (x, rng.uniform(-10, 20) if flank else rng.uniform(-66, 8), rng.uniform(-85, -10))
        size = rng.uniform(9, 16)
        gas = center[1] + rng.uniform(-0.8, 0.3) * size if rng.random() < 0.3 else None
        axes = turned(rng.uniform(0, 180), rng.uniform(-60, 60))
        made.append(Organ("bowel", WorldEllipsoid.of(center, (size * 1.6, size, size), axes), 92, gas, (0.78, 28)))
    for _ in range(30):  # vessels of the mesentery
        place = rng.uniform((-30, -50, -70), (90, 15, 30))
        made.append(Organ("vessel", WorldEllipsoid.of(place, (14, 1.8, 1.8), turned(*rng.uniform(0, 180, 2))), 120))
    kidneys = {
        "left_kidney": WorldEllipsoid.of(near(63, 52, -46, spread=1.5), (25, 28, 48), turned(35, 8)),
        "right_kidney": WorldEllipsoid.of(near(-62, 55, -52, spread=1.5), (25, 28, 48), turned(-35, 8)),
    }
    stomach = WorldEllipsoid.of(near(58, -40, 30), (41, 33, 46), turned(18))
    return [
        *made,
        Organ("pancreas", WorldEllipsoid.of(near(18, -4, -4), (50, 10, 13), turned(-16, 10)), 98),
        Organ("stomach", stomach, 62, -40 - float(rng.uniform(0, 14)), (0.90, 24)),
        Organ("portal vein", WorldEllipsoid.of(near(-24, -12, 2), (30, 7, 8), turned(-28)), 168, over_liver=True),
        Organ("gallbladder", WorldEllipsoid.of(near(-42, -52, -28), (15, 20, 26), turned(25)), 12, over_liver=True),
        *(
            Organ("fat", WorldEllipsoid(k.center, k.semi_axes_mm * 1.22, k.axes), FAT, over_liver=True)
            for k in kidneys.values()
        ),
        Organ(
            "spleen", WorldEllipsoid.of(near(86, 13, 42, spread=1.5), (23, 41, 40), turned(-14)), 122, over_liver=True
        ),
        *(Organ(label, kidney, 178, over_liver=True) for label, kidney in kidneys.items()),
    ]


def body(
    rng: np.random.Generator, shape: tuple[int, int], mm_per_px: float, origin_mm: tuple[float, float]
) -> tuple[Float, Float]:
    """HU of wall, fat, spine and table in any slice, and the share of each pixel in the peritoneal cavity; (H, W)."""
    canvas = Canvas(np.full(shape, AIR, np.float32), mm_per_px)

    def at(points: Points) -> Points:
        return np.asarray(points - np.array(origin_mm))

    soft = 0.6
    skin = blob(rng, (0, 0), (163, 117), 0, 0.018)
    skin[:, 1] = np.where(skin[:, 1] > 92, 92 + 0.75 * (skin[:, 1] - 92), skin[:, 1])  # flattened by the table
    canvas.blend(at(skin), 25, soft)
    canvas.blend(at(skin * 0.984), FAT, soft)
    wall = blob(rng, (0, 4), (141, 100), 0, 0.012)
    canvas.blend(at(wall), MUSCLE, soft)
    canvas.blend(at(ellipse_points((0, 2), (133, 92.5))), FAT, soft)  # between the muscle layers
    canvas.blend(at(ellipse_points((0, 2), (131.5, 91))), MUSCLE, soft)
    inner = ellipse_points((0, -2), (126, 84.5))
    canvas.blend(at(inner), FAT, soft)
    cavity = np.zeros(shape, np.float32)
    made = canvas.patch(at(inner), soft)
    cavity[made.rows, made.columns] = made.share
    for side in (-1, 1):
        canvas.blend(at(ellipse_points((side * 31, 86), (31, 19), side * 12)), MUSCLE, soft)
        canvas.blend(at(ellipse_points((side * 62, 82), (20, 9), side * -22)), MUSCLE, soft)
        canvas.blend(at(ellipse_points((side * 33, 52), (13, 17), side * -15)), MUSCLE, soft)
    _spine(canvas, at)
    table = spline([(-190, 100), (-120, 121), (0, 127), (120, 121), (190, 100)])
    canvas.line(at(table + np.array([0, 3])), 3.0, 930, soft)
    canvas.line(at(table + np.array([0, 22])), 2.0, 900, soft)
    textured = canvas.values + 5 * smooth_noise(rng, shape, 4 / mm_per_px) * (canvas.values > -200)
    return textured, cavity


def _spine(canvas: Canvas, move: Callable[[Points], Points]) -> None:
    """A lumbar vertebra: body with its cortex, pedicles, canal, processes."""
    soft = 0.6
    arch = [(-9, 62), (-12, 78), (-8, 88), (-3, 92), (-3, 102), (0, 105), (3, 102), (3, 92), (8, 88), (12, 78), (9, 62)]
    canvas.blend(move(spline(arch, closed=True)), 330, soft)
    for side in (-1, 1):
        process = spline([(side * 9, 80), (side * 22, 80), (side * 43, 85)])
        canvas.line(move(process), np.linspace(9, 4, len(process)), 250, soft)
        canvas.blend(move(ellipse_points((side * 12, 86), (7, 9), 0)), 350, soft)
    outer = spline([(-21, 48), (-14, 34), (0, 30), (14, 34), (21, 48), (17, 63), (0, 60), (-17, 63)], closed=True)
    canvas.blend(move(outer), 420, soft)
    canvas.blend(move((outer - (0, 47)) * 0.91 + (0, 47)), 195, soft)
    canvas.blend(move(ellipse_points((0, 73), (10.5, 9.5))), 22, soft)


def ribs(z_mm: float, rng_phase: float) -> list[tuple[float, float, float]]:
    """Ribs that a slice cuts: centre x, y and the direction of the long axis, in degrees."""
    found = []
    for side in (-1, 1):
        for number in range(6):
            turn = math.radians(-48 + 30 * number + rng_phase + 0.28 * z_mm)  # a rib rises towards the back
            if -55 < math.degrees(turn) < 74:
                x, y = 139.5 * math.cos(turn), 2 + 97 * math.sin(turn)
                slope = math.degrees(math.atan2(97 * math.cos(turn), -139.5 * math.sin(turn)))
                found.append((side * x, y, slope if side > 0 else 180 - slope))
    return found
