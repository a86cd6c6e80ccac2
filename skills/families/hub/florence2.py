"""Florence-2: an encoder-decoder asked by task tokens, which its processor replaces by their prompts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image as PILImage
from torch import Tensor

from fiducial.skills.families.hub.processor import HubProcessor
from fiducial.tools.frames import FrameMap2D, resize_map


class FlorenceProcessor(HubProcessor):
    """The library's own processor, with a PIL image processor; the whole image is resized to a square."""

    def load_image_processor(self, folder: Path, pixels: dict[str, int]) -> Any:
        """The image processor of the folder; the family has one size, so limits on pixels do not apply."""
        from transformers import AutoImageProcessor, Florence2Processor

        image_processor = AutoImageProcessor.from_pretrained(folder, local_files_only=True)
        if not hasattr(image_processor, "image_seq_length"):
            image_processor.image_seq_length = 577
        self.processor = Florence2Processor(image_processor, self.tokenizer)
        return image_processor

    def add_task_tokens(self, tokens: Sequence[str]) -> list[int]:
        """See the base class. A word that is the library's own is no longer replaced by a prompt."""
        for token in tokens:
            self.processor.task_prompts_with_input.pop(token, None)
            self.processor.task_prompts_without_inputs.pop(token, None)
        return super().add_task_tokens(tokens)

    def fit(self, width_px: int, height_px: int) -> FrameMap2D:
        """The whole image, proportions not kept."""
        size = self.image_processor.size
        return resize_map(width_px, height_px, size["width"], size["height"])

    def encode(self, images_rgb: Sequence[np.ndarray], prompt: str, answer: str | None = None) -> dict[str, Tensor]:
        """See the base class. Of several images the first is looked at. Labels are the decoder's."""
        if len(images_rgb):
            picture = PILImage.fromarray(np.ascontiguousarray(images_rgb[0]))
            made = self.processor(images=picture, text=prompt, return_tensors="pt")
        else:
            made = self.tokenizer(prompt, return_tensors="pt")
        tensors = {key: made[key] for key in ("input_ids", "attention_mask", "pixel_values") if key in made}
        if answer is not None:
            written = self.tokenizer(answer, add_special_tokens=False)["input_ids"]
            t = self.tokenizer
            tensors["labels"] = torch.tensor([[t.bos_token_id, *written, t.eos_token_id]])
        return tensors
