"""The embedded architecture: ``LlavaForConditionalGeneration`` over the tower, with a four-layer Llama as decoder."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import LlamaConfig, LlavaConfig, LlavaForConditionalGeneration, PreTrainedTokenizerFast

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
    config = LlavaConfig(
        vision_config=tower.config,
        text_config=text,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),  # type: ignore[call-arg]
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

    The same thing as passing ``pixel_values``, from an image that was encoded before.
    """
    embedded: Tensor = model.get_input_embeddings()(input_ids)
    if image_tokens is None:
        return embedded
    places = input_ids == model.config.image_token_id
    projected = model.model.multi_modal_projector(image_tokens).to(embedded.dtype)
    return embedded.masked_scatter(places[..., None], projected)


@torch.no_grad()
def encode(model: LlavaForConditionalGeneration, pixel_values: Tensor) -> object:
    """The tower's output: tokens and proposals. The one place where pixels are looked at."""
    return model.model.vision_tower(pixel_values)
