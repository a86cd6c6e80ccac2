"""SAM and MedSAM: an optional refiner that turns a box or points into a mask, with weights that the user has.

Segment Anything (Kirillov et al. 2304.02643) and MedSAM (Ma et al., Nat Commun 15:654, 2024) are one architecture,
``SamModel`` of transformers. Nothing is downloaded: the folder must hold what ``save_pretrained`` writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiducial.tools.errors import InputError
from fiducial.tools.geometry.boxes import valid_boxes


@dataclass(frozen=True)
class Mask:
    """mask: (height, width) bool, stored pixels. score: the model's own estimate of the mask's IoU, at most 1."""

    mask: NDArray[np.bool_]
    score: float


class SamSegmenter:
    """A loaded SAM. ``load_sam`` makes one."""

    def __init__(self, model: Any, processor: Any) -> None:
        self.model, self.processor = model, processor

    def segment(
        self,
        rgb_u8: NDArray[np.uint8],
        box_xyxy_px: Sequence[float] | None = None,
        points_xy_px: Sequence[Sequence[float]] = (),
    ) -> Mask:
        """The best of the model's masks of what lies in a box, or at points that all lie on it, or both.

        rgb_u8: (height, width, 3); box and points in its pixels. Raises InputError without a prompt, and for one that
        is invalid or outside of the image.
        """
        import torch

        height, width = rgb_u8.shape[:2]
        prompt: dict[str, Any] = {}
        if box_xyxy_px is not None:
            box = [float(v) for v in box_xyxy_px]
            if not valid_boxes([box])[0] or box[0] >= width or box[1] >= height or min(box[2:]) <= 0:
                raise InputError(f"the box {box} has no part in an image of {width} × {height} px; give x0, y0, x1, y1")
            prompt["input_boxes"] = [[box]]
        if len(points_xy_px):
            points = np.asarray(points_xy_px, dtype=np.float64)
            if points.shape[1:] != (2,) or not ((points >= 0) & (points <= (width, height))).all():
                raise InputError(f"the points must be pairs x, y inside the image of {width} × {height} px")
            prompt |= {"input_points": [[points.tolist()]], "input_labels": [[[1] * len(points)]]}
        if not prompt:
            raise InputError("a segmenter needs a box or points; give one of them")
        inputs = self.processor(rgb_u8, return_tensors="pt", **prompt).to(self.model.device)
        with torch.inference_mode():
            out = self.model(**inputs, multimask_output=True)
        sizes = inputs["original_sizes"].cpu(), inputs["reshaped_input_sizes"].cpu()
        masks = self.processor.image_processor.post_process_masks(out.pred_masks.float().cpu(), *sizes)[0][0]
        scores = out.iou_scores[0, 0].float().cpu()
        best = int(scores.argmax())
        return Mask(np.asarray(masks[best].numpy(), dtype=bool), min(1.0, float(scores[best])))


def load_sam(folder: Path) -> SamSegmenter:
    """Load SAM or MedSAM from a folder. Raises InputError where its configuration or weights are missing or unfit."""
    from safetensors import SafetensorError
    from transformers import SamConfig, SamModel, SamProcessor
    from transformers.models.sam.image_processing_pil_sam import SamImageProcessorPil

    if not (folder / "config.json").is_file() or '"sam"' not in (folder / "config.json").read_text(errors="replace"):
        raise InputError(f"no SAM in {folder}; give a folder with the config.json and weights of SAM or MedSAM")
    if not any(folder.glob("*.safetensors")):
        raise InputError(f"{folder} has no weights; put SAM's model.safetensors beside its config.json")
    try:
        sam: Any = SamModel  # the library's own types leave out what output_loading_info adds
        model, told = sam.from_pretrained(folder, local_files_only=True, use_safetensors=True, output_loading_info=True)
        if told["missing_keys"] or told["mismatched_keys"]:
            raise ValueError("weights are missing in it")
        # Without torchvision only the Pil class can be built; its sizes are the model's own.
        config: Any = SamConfig.from_pretrained(folder, local_files_only=True)
        side = config.vision_config.image_size
        pil = SamImageProcessorPil(size={"longest_edge": side}, pad_size={"height": side, "width": side})
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        why = str(error).splitlines()[0]
        raise InputError(f"the SAM in {folder} cannot be loaded ({why}); save it again as safetensors") from None
    return SamSegmenter(model.eval(), SamProcessor(pil))
