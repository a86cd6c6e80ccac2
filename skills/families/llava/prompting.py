"""The one place where a prompt becomes ids, in training as at inference."""

from __future__ import annotations

from transformers import PreTrainedTokenizerFast

from fiducial.skills.datasets.language import in_scope_words, prompt_text


def prompt_ids(tokenizer: PreTrainedTokenizerFast, prompt: str, image_tokens: int) -> list[int]:
    """``<bos> <image>… prompt <sep>``."""
    image = [tokenizer.convert_tokens_to_ids("<image>")] * image_tokens
    text = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    return [tokenizer.bos_token_id, *image, *text, *invocation_ids(tokenizer)]


def invocation_ids(tokenizer: PreTrainedTokenizerFast) -> list[int]:
    """What ends every prompt: from there on an activated LoRA works."""
    return [tokenizer.sep_token_id]


def unread_words(tokenizer: PreTrainedTokenizerFast, question: str) -> tuple[str, ...]:
    """Words of a question with a character that the tokenizer lacks, each once.

    Not those of the questions that the model was taught: it has learned to do without their rarer characters.
    """
    words = dict.fromkeys(word for word in prompt_text(question).split() if word.isalpha())
    lacking = (w for w in words if tokenizer.unk_token_id in tokenizer(w, add_special_tokens=False)["input_ids"])
    return tuple(word for word in lacking if word not in in_scope_words())
