"""What a skill sees: a session over one image with a loaded model, and the typed results of the built-in skills."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeGuard

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from fiducial.tools.record import Answer, Intent, Language, Region

if TYPE_CHECKING:
    from fiducial.skills.evidence import Evidence
    from fiducial.skills.stack import Stack
    from fiducial.tools.images.image import Image

TYPED_SKILLS = frozenset({"understand", "answer", "count", "detect", "point", "landmark", "explain"})
FREE_SKILLS = frozenset({"question", "classify", "report", "size"})  # of a decoder that writes any words
ALL_SKILLS = TYPED_SKILLS | FREE_SKILLS | {"segment", "detect_3d"}


@dataclass(frozen=True)
class DomainEvidence:
    """What the model makes of the image as a whole.

    kind: the most probable kind (a key of DOMAIN_NAMES, or ``other``); probabilities: of each kind;
    typicality: conformal p-value of the image among held-out images of its kind (refusing below 0.02 refuses at most
    about 2 % of images that do belong). own: whether the model that is asked judged so, and not another in its place.
    """

    kind: str
    probabilities: Mapping[str, float]
    typicality: float
    own: bool = True


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
    """A base with its adapters, loaded by a family. ``skills/load.py`` has ``load_model(base, adapters) -> Model``.

    Members that may be left out, and are asked for by the functions below alone:

    ``skills: frozenset[str]``, what it performs; without it, ``TYPED_SKILLS``. ``question`` among them says that it
    answers what is asked in free words, of any structure that a question names.
    ``question_kinds: frozenset[str]``, of a model that answers free questions about images of these kinds alone.
    ``evidence: Mapping[str, Evidence]``, by skill, what its answers are worth beside a guess, where it was measured.
    ``open_volume(stack: Stack) -> Session``, a session on a whole volume, whose ``detect_3d`` finds boxes in it.
    """

    @property
    def name(self) -> str:
        """What was loaded, for the record: family, base, revision."""

    def open(self, image: Image) -> Session:
        """A session on one image; nothing is encoded before the first skill that looks at it."""


class VolumeModel(Model, Protocol):
    """A model that takes a whole volume, as some of its slices."""

    def open_volume(self, stack: Stack) -> Session:
        """A session on a volume; regions come back as ``box_3d``, in voxels of the stack's plane."""


def skills_of(model: Model) -> frozenset[str]:
    """The skills that a model performs."""
    found: frozenset[str] = getattr(model, "skills", TYPED_SKILLS)
    return found


def opens_volumes(model: Model) -> TypeGuard[VolumeModel]:
    """Whether a question may be put to the model about a whole volume."""
    return "detect_3d" in skills_of(model) and hasattr(model, "open_volume")


def question_kinds_of(model: Model) -> frozenset[str] | None:
    """The kinds of image of which a model answers questions in free words; None for one that answers them of any."""
    if "question" not in skills_of(model):
        return frozenset()
    kinds: frozenset[str] | None = getattr(model, "question_kinds", None)
    return kinds


def evidence_of(model: Model, skill: str) -> Evidence | None:
    """What a model's answers by a skill are worth beside a guess; None where that was not measured."""
    found: Mapping[str, Evidence] = getattr(model, "evidence", {})
    return found.get(skill)


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
    unread: tuple[str, ...] = Field(default=(), description="Words of the question that the model cannot read")


class Spoken(_Typed):
    """Arguments of every skill that is asked in words."""

    language: Language = Field(default="en", description="The language to ask in, that of the question: en or zh")


class SubjectArgs(Spoken):
    """Arguments of the skills that look for a structure."""

    structure: str = Field(
        description="Key of an elementary structure (platelet, head); words as typed, for a base that takes any"
    )


class AnswerArgs(Spoken):
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


class LandmarkArgs(FindArgs):
    """Arguments of ``landmark``."""

    names: list[str] = Field(
        default_factory=list, description="Names of the landmarks to find, each once; empty for the structure's own"
    )


