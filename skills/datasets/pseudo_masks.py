"""Pseudo-masks: regions for words, drawn by CLIPSeg (Lüddecke and Ecker, CVPR 2022), as the GI-VQA paper made its own.

They lack medical precision (arXiv 2511.04384, limitations), so they are kept apart from what people have drawn: samples
of their own, marked as synthetic. ``transformers`` is imported when a segmenter is loaded, not before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fiducial.skills.datasets.objects import mask_object, words_of
from fiducial.skills.datasets.sample import Ask, Sample
from fiducial.skills.targets import LabelledPolygon, PolygonsTarget, Query
from fiducial.tools.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

CLIPSEG = "CIDAS/clipseg-rd64-refined"
THRESHOLD = 0.5
MIN_SHARE, MAX_SHARE = 0.001, 0.9  # of the image: a speck or nearly everything is no answer to where


@dataclass(frozen=True)
class TextSegmenter:
    """A loaded CLIPSeg. name: of its folder or on the hub."""

    name: str
    model: Any
    processor: Any

    def probabilities(self, rgb_u8: NDArray[np.uint8], words: Sequence[str]) -> NDArray[np.float32]:
        """(N, H, W) for each of N words the probability of each *stored* pixel, 0 to 1.

        The model sees the whole image resized to its square, so its answer is resized back, pixel area to pixel area.
        """
        import torch

        inputs = self.processor(text=list(words), images=[rgb_u8] * len(words), return_tensors="pt", padding=True)
        with torch.inference_mode():
            logits = self.model(**inputs).logits.reshape(len(words), 1, *self.model_size)
            size = rgb_u8.shape[:2]
            full = torch.nn.functional.interpolate(logits, size=size, mode="bilinear", align_corners=False)
        return np.asarray(full[:, 0].sigmoid().float().numpy())

    @property
    def model_size(self) -> tuple[int, int]:
        """Height and width of the model's own answer, in pixels."""
        side = int(self.model.config.vision_config.image_size)
        return side, side


def load_clipseg(name: str = CLIPSEG) -> TextSegmenter:
    """Load a CLIPSeg from a folder or by its name on the hub: safetensors only, no code of others.

    Raises InputError for one that cannot be loaded, or whose weights do not all fit.
    """
    from transformers import CLIPSegForImageSegmentation, CLIPSegProcessor

    from fiducial.skills.families.hub.download import hub_folder

    folder = Path(name) if Path(name).is_dir() else hub_folder(name)
    try:
        processor = CLIPSegProcessor.from_pretrained(folder)
        loaded: Any = CLIPSegForImageSegmentation.from_pretrained(
            folder, use_safetensors=True, output_loading_info=True
        )
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        why = str(error).partition("\n")[0]
        raise InputError(f"cannot load '{name}' as CLIPSeg ({why}); give a folder with its files") from None
    model, info = loaded
    if info["missing_keys"] or info["mismatched_keys"]:
        first = sorted(map(str, [*info["missing_keys"], *info["mismatched_keys"]]))[0]
        raise InputError(f"'{name}' lacks the weight '{first}' of a CLIPSeg; give the whole model")
    return TextSegmenter(name, model.eval(), processor)


def pseudo_masked(
    samples: Iterable[Sample], segmenter: TextSegmenter, labels: Sequence[str], threshold: float = THRESHOLD
) -> Iterator[Sample]:
    """For each sample a sample of its own with the regions that the words have; images without any are left out.

    labels: structures to look for; a word that finds nothing is no negative, for the segmenter may have missed it.
    """
    if not labels:
        raise InputError("no structure is named for the pseudo-masks; give at least one")
    for sample in samples:
        rgb = sample.pixels()
        soft = segmenter.probabilities(rgb, [words_of(label) for label in labels])
        asks = []
        for label, plane in zip(labels, soft, strict=True):
            mask = plane >= threshold
            box = mask_object(mask, label) if MIN_SHARE <= mask.mean() <= MAX_SHARE else None
            if box is not None and box.polygon_xy_px:
                words = words_of(label)
                outline = LabelledPolygon(label=words, polygon_xy_px=box.polygon_xy_px)
                asks.append(Ask(Query(task="segment", label=words), PolygonsTarget(polygons=(outline,))))
        if asks:
            yield replace(
                sample, id=f"{sample.id}#pseudo", image=sample.image_name, objects=(), asks=tuple(asks),
                facts={"drawn_by": segmenter.name}, problems=(), synthetic=True,
            )  # fmt: skip
