"""Constrained decoding: which tokens may follow, by the grammar of each skill's dialect.

With it a skill's text is always well-formed, and a token's probability is that among well-formed continuations: in a
vocabulary of two thousand words of which a skill ever says thirty, the mass that a small model leaves on all the others
says nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from transformers import PreTrainedTokenizerFast

from fiducial.skills.datasets.language import next_words
from fiducial.skills.families.llava import dialect
from fiducial.tools.structures import members, structures

if TYPE_CHECKING:
    from fiducial.skills.families.llava.tower import TowerConfig


def intent_lines(prefix: tuple[str, ...] = ()) -> Iterator[str]:
    """Every line of the intents' language."""
    for word in next_words(list(prefix)):
        if word:
            yield from intent_lines((*prefix, word))
        else:
            yield " ".join(prefix)


def known_lines(config: TowerConfig) -> Iterator[str]:
    """The lines of the language that speak of nothing but what the tower knows."""
    known = {key for key in structures() if {*members(key)} <= {*config.labels}}
    foreign = {*structures()} - known
    for line in intent_lines():
        if not foreign & {*line.split()}:
            yield line


class Grammar:
    """A finite language as token ids: every line tokenised whole, exactly as in training."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, lines: Iterable[str]) -> None:
        self._end = int(tokenizer.eos_token_id)
        self._following: dict[tuple[int, ...], set[int]] = {}
        for line in lines:
            ids = [*tokenizer(line, add_special_tokens=False)["input_ids"], self._end]
            for n, token in enumerate(ids):
                self._following.setdefault(tuple(ids[:n]), set()).add(token)

    def allowed(self, done: list[int]) -> list[int]:
        """The ids that may follow ``done``; only the end after what is no beginning of a line."""
        return sorted(self._following.get(tuple(done), {self._end}))


class Grammars:
    """The grammar of every skill that has a finite one; lists of slots are decided by ``inclusion``."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, config: TowerConfig) -> None:
        self.intent = Grammar(tokenizer, known_lines(config)).allowed
        self.presence = Grammar(tokenizer, dialect.YES_NO).allowed
        self.report = Grammar(tokenizer, dialect.report_lines()).allowed
        self.kind = Grammar(tokenizer, config.kinds).allowed
        self.count = Grammar(tokenizer, (dialect.render_count(n) for n in range(dialect.MAX_COUNT + 1))).allowed