class FindResult(_Typed):
    """Result of the skills that find regions. Region ids are local to the result (R1, R2, …).

    ``detect`` gives boxes, ``point`` points, ``segment`` polygons, ``landmark`` named points (of a head, its ellipse
    too), ``detect_3d`` boxes in a volume.
    """

    regions: list[Region] = Field(description="What was found, in stored pixels of the input image, best first")
    confidence: float = Field(
        description="Mean probability of the regions, or that there is none", json_schema_extra=_P
    )
    parsed: bool = Field(description="Whether the model's text was well-formed")
    text: str = Field(description="The model's own text")
    expected_count: float | None = Field(
        default=None, ge=0, description="Expected number: the sum of the probabilities of all candidates, named or not"
    )


class ExplainArgs(Spoken):
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


class QuestionArgs(Spoken):
    """Arguments of ``question``."""

    question: str = Field(description="The question as typed, about the image")
    options: list[str] = Field(default_factory=list, description="What it can be answered with; empty for free text")


class QuestionResult(_Typed):
    """Result of ``question``."""

    value: str | None = Field(description="The answer: text, or the one of the options; None if unparsed")
    confidence: float = Field(description="Geometric mean of the tokens' probabilities", json_schema_extra=_P)
    parsed: bool = Field(description="Whether the model's text was an answer, and one of the options if there are any")
    text: str = Field(description="The model's own text")


class ClassifyArgs(Spoken):
    """Arguments of ``classify``."""

    options: list[str] = Field(min_length=2, description="The classes to choose from, in words")
    question: str | None = Field(default=None, description="What is asked; None for: what is shown in this image?")


class ClassifyResult(_Typed):
    """Result of ``classify``."""

    choice: str | None = Field(description="The class chosen, as in the options; None if unparsed")
    confidence: float = Field(description="Probability of the class as generated", json_schema_extra=_P)
    probabilities: dict[str, float] = Field(
        default_factory=dict, description="Of each class, where the model gives them", json_schema_extra=_P
    )
    parsed: bool = Field(description="Whether the model's text named one class")
    text: str = Field(description="The model's own text")


class ReportArgs(Spoken):
    """Arguments of ``report``."""


class ReportResult(_Typed):
    """Result of ``report``."""

    report: str = Field(description="Text of the report; empty if the model wrote none")
    confidence: float = Field(description="Geometric mean of the tokens' probabilities", json_schema_extra=_P)
    parsed: bool = Field(description="Whether there is a report")
    text: str = Field(description="The model's own text")


class SizeArgs(SubjectArgs):
    """Arguments of ``size``: the numbers that the model itself would state."""

    of: Literal["size", "distance", "angle"] = Field(default="size", description="What kind of number is asked for")
    quantities: list[str] = Field(min_length=1, description="Names of the numbers, in order (long axis, short axis)")
    unit: Literal["mm", "cm", "px", "deg", "1"] = Field(description="The unit that the numbers are asked for in")
    landmarks: list[str] = Field(default_factory=list, description="Names of the landmarks it is taken between")


class StatedNumber(_Typed):
    """A number as a model states it."""

    name: str = Field(description="Name of the number")
    value: float = Field(
        description="The number", allow_inf_nan=False, json_schema_extra={"unit": "that of the field unit"}
    )
    unit: str = Field(description="Its unit: mm, cm, px, mm², px², deg or 1")


class SizeResult(_Typed):
    """Result of ``size``: a claim, to be held against the geometry, and no measurement by itself."""

    numbers: list[StatedNumber] = Field(description="The numbers stated, as many as were asked for; empty if unparsed")
    confidence: float = Field(description="Geometric mean of the tokens' probabilities", json_schema_extra=_P)
    parsed: bool = Field(description="Whether every number that was asked for could be read")
    text: str = Field(description="The model's own text")
