"""Feeding a family: image and prompt to tensors, in training as at inference, and the map of the model's resize."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from fiducial.tools.frames import FrameMap2D, letterbox
from fiducial.tools.images.fitted import letterboxed

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from fiducial.skills.targets import Query

IGNORED = -100
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json")


class HubProcessor(ABC):
    """A tokenizer and an image processor of one base folder. pixels: limits on the input, min_pixels and max_pixels."""

    def __init__(self, folder: Path, pixels: Mapping[str, int] | None = None) -> None:
        from transformers import AutoTokenizer

        if not any((folder / name).is_file() for name in TOKENIZER_FILES):  # the library would make up an empty one
            raise OSError(f"no tokenizer: none of {', '.join(TOKENIZER_FILES)}")
        self.folder = folder
        self.tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self.image_processor = self.load_image_processor(folder, dict(pixels or {}))

    @abstractmethod
    def load_image_processor(self, folder: Path, pixels: dict[str, int]) -> Any:
        """The image processor that works without torchvision."""

    @abstractmethod
    def fit(self, width_px: int, height_px: int) -> FrameMap2D:
        """From an image of this size to the model's input. Raises InputError for one that the family cannot take."""

    @abstractmethod
    def encode(self, images_rgb: Sequence[np.ndarray], prompt: str, answer: str | None = None) -> dict[str, Tensor]:
        """A batch of one: images (H, W, 3) uint8, as displayed, and prompt; with an answer also ``labels``."""

    def add_task_tokens(self, tokens: Sequence[str]) -> list[int]:
        """Make each of these words one token of the tokenizer, which no user's text can then hold; their ids."""
        self.tokenizer.add_tokens(list(tokens), special_tokens=True)
        ids = self.tokenizer.convert_tokens_to_ids(list(tokens))
        return ids if isinstance(ids, list) else [ids]

    @property
    def invocation_ids(self) -> list[int]:
        """The tokens from which on an activated LoRA works; none where the family has no turns."""
        return []

    def harmless(self, text: str) -> str:
        """A user's text in which no token of control can be read: their brackets become spaces."""
        for token in sorted(self.tokenizer.get_added_vocab(), key=len, reverse=True):
            if token in text:
                text = text.replace(token, " ")
        return text

    def harmless_query(self, query: Query) -> Query:
        """The query without any token of control in its words, in training as at inference."""
        words: dict[str, Any] = {
            name: self.harmless(said) for name in ("label", "question") if (said := getattr(query, name))
        }
        return query.model_copy(update=words | {"options": tuple(map(self.harmless, query.options))})

    def decode(self, ids: Sequence[int]) -> str:
        """Text of generated ids: without the tokens that begin, end and pad, with those of coordinates."""
        t = self.tokenizer
        outer = {t.pad_token_id, t.eos_token_id, t.bos_token_id, *self.end_ids}
        return str(t.decode([i for i in ids if i not in outer], skip_special_tokens=False)).strip()

    @property
    def end_ids(self) -> list[int]:
        """The ids that end an answer."""
        return [i for i in (self.tokenizer.eos_token_id,) if i is not None]


class ChatProcessor(HubProcessor):
    """A decoder-only family that is asked in turns. chat: the text around images and prompt; end: after an answer."""

    chat: ClassVar[str]
    end: ClassVar[str]

    @abstractmethod
    def see(self, images_rgb: Sequence[np.ndarray]) -> tuple[dict[str, Tensor], list[str]]:
        """Pixel tensors, and for each image the text that stands for it, a placeholder token for each feature."""

    def token_types(self, ids: Tensor) -> dict[str, Tensor]:
        """More inputs that depend on which tokens are an image's."""
        return {}

    @property
    def end_ids(self) -> list[int]:
        """The ids that end an answer: the family's own, and the tokenizer's."""
        own = self.tokenizer.convert_tokens_to_ids(self.end.strip()) if self.end.strip() else None
        return [i for i in (own, self.tokenizer.eos_token_id) if isinstance(i, int)]

    def encode(self, images_rgb: Sequence[np.ndarray], prompt: str, answer: str | None = None) -> dict[str, Tensor]:
        """See the base class. Labels cover the answer and its end alone."""
        tensors, blocks = self.see(images_rgb) if len(images_rgb) else ({}, [])
        ids = self._asked(blocks, prompt)
        labels = [IGNORED] * len(ids)
        if answer is not None:
            written = self._ids(answer + self.end)
            ids, labels = ids + written, labels + written
        input_ids = torch.tensor([ids])
        tensors |= {"input_ids": input_ids, "attention_mask": torch.ones_like(input_ids)}
        if answer is not None:
            tensors["labels"] = torch.tensor([labels])
        return tensors | self.token_types(input_ids)

    @cached_property
    def invocation_ids(self) -> list[int]:
        """The tokens with which the answer's turn begins, as they stand in every prompt whatever comes before them."""
        probes = [self._asked([], prompt) for prompt in ("a", "?", "Where is it.", "在哪里？", "1 ")]
        size = next(k for k, row in enumerate(zip(*(p[::-1] for p in probes), strict=False)) if len(set(row)) > 1)
        ids = probes[0][-size:] if size else []
        control = set(self.tokenizer.get_added_vocab().values())
        begins = [k for k, i in enumerate(ids) if i in control]
        return ids[begins[-1] :] if begins else ids

    def _asked(self, blocks: Sequence[str], prompt: str) -> list[int]:
        """A whole prompt's tokens. White space at its end, which might join the tokens after it, is left out."""
        before, _, after = self.chat.partition("{prompt}")
        return self._ids(before.replace("{images}", "".join(blocks)) + prompt.rstrip() + after)

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids


def squared(rgb_u8: np.ndarray, side_px: int) -> np.ndarray:
    """The image in a square of a side, proportions kept, black around it: what ``letterbox_map`` maps to."""
    height, width = rgb_u8.shape[:2]
    return letterboxed(rgb_u8, letterbox(width, height, side_px, side_px), "bicubic")
