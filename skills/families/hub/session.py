"""A session of a hub model over one image: the image is looked at once, whatever the number of skills."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from fiducial.skills.base import DomainEvidence
from fiducial.skills.families.asking import Asked, perform
from fiducial.skills.families.dialects import Dialect
from fiducial.skills.families.guide import Guide
from fiducial.skills.families.hub.shared_prefix import SharedPrefix
from fiducial.skills.families.hub.sight import seen_once, sight_key
from fiducial.skills.families.view import Window, shown, told_slices, view_of
from fiducial.skills.targets import Query
from fiducial.skills.templates import fill
from fiducial.tools.frames import FrameMap2D
from fiducial.tools.images.image import Image
from fiducial.tools.record import Scale

if TYPE_CHECKING:
    from fiducial.skills.families.hub.model import HubModel
    from fiducial.skills.stack import Stack

MAX_NEW_TOKENS = {
    **dict.fromkeys(("choose", "count", "measure_size", "measure_distance", "measure_angle"), 64),
    "answer": 128,
    "explain": 256,
    "report": 512,
}
MAX_NEW_TOKENS_OF_LISTS = 1024


def most_new_tokens(task: str) -> int:
    """How many tokens an answer to a prompt task may have."""
    return MAX_NEW_TOKENS.get(task, MAX_NEW_TOKENS_OF_LISTS)


class HubSession:
    """See the module's docstring. window_xyxy_px: the part of the displayed image to look at; None for all of it.

    stack: a volume's slices, of which ``image`` is one, to be looked at in its place.
    """

    def __init__(
        self,
        model: HubModel,
        image: Image,
        window_xyxy_px: Sequence[float] | None = None,
        stack: Stack | None = None,
    ) -> None:
        self.model, self.image, self.window_xyxy_px, self.stack = model, image, window_xyxy_px, stack
        self.guide = Guide(image, model.guide)
        self._kept: dict[str, Any] = {}
        self._prefix = SharedPrefix()

    @cached_property
    def view(self) -> Window:
        """The pixels looked at, and the map to them from stored pixels."""
        return view_of(self.image, self.window_xyxy_px)

    @cached_property
    def stored_to_input(self) -> FrameMap2D:
        """From stored pixels of the image to the model's input."""
        height, width = self.view.rgb_u8.shape[:2]
        return self.view.stored_to_view.then(self.model.processor.fit(width, height))

    @property
    def domain(self) -> DomainEvidence:
        """What kind of image this is, as the embedded model sees it."""
        return self.guide.domain

    @property
    def scale(self) -> Scale | None:
        """Of the stored pixels."""
        return self.image.info.scale

    @property
    def adapters(self) -> Collection[str]:
        """The skills that have an adapter."""
        return self.model.manifests

    def dialect(self, skill: str) -> Dialect:
        """The dialect that a skill is asked in."""
        return self.model.dialect(skill)

    def ask(self, skill: str, query: Query, seed: int | None = None) -> Asked:
        """One question to the model in the skill's dialect: prompt, text, and what the text says."""
        query = told_slices(query, self.stack)
        safe = self.model.processor.harmless_query(query)
        prompt = fill(self.model.templates(skill), safe, self.stored_to_input)
        inputs = self.model.processor.encode(shown(self.view, self.stack), prompt)
        limit = most_new_tokens(query.task)
        network = self.model.network
        with seen_once(network, self._kept, sight_key(network, skill)):
            written = self.model.write(skill, inputs, limit, seed, self._prefix)
        parsed = self.dialect(skill).parse(query, written.text, self.stored_to_input)
        return Asked(written.text, parsed, written.confidence)

    def perform(self, skill: str, args: BaseModel) -> BaseModel:
        """Perform one skill, with its adapter or by a prompt alone."""
        return perform(self, skill, args)

    def zoom(self, box_xyxy_px: Sequence[float]) -> HubSession:
        """A session on a crop (stored pixels) of the same image."""
        view = view_of(self.image, None, box_xyxy_px)
        return HubSession(self.model, self.image, view.window_xyxy_px)
