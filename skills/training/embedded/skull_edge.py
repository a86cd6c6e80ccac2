"""Fits the filter of ``tools/segment/skull_edge.py`` to annotated heads.

``python -m fiducial.skills.training.embedded.skull_edge DATA OUT.json``; DATA holds ``hc18``. Each step sees bands
around ellipses disturbed as a network errs, and lowers the cross-entropy of the border's place on each ray.
Examinations that
are kept back for calibration are left out, as in every other stage.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from fiducial.skills.datasets.hc18 import open_hc18
from fiducial.skills.datasets.sample import held_out
from fiducial.tools.record import Ellipse
from fiducial.tools.segment.skull_band import OFFSETS, REACH, changed, crossings, features, unrolled

Floats = NDArray[np.float64]

SHAPES = ((8, 2, 3, 7), (6, 8, 5, 7), (1, 6, 5, 7))  # out, in, rays, samples of each layer
DISTURBED_SD = np.array([0.03, 0.03, 0.025, 0.025, math.radians(4.0)])
PLACE_SD = 0.009  # of the annotator's line, in offsets


def annotated(root: Path) -> list[tuple[NDArray[np.uint8], Ellipse]]:
    """Grey images of the part of ``root/hc18`` that is trained on, with their true ellipses."""
    samples = [s for s in open_hc18(root / "hc18", "train") if not held_out(s.group)]
    pairs = ((s.pixels()[..., 1], s.objects[0].ellipse_px) for s in samples)
    return [(np.ascontiguousarray(grey), ellipse) for grey, ellipse in pairs if ellipse is not None]


def _sample(rng: np.random.Generator, head: tuple[NDArray[np.uint8], Ellipse]) -> tuple[Floats, Floats]:
    """Features of a band around a disturbed ellipse, and the offsets of the true one on its rays."""
    grey, truth = head
    change = rng.normal(size=5) * DISTURBED_SD * rng.choice([1.0, 1.0, 1.5])
    start = changed(truth, change)
    band = unrolled(grey, start) ** rng.uniform(0.8, 1.2)
    return features(band), crossings(_change_between(start, truth)[None], start)[0]


def _change_between(start: Ellipse, end: Ellipse) -> Floats:
    """(5,) the change that turns one ellipse into another, as in ``crossings``."""
    angle = math.radians(start.angle_deg)
    dx, dy = (e - s for e, s in zip(end.center_xy_px, start.center_xy_px, strict=True))
    along, across = dx * math.cos(angle) + dy * math.sin(angle), dy * math.cos(angle) - dx * math.sin(angle)
    turn = math.radians(end.angle_deg - start.angle_deg)
    return np.array(
        [
            along / start.semi_major_px,
            across / start.semi_minor_px,
            math.log(end.semi_major_px / start.semi_major_px),
            math.log(end.semi_minor_px / start.semi_minor_px),
            turn,
        ]
    )


def _logits(layers: list[Any], x: Any) -> Any:
    """The filter in torch: rays wrap around, samples are continued with the last one."""
    for depth, layer in enumerate(layers):
        rays, samples = (k // 2 for k in layer.kernel_size)
        x = F.pad(F.pad(x, (0, 0, rays, rays), mode="circular"), (samples, samples, 0, 0), mode="replicate")
        x = layer(x)
        x = F.relu(x) if depth < len(layers) - 1 else x
    return x[:, 0]


def fit(root: Path, steps: int = 1500, batch: int = 8, seed: int = 0) -> list[dict[str, Any]]:
    """Weights and biases of each layer, as ``skull_edge.json`` holds them."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    layers = [torch.nn.Conv2d(s[1], s[0], (s[2], s[3])) for s in SHAPES]
    parameters = [p for layer in layers for p in layer.parameters()]
    optimiser = torch.optim.Adam(parameters)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-2, total_steps=steps)
    heads = annotated(root)
    offsets = torch.tensor(OFFSETS, dtype=torch.float32)
    for step in range(steps):
        pairs = [_sample(rng, heads[rng.integers(len(heads))]) for _ in range(batch)]
        x = torch.tensor(np.stack([p[0] for p in pairs]), dtype=torch.float32)
        place = torch.tensor(np.stack([p[1] for p in pairs]), dtype=torch.float32)
        wanted = torch.softmax(-(((offsets - place[..., None]) / PLACE_SD) ** 2) / 2, -1)
        loss = -(wanted * torch.log_softmax(_logits(layers, x), -1)).sum(-1)[place.abs() < REACH].mean()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        if step % 100 == 99:
            print(f"step {step + 1}: cross-entropy {float(loss):.3f}", file=sys.stderr)
    return [{"weight": _rounded(layer.weight), "bias": _rounded(layer.bias)} for layer in layers]


def _rounded(values: Any) -> Any:
    """Nested lists with four significant digits."""
    return json.loads(json.dumps(values.tolist()), parse_float=lambda text: float(f"{float(text):.4g}"))


def main() -> None:
    """Fit and write."""
    root, out = Path(sys.argv[1]), Path(sys.argv[2])
    out.write_text(json.dumps(fit(root), separators=(",", ":")), encoding="utf-8")


if __name__ == "__main__":
    main()
