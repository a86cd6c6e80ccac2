"""Qwen2-VL, Qwen2.5-VL and Qwen3-VL: sides resized to multiples of a factor, positions in three dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image as PILImage
from torch import Tensor

from fiducial.skills.families.hub.processor import ChatProcessor
from fiducial.tools.errors import InputError
from fiducial.tools.frames import FrameMap2D, resize_map

PLACE = "<|image_pad|>"


class QwenVLProcessor(ChatProcessor):
    """Without torchvision the library's processor of this family cannot be built; its two parts can."""

    chat = (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
        "<|im_start|>user\n{images}{prompt}<|im_end|>\n<|im_start|>assistant\n"
    )
    end = "<|im_end|>"
    patch_size: ClassVar[int] = 14

    def load_image_processor(self, folder: Path, pixels: dict[str, int]) -> Any:
        """The PIL image processor, with the folder's own limits unless others are given."""
        from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

        if not (folder / "preprocessor_config.json").is_file():
            processor = Qwen2VLImageProcessorPil(patch_size=self.patch_size)
        else:
            processor = Qwen2VLImageProcessorPil.from_pretrained(folder, local_files_only=True)
        for name, edge in (("min_pixels", "shortest_edge"), ("max_pixels", "longest_edge")):
            if name in pixels:
                processor.size[edge] = pixels[name]
        return processor

    def fit(self, width_px: int, height_px: int) -> FrameMap2D:
        """The library's ``smart_resize``: the whole image, sides rounded to multiples of patch times merge."""
        from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

        p = self.image_processor
        factor = p.patch_size * p.merge_size
        try:
            height, width = smart_resize(height_px, width_px, factor, p.size["shortest_edge"], p.size["longest_edge"])
        except ValueError as error:
            raise InputError(f"the model cannot look at an image of {width_px}×{height_px} px: {error}") from None
        return resize_map(width_px, height_px, width, height)

    def see(self, images_rgb: Sequence[np.ndarray]) -> tuple[dict[str, Tensor], list[str]]:
        """Patches and their grid; a token for every merged patch."""
        pictures = [PILImage.fromarray(np.ascontiguousarray(rgb)) for rgb in images_rgb]
        seen = self.image_processor(pictures, return_tensors="pt")
        counts = seen["image_grid_thw"].prod(-1) // self.image_processor.merge_size**2
        blocks = [f"<|vision_start|>{PLACE * int(count)}<|vision_end|>" for count in counts]
        return {"pixel_values": seen["pixel_values"], "image_grid_thw": seen["image_grid_thw"]}, blocks

    def token_types(self, ids: Tensor) -> dict[str, Tensor]:
        """Without these, positions silently fall back to one dimension."""
        return {"mm_token_type_ids": torch.eq(ids, self._place_id).to(torch.int32)}

    @cached_property
    def _place_id(self) -> int:
        found = self.tokenizer.convert_tokens_to_ids(PLACE)
        if not isinstance(found, int):
            raise ValueError(f"the tokenizer does not know {PLACE}")
        return found


class Qwen3VLProcessor(QwenVLProcessor):
    """Patches of 16, so sides are multiples of 32; no system turn."""

    chat = "<|im_start|>user\n{images}{prompt}<|im_end|>\n<|im_start|>assistant\n"
    patch_size = 16
