"""The embedded architecture: ``LlavaForConditionalGeneration`` over the tower, with a four-layer Llama as decoder."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import LlamaConfig, LlavaConfig, LlavaForConditionalGeneration, PreTrainedTokenizerFast

from fiducial.skills.families.llava.tokenizer import SLOT_TOKENS
from fiducial.skills.families.llava.tower import Tower


def new_model(
    tower: Tower, tokenizer: PreTrainedTokenizerFast, hidden_size: int = 256, layers: int = 4
) -> LlavaForConditionalGeneration:
    """A model with a fresh decoder around a trained tower."""
    text = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden_size,
        intermediate_size=hidden_size * 11 // 4,
        num_hidden_layers=layers,
        num_attention_heads=hidden_size // 64,
        num_key_value_heads=hidden_size // 64,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    slots = list(SLOT_TOKENS[: tower.config.slots])
    config = LlavaConfig(
        slot_token_ids=tokenizer.convert_tokens_to_ids(slots),  # type: ignore[call-arg]
        vision_config=tower.config,
        text_config=text,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        image_seq_length=tower.config.tokens,
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        tie_word_embeddings=True,
    )
    model = LlavaForConditionalGeneration(config)
    model.model.vision_tower.load_state_dict(tower.state_dict())
    return model


def embed(model: LlavaForConditionalGeneration, input_ids: Tensor, image_tokens: Tensor | None) -> Tensor:
    """Input embeddings (B, L, hidden) with the projected tokens (N, T, size) of the N rows with an image, in order.

    What ``pixel_values`` would give, from an image that was encoded before; and each region token carries the word
    that names its slot (Groma's proxy tokens, Ma et al. 2404.13013, added where Groma interleaves them), so that to
    name a region is to copy a word from it.
    """
    words = model.get_input_embeddings()
    embedded: Tensor = words(input_ids)
    if image_tokens is None:
        return embedded
    places = input_ids == model.config.image_token_id
    projected = model.model.multi_modal_projector(image_tokens).to(embedded.dtype)
    slots = words(torch.tensor(model.config.slot_token_ids, device=input_ids.device))
    named = F.pad(slots, (0, 0, 0, projected.shape[1] - len(slots)))
    return embedded.masked_scatter(places[..., None], projected + named)


@torch.no_grad()
def encode(model: LlavaForConditionalGeneration, pixel_values: Tensor) -> object:
    """The tower's output: tokens and proposals. The one place where pixels are looked at."""
    return model.model.vision_tower(pixel_values)
