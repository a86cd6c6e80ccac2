"""A session of the embedded model over one image: encoded once, whatever the number of skills performed on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from pydantic import BaseModel
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList

from fiducial.skills.adapters import serving
from fiducial.skills.base import DomainEvidence
from fiducial.skills.families.llava.marks import Marks
from fiducial.skills.families.llava.model import embed
from fiducial.skills.families.llava.processing import pixel_values
from fiducial.skills.families.llava.prompting import prompt_ids
from fiducial.skills.families.llava.proposals import Proposals
from fiducial.skills.families.llava.tower import TowerOutput
from fiducial.tools.errors import InputError
from fiducial.tools.frames import FrameMap2D, crop_map
from fiducial.tools.images.image import Image

if TYPE_CHECKING:
    from fiducial.skills.families.llava.family import LlavaModel

MAX_NEW_TOKENS = 200
BLANK_LEVELS = 2  # of 255 in every channel: what a lossy codec makes of one colour


@dataclass(frozen=True)
class Generated:
    """A generation: its text, ids, the probability of each token, and each step's distribution over what may follow."""

    text: str
    ids: tuple[int, ...]
    probabilities: tuple[float, ...]
    steps: Tensor

    @property
    def confidence(self) -> float:
        """The probability of the whole text."""
        return float(np.prod(self.probabilities)) if self.probabilities else 0.0


def shown_pixel_aspect(image: Image) -> float:
    """Height over width of a displayed pixel in the world; 1 where the scale is not known."""
    scale = image.info.scale
    if scale is None:
        return 1.0
    aspect = scale.row_mm / scale.column_mm
    exchanged = abs(float(image.stored_to_display.linear[0, 0])) < 0.5  # an orientation that swaps rows and columns
    return 1 / aspect if exchanged else aspect


