"""The fetal head within its exact outer border, and what else in a frame is bright as bone."""

from __future__ import annotations

import math

import numpy as np

from fiducial.tools.phantoms.ellipse import WorldEllipse, window
from fiducial.tools.phantoms.noise import Float, smooth_noise
from fiducial.tools.phantoms.ultrasound import Field
from fiducial.tools.record import Scale

# Angles about the head's centre, in its unit disc, at which functions of the angle alone are tabled.
ANGLES = np.linspace(-math.pi, math.pi, 1441, dtype=np.float32)


def draw_head(rng: np.random.Generator, echo: Float, field: Field, head: WorldEllipse, scale: Scale) -> Float:
    """Draw brain, midline and skull into ``echo`` in place; returns how much of each pixel is bone, (H, W), 0 to 1."""
    height, width = echo.shape
    soft_px = max(1.2, rng.uniform(2.0, 3.6) * width / 800)
    area = window(head, scale, height, width, 2 * soft_px + 2)
    inside = area.coverage(soft_px)
    patch = echo[area.rows, area.columns]
    brain = _brain(rng, area.u, area.v, area.radius_px)
    patch += inside * (brain - patch)
    # Distance inwards from the outer border along its normal, to first order, in shares of the mean radius.
    slope = np.sqrt((area.u / np.float32(head.semi_major_mm)) ** 2 + (area.v / np.float32(head.semi_minor_mm)) ** 2)
    slope *= math.sqrt(head.semi_major_mm * head.semi_minor_mm) / np.maximum(area.rho, 1e-3)
    inward = (1 - area.rho) / np.maximum(slope, 1e-3)
    turn = np.arctan2(area.v, area.u)
    index = ((turn + math.pi) * ((ANGLES.size - 1) / (2 * math.pi))).astype(np.int32)
    thickness = np.float32(rng.uniform(0.06, 0.12)) * np.exp(_around(rng, 0.2))
    thickness = np.maximum(thickness, np.float32(2.4 * soft_px / area.radius_px))[index]
    inner = np.clip((thickness - inward) / (np.float32(0.7) * thickness), 0, 1)
    bone = area.coverage(soft_px) * inner * inner * (3 - 2 * inner)
    beam = field.beam_rad[area.rows, area.columns]
    strength = _facing(rng, area.u, area.v, head, beam) * _strength_around(rng)[index]
    patch += bone * np.maximum(strength - patch, 0)
    solid = np.zeros_like(echo)
    solid[area.rows, area.columns] = bone * np.clip(strength, 0, 1)
    return solid


def _around(rng: np.random.Generator, spread: float, orders: int = 6) -> Float:
    """A smooth periodic random function of ``ANGLES``, about ``spread`` in size."""
    value = np.zeros_like(ANGLES)
    for order in range(1, orders + 1):
        weight, phase = rng.normal(0, spread / math.sqrt(order)), rng.uniform(0, 2 * math.pi)
        value += np.float32(weight) * np.cos(order * ANGLES + np.float32(phase))
    return value


def _facing(rng: np.random.Generator, u: Float, v: Float, head: WorldEllipse, beam: Float) -> Float:
    """Echo of the bone by direction: bright where the beam meets it squarely, lost at the sides."""
    t = math.radians(head.angle_deg)
    nu, nv = u / np.float32(head.semi_major_mm), v / np.float32(head.semi_minor_mm)
    nx, ny = nu * math.cos(t) - nv * math.sin(t), nu * math.sin(t) + nv * math.cos(t)
    facing = np.abs(nx * np.sin(beam) + ny * np.cos(beam)) / np.maximum(np.sqrt(nx * nx + ny * ny), np.float32(1e-6))
    floor = np.float32(rng.uniform(0.0, 0.35))
    falloff = np.float32(rng.uniform(1.0, 3.5))
    echo: Float = floor + (1 - floor) * np.exp(falloff * np.log(facing + np.float32(1e-6)))
    return echo


def _strength_around(rng: np.random.Generator) -> Float:
    """Echo of the bone by place: uneven, with up to three gaps at the sutures; one value for each of ``ANGLES``."""
    strength = np.float32(rng.uniform(0.6, 1.3)) * np.exp(_around(rng, 0.18))
    for _ in range(int(rng.integers(0, 4))):
        at, gap = np.float32(rng.uniform(-math.pi, math.pi)), np.float32(rng.uniform(0.03, 0.12))
        turn = (ANGLES - at + np.float32(math.pi)) % np.float32(2 * math.pi) - np.float32(math.pi)
        strength *= 1 - np.float32(rng.uniform(0.4, 0.95)) * np.exp(-((turn / gap) ** 2))
    return strength


