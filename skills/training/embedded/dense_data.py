"""Batches for the dense stage: letterboxed images, augmented as a function of seed and step, and their targets.

Every object is treated as an ellipse (a cell's is inscribed in its box), since an ellipse and its box go through an
affine map exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from fiducial.skills.datasets.sample import Sample
from fiducial.skills.families.llava.flips import exchanged
from fiducial.skills.families.llava.processing import MEAN, STD, fit_into
from fiducial.skills.families.llava.proposals import BOX_STRIDE, ELLIPSE_STRIDE, MASK_STRIDE
from fiducial.skills.families.llava.tower import TowerConfig
from fiducial.skills.targets import LandmarksTarget
from fiducial.tools.frames import FrameMap2D

CACHE_SCALE = 1.25  # the cache holds a little more detail than the tower sees, so that zooming in stays sharp
# How far an image of a kind is turned, in radians, and the share of those that are turned any way at all.
TURNS = {"blood_smear": (0.2, 0.3), "head_ultrasound": (0.35, 0.0), "nuclei_fluorescence": (0.2, 0.3),
         "nuclei_he": (0.2, 0.3), "colonoscopy": (0.3, 0.3), "cephalogram": (0.15, 0.0), "chest_xray": (0.1, 0.0),
         "abdomen_ct": (0.25, 0.0), "head_mr": (0.35, 0.0)}  # fmt: skip
COLOURED_BARS = 0.4  # share of images whose bars are not black


@dataclass(frozen=True)
class Cached:
    """One image in memory. objects (N, 6): label index, the ellipse's centre x, y and its matrix S (xx, xy, yy).

    S is the ellipse's shape {c + S^(1/2) u : |u| = 1} in pixels² of the cache; under a linear map A it becomes A S Aᵀ.
    marks (M, 2): the landmarks in the cache's pixels, NaN where there is none; content: x0, y0, x1, y1 of the image
    within its bars, whole pixels.
    """

    id: str
    kind: int
    pixels: Tensor
    objects: np.ndarray
    real: bool
    marks: np.ndarray
    content: tuple[int, int, int, int]


def cache(sample: Sample, config: TowerConfig) -> Cached:
    """Letterbox a sample into memory.

    What the tower has no name for is left out, and an image of a kind that it does not know is one of ``other``.
    """
    size = round(config.width_px * CACHE_SCALE), round(config.height_px * CACHE_SCALE)
    pixels = sample.pixels()
    canvas, frame_map = fit_into(pixels, *size)
    linear = frame_map.linear
    rows = []
    for o in sample.objects:
        if o.label not in config.labels:
            continue
        if o.ellipse_px is not None:
            (x, y), a, b = o.ellipse_px.center_xy_px, o.ellipse_px.semi_major_px, o.ellipse_px.semi_minor_px
            t = np.deg2rad(o.ellipse_px.angle_deg)
        else:
            x0, y0, x1, y1 = o.box_xyxy_px
            x, y, a, b, t = (x0 + x1) / 2, (y0 + y1) / 2, (x1 - x0) / 2, (y1 - y0) / 2, 0.0
        axes = linear @ np.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]]) @ np.diag([a, b])
        shape = axes @ axes.T
        label = config.labels.index(o.label)
        rows.append([label, *frame_map.points([[x, y]])[0], shape[0, 0], shape[0, 1], shape[1, 1]])
    objects = np.asarray(rows, np.float64).reshape(-1, 6)
    x0, y0, x1, y1 = (round(float(v)) for v in frame_map.box_xyxy((0, 0, pixels.shape[1], pixels.shape[0])))
    known = sample.kind if sample.kind in config.kinds else "other"
    kind, marks = config.kinds.index(known), _marks(sample, frame_map, config)
    return Cached(sample.id, kind, torch.from_numpy(canvas), objects, sample.real, marks, (x0, y0, x1, y1))


def _marks(sample: Sample, frame_map: FrameMap2D, config: TowerConfig) -> np.ndarray:
    """A sample's landmarks (M, 2) through a map."""
    found = np.full((len(config.landmarks), 2), np.nan)
    for ask in sample.asks:
        for mark in ask.target.landmarks if isinstance(ask.target, LandmarksTarget) else ():
            if mark.label in config.landmarks:
                found[config.landmarks.index(mark.label)] = frame_map.points([mark.point_xy_px])[0]
    return found


