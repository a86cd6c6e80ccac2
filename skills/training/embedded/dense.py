"""The dense stage of pre-training: the tower learns what is where, before any word.

Class heat map with the penalty-reduced focal loss of CenterNet (Zhou et al. 1904.07850), boxes with GIoU
(Rezatofighi et al. 1902.09630), the head's ellipse with a smooth L1; its soft mask, the landmarks' places and the kind
of image with cross-entropy.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from fiducial.skills.families.llava.marks import MARK_STRIDE
from fiducial.skills.families.llava.proposals import decode_boxes
from fiducial.skills.families.llava.tower import Dense, Tower, TowerConfig
from fiducial.skills.recipes.embedded import DenseRecipe
from fiducial.skills.training.checkpoint import latest, save_checkpoint
from fiducial.skills.training.embedded.dense_data import Batch, Cached, make_batch
from fiducial.tools.errors import InputError

SAVE_EVERY, LOG_EVERY = 250, 50
MARK_SD_PX = 3.2  # of the landmarks' target, a little less than a cell


def giou_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """1 − GIoU of (N, 4) boxes x0 y0 x1 y1."""
    low, high = torch.maximum(predicted[:, :2], target[:, :2]), torch.minimum(predicted[:, 2:], target[:, 2:])
    overlap = (high - low).clamp(min=0).prod(1)
    areas = (predicted[:, 2:] - predicted[:, :2]).prod(1), (target[:, 2:] - target[:, :2]).prod(1)
    union = areas[0] + areas[1] - overlap
    hull = (torch.maximum(predicted[:, 2:], target[:, 2:]) - torch.minimum(predicted[:, :2], target[:, :2])).prod(1)
    return 1 - overlap / union.clamp(min=1e-6) + (hull - union) / hull.clamp(min=1e-6)


def losses(dense: Dense, batch: Batch) -> dict[str, Tensor]:
    """The weighted parts of the dense loss."""
    heat, target = dense.heat.float(), batch.heat
    log_p, log_q, p = F.logsigmoid(heat), F.logsigmoid(-heat), heat.sigmoid()
    positive = (target == 1).float()
    focal = -(positive * (1 - p) ** 2 * log_p + (1 - positive) * (1 - target) ** 4 * p**2 * log_q)
    per_image, count = focal.sum((1, 2, 3)), positive.sum((1, 2, 3))
    share = count.clamp(min=1).rsqrt()  # an image of forty nuclei does not drown one of a single lesion
    parts = {"heat": (per_image * share).sum() / (count * share).sum().clamp(min=1)}
    own = batch.box_weight.flatten(1) > 0
    boxes = decode_boxes(dense.box.float())[own]
    cells = batch.box.flatten(2).transpose(1, 2)[own]
    centre = decode_boxes(torch.zeros_like(dense.box.float()))[own]
    middle = (centre[:, :2] + centre[:, 2:]) / 2
    truth = torch.cat([middle - cells[:, :2], middle + cells[:, 2:]], 1)
    each = batch.box_weight.flatten(1)[own]
    parts["box"] = 2 * (giou_loss(boxes, truth) * each).sum() / each.sum() if len(boxes) else heat.sum() * 0
    weight = batch.ellipse_weight[:, None]
    round_head = (2 * (batch.ellipse[:, 2:3] - batch.ellipse[:, 3:4])).clamp(0.05, 1)  # a circle has no angle to learn
    factors = torch.cat(
        [torch.ones_like(weight).expand(-1, 2, -1, -1), torch.full_like(weight, 6.0).expand(-1, 2, -1, -1)], 1
    )
    factors = torch.cat([factors, round_head.expand(-1, 2, -1, -1)], 1)
    error = F.smooth_l1_loss(dense.ellipse.float() * factors, batch.ellipse * factors, beta=0.05, reduction="none")
    parts["ellipse"] = 2 * (error * weight).sum() / weight.sum().clamp(min=1)
    heads = batch.ultrasound
    if heads.any():
        parts["mask"] = F.binary_cross_entropy_with_logits(dense.mask.float()[heads], batch.mask[heads])
    placed = ~batch.marks[..., 0].isnan()
    if dense.marks is not None and placed.any():
        parts["marks"] = 0.4 * mark_loss(dense.marks.float()[placed], batch.marks[placed])
    parts["kind"] = 0.5 * F.cross_entropy(dense.kind.float(), batch.kind)
    return parts


def mark_loss(logits: Tensor, xy_px: Tensor) -> Tensor:
    """Cross-entropy of landmarks' maps (N, H, W) with a bell around their true places (N, 2)."""
    rows = (torch.arange(logits.shape[1]) + 0.5) * MARK_STRIDE - xy_px[:, 1:]
    columns = (torch.arange(logits.shape[2]) + 0.5) * MARK_STRIDE - xy_px[:, :1]
    bell = (-(rows[:, :, None] ** 2 + columns[:, None] ** 2) / (2 * MARK_SD_PX**2)).flatten(1).softmax(-1)
    return -(bell * logits.flatten(1).log_softmax(-1)).sum(-1).mean()


