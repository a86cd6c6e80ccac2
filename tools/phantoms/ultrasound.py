"""The look of an ultrasound frame: a curvilinear field of view, speckle along the beams, the marks of the machine."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from fiducial.tools.phantoms.ellipse import WorldEllipse
from fiducial.tools.phantoms.noise import Float, stretched_noise
from fiducial.tools.record import Scale


@dataclass(frozen=True)
class Field:
    """Polar coordinates of every pixel about the probe's centre of curvature, each array (H, W).

    depth: 0 at the probe's face, 1 at the deepest pixel of the field. beam_rad: angle from straight down.
    inside: whether the pixel is in the field. apex_xy_mm, face_mm, deepest_mm: the centre, and its distance from the
    face and from the deepest point, in world space. px_mm: mean step between pixels.
    """

    depth: Float
    beam_rad: Float
    inside: NDArray[np.bool_]
    apex_xy_mm: tuple[float, float]
    face_mm: float
    deepest_mm: float
    px_mm: float


def make_field(rng: np.random.Generator, place: WorldEllipse, scale: Scale, height: int, width: int) -> Field:
    """A field of view that holds ``place`` but for a sliver at most; zoomed ones are cut by the image's border."""
    width_mm, height_mm = width * scale.column_mm, height * scale.row_mm
    apex_x = width_mm * rng.normal(0.48, 0.05)
    zoomed = rng.random() < 0.5
    face = height_mm * rng.uniform(0.3, 1.2)
    apex_y = (rng.uniform(-0.6, -0.02) if zoomed else rng.uniform(0.0, 0.08)) * height_mm - face
    deepest = height_mm * (rng.uniform(1.02, 1.3) if zoomed else rng.uniform(0.90, 1.0)) - apex_y
    (cx, cy), reach = place.center_xy_mm, math.sqrt(place.semi_major_mm * place.semi_minor_mm)
    needed = abs(math.atan2(cx - apex_x, cy - apex_y)) + 0.97 * math.asin(
        min(1.0, reach / math.hypot(cx - apex_x, cy - apex_y))
    )
    half = max(needed, math.radians(rng.uniform(24, 40)))
    x = (np.arange(width, dtype=np.float32) + 0.5)[None, :] * np.float32(scale.column_mm) - np.float32(apex_x)
    y = (np.arange(height, dtype=np.float32) + 0.5)[:, None] * np.float32(scale.row_mm) - np.float32(apex_y)
    radius = np.sqrt(x * x + y * y)
    beam = np.arctan2(x, y).astype(np.float32)
    inside = (radius > face) & (radius < deepest) & (np.abs(beam) < half)
    depth = (radius - np.float32(face)) * np.float32(1 / (deepest - face))
    px_mm = math.sqrt(scale.row_mm * scale.column_mm)
    return Field(depth, beam, inside, (apex_x, apex_y), face, deepest, px_mm)


def polar_speckle(rng: np.random.Generator, field: Field) -> Float:
    """Fully developed speckle, (H, W), mean about 1: a Rayleigh envelope, fine along the beam, coarse across it.

    Drawn on a grid of depth and beam angle and looked up for each pixel, so that the grain widens with depth as on a
    curvilinear probe.
    """
    height, width = field.depth.shape
    rows, columns = 2 * height, width
    grain = rng.uniform(2.4, 4.8) * height / 540, rng.uniform(4.5, 11.0) * height / 540
    real = stretched_noise(rng, (rows, columns), (2 * grain[0], grain[1]))
    imaginary = stretched_noise(rng, (rows, columns), (2 * grain[0], grain[1]))
    envelope = np.sqrt(real * real + imaginary * imaginary) * np.float32(0.95)
    half = float(np.abs(field.beam_rad[field.inside]).max(initial=0.1)) + 1e-3
    row = np.clip(field.depth * np.float32(rows - 1), 0, rows - 1).astype(np.int32)
    column = np.clip((field.beam_rad + half) * np.float32((columns - 1) / (2 * half)), 0, columns - 1).astype(np.int32)
    looked_up: Float = np.take(envelope.ravel(), row * columns + column) + np.float32(0.06)
    return looked_up


def furnish(rng: np.random.Generator, gray: Float, field: Field) -> NDArray[np.uint8]:
    """Soften, cut the field out of black, add what a machine adds: gray bar, ticks, text, a blanked corner."""
    height, width = gray.shape
    black = np.float32(rng.choice([0.0, 0.0, 2.0]))
    soft = Image.fromarray(np.clip(gray, 0, 255).astype(np.uint8))
    soft = soft.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.7, 1.6)) * width / 800))
    image = Image.fromarray(np.where(field.inside, np.asarray(soft), black).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    unit = width / 800
    if rng.random() < 0.6:
        ramp = np.linspace(255, 0, max(2, round(155 * unit)))
        for step, level in enumerate(ramp):
            draw.line([(3 * unit, 24 * unit + step), (11 * unit, 24 * unit + step)], fill=int(level))
    if rng.random() < 0.5:
        _blank_corner(rng, draw, width, height)
    if rng.random() < 0.5:
        tick = 10 / field.px_mm
        for step in range(int(height / tick) if tick > 6 else 0):
            draw.line([(width - 8 * unit, step * tick + 4), (width - 2 * unit, step * tick + 4)], fill=110)
    if rng.random() < 0.4:
        font = ImageFont.load_default(size=max(8, round(12 * unit)))
        words = str(rng.choice(["PHANTOM", "OB  C5-1", "MI 1.1", "Gn 62", "FR 31Hz", "DR 70"]))
        draw.text(
            (float(rng.uniform(0.06, 0.12)) * width, float(rng.uniform(0.03, 0.08)) * height), words, fill=60, font=font
        )
    return np.asarray(image)


def _blank_corner(rng: np.random.Generator, draw: ImageDraw.ImageDraw, width: int, height: int) -> None:
    """A black patch in a lower corner, where a scanner's inset or a name has been blanked."""
    w, h = rng.uniform(0.10, 0.24) * width, rng.uniform(0.08, 0.18) * height
    left = 0.0 if rng.random() < 0.2 else width - w
    draw.rectangle([left, height - h, left + w, height], fill=0)
