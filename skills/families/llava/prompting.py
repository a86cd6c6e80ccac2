"""The one place where a prompt becomes ids, in training as at inference."""

from __future__ import annotations

from transformers import PreTrainedTokenizerFast

from fiducial.skills.datasets.language import prompt_text


def prompt_ids(tokenizer: PreTrainedTokenizerFast, prompt: str, image_tokens: int) -> list[int]:
    """``<bos> <image>… prompt <sep>``."""
    image = [tokenizer.convert_tokens_to_ids("<image>")] * image_tokens
    text = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    return [tokenizer.bos_token_id, *image, *text, *invocation_ids(tokenizer)]


def invocation_ids(tokenizer: PreTrainedTokenizerFast) -> list[int]:
    """What ends every prompt: from there on an activated LoRA works."""
    return [tokenizer.sep_token_id]


# Chinese characters without a meaning of their own that the embedded tokenizer lacks, and that questions are full of.
PARTICLES = frozenset("您想那也就都吧呀啊嘛咱们会")


def words_of(question: str) -> tuple[str, ...]:
    """The words of a question (characters, of Chinese), each once; no marks and numbers."""
    return tuple(dict.fromkeys(word for word in prompt_text(question).split() if word.isalpha()))


def unread_words(tokenizer: PreTrainedTokenizerFast, question: str) -> tuple[str, ...]:
    """Words of a question with a character that the tokenizer lacks, each once; not particles."""
    words = (word for word in words_of(question) if word not in PARTICLES)
    return tuple(w for w in words if tokenizer.unk_token_id in tokenizer(w, add_special_tokens=False)["input_ids"])
