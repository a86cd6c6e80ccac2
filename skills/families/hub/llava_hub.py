"""LLaVA-1.5 from the model hub: the image padded to a square, then resized."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PILImage
from torch import Tensor

from fiducial.skills.families.hub.processor import ChatProcessor, squared
from fiducial.skills.families.hub.spec import read_config
from fiducial.tools.frames import FrameMap2D, letterbox_map


class LlavaHubProcessor(ChatProcessor):
    """The turns of LLaVA-1.5, and its padding, which the library's image processor leaves to the caller."""

    chat = "<s>USER: {images}{prompt} ASSISTANT:"
    end = "</s>"

    def load_image_processor(self, folder: Path, pixels: dict[str, int]) -> Any:
        """The folder's image processor; the family has one size, so limits on pixels do not apply."""
        from transformers import AutoImageProcessor

        config = read_config(folder)
        vision = config.get("vision_config", {})
        self.patch_size = int(vision.get("patch_size", 14))
        self.side_px = int(vision.get("image_size", 336))
        self.extra = 1 if config.get("vision_feature_select_strategy", "default") == "full" else 0
        self.image_token_id = int(config.get("image_token_id", config.get("image_token_index", 32000)))
        return AutoImageProcessor.from_pretrained(folder, local_files_only=True)

    def fit(self, width_px: int, height_px: int) -> FrameMap2D:
        """Centred in a square, black around it."""
        return letterbox_map(width_px, height_px, self.side_px, self.side_px)

    def see(self, images_rgb: Sequence[np.ndarray]) -> tuple[dict[str, Tensor], list[str]]:
        """Pixels, and a token a patch."""
        pictures = [PILImage.fromarray(squared(rgb, self.side_px)) for rgb in images_rgb]
        seen = self.image_processor(pictures, return_tensors="pt")
        place = str(self.tokenizer.convert_ids_to_tokens(self.image_token_id))
        count = (self.side_px // self.patch_size) ** 2 + self.extra
        return {"pixel_values": seen["pixel_values"]}, [place * count + "\n"] * len(pictures)
