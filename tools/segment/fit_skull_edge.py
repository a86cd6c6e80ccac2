"""Fits the filter of ``skull_edge`` to annotated heads.

``python -m fiducial.tools.segment.fit_skull_edge HC18 OUT.json [--leave-out]``; HC18 is a folder with ``train.txt``,
``images/NNN_HC.png`` and its ``_Annotation.png``. Each step sees bands around ellipses disturbed as a network errs, and
lowers the cross-entropy of the border's place on each ray. The thresholds of ``refine_ellipse`` were tuned with every
fourth examination left out; the shipped weights are 1,500 steps of that (``--leave-out``), by the trial of this script.
"""

from __future__ import annotations

import json
import math
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiducial.tools.geometry.ellipses import fit_ellipse
from fiducial.tools.geometry.masks import mask_contour
from fiducial.tools.record import Ellipse
from fiducial.tools.segment.skull_band import OFFSETS, REACH, changed, crossings, features, unrolled

Floats = NDArray[np.float64]

SHAPES = ((8, 2, 3, 7), (6, 8, 5, 7), (1, 6, 5, 7))  # out, in, rays, samples of each layer
DISTURBED_SD = np.array([0.03, 0.03, 0.025, 0.025, math.radians(4.0)])
PLACE_SD = 0.009  # of the annotator's line, in offsets
LINE_PX = 1.5  # half the annotator's line, which the mask contains


def annotated(folder: Path, leave_out: bool) -> list[tuple[NDArray[np.uint8], Ellipse]]:
    """Grey images of the train part with their true ellipses."""
    from PIL import Image

    heads = []
    for name in (folder / "train.txt").read_text().split():
        number = re.match(r"\d+", name)
        if leave_out and number is not None and int(number.group()) % 4 == 0:
            continue
        grey = np.asarray(Image.open(folder / "images" / name).convert("L"))
        mask = np.asarray(Image.open(folder / "images" / name.replace(".png", "_Annotation.png")).convert("L")) > 0
        contour = mask_contour(mask)
        ellipse = None if contour is None else fit_ellipse(contour)
        if ellipse is not None:
            axes = {f"semi_{k}_px": getattr(ellipse, f"semi_{k}_px") - LINE_PX for k in ("major", "minor")}
            heads.append((grey, ellipse.model_copy(update=axes)))
    return heads


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
    import torch.nn.functional as F

    for depth, layer in enumerate(layers):
        rays, samples = (k // 2 for k in layer.kernel_size)
        x = F.pad(F.pad(x, (0, 0, rays, rays), mode="circular"), (samples, samples, 0, 0), mode="replicate")
        x = layer(x)
        x = F.relu(x) if depth < len(layers) - 1 else x
    return x[:, 0]


def fit(
    folder: Path, steps: int = 1500, batch: int = 8, seed: int = 0, leave_out: bool = False
) -> list[dict[str, Any]]:
    """Weights and biases of each layer, as ``skull_edge.json`` holds them."""
    import torch

    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    layers = [torch.nn.Conv2d(s[1], s[0], (s[2], s[3])) for s in SHAPES]
    parameters = [p for layer in layers for p in layer.parameters()]
    optimiser = torch.optim.Adam(parameters)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-2, total_steps=steps)
    heads = annotated(folder, leave_out)
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
    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    out.write_text(
        json.dumps(fit(folder, leave_out="--leave-out" in sys.argv), separators=(",", ":")), encoding="utf-8"
    )


if __name__ == "__main__":
    main()
