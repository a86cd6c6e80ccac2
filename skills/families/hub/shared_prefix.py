"""The first part of a prompt computed once: its keys and values, adapters off, serve every skill of a session.

An *activated* LoRA (PEFT's ``alora_invocation_tokens``; Greenewald et al. 2504.12397) works from the tokens on with
which the answer's turn begins. What comes before, the image and the question, is the base's alone, and the same for
all such skills and for those without an adapter.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from fiducial.skills.families.hub.sight import inner_of

PER_TOKEN = ("input_ids", "attention_mask", "mm_token_type_ids", "token_type_ids")
OF_IMAGES = ("pixel_values", "image_grid_thw")


class SharedPrefix:
    """One session's. ids: the tokens that the kept keys and values are of."""

    def __init__(self) -> None:
        self.ids: list[int] = []
        self._cache: Any = None
        self._rope_deltas: Tensor | None = None

    def given(self, network: Any, inputs: Mapping[str, Tensor], invocation_ids: Sequence[int]) -> dict[str, Any]:
        """What is given to ``generate`` in place of a batch of one: the cache, and no image that the cache covers.

        invocation_ids: the tokens with which the answer's turn begins; a prompt without them is given as it is.
        """
        ids = inputs["input_ids"][0].tolist()
        until, seen = last_place(ids, invocation_ids), self._image_end(network, ids)
        if until is None or until < max(seen, 1):
            return dict(inputs)
        common = common_start(self.ids, ids[:until])
        if common < max(seen, 1):
            common = until
            self._compute(network, inputs, until)
        elif common < len(self.ids) and not self._can_be_cropped():
            self._compute(network, inputs, common)
        cache = copy.deepcopy(self._cache)  # generation writes into it
        if common < len(self.ids):
            cache.crop(common - len(self.ids))
        if self._rope_deltas is not None:  # kept by the network of its last image, which may be another's
            inner_of(network).rope_deltas = self._rope_deltas.clone()
        rest = {name: tensor for name, tensor in inputs.items() if name not in OF_IMAGES}
        return {**rest, "past_key_values": cache}

    def _image_end(self, network: Any, ids: list[int]) -> int:
        """One past the last token of an image; 0 without images."""
        place = network.config.image_token_id
        return len(ids) - ids[::-1].index(place) if place in ids else 0

    def _can_be_cropped(self) -> bool:
        """Whether nothing has yet left a sliding window."""
        layers = (layer for layer in self._cache.layers if getattr(layer, "is_sliding", False))
        return all(layer.get_seq_length() < layer.sliding_window for layer in layers)

    def _compute(self, network: Any, inputs: Mapping[str, Tensor], length: int) -> None:
        """Keys and values of the first tokens, adapters off."""
        inner = inner_of(network)
        first = {name: t[:, :length] if name in PER_TOKEN else t for name, t in inputs.items()}
        off = network.disable_adapter() if hasattr(network, "peft_config") else nullcontext()
        with torch.inference_mode(), off:
            self._cache = inner(**first, use_cache=True).past_key_values
        deltas = getattr(inner, "rope_deltas", None)
        self._rope_deltas = None if deltas is None else deltas.clone()
        self.ids = first["input_ids"][0].tolist()


def last_place(ids: Sequence[int], wanted: Sequence[int]) -> int | None:
    """Where a run of tokens last begins; None where it does not occur."""
    size = len(wanted)
    places = (k for k in range(len(ids) - size, -1, -1) if list(ids[k : k + size]) == list(wanted))
    return next(places, None) if size else None


def common_start(a: Sequence[int], b: Sequence[int]) -> int:
    """How many tokens two sequences begin with alike."""
    return next((k for k, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
