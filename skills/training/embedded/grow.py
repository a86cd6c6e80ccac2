"""A base that knows more, begun from one that knows less: what both have is copied, the rest learns anew.

A decoder that can already copy, cite and name slots learns the names of new structures in a fraction of the steps that
it takes from nothing, for copying comes late and everything that cites a record waits for it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import LlavaForConditionalGeneration, PreTrainedTokenizerFast

from fiducial.skills.families.llava.model import new_model
from fiducial.skills.families.llava.tower import BINS, FREQUENCIES, Tower, TowerConfig


@torch.no_grad()
def grown_model(
    old: LlavaForConditionalGeneration,
    old_tokenizer: PreTrainedTokenizerFast,
    tower: Tower,
    tokenizer: PreTrainedTokenizerFast,
) -> LlavaForConditionalGeneration:
    """A model around ``tower`` with the decoder of ``old``: words by their text, the projector's inputs by meaning."""
    text: Any = old.config.text_config
    new = new_model(tower, tokenizer, text.hidden_size, text.num_hidden_layers)
    ours, theirs = new.model.language_model.state_dict(), old.model.language_model.state_dict()
    for name, value in theirs.items():
        if name in ours and ours[name].shape == value.shape:
            ours[name].copy_(value)
    words: Any = new.get_input_embeddings().weight
    had: Any = old.get_input_embeddings().weight
    known = old_tokenizer.get_vocab()
    words.mul_(float(had.std() / words.std()))
    for word, row in tokenizer.get_vocab().items():
        if word in known:
            words[row] = had[known[word]]
    _copy_projector(new, old)
    return new


def _copy_projector(new: LlavaForConditionalGeneration, old: LlavaForConditionalGeneration) -> None:
    """The projector's first layer column by column, by what a region token tells there; the second as it is."""
    ours, theirs = new.model.multi_modal_projector, old.model.multi_modal_projector
    ours.linear_2.load_state_dict(theirs.linear_2.state_dict())
    ours.linear_1.bias.copy_(theirs.linear_1.bias)
    columns: Tensor = ours.linear_1.weight
    places = dict(columns_of(old.model.vision_tower.config))
    for meaning, column in columns_of(new.model.vision_tower.config):
        if meaning in places:
            columns[:, column] = theirs.linear_1.weight[:, places[meaning]]


def columns_of(config: TowerConfig) -> list[tuple[tuple[str, str | int], int]]:
    """What each column of a region token tells (as ``Tower.tokens`` packs it), and which it is."""
    meanings: list[tuple[str, str | int]] = [("feature", i) for i in range(config.feature_size)]
    meanings += [("place", i) for i in range(4 * 2 * FREQUENCIES)]
    meanings += [("logit", name) for name in config.names]
    if config.packing == "each":
        meanings += [("score", name) for name in config.names]
    meanings += [("best", 0), *(("slot", i) for i in range(config.slots))]
    if config.packing == "each":
        meanings += [(f"bin of {name}", i) for name in config.names for i in range(BINS)]
    else:
        meanings += [("bin", i) for i in range(BINS)]
    return [(meaning, column) for column, meaning in enumerate(meanings)]
