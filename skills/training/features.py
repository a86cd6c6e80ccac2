"""Image features of a frozen vision tower: made once an image, and reused in every later row and epoch.

Only where nothing changes the image: no augmentation, and nothing of the vision tower is trained. Each image is looked
at alone, whatever batch it comes in, so that a run that was cut off sees the same numbers to the last bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPooling

from fiducial.skills.families.hub.sight import VISION_PARTS

LIMIT_BYTES = 4 * 2**30


class Features:
    """The features kept so far, by the image's number. limit_bytes: what comes after it is made anew each time."""

    def __init__(self, network: nn.Module, limit_bytes: int = LIMIT_BYTES) -> None:
        inner: Any = network.get_base_model() if hasattr(network, "peft_config") else network  # type: ignore[operator]
        self.model, self.limit_bytes, self.bytes = inner.model, limit_bytes, 0
        self.kept: dict[int, dict[str, Any]] = {}
        self.stacked = False  # whether the family takes one tensor of all images, and no list

    @torch.no_grad()
    def of(self, image: int, pixels: dict[str, Tensor]) -> dict[str, Any]:
        """``pooler_output`` (tokens, size) and ``deepstack_features`` of one image, from its own pixel tensors."""
        if image in self.kept:
            return self.kept[image]
        training = self.model.training
        self.model.eval()
        seen = type(self.model).get_image_features(self.model, **pixels, **self._named())
        self.model.train(training)
        self.stacked = isinstance(seen.pooler_output, Tensor)
        made = {"pooler_output": seen.pooler_output[0].detach()}
        if getattr(seen, "deepstack_features", None) is not None:
            made["deepstack_features"] = [level[0].detach() for level in seen.deepstack_features]
        size = sum(t.nbytes for t in [made["pooler_output"], *made.get("deepstack_features", [])])
        if self.bytes + size <= self.limit_bytes:
            self.kept[image], self.bytes = made, self.bytes + size
        return made

    def _named(self) -> dict[str, Any]:
        """Which layers LLaVA takes its features from, which its forward would fill in."""
        config = self.model.config
        names = ("vision_feature_layer", "vision_feature_select_strategy")
        return {name: getattr(config, name) for name in names if hasattr(config, name)}

    @contextmanager
    def given(self, images: Tensor, inputs: dict[str, Tensor]) -> Iterator[None]:
        """Within, the network takes the features of these images (B,), one a row, in place of looking at them."""
        rows = [self.of(int(k), pixels) for k, pixels in zip(images, pixels_of_each(inputs), strict=True)]
        joined = BaseModelOutputWithPooling(pooler_output=[row["pooler_output"] for row in rows])  # type: ignore[arg-type]
        if "deepstack_features" in rows[0]:
            levels = zip(*(row["deepstack_features"] for row in rows), strict=True)
            joined["deepstack_features"] = [list(level) for level in levels]
        if self.stacked:
            joined["pooler_output"] = torch.stack(joined["pooler_output"])
        self.model.get_image_features = lambda *_, **__: joined
        try:
            yield
        finally:
            del self.model.get_image_features


def pixels_of_each(inputs: dict[str, Tensor]) -> list[dict[str, Tensor]]:
    """The pixel tensors of a batch, an image each."""
    pixels, grid = inputs["pixel_values"], inputs.get("image_grid_thw")
    if grid is None:
        return [{"pixel_values": one[None]} for one in pixels]
    parts = torch.split(pixels, grid.prod(-1).tolist())
    return [{"pixel_values": p, "image_grid_thw": g[None]} for p, g in zip(parts, grid, strict=True)]


def frozen_vision(network: nn.Module) -> bool:
    """Whether nothing of the vision tower is trained, nor of what hands its features on."""
    learned = [name for name, parameter in network.named_parameters() if parameter.requires_grad]
    return not any(part in name for name in learned for part in VISION_PARTS)
