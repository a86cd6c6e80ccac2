"""Decoding an explanation held to the record: a word that would contradict it is not said."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import LogitsProcessor, PreTrainedTokenizerFast

from fiducial.tools.contradictions import Truth, may_go_on

CANDIDATES = 12


class HeldToRecord(LogitsProcessor):
    """Of the likeliest next tokens leaves those after which the text still agrees with what is known to be true.

    Where none of them does, nothing is left out: the whole text is held against the record afterwards in any case.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast, truth: Truth) -> None:
        self.tokenizer, self.truth = tokenizer, truth

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Scores (1, V) of which all but the tokens that may follow are minus infinity."""
        said = input_ids[0].tolist()
        best = scores[0].topk(min(CANDIDATES, scores.shape[1])).indices.tolist()
        fitting = [token for token in best if self._fits(said, token)]
        if not fitting:
            return scores
        held = torch.full_like(scores, -torch.inf)
        held[0, fitting] = scores[0, fitting]
        return held

    def _fits(self, said: list[int], token: int) -> bool:
        if token == self.tokenizer.eos_token_id:
            return True
        return may_go_on(str(self.tokenizer.decode([*said, token], skip_special_tokens=True)), self.truth)
