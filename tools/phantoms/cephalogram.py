"""A lateral cephalogram: named landmarks, and the angles of Steiner's analysis between them, exact.

SNA, SNB and ANB (Steiner, Am J Orthod 39:729, 1953) are drawn first, and A and B are placed to have them. mm are those
of the detector (ImagerPixelSpacing), which magnifies the median plane by some tenth; angles need no scale.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fiducial.tools.errors import InputError
from fiducial.tools.phantoms.dicom import DxImage
from fiducial.tools.phantoms.facial import draw_head, place_landmarks
from fiducial.tools.phantoms.noise import wide_blur
from fiducial.tools.phantoms.outline import Canvas, Points
from fiducial.tools.phantoms.phantom import Phantom, PhantomTruth, TruthQuantity
from fiducial.tools.record import Scale

WIDTH_MM, HEIGHT_MM = 216.0, 252.0
NAMES = {"sna_angle": ("S", "N", "A"), "snb_angle": ("S", "N", "B"), "anb_angle": ("A", "N", "B")}
LENGTHS = {"sella_nasion": ("S", "N"), "anterior_face_height": ("N", "Me"), "mandibular_body": ("Go", "Me")}


def make_cephalogram(
    seed: int, height_px: int = 1008, sna_deg: float | None = None, snb_deg: float | None = None
) -> Phantom:
    """Draw a cephalogram, 6/7 as wide as high. sna_deg, snb_deg: 70 to 95 degrees, drawn when not given.

    Raises InputError for an impossible size or angle.
    """
    rng = np.random.default_rng([seed, 8])
    if not 126 <= height_px <= 2520:
        raise InputError(f"a cephalogram of {height_px} px cannot be drawn; ask for 126 to 2520 px")
    drawn = float(np.clip(rng.normal(82, 2.5), 74, 90))
    second = float(np.clip(drawn - rng.normal(2.5, 1.8), 72, 90))
    sna, snb = drawn if sna_deg is None else sna_deg, second if snb_deg is None else snb_deg
    if not (70 <= sna <= 95 and 70 <= snb <= 95):
        raise InputError(f"SNA of {sna} and SNB of {snb} degrees cannot be drawn; ask for 70 to 95")
    step = round(HEIGHT_MM / height_px, 6)
    width_px = round(WIDTH_MM / step)
    scale = Scale(row_mm=step, column_mm=step, source="detector")
    marks = place_landmarks(rng, sna, snb)
    at = np.array([118.0, 116.0]) + rng.normal(0, 1.5, 2)
    canvas = Canvas(np.full((height_px, width_px), 0.03, np.float32), step)
    draw_head(rng, canvas, marks, at)
    bright = _expose(rng, canvas)
    truth = PhantomTruth(
        kind="cephalogram",
        landmarks_xy_px={name: _px(point + at, step) for name, point in marks.items()},
        quantities=_quantities(marks),
    )
    stored = ("MONOCHROME1", "MONOCHROME2")[int(rng.integers(2))]
    image = DxImage("cephalogram", seed, bright, scale, "MONOCHROME1" if stored == "MONOCHROME1" else "MONOCHROME2",
                    "SKULL", "LL")  # fmt: skip
    size = {"width_px": width_px, "height_px": height_px, "photometric": stored}
    rgb = np.repeat((bright >> 4).astype(np.uint8)[:, :, None], 3, axis=2)
    return Phantom("cephalogram", seed, rgb, scale, truth, image, {}, size)


def _px(point: Points, step: float) -> tuple[float, float]:
    return float(point[0]) / step, float(point[1]) / step


def _quantities(marks: dict[str, Points]) -> tuple[TruthQuantity, ...]:
    """Angles at N, ANB with the sign of SNA - SNB; lengths at the detector."""

    def angle(first: Points, vertex: Points, second: Points) -> float:
        u, v = first - vertex, second - vertex
        return float(np.degrees(np.arctan2(abs(u[0] * v[1] - u[1] * v[0]), u @ v)))

    values = {name: angle(*(marks[part] for part in of)) for name, of in NAMES.items()}
    values["anb_angle"] = values["sna_angle"] - values["snb_angle"]
    lengths = {name: float(np.linalg.norm(marks[a] - marks[b])) for name, (a, b) in LENGTHS.items()}
    return (
        *(TruthQuantity(quantity=name, value=value, unit="°", of=NAMES[name]) for name, value in values.items()),
        *(TruthQuantity(quantity=name, value=value, unit="mm at the detector", of=LENGTHS[name])
          for name, value in lengths.items()),
    )  # fmt: skip


def _expose(rng: np.random.Generator, canvas: Canvas) -> NDArray[np.uint16]:
    """12 bits of brightness: the focus's blur, scatter, quantum noise, a tone curve that keeps soft tissue."""
    from scipy.ndimage import gaussian_filter

    depth, step = canvas.values, canvas.mm_per_px
    depth = 0.92 * gaussian_filter(depth, 0.28 / step) + 0.08 * wide_blur(depth, 14 / step)
    noise = rng.standard_normal(depth.shape, dtype=np.float32)
    depth += 0.012 * (0.35 + depth) * gaussian_filter(noise, 0.7) * 2.4
    shown = 1.5 * (1 - np.exp(-1.5 * np.clip(depth, 0, None))) - 0.10 - 0.45 * (wide_blur(depth, 22 / step) - 0.3)
    shown *= np.clip(depth * 7, 0.05, 1)
    return np.asarray(np.clip(shown * 4300, 0, 4095), np.uint16)
