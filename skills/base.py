"""What a skill sees: a session over one image with a loaded model, and the typed results of the built-in skills."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from fiducial.tools.record import Answer, Intent, Region

if TYPE_CHECKING:
    from fiducial.tools.images.image import Image


@dataclass(frozen=True)
class DomainEvidence:
    """What the model makes of the image as a whole.

    kind: the most probable kind (a key of DOMAIN_NAMES, or ``other``); probabilities: of each kind;
    typicality: conformal p-value of the image among held-out images of its kind (refusing below 0.02 refuses at most
    about 2 % of images that do belong).
    """

    kind: str
    probabilities: Mapping[str, float]
    typicality: float


class Session(Protocol):
    """A loaded model and one image that is encoded once, whatever the number of skills that are performed on it."""

    @property
    def domain(self) -> DomainEvidence:
        """Evidence of what kind of image this is."""

    def perform(self, skill: str, args: BaseModel) -> BaseModel:
        """Perform one skill: render its prompt in the family's dialect, generate with its adapter, parse the text.

        Raises TransientError where another attempt may help, InputError for a skill that the model does not have.
        """

    def zoom(self, box_xyxy_px: Sequence[float]) -> Session:
        """A session on a crop of the same image; regions found there come back in stored pixels of the whole image."""


class Model(Protocol):
    """A base with its adapters, loaded by a family. ``skills/load.py`` has ``load_model(base, adapters) -> Model``."""

    @property
    def name(self) -> str:
        """What was loaded, for the record: family, base, revision."""

    def open(self, image: Image) -> Session:
        """A session on one image; nothing is encoded before the first skill that looks at it."""


class _Typed(BaseModel):
    model_config = ConfigDict(extra="forbid")


_P: JsonDict = {"unit": "probability"}


class UnderstandArgs(_Typed):
    """Arguments of ``understand``."""

    question: str = Field(description="The user's question, as typed")


class UnderstandResult(_Typed):
    """Result of ``understand``."""

    intent: Intent = Field(description="What is asked, of which structure")
    confidence: float = Field(description="Probability of the intent as generated", json_schema_extra=_P)
    parsed: bool = Field(description="Whether the model's text was a well-formed intent")
    text: str = Field(description="The model's own text")


class SubjectArgs(_Typed):
    """Arguments of the skills that look for a structure."""

    structure: str = Field(description="Key of an elementary structure (red_cell, white_cell, platelet, head)")


class AnswerArgs(_Typed):
    """Arguments of ``answer``."""

    intent: Intent = Field(description="The typed question: presence of a structure, or the kind of the image")


class AnswerResult(_Typed):
    """Result of ``answer``: presence as a bool, kind as a key of DOMAIN_NAMES or ``other``."""

    value: bool | str | None = Field(description="True or False for presence; the kind of image; None if unparsed")
    confidence: float = Field(description="Probability of the value", json_schema_extra=_P)
    parsed: bool = Field(description="Whether the model's text was well-formed")
    text: str = Field(description="The model's own text")


class CountResult(_Typed):
    """Result of ``count``."""

    count: int | None = Field(description="Number of instances; None if unparsed")
    confidence: float = Field(description="Probability of the count", json_schema_extra=_P)
    parsed: bool = Field(description="Whether the model's text was well-formed")
    text: str = Field(description="The model's own text")


class FindArgs(SubjectArgs):
    """Arguments of ``detect`` and ``point``."""

    exactly_count: int | None = Field(
        default=None, ge=0, description="Constrain decoding to exactly this many regions, the most probable ones"
    )


class FindResult(_Typed):
    """Result of ``detect``, ``point`` and ``landmark``. Region ids are local to the result (R1, R2, …)."""

    regions: list[Region] = Field(description="What was found, in stored pixels of the input image, best first")
    confidence: float = Field(
        description="Mean probability of the regions, or that there is none", json_schema_extra=_P
    )
    parsed: bool = Field(description="Whether the model's text was well-formed")
    text: str = Field(description="The model's own text")
    expected_count: float | None = Field(
        default=None, ge=0, description="Expected number: the sum of the probabilities of all candidates, named or not"
    )


class ExplainArgs(_Typed):
    """Arguments of ``explain``: the record so far."""

    intent: Intent = Field(description="What was asked")
    answer: Answer = Field(description="The answer to explain")
    regions: list[Region] = Field(description="The accepted regions it rests on, with their ids in the record")
    width_px: int = Field(description="Width of the stored pixels, for words such as upper left")
    height_px: int = Field(description="Height of the stored pixels")
    orientation: int = Field(default=1, ge=1, le=8, description="EXIF orientation in which the image is displayed")
    attempt: int = Field(default=1, description="1 decodes freely, 2 held to the record, later ones also sample")


class ExplainResult(_Typed):
    """Result of ``explain``."""

    text: str = Field(description="The explanation, citing regions by id (R1, R2, …)")
    region_ids: list[str] = Field(description="The region ids that the text cites, in order of first citation")
    confidence: float = Field(description="Mean token probability", json_schema_extra=_P)
