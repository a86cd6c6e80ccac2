"""Constrained decoding of intents: which tokens may follow, by the grammar of the dialect."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from transformers import PreTrainedTokenizerFast

from fiducial.skills.datasets.language import next_words


def intent_lines(prefix: tuple[str, ...] = ()) -> Iterator[str]:
    """Every line of the intents' language."""
    for word in next_words(list(prefix)):
        if word:
            yield from intent_lines((*prefix, word))
        else:
            yield " ".join(prefix)


class IntentGrammar:
    """The intents' language as token ids: every line tokenised whole, exactly as in training."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self.tokenizer = tokenizer

    @cached_property
    def _following(self) -> dict[tuple[int, ...], set[int]]:
        """From each beginning of a line to the ids that may follow it."""
        following: dict[tuple[int, ...], set[int]] = {}
        for line in intent_lines():
            ids = [*self.tokenizer(line, add_special_tokens=False)["input_ids"], self.tokenizer.eos_token_id]
            for n, token in enumerate(ids):
                following.setdefault(tuple(ids[:n]), set()).add(token)
        return following

    def allowed(self, done: list[int]) -> list[int]:
        """The ids that may follow ``done``; only the end after what is no beginning of a line."""
        return sorted(self._following.get(tuple(done), {self.tokenizer.eos_token_id}))