@dataclass(frozen=True)
class Batch:
    """Model inputs (B, 3, H, W) and targets on the heads' grids; see ``targets``.

    ultrasound (B,): whether a mask of the head is to be learned; marks (B, M, 2): landmarks in pixels, NaN where there
    is none.
    """

    pixels: Tensor
    kind: Tensor
    heat: Tensor
    box: Tensor
    box_weight: Tensor
    ellipse: Tensor
    ellipse_weight: Tensor
    mask: Tensor
    objects: tuple[np.ndarray, ...]
    ultrasound: Tensor
    marks: Tensor


def random_affine(
    rng: np.random.Generator, kind: str, config: TowerConfig, strength: float, mirror: bool = True
) -> np.ndarray:
    """A 2×3 map from cache pixels to model pixels. mirror: half of them turn left and right, or up and down, round."""
    size = np.array([config.width_px, config.height_px], float)
    turn, any_way = TURNS.get(kind, (0.5, 0.0))
    if strength > 0.5 and rng.random() < any_way:
        turn = np.pi
    angle = rng.uniform(-turn, turn) * strength
    zoom = np.exp(rng.uniform(-0.22, 0.25) * strength) / CACHE_SCALE
    stretch = np.exp(rng.normal(0, 0.05) * strength)
    flip = np.where(rng.random(2) < (0.5 if strength and mirror else 0.0), -1.0, 1.0)
    rotate = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = rotate @ np.diag(flip * zoom * np.array([stretch, 1 / stretch]))
    shift = size / 2 + rng.uniform(-0.12, 0.12, 2) * size * strength
    return np.column_stack([linear, shift - linear @ (size * CACHE_SCALE / 2)])


def warp(pixels_u8: Tensor, maps: np.ndarray, config: TowerConfig, outside: Tensor | None = None) -> Tensor:
    """(B, h, w, 3) uint8 of the cache through (B, 2, 3) maps to (B, 3, H, W) in 0–1.

    outside (B, 3): the colour of what is not in the cache, 0–1; black by default.
    """
    height, width = pixels_u8.shape[1:3]
    to_unit = np.array([[2 / width, 0, -1], [0, 2 / height, -1], [0, 0, 1]])
    theta = np.stack([(to_unit @ np.linalg.inv(np.vstack([row, [0, 0, 1]])))[:2] for row in maps])
    x = torch.arange(config.width_px) + 0.5
    y = torch.arange(config.height_px) + 0.5
    t = torch.from_numpy(theta).float()[:, None, None]
    grid = x[None, None, :, None] * t[..., 0] + y[None, :, None, None] * t[..., 1] + t[..., 2]
    pixels = pixels_u8.movedim(-1, 1).float() / 255
    if outside is None:
        return F.grid_sample(pixels, grid, align_corners=False)
    colour = outside[..., None, None]
    return F.grid_sample(pixels - colour, grid, align_corners=False) + colour


