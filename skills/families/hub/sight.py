"""Looking at an image once: the vision tower's features are kept and given again to every skill that asks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from fiducial.skills.adapters import serving

VISION_PARTS = ("visual", "vision_tower", "multi_modal_projector")


@contextmanager
def seen_once(network: Any, kept: dict[str, Any], key: str) -> Iterator[None]:
    """Within, the network's image features come from ``kept[key]``, and are put there the first time.

    key: what the features depend on beside the image; see ``sight_key``.
    """
    inner = inner_of(network)
    look = inner.get_image_features

    @wraps(look)  # generation looks at its parameters
    def remembered(*args: Any, **kwargs: Any) -> Any:
        if key not in kept:
            kept[key] = look(*args, **kwargs)
        return kept[key]

    inner.get_image_features = remembered
    try:
        yield
    finally:
        del inner.get_image_features


def inner_of(network: Any) -> Any:
    """The model below the output head, with or without adapters around it."""
    return network.get_base_model().model if hasattr(network, "peft_config") else network.model


def sight_key(network: Any, skill: str) -> str:
    """The skill's adapter where that changes how the model sees, else the same for all."""
    adapter = serving(network.peft_config, skill) if hasattr(network, "peft_config") else None
    if adapter is None:
        return ""
    names = (name for name, _ in network.named_parameters() if f".{adapter}." in name)
    return adapter if any(part in name for name in names for part in VISION_PARTS) else ""