def draw(items: Sequence[Cached], recipe: DenseRecipe, step: int) -> tuple[list[Cached], np.random.Generator]:
    """The images of a step and its generator: a function of seed and step alone, so a resumed run is the same."""
    rng = np.random.default_rng([recipe.seed, step])
    by_kind = [[i for i, item in enumerate(items) if item.kind == kind] for kind in range(len(recipe.mixture))]
    shares = np.array([share if by_kind[k] else 0.0 for k, share in enumerate(recipe.mixture)])
    kinds = rng.choice(len(shares), size=recipe.batch_size, p=shares / shares.sum())
    chosen = []
    for k in kinds:
        weight = np.array([recipe.real if items[i].real else 1.0 for i in by_kind[k]])
        chosen.append(items[int(rng.choice(by_kind[k], p=weight / weight.sum()))])
    return chosen, rng


def grown(tower: Tower, config: TowerConfig) -> Tower:
    """A tower of a configuration that knows more, with every weight of ``tower`` that it has a place for.

    Of the heads that have a row for each label or kind, the rows of those that both know; the rest starts anew.
    """
    new, state = Tower(config), dict(tower.state_dict())
    fresh = new.state_dict()
    for prefix, names, own in (
        ("heat_head.3", tower.config.labels, config.labels),
        ("kind_head", tower.config.kinds, config.kinds),
    ):
        for part in ("weight", "bias"):
            value = fresh[f"{prefix}.{part}"].clone()
            for row, name in enumerate(names):
                if name in own:
                    value[own.index(name)] = state[f"{prefix}.{part}"][row]
            state[f"{prefix}.{part}"] = value
    new.load_state_dict({**fresh, **{name: v for name, v in state.items() if name in fresh}})
    return new


def train_dense(items: Sequence[Cached], recipe: DenseRecipe, out: Path, tower: Tower | None = None) -> Tower:
    """Train a tower (a new one, or on from another stage's) and return its averaged weights. Resumes from ``out``.

    A tower that is given is trained in place.
    """
    torch.manual_seed(recipe.seed)
    tower = (tower or Tower(TowerConfig())).to(memory_format=torch.channels_last)  # type: ignore[call-arg]
    config = tower.config
    average = Tower(config)
    average.load_state_dict(tower.state_dict())
    optimiser = torch.optim.AdamW(tower.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.learning_rate, recipe.steps, pct_start=0.1)
    first = 0
    if (state := latest(out)) is not None:
        if state["recipe"] != asdict(recipe):
            raise InputError(
                f"{out} holds checkpoints of another recipe; resume with the same options or give another --out"
            )
        tower.load_state_dict(state["tower"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        schedule.load_state_dict(state["schedule"])
        first = int(state["step"])
    out.mkdir(parents=True, exist_ok=True)
    started, log = time.monotonic(), out / "dense.jsonl"
    for step in range(first, recipe.steps):
        batch = make_batch(*draw(items, recipe, step), config, gentle=recipe.gentle)
        tower.train()
        with torch.autocast("cpu", torch.bfloat16):
            dense = tower.dense(batch.pixels.contiguous(memory_format=torch.channels_last))
        parts = losses(dense, batch)
        optimiser.zero_grad()
        torch.stack(list(parts.values())).sum().backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(tower.parameters(), 5.0)
        optimiser.step()
        schedule.step()
        blend(average, tower, min(recipe.average, (1 + step) / (10 + step)))
        if (step + 1) % LOG_EVERY == 0 or step + 1 == recipe.steps:
            seconds = (time.monotonic() - started) / (step + 1 - first)
            row = {"step": step + 1, "seconds": round(seconds, 3), **{k: round(v.item(), 4) for k, v in parts.items()}}
            with log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
        if (step + 1) % SAVE_EVERY == 0 or step + 1 == recipe.steps:
            parts_of = {"tower": tower, "average": average, "optimiser": optimiser, "schedule": schedule}
            save_checkpoint(out, step + 1, {name: part.state_dict() for name, part in parts_of.items()}, asdict(recipe))
    return average.eval()  # type: ignore[no-any-return, no-untyped-call]


@torch.no_grad()
def blend(average: Tower, tower: Tower, keep: float) -> None:
    """Exponential moving average of the weights; the running statistics are copied."""
    for mean, now in zip(average.parameters(), tower.parameters(), strict=True):
        mean.lerp_(now, 1 - keep)
    for kept, current in zip(average.buffers(), tower.buffers(), strict=True):
        kept.copy_(current)
