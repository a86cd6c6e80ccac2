"""Constrained decoding of intents: which tokens may follow, by the grammar of the dialect."""

from __future__ import annotations

from functools import cached_property

from transformers import PreTrainedTokenizerFast

from fiducial.skills.datasets.language import closed_words, next_words


class IntentGrammar:
    """The intents' language as token ids."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self.tokenizer = tokenizer

    @cached_property
    def _spelled(self) -> dict[str, tuple[int, ...]]:
        """Every word as ids; a word may take several."""
        return {w: tuple(self.tokenizer(w, add_special_tokens=False)["input_ids"]) for w in closed_words() if w}

    def allowed(self, done: list[int]) -> list[int]:
        """The ids that may follow ``done``."""
        words: list[str] = []
        rest = tuple(done)
        while True:
            options = next_words(words)
            whole = [w for w in options if w and rest[: len(self._spelled[w])] == self._spelled[w]]
            if not whole:
                break
            words.append(max(whole, key=lambda w: len(self._spelled[w])))
            rest = rest[len(self._spelled[words[-1]]) :]
        following = {self._spelled[w][len(rest)] for w in options if w and self._spelled[w][: len(rest)] == rest}
        if "" in options and not rest:
            following.add(int(self.tokenizer.eos_token_id))
        return sorted(following) or [int(self.tokenizer.eos_token_id)]
