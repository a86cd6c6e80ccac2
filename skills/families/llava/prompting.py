"""The one place where a prompt becomes ids, in training as at inference."""

from __future__ import annotations

from transformers import PreTrainedTokenizerFast


def prompt_ids(tokenizer: PreTrainedTokenizerFast, prompt: str, image_tokens: int) -> list[int]:
    """``<bos> <image>… prompt <sep>``."""
    image = [tokenizer.convert_tokens_to_ids("<image>")] * image_tokens
    text = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    return [tokenizer.bos_token_id, *image, *text, *invocation_ids(tokenizer)]


def invocation_ids(tokenizer: PreTrainedTokenizerFast) -> list[int]:
    """What ends every prompt: from there on an activated LoRA works."""
    return [tokenizer.sep_token_id]