class LlavaSession:
    """See the module's docstring. window_xyxy_px: the part of the displayed image to look at; None for all of it."""

    def __init__(
        self,
        model: LlavaModel,
        image: Image,
        window_xyxy_px: Sequence[float] | None = None,
        swaps: dict[str, str | None] | None = None,
    ) -> None:
        self.model, self.image, self.swaps = model, image, swaps or {}
        self.window_xyxy_px = None if window_xyxy_px is None else tuple(window_xyxy_px)

    def _view(self, mirrored: bool = False) -> tuple[Tensor, FrameMap2D]:
        """The tower's input, and the map to it from stored pixels."""
        rgb, to_view = self.image.rgb_u8, self.image.stored_to_display
        if self.window_xyxy_px is not None:
            x0, y0, x1, y1 = self.window_xyxy_px
            rgb = rgb[int(y0) : int(y1), int(x0) : int(x1)]
            to_view = to_view.then(crop_map((int(x0), int(y0), int(x1), int(y1))))
        config, aspect = self.model.tower.config, shown_pixel_aspect(self.image)
        values, to_input = pixel_values(rgb, config.width_px, config.height_px, aspect, mirrored)
        return values, to_view.then(to_input)

    @cached_property
    def _shown(self) -> tuple[Tensor, FrameMap2D]:
        """The view that is encoded, made once."""
        return self._view()

    @cached_property
    def _encoded(self) -> tuple[TowerOutput, FrameMap2D]:
        """The tower's output, and the map from stored pixels to the tower's input."""
        values, to_input = self._shown
        with torch.no_grad():
            return self.model.tower(values), to_input

    @property
    def proposals(self) -> Proposals:
        """The tower's candidate regions, in pixels of its input."""
        return self._encoded[0].proposals

    @property
    def marks(self) -> Marks:
        """Where the tower places each landmark, in pixels of its input. InputError for a tower without landmarks."""
        marks = self._encoded[0].marks
        if marks is None:
            raise InputError("this model knows no landmarks but those of a head; ask with another base")
        return marks

    @property
    def stored_to_input(self) -> FrameMap2D:
        """From stored pixels of the image to the tower's input."""
        return self._encoded[1]

    @cached_property
    def domain(self) -> DomainEvidence:
        """What kind of image this is, and how typical of its kind.

        An image of other proportions than the tower's input has bars around it, untypical in themselves: there it is
        also looked at mirrored at its edges, and the better of the two counts if both are of one kind. An image of one
        colour is none of any kind, though the outer slices of a volume, which the model has seen, look the same.
        """
        if int(np.ptp(self.image.rgb_u8, axis=(0, 1)).max()) <= BLANK_LEVELS:
            return DomainEvidence("other", {"other": 1.0}, 0.0)
        dense = self._encoded[0].dense
        kinds, probabilities = self.model.tower.config.kinds, dense.kind[0].softmax(-1).tolist()
        kind = kinds[int(np.argmax(probabilities))]
        typicality = self.model.calibration.typicality(kind, dense.embedding[0].numpy())
        (values, _), (mirrored, _) = self._shown, self._view(mirrored=True)
        if not torch.equal(values, mirrored):
            with torch.no_grad():
                other = self.model.tower(mirrored).dense
            if kinds[int(other.kind[0].argmax())] == kind:
                seen = self.model.calibration.typicality(kind, other.embedding[0].numpy())
                typicality = max(typicality, seen)
        return DomainEvidence(kind, dict(zip(kinds, probabilities, strict=True)), typicality)

    def perform(self, skill: str, args: BaseModel) -> BaseModel:
        """Perform one skill with its adapter."""
        from fiducial.skills.families.llava.perform import PERFORM

        if skill not in PERFORM:
            raise InputError(f"the embedded model has no skill '{skill}'; it has: {', '.join(sorted(PERFORM))}")
        return PERFORM[skill](self, args)

    def zoom(self, box_xyxy_px: Sequence[float]) -> LlavaSession:
        """A session on a crop (stored pixels) of the same image."""
        x0, y0, x1, y1 = self.image.stored_to_display.box_xyxy(box_xyxy_px)
        height, width = self.image.rgb_u8.shape[:2]
        window = max(0, round(x0)), max(0, round(y0)), min(width, round(x1)), min(height, round(y1))
        if window[2] - window[0] < 8 or window[3] - window[1] < 8:
            raise InputError(
                f"a crop of {window[2] - window[0]}×{window[3] - window[1]} px is too small; use at least 8×8"
            )
        return LlavaSession(self.model, self.image, window, self.swaps)

    def with_adapter(self, skill: str, adapter: str | None) -> LlavaSession:
        """The same session with another skill's adapter (or none) in the place of ``skill``'s own; for comparisons."""
        other = LlavaSession(self.model, self.image, self.window_xyxy_px, {**self.swaps, skill: adapter})
        other.__dict__["_encoded"] = self._encoded
        return other

    def generate(
        self,
        skill: str,
        prompt: str,
        *,
        with_image: bool = True,
        allowed: Callable[[list[int]], list[int]] | None = None,
        decider: LogitsProcessor | None = None,
        seed: int | None = None,
    ) -> Generated:
        """Greedy generation with the skill's adapter, or sampling where a seed is given.

        allowed: from the ids generated so far to those that may follow (constrained decoding); decider: rules on
        the scores of each next token (a list of slots, a text held to the record).
        """
        model, tokenizer = self.model.peft, self.model.tokenizer
        tokens = self._encoded[0].hidden_states[-1] if with_image else None
        ids = torch.tensor([prompt_ids(tokenizer, prompt, 0 if tokens is None else tokens.shape[1])])
        with torch.inference_mode(), self._adapter(skill) as activated:
            embedded = embed(model.get_base_model(), ids, tokens)  # type: ignore[arg-type]
            if seed is not None:
                torch.manual_seed(seed)
            out: Any = model.generate(
                inputs_embeds=embedded,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=MAX_NEW_TOKENS,
                do_sample=seed is not None,
                prefix_allowed_tokens_fn=None if allowed is None else lambda _, done: allowed(done.tolist()),
                logits_processor=None if decider is None else LogitsProcessorList([decider]),
                return_dict_in_generate=True,
                output_scores=True,
                pad_token_id=tokenizer.pad_token_id,
                eos_token_id=tokenizer.eos_token_id,
                **activated,
            )
        done = out.sequences[0].tolist()
        steps = torch.stack([logits[0].float() for logits in out.scores]).softmax(-1)
        probabilities = steps[torch.arange(len(steps)), torch.tensor(done[: len(steps)])].tolist()
        text_ids = [i for i in done if i not in (tokenizer.eos_token_id, tokenizer.pad_token_id)]
        return Generated(str(tokenizer.decode(text_ids)).strip(), tuple(text_ids), tuple(probabilities), steps)

    @contextmanager
    def _adapter(self, skill: str) -> Iterator[dict[str, list[int]]]:
        """The skill's adapter switched on (or none, where it was taken out for a comparison).

        For an activated one, what tells PEFT, which is given no ids, how far from the end of the prompt it works.
        """
        peft, wanted = self.model.peft, self.swaps.get(skill, skill)
        name = None if wanted is None else serving(peft.peft_config, wanted)
        if wanted is not None and name is None:
            raise InputError(f"there is no adapter for the skill '{wanted}'; train one with: fiducial train {wanted}")
        if name is not None:
            peft.set_adapter(name)
        tokens = getattr(peft.active_peft_config, "alora_invocation_tokens", None)
        with nullcontext() if name is not None else peft.disable_adapter():
            yield {"alora_offsets": [len(tokens)]} if tokens else {}
