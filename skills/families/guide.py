"""What a model of the hub cannot be relied on for: the typed reading of a question, and what kind of image this is.

Both are the embedded model's: its reading is trained for the typed intents of the controller, and its evidence of the
kind of image is calibrated on held-out images; a hub model has neither, and one that guesses would open the gate that
keeps foreign images out.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache, cached_property

from pydantic import BaseModel

from fiducial.skills.base import DomainEvidence, Model, Session
from fiducial.tools.images.image import Image


@cache
def _embedded() -> Model:
    from fiducial.skills.load import load_model

    return load_model()


class Guide:
    """Reads questions and knows kinds of images, for one image. model: None for the embedded one, loaded when asked."""

    def __init__(self, image: Image, model: Model | None = None) -> None:
        self.image, self.model = image, model

    @cached_property
    def _session(self) -> Session:
        return (self.model or _embedded()).open(self.image)

    @property
    def domain(self) -> DomainEvidence:
        """What kind of image this is, and how typical of its kind."""
        return replace(self._session.domain, own=False)

    def understand(self, args: BaseModel) -> BaseModel:
        """The typed intent of a question."""
        return self._session.perform("understand", args)