def _brain(rng: np.random.Generator, u: Float, v: Float, radius_px: float) -> Float:
    """Dark brain with a broken midline echo, the cavum, choroid plexus and folds; (h, w)."""
    shape = u.shape
    brain: Float = np.float32(rng.uniform(0.05, 0.13)) * np.exp(0.4 * smooth_noise(rng, shape, max(3.0, radius_px / 3)))
    shift = np.float32(rng.normal(0, 0.04)) + np.float32(rng.normal(0, 0.03)) * u
    streaks = smooth_noise(rng, shape, max(3.0, radius_px / 7))
    width = np.float32(rng.uniform(0.012, 0.03))
    line = np.exp(-(((v - shift) / width) ** 2)) * np.clip(1.1 - np.abs(u) * 1.25, 0, 1)
    brain += np.float32(rng.uniform(0.15, 0.7)) * line * np.clip(0.6 + 0.7 * streaks, 0, 1.4)
    for _ in range(int(rng.integers(1, 6))):  # folds and walls of the ventricles: short echoes along the midline
        u0, v0, reach = rng.uniform(-0.6, 0.6), rng.uniform(-0.45, 0.45), rng.uniform(0.06, 0.25)
        tilt = np.float32(rng.normal(0, 0.25))
        along, across = u - np.float32(u0), v - np.float32(v0) - tilt * (u - np.float32(u0))
        short = np.exp(
            -(((along / np.float32(reach)) ** 2) ** 2) - (across / np.float32(rng.uniform(0.012, 0.04))) ** 2
        )
        brain += np.float32(rng.uniform(0.1, 0.6)) * short
    for _ in range(int(rng.integers(0, 3))):  # choroid plexus
        u0, v0 = rng.uniform(-0.4, 0.4), rng.choice([-1, 1]) * rng.uniform(0.2, 0.45)
        blob = ((u - np.float32(u0)) / np.float32(rng.uniform(0.1, 0.28))) ** 2
        blob = blob + ((v - np.float32(v0)) / np.float32(rng.uniform(0.06, 0.16))) ** 2
        brain += np.float32(rng.uniform(0.1, 0.35)) * np.exp(-blob * blob)
    if rng.random() < 0.6:  # cavum: a dark box on the midline
        u0 = rng.choice([-1, 1]) * rng.uniform(0.2, 0.45)
        box = np.exp(-((((u - np.float32(u0)) / 0.13) ** 2) ** 2) - (((v - shift) / 0.05) ** 2) ** 2)
        brain *= 1 - np.float32(0.85) * box
    return brain


def edge_shadows(rng: np.random.Generator, field: Field, head: WorldEllipse) -> Float:
    """Refraction at the head's flanks: beams tangent to it are lost behind it. A factor, (H, W)."""
    (cx, cy), (ax, ay) = head.center_xy_mm, field.apex_xy_mm
    middle, far = math.atan2(cx - ax, cy - ay), math.hypot(cx - ax, cy - ay)
    reach = math.sqrt(head.semi_major_mm * head.semi_minor_mm)
    side = math.asin(min(1.0, reach / far))
    start = (far - field.face_mm) / (field.deepest_mm - field.face_mm)
    behind = 1 / (1 + np.exp((np.float32(start) - field.depth) * 25))
    factor = np.ones_like(field.depth)
    for tangent in (middle - side, middle + side):
        spread = np.float32(rng.uniform(0.03, 0.09))
        lost = np.exp(-(((field.beam_rad - np.float32(tangent)) / spread) ** 2))
        factor *= 1 - np.float32(rng.uniform(0.2, 0.9)) * behind * lost
    return factor


def draw_bone(rng: np.random.Generator, echo: Float, scale: Scale, place: WorldEllipse) -> None:
    """A long bone or a rib: a bright bent bar, in place. It is no head; frames without a head contain it."""
    (cx, cy), reach = place.center_xy_mm, place.semi_major_mm
    center = float(cx + rng.normal(0, 0.5) * reach), float(cy + rng.normal(0, 0.5) * reach)
    long = reach * rng.uniform(0.2, 0.6)
    bar = WorldEllipse(center, long, long * rng.uniform(0.07, 0.16), float(rng.normal(0, 30) % 180))
    area = window(bar, scale, echo.shape[0], echo.shape[1], 0.3 * long / scale.column_mm)
    bent = area.v + np.float32(rng.normal(0, 0.8)) * area.u * area.u
    echo[area.rows, area.columns] += np.float32(rng.uniform(0.4, 1.0)) * np.exp(-((area.u**2 + bent**2) ** 2))