def with_bars(items: Sequence[Cached], rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Pixels (B, h, w, 3) with bars of any colour in the place of black ones, and those colours (B, 3) in 0–1."""
    canvases, colours = [], []
    for item in items:
        grey, colour = rng.integers(0, 256), rng.integers(0, 256, 3)
        plain = rng.random() >= COLOURED_BARS
        fill = np.zeros(3) if plain else np.full(3, 255) if grey > 200 else colour if grey > 100 else np.full(3, grey)
        canvas = item.pixels
        if not plain:
            x0, y0, x1, y1 = item.content
            canvas = torch.from_numpy(fill.astype(np.uint8)).expand_as(item.pixels).clone()
            canvas[y0:y1, x0:x1] = item.pixels[y0:y1, x0:x1]
        canvases.append(canvas)
        colours.append(torch.from_numpy(fill / 255).float())
    return torch.stack(canvases), torch.stack(colours)


def jitter(pixels: Tensor, rng: np.random.Generator, strength: float) -> Tensor:
    """Brightness, contrast, gamma, channel gains and noise, a draw an image."""
    batch = len(pixels)

    def draw(low: float, high: float, channels: int = 1) -> Tensor:
        return torch.from_numpy(rng.uniform(low, high, (batch, channels, 1, 1))).float()

    pixels = pixels.clamp(1e-4, 1) ** torch.exp(draw(-0.25, 0.25) * strength)
    pixels = pixels * torch.exp(draw(-0.2, 0.2) * strength + draw(-0.08, 0.08, 3) * strength)
    noise = torch.randn(pixels.shape[-2:], generator=torch.Generator().manual_seed(int(rng.integers(2**31))))
    return (pixels + noise * draw(0, 0.03) * strength).clamp(0, 1)


def moved(objects: np.ndarray, affine: np.ndarray, config: TowerConfig) -> np.ndarray:
    """Objects (N, 6) through a 2×3 map; those of which less than a third stays in it are dropped, as annotators do."""
    if not len(objects):
        return objects
    out = objects.copy()
    out[:, 1:3] = objects[:, 1:3] @ affine[:, :2].T + affine[:, 2]
    shape = objects[:, [3, 4, 4, 5]].reshape(-1, 2, 2)
    shape = affine[:, :2] @ shape @ affine[:, :2].T
    out[:, 3:] = shape.reshape(-1, 4)[:, [0, 1, 3]]
    whole = 4 * np.sqrt(out[:, 3] * out[:, 5])
    box = boxes_of(out, config, cut_heads=True)
    return np.asarray(out[(box[:, 2:] - box[:, :2]).prod(1) > 0.33 * whole])


def boxes_of(objects: np.ndarray, config: TowerConfig, cut_heads: bool = False) -> np.ndarray:
    """Bounding boxes (N, 4) of moved objects, cut at the picture's edge, as annotators cut them (heads are not cut)."""
    half = np.sqrt(objects[:, [3, 5]])
    box = np.concatenate([objects[:, 1:3] - half, objects[:, 1:3] + half], 1)
    limit = np.array([config.width_px, config.height_px] * 2, float)
    cut = np.clip(box, 0, limit)
    return np.where((objects[:, :1] == config.labels.index("head")) & ~np.bool_(cut_heads), box, cut)


def targets(objects: np.ndarray, config: TowerConfig) -> dict[str, np.ndarray]:
    """Targets of one image on the heads' grids, from moved objects."""
    height, width = config.height_px // BOX_STRIDE, config.width_px // BOX_STRIDE
    heat = np.zeros((len(config.labels), height, width), np.float32)
    box, weight = np.zeros((4, height, width), np.float32), np.zeros((height, width), np.float32)
    owner = np.full((height, width), -1)
    nearest = np.full((height, width), np.inf)
    ys, xs = np.mgrid[:height, :width] + 0.5
    for number, (row, (x0, y0, x1, y1)) in enumerate(zip(objects, boxes_of(objects, config), strict=True)):
        cx, cy, w, h = (
            (x0 + x1) / 2 / BOX_STRIDE,
            (y0 + y1) / 2 / BOX_STRIDE,
            (x1 - x0) / BOX_STRIDE,
            (y1 - y0) / BOX_STRIDE,
        )
        sx, sy = max(0.12 * w, 0.6), max(0.12 * h, 0.6)
        gauss = np.exp(-((xs - cx) ** 2) / (2 * sx**2) - ((ys - cy) ** 2) / (2 * sy**2))
        ci, cj = min(int(cy), height - 1), min(int(cx), width - 1)
        gauss[ci, cj] = 1
        label = int(row[0])
        heat[label] = np.maximum(heat[label], gauss)
        distance = np.maximum(np.abs(xs - cx) / max(0.22 * w, 0.8), np.abs(ys - cy) / max(0.22 * h, 0.8))
        own = (distance <= 1) & (distance < nearest)
        nearest[own] = distance[own]
        pixels = np.stack([xs * BOX_STRIDE - x0, ys * BOX_STRIDE - y0, x1 - xs * BOX_STRIDE, y1 - ys * BOX_STRIDE])
        box[:, own], owner[own] = pixels[:, own], number
    held = owner >= 0
    cells = np.bincount(owner[held], minlength=len(objects))
    # Else a lesion of two cells would learn nothing beside a head of fifty, or alone beside forty nuclei.
    weight[held] = 1 / np.sqrt(cells[owner[held]] * max(len(objects), 1))
    return {"heat": heat, "box": box, "box_weight": weight, **ellipse_targets(objects, config)}


def ellipse_targets(objects: np.ndarray, config: TowerConfig) -> dict[str, np.ndarray]:
    """The head's ellipse around its centre, and its soft mask."""
    height, width = config.height_px // ELLIPSE_STRIDE, config.width_px // ELLIPSE_STRIDE
    ellipse, weight = np.zeros((6, height, width), np.float32), np.zeros((height, width), np.float32)
    mask = np.zeros((1, config.height_px // MASK_STRIDE, config.width_px // MASK_STRIDE), np.float32)
    for row in objects[objects[:, 0] == config.labels.index("head")]:
        values, vectors = np.linalg.eigh(np.array([[row[3], row[4]], [row[4], row[5]]]))
        minor, major = np.sqrt(values)
        angle = np.arctan2(vectors[1, 1], vectors[0, 1])
        ys, xs = np.mgrid[:height, :width] + 0.5
        dx, dy = row[1] / ELLIPSE_STRIDE - xs, row[2] / ELLIPSE_STRIDE - ys
        flat = np.ones_like(dx)
        values_of = [
            np.log(major / ELLIPSE_STRIDE) * flat,
            np.log(minor / ELLIPSE_STRIDE) * flat,
            np.cos(2 * angle) * flat,
            np.sin(2 * angle) * flat,
        ]
        ellipse[:], weight[:] = np.stack([dx, dy, *values_of]), np.hypot(dx, dy) <= 2.3
        ys, xs = (np.mgrid[: mask.shape[1], : mask.shape[2]] + 0.5) * MASK_STRIDE
        rel = np.stack([xs - row[1], ys - row[2]], -1)
        u = rel @ np.array([np.cos(angle), np.sin(angle)])
        v = rel @ np.array([-np.sin(angle), np.cos(angle)])
        radius = np.hypot(u / major, v / minor)
        signed = (
            (radius - 1) * np.hypot(u, v) / np.maximum(radius, 1e-6)
        )  # distance along the ray, close to the normal's
        mask[0] = np.clip(0.5 - signed / MASK_STRIDE, 0, 1)
    return {"ellipse": ellipse, "ellipse_weight": weight, "mask": mask}


def make_batch(
    items: Sequence[Cached],
    rng: np.random.Generator,
    config: TowerConfig,
    strength: float = 1.0,
    gentle: float = 0.0,
    mirror: bool = True,
) -> Batch:
    """Augment and stack.

    strength 0 is the plain letterbox, as at inference; a share ``gentle`` of the images keeps its magnification nearly,
    which is itself a cue (a platelet's box is as large as annotators make it).
    """
    strengths = np.where(rng.random(len(items)) < gentle, strength / 4, strength)
    kinds = [config.kinds[item.kind] for item in items]
    maps = np.stack([random_affine(rng, kind, config, s, mirror) for kind, s in zip(kinds, strengths, strict=True)])
    if strength:
        canvases, colours = with_bars(items, rng)
        pixels = jitter(warp(canvases, maps, config, colours), rng, strength)
    else:
        pixels = warp(torch.stack([item.pixels for item in items]), maps, config)
    objects = tuple(moved(item.objects, affine, config) for item, affine in zip(items, maps, strict=True))
    rows = [targets(o, config) for o in objects]
    stacked = {name: torch.from_numpy(np.stack([row[name] for row in rows])) for name in rows[0]}
    kind = torch.tensor([item.kind for item in items])
    ultrasound = torch.tensor([name == "head_ultrasound" for name in kinds])
    marks = [moved_marks(item.marks, affine, config) for item, affine in zip(items, maps, strict=True)]
    return Batch(
        pixels=(pixels - MEAN) / STD,
        kind=kind,
        objects=objects,
        ultrasound=ultrasound,
        marks=torch.from_numpy(np.stack(marks)).float(),
        **stacked,
    )


def moved_marks(marks: np.ndarray, affine: np.ndarray, config: TowerConfig) -> np.ndarray:
    """Landmarks (M, 2) through a 2×3 map, exchanged where it turns left and right round; outside the picture NaN."""
    out = marks @ affine[:, :2].T + affine[:, 2]
    if affine[0, 0] < 0 and len(out):
        out = out[exchanged(config.landmarks, config.mirrored)]
    inside = ((out >= 0) & (out < (config.width_px, config.height_px))).all(1, keepdims=True)
    return np.asarray(np.where(inside, out, np.nan))


def cache_all(samples: Iterable[Sample], config: TowerConfig) -> list[Cached]:
    """Every sample in memory."""
    return [cache(sample, config) for sample in samples]
