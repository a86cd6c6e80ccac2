"""Pictures of no domain, so that the model learns what it does not know: drawn ones, and images of other kinds.

Drawn: dead leaves (occluding shapes; the statistics of photographs, Lee, Mumford and Huang, IJCV 2001), 1/f noise,
pages of text, stripes, checkers, blobs. Real: radiology (vqa_rad), a kind of its own, of which nothing is annotated.
Nothing of scikit-image's bundled pictures is used.
"""

from __future__ import annotations

import string
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image as PILImage
from PIL import ImageDraw, ImageFilter, ImageFont

from fiducial.skills.datasets.pictures import read_picture
from fiducial.skills.datasets.sample import Sample
from fiducial.skills.datasets.splits import read_split

WIDTH_PX, HEIGHT_PX = 480, 360


def _colour(rng: np.random.Generator, grey: bool) -> tuple[int, int, int]:
    value = rng.integers(0, 256, 3)
    return (int(value[0]),) * 3 if grey else (int(value[0]), int(value[1]), int(value[2]))


def power_noise(rng: np.random.Generator, grey: bool) -> np.ndarray:
    """Noise whose spectrum falls as 1/f^k, k between 0 (white) and 2.5 (clouds)."""
    fy, fx = np.fft.fftfreq(HEIGHT_PX)[:, None], np.fft.rfftfreq(WIDTH_PX)[None]
    amplitude = 1 / np.maximum(np.hypot(fx, fy), 1 / WIDTH_PX) ** rng.uniform(0, 2.5)
    planes = []
    for _ in range(1 if grey else 3):
        spectrum = amplitude * np.exp(2j * np.pi * rng.random(amplitude.shape))
        plane = np.fft.irfft2(spectrum, s=(HEIGHT_PX, WIDTH_PX))
        planes.append((plane - plane.min()) / np.ptp(plane))
    image = np.stack(planes * (3 if grey else 1), -1)
    return np.asarray(image * rng.uniform(80, 255), dtype=np.uint8)


def dead_leaves(rng: np.random.Generator, grey: bool) -> np.ndarray:
    """Occluding shapes whose sizes follow a power law, softly textured."""
    image = PILImage.new("RGB", (WIDTH_PX, HEIGHT_PX), _colour(rng, grey))
    draw = ImageDraw.Draw(image)
    palette = [_colour(rng, grey) for _ in range(int(rng.integers(2, 9)))]
    shape = rng.integers(0, 4)
    for _ in range(int(rng.integers(4, 220))):
        x, y = rng.uniform(0, WIDTH_PX), rng.uniform(0, HEIGHT_PX)
        w, h = 8 / rng.random(2) ** 0.6
        fill = palette[int(rng.integers(len(palette)))]
        if shape == 0 or (shape == 3 and rng.random() < 0.5):
            draw.rectangle((x - w, y - h, x + w, y + h), fill=fill)
        elif shape == 1:
            draw.ellipse((x - w, y - w, x + w, y + w), fill=fill, outline=_colour(rng, grey))
        else:
            angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 9))))
            draw.polygon([(x + w * np.cos(t), y + h * np.sin(t)) for t in angles], fill=fill)
    soft = image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0, 3))))
    texture = power_noise(rng, grey).astype(float) - 128
    return np.clip(np.asarray(soft) + texture * rng.uniform(0, 0.5), 0, 255).astype(np.uint8)


def page(rng: np.random.Generator, grey: bool) -> np.ndarray:
    """A page of words, dark on light or light on dark."""
    dark, light = int(rng.integers(0, 90)), int(rng.integers(160, 256))
    ink, paper = (dark, light) if rng.random() < 0.8 else (light, dark)
    image = PILImage.new("L", (WIDTH_PX, HEIGHT_PX), paper)
    draw, size = ImageDraw.Draw(image), int(rng.integers(9, 40))
    font = ImageFont.load_default(size)
    letters = np.array(list(string.ascii_letters + string.digits))
    for y in range(int(rng.integers(0, 20)), HEIGHT_PX, int(size * rng.uniform(1.1, 2.5))):
        words = ("".join(rng.choice(letters, int(rng.integers(1, 10)))) for _ in range(int(rng.integers(1, 14))))
        draw.text((int(rng.integers(0, 40)), y), " ".join(words), fill=ink, font=font)
    return np.asarray(image.rotate(float(rng.normal(0, 3)), fillcolor=paper).convert("RGB"))


def pattern(rng: np.random.Generator, grey: bool) -> np.ndarray:
    """Stripes, checkers, gradients and flat fields."""
    y, x = np.mgrid[:HEIGHT_PX, :WIDTH_PX] / WIDTH_PX
    angle, frequency = rng.uniform(0, np.pi), rng.uniform(0.3, 30)
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    kinds = (
        np.sin(2 * np.pi * frequency * u) * 0.5 + 0.5,
        (np.floor(2 * frequency * u) + np.floor(2 * frequency * v)) % 2,
        np.clip(u, 0, 1),
        np.hypot(x - rng.random(), y - rng.random() * 0.75),
        np.full_like(x, rng.random()),
        (np.hypot((u * frequency) % 1 - 0.5, (v * frequency) % 1 - 0.5) < rng.uniform(0.2, 0.5)).astype(float),
    )
    plane = kinds[int(rng.integers(len(kinds)))][..., None]
    low, high = np.array(_colour(rng, grey)), np.array(_colour(rng, grey))
    noise = rng.normal(0, rng.uniform(0, 12), (HEIGHT_PX, WIDTH_PX, 1))
    return np.asarray(np.clip(low + (high - low) * plane + noise, 0, 255).astype(np.uint8))


def draw_distractor(seed: int) -> np.ndarray:
    """A drawn picture of no domain, (360, 480, 3) uint8, a function of its seed."""
    rng = np.random.default_rng([seed, 0xD15])
    make = (power_noise, dead_leaves, dead_leaves, dead_leaves, page, pattern)[int(rng.integers(6))]
    return make(rng, bool(rng.random() < 0.4))


def drawn(count: int, first_seed: int = 0) -> Iterator[Sample]:
    """Stream drawn distractors."""
    for seed in range(first_seed, first_seed + count):
        yield Sample(f"distractor-{seed}", f"distractor-{seed}", "other", partial(draw_distractor, seed), real=False)


def real(root: Path, split: str) -> Iterator[Sample]:
    """Stream the radiology images of ``vqa_rad`` below root, where it is."""
    folder = root / "vqa_rad"
    if not folder.is_dir():
        return
    files = {path.stem: path for path in (folder / "images").iterdir()}
    for stem in read_split(folder, split):
        path = files.get(Path(stem).stem)
        if path is not None:
            yield Sample(f"vqa_rad/{stem}", stem, "radiology", partial(read_picture, path))
