"""What a frontal chest film shows besides heart, lungs and opacity: ribs, spine, clavicles, vessels, soft tissue.

Coordinates: mm on the detector from the middle of the chest, x to the right of the film (the patient's left), y down.
Brightness is attenuation, summed along the rays: about 0.1 for air, 1 for the spine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fiducial.tools.phantoms.noise import Float, smooth_noise, stretched_noise
from fiducial.tools.phantoms.outline import Canvas, Points, ellipse_points, ribbon, spline


@dataclass(frozen=True, eq=False)
class Chest:
    """The build of one chest. lungs: outlines of the right (on the film's left) and the left lung.

    heart: an ellipse (centre, semi-axes, angle in degrees). domes_y: of the right and left diaphragm.
    """

    lungs: tuple[Points, Points]
    heart: tuple[tuple[float, float], tuple[float, float], float]
    domes_y: tuple[float, float]
    half_width: float


def build(rng: np.random.Generator, ratio: float) -> Chest:
    """A chest in full inspiration whose heart is ``ratio`` of the inner thorax in width."""
    half = rng.uniform(128, 144)
    right_y, left_y = rng.uniform(76, 90), 0.0
    left_y = right_y + rng.uniform(6, 14)
    lungs = []
    for side, dome in ((-1, right_y), (1, left_y)):
        wide = half * rng.uniform(0.985, 1.0)
        # Apex, lateral wall down to its widest point, costophrenic angle, dome, mediastinal border.
        knots = [(40, -138), (66, -124), (93, -90), (114, -38), (125, 14), (130, 62), (127, 96), (119, dome + 33),
                 (109, dome + 12), (92, dome - 4), (66, dome - 9), (42, dome - 2), (22, dome + 8), (14, dome - 20),
                 (17, 20), (24, -30), (20, -84), (26, -122)]  # fmt: skip
        points = np.array(knots, np.float64)
        points[:, 0] = side * (points[:, 0] + rng.normal(0, 0.6, len(points))) * wide / 130
        lungs.append(spline(points, closed=True, samples=360))
    right, left = lungs
    width = ratio * float(left[:, 0].max() - right[:, 0].min())
    tilt, squeeze = rng.uniform(28, 40), rng.uniform(0.70, 0.80)
    t = math.radians(tilt)
    # The extent of a tilted ellipse along x is twice the root of (a cos)² + (b sin)².
    a = width / 2 / math.hypot(math.cos(t), squeeze * math.sin(t))
    center = (
        width * rng.uniform(0.13, 0.19),
        left_y - rng.uniform(0.60, 0.68) * a * math.hypot(math.sin(t), squeeze * math.cos(t)),
    )
    return Chest((right, left), (center, (a, a * squeeze), tilt), (right_y, left_y), half)


def draw_chest(rng: np.random.Generator, canvas: Canvas, chest: Chest, at: Points) -> None:
    """Draw everything but noise and opacity onto ``canvas``, in place; at: where the middle of the chest lies, mm."""
    height, width = canvas.values.shape
    step = canvas.mm_per_px
    y, x = np.ogrid[0.5 : height - 0.5 : height * 1j, 0.5 : width - 0.5 : width * 1j]
    _soft_tissue(rng, canvas, chest, at)
    lung_air = np.zeros_like(canvas.values)
    for lung in chest.lungs:
        made = canvas.patch(lung + at, 0.9)
        lung_air[made.rows, made.columns] = np.maximum(lung_air[made.rows, made.columns], made.share)
    # More lung lies in the beam in the middle of each field than at its edges.
    far = np.hypot((np.abs(x * step - at[0]) - 70) / 75, (y * step - at[1] + 5) / 130)
    canvas.values[:] -= (lung_air * np.clip(0.52 - 0.10 * far**2, 0.30, 0.55)).astype(np.float32)
    _vessels(rng, canvas, chest, at, lung_air)
    _heart(canvas, chest, at, lung_air)
    _below(rng, canvas, chest, at)
    _spine(rng, canvas, at)
    _ribs(rng, canvas, chest, at)
    _shoulders(canvas, at)


def _soft_tissue(rng: np.random.Generator, canvas: Canvas, chest: Chest, at: Points) -> None:
    half = chest.half_width
    torso = [(-36, -215), (-44, -180), (-84, -160), (-140, -150), (-190, -140), (-235, -112), (-240, -40), (-205, -12),
             (-half - 30, -14), (-half - 20, 30), (-half - 17, 130), (-half - 14, 240)]  # fmt: skip
    body = np.concatenate([spline(torso, samples=120), spline([(-px, py) for px, py in torso], samples=120)[::-1]])
    canvas.add(body + at, 0.42, 3.0)
    inner = np.concatenate([body[:, :1] * 0.86, body[:, 1:] + 6], axis=1)
    canvas.add(inner + at, 0.24, 12.0)
    for side in (-1, 1):  # breast or pectoral shadow
        canvas.add(ellipse_points((side * 78, 52), (52, 44), side * 12) + at, rng.uniform(0.01, 0.06), 7.0)


def _heart(canvas: Canvas, chest: Chest, at: Points, lung_air: Float) -> None:
    """Heart, great vessels, hila. The heart replaces what air there is, so its silhouette is its ellipse."""
    center, axes, tilt = chest.heart
    mediastinum = [(-24, -140), (-23, -90), (-22, -60), (-24, -25), (-20, 40), (-14, 100), (14, 100), (20, 20),
                   (26, -20), (27, -46), (31, -58), (34, -70), (29, -82), (20, -92), (17, -140)]  # fmt: skip
    canvas.add(spline(mediastinum, closed=True) + at, 0.20, 2.2)
    made = canvas.patch(ellipse_points(center, axes, tilt) + at, 1.0)
    canvas.values[made.rows, made.columns] += made.share * (0.03 + 0.33 * lung_air[made.rows, made.columns])
    canvas.add(ellipse_points(center, (axes[0] * 0.72, axes[1] * 0.72), tilt) + at, 0.06, 12.0)
    trachea = spline([(1, -160), (1, -120), (3, -78)])
    canvas.line(trachea + at, 15.0, -0.12, 2.0)
    for end in ((-34, -48), (38, -44)):
        canvas.line(spline([(2, -82), (end[0] * 0.5, -66), end]) + at, np.linspace(11, 7, 240), -0.06, 2.0)
    for side in (-1, 1):
        canvas.add(ellipse_points((side * 35 + 3, -26), (11, 24), side * -20) + at, 0.11, 5.0)


def _below(rng: np.random.Generator, canvas: Canvas, chest: Chest, at: Points) -> None:
    """Under the diaphragm: liver and spleen are dense, the stomach holds a bubble of gas."""
    (right_y, left_y), half = chest.domes_y, chest.half_width
    for side, dome in ((-1, right_y), (1, left_y)):
        knots = [(4, dome + 6), (40, dome - 2), (68, dome - 9), (94, dome - 3), (112, dome + 14),
                 (half + 30, dome + 56), (half + 40, 260), (4, 260)]  # fmt: skip
        dense = np.array([(side * px, py) for px, py in knots], np.float64)
        top = spline(dense[:6])
        made = canvas.patch(np.concatenate([top, dense[6:]]) + at, 2.0)
        part = canvas.values[made.rows, made.columns]
        part += (0.17 if side < 0 else 0.12) * made.share * np.clip((part - 0.15) * 3, 0, 1)
    canvas.add(ellipse_points((58, left_y + 20), (25, 14), rng.uniform(-12, 5)) + at, -rng.uniform(0.12, 0.26), 1.6)
    for _ in range(3):
        canvas.add(
            ellipse_points((rng.uniform(50, 105), left_y + rng.uniform(36, 60)), (12, 8), rng.uniform(0, 90)) + at,
            -0.08,
            2.0,
        )


def _spine(rng: np.random.Generator, canvas: Canvas, at: Points) -> None:
    canvas.line(np.array([(0, -205), (0, -60), (0, 80), (0, 240)]) + at, [26, 30, 36, 40], 0.15, 2.0)
    for number in range(18):
        y, wide = -190 + 23.5 * number + rng.normal(0, 0.4), 13.5 + 0.35 * number
        for rim in (-9.2, 9.2):
            canvas.line(np.array([(-wide, y + rim), (0, y + rim * 0.94), (wide, y + rim)]) + at, 2.0, 0.07, 0.7)
        canvas.add(ellipse_points((0, y + 3), (2.6, 6.5)) + at, 0.07, 1.0)
        for side in (-1, 1):
            canvas.add(ellipse_points((side * wide * 0.62, y - 2), (3.0, 4.2)) + at, 0.06, 0.9)


def _ribs(rng: np.random.Generator, canvas: Canvas, chest: Chest, at: Points) -> None:
    """Ten pairs: behind they run outwards and down, in front, fainter, back towards the sternum and further down."""
    lung = chest.lungs[1]
    for number in range(10):
        start = -128 + 20.5 * number + 0.35 * number**2
        wall_y = start + 22 + 4.2 * number
        wall = float(np.interp(wall_y, *_lateral(lung))) + 3
        for side in (-1, 1):
            move = rng.normal(0, 0.8)
            path = [(17, start + move), (0.42 * wall + 6, start - 5 + move), (0.80 * wall, start + 10 + 1.6 * number),
                    (wall, wall_y)]  # fmt: skip
            if number < 7:
                path += [
                    (wall * 0.94, wall_y + 20),
                    (wall * 0.66, wall_y + 40 + 2 * number),
                    (wall * 0.44, wall_y + 38),
                ]
            rib = spline([(side * px, py) for px, py in path], samples=160) + at
            canvas.tube(rib, np.interp(np.linspace(0, 1, 160), [0, 0.6, 0.95, 1], [8, 9.5, 10.5, 6]), 0.085, 0.9)
            behind = rib[:90] if number < 7 else rib
            canvas.tube(behind, np.interp(np.linspace(0, 1, len(behind)), [0, 0.7, 1], [8, 8.8, 1]), 0.06, 1.0)


def _lateral(lung: Points) -> tuple[list[float], list[float]]:
    """From the apex down, y and |x| of the outer wall, for interpolation."""
    ys = np.linspace(-130, 95, 46)
    xs = [float(np.abs(lung[np.abs(lung[:, 1] - y) < 9, 0]).max()) for y in ys]
    return ys.tolist(), xs


def _shoulders(canvas: Canvas, at: Points) -> None:
    for side in (-1, 1):
        clavicle = [(16, -104), (45, -113), (85, -127), (120, -143), (152, -148)]
        path = spline([(side * px, py) for px, py in clavicle], samples=90)
        canvas.tube(path + at, np.interp(np.linspace(0, 1, 90), [0, 0.15, 0.5, 1], [15, 11, 10, 13]), 0.17, 0.8)
        blade = [(118, -118), (150, -128), (178, -112), (168, -60), (140, 18), (128, 14), (118, -40), (108, -88)]
        canvas.add(spline([(side * px, py) for px, py in blade], closed=True) + at, 0.06, 1.2)
        edge = spline([(side * px, py) for px, py in blade[3:8]], samples=90)
        canvas.line(edge + at, 3.2, 0.06, 0.9)
        canvas.add(ellipse_points((side * 186, -112), (23, 24)) + at, 0.16, 1.0)


def _vessels(rng: np.random.Generator, canvas: Canvas, chest: Chest, at: Points, lung_air: Float) -> None:
    """Pulmonary vessels: they branch from the hila and thin out before the wall."""
    net = Canvas(np.zeros_like(canvas.values), canvas.mm_per_px)
    for side, reach in ((-1, chest.half_width), (1, chest.half_width)):
        hilum = np.array([side * 33.0 + 3, -26.0])
        for _ in range(15):
            _branch(
                rng,
                net,
                hilum + rng.normal(0, 6, 2),
                rng.uniform(-1.45, 1.35),
                rng.uniform(4.0, 6.5),
                side,
                at,
                reach,
                3,
            )
    height, width = lung_air.shape
    mesh = 0.016 * smooth_noise(rng, (height, width), 3.2 / canvas.mm_per_px)
    mesh += 0.012 * stretched_noise(rng, (height, width), (9 / canvas.mm_per_px, 9 / canvas.mm_per_px))
    canvas.values[:] += lung_air * (np.clip(net.values, 0, 0.22) + mesh)


def _branch(
    rng: np.random.Generator,
    net: Canvas,
    start: Points,
    direction: float,
    wide: float,
    side: int,
    at: Points,
    reach: float,
    depth: int,
) -> None:
    """One vessel and, until ``depth`` is used up, two more from its end; direction: radians down from outwards."""
    length = rng.uniform(14, 26) * (0.6 + 0.14 * wide)
    bend, count = rng.normal(0, 0.25), 12
    turn = direction + np.linspace(0, bend, count)
    path = start + np.cumsum(np.stack([side * np.cos(turn), np.sin(turn)], axis=1) * length / count, axis=0)
    net.add(ribbon(path + at, np.linspace(wide, wide * 0.72, count)), 0.024 + 0.013 * wide, 0.7)
    if depth and abs(path[-1][0]) < reach - 18 and wide > 0.7:
        for spread in (rng.uniform(0.12, 0.5), -rng.uniform(0.12, 0.5)):
            _branch(
                rng,
                net,
                path[-1],
                direction + bend + spread,
                wide * rng.uniform(0.55, 0.74),
                side,
                at,
                reach,
                depth - 1,
            )
