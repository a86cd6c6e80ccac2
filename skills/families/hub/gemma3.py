"""Gemma 3, the architecture of MedGemma: the image padded to a square, then resized."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image as PILImage
from torch import Tensor

from fiducial.skills.families.hub.processor import ChatProcessor, squared
from fiducial.skills.families.hub.spec import read_config
from fiducial.tools.frames import FrameMap2D, letterbox_map


class GemmaProcessor(ChatProcessor):
    """Pan and scan stays off: its crops would be frames of their own."""

    chat = "<bos><start_of_turn>user\n{images}{prompt}<end_of_turn>\n<start_of_turn>model\n"
    end = "<end_of_turn>"

    def load_image_processor(self, folder: Path, pixels: dict[str, int]) -> Any:
        """The PIL image processor; the family has one size, so limits on pixels do not apply."""
        from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil

        config = read_config(folder)
        self.tokens = int(config.get("mm_tokens_per_image", 256))
        self.image_token_id = int(config.get("image_token_id", config.get("image_token_index", 262144)))
        return Gemma3ImageProcessorPil.from_pretrained(folder, local_files_only=True)

    def fit(self, width_px: int, height_px: int) -> FrameMap2D:
        """Centred in a square, black around it."""
        return letterbox_map(width_px, height_px, self._side_px, self._side_px)

    @property
    def _side_px(self) -> int:
        return int(self.image_processor.size["height"])

    def see(self, images_rgb: Sequence[np.ndarray]) -> tuple[dict[str, Tensor], list[str]]:
        """Pixels, and as many placeholder tokens an image as the projector gives."""
        pictures = [PILImage.fromarray(squared(rgb, self._side_px)) for rgb in images_rgb]
        seen = self.image_processor(pictures, do_pan_and_scan=False, return_tensors="pt")
        place = str(self.tokenizer.convert_ids_to_tokens(self.image_token_id))
        block = f"\n\n<start_of_image>{place * self.tokens}<end_of_image>\n\n"
        return {"pixel_values": seen["pixel_values"]}, [block] * len(pictures)

    def token_types(self, ids: Tensor) -> dict[str, Tensor]:
        """Attention within an image runs both ways; these say where it is."""
        return {"token_type_ids": (ids == self.image_token_id).to(torch.int64)}
