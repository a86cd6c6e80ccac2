"""The ``recording`` family: replays skill outputs that were made elsewhere, from one JSON file given as ``--base``.

    {"name": "reader A",
     "domain": {"kind": "blood_smear", "probabilities": {"blood_smear": 0.99}, "typicality": 0.6},
     "results": {"understand": [{...}], "count": [{...}], "count:red_cell": [{...}], "detect": [{...}, {...}]},
     "zoomed": {"detect": [{...}]}}

Each list holds results of that skill in the order of the calls; the last one repeats. ``skill:structure`` is looked
up before ``skill``. ``zoomed`` holds the results on crops. A result ``{"transient_error": "why"}`` raises, and the
controller tries again. A recording with results of ``question`` answers in free words (with ``question_kinds``, about
images of these kinds alone; with ``evidence``, by skill, held to what its answers are worth), one with results of
``detect_3d`` takes whole volumes. Use it to run the chain on the output of another program, or of a person.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fiducial.skills.base import TYPED_SKILLS, DomainEvidence
from fiducial.skills.evidence import Evidence
from fiducial.tools.errors import InputError, TransientError
from fiducial.tools.hooks import FamilySpec, first_problem, registry

if TYPE_CHECKING:
    from fiducial.skills.stack import Stack
    from fiducial.tools.images.image import Image

MAX_BYTES = 64 * 1024 * 1024


class RecordedDomain(BaseModel):
    """What the image is as a whole; see ``DomainEvidence``."""

    model_config = ConfigDict(extra="forbid")

    kind: str
    probabilities: dict[str, float] = Field(default_factory=dict)
    typicality: float = 1.0


class RecordingFile(BaseModel):
    """The JSON document of a recording."""

    model_config = ConfigDict(extra="forbid")

    name: str = "recording"
    domain: RecordedDomain
    results: dict[str, list[dict[str, Any]]]
    zoomed: dict[str, list[dict[str, Any]]] = Field(default_factory=dict)
    question_kinds: frozenset[str] | None = None
    evidence: dict[str, Evidence] = Field(default_factory=dict)


@dataclass
class RecordingSession:
    """Replays ``results`` in order; ``zoom`` gives a session on the ``zoomed`` results, which share their place."""

    path: Path
    recording: RecordingFile
    results: Mapping[str, list[dict[str, Any]]]
    taken: dict[str, int] = field(default_factory=dict)
    zoomed: RecordingSession | None = None

    @property
    def domain(self) -> DomainEvidence:
        """The recorded evidence of what kind of image this is."""
        domain = self.recording.domain
        return DomainEvidence(domain.kind, domain.probabilities, domain.typicality)

    def perform(self, skill: str, args: BaseModel) -> BaseModel:
        """The next recorded result of ``skill``; InputError where there is none or it does not validate."""
        structure = getattr(args, "structure", None)
        key = f"{skill}:{structure}" if f"{skill}:{structure}" in self.results else skill
        if not (rows := self.results.get(key)):
            raise InputError(f"{self.path}: the recording has no result of the skill '{skill}'; add results.{skill}")
        place = self.taken.get(key, 0)
        self.taken[key] = place + 1
        row = rows[min(place, len(rows) - 1)]
        if "transient_error" in row:
            raise TransientError(str(row["transient_error"]))
        try:
            result: BaseModel = registry().get("skills", skill).result.model_validate(row)
        except ValidationError as error:
            index = min(place, len(rows) - 1)
            raise InputError(f"{self.path}: results.{key}[{index}].{first_problem(error)}") from None
        return result

    def zoom(self, box_xyxy_px: Sequence[float]) -> RecordingSession:
        """A session on the ``zoomed`` results; their coordinates are stored pixels of the whole image already."""
        if self.zoomed is None:
            self.zoomed = RecordingSession(self.path, self.recording, self.recording.zoomed)
        return self.zoomed


@dataclass
class RecordingModel:
    """A recording as a model. ``opened`` counts the sessions, one for each run."""

    path: Path
    recording: RecordingFile
    opened: int = 0

    @property
    def name(self) -> str:
        """Family and the recording's own name."""
        return f"recording {self.recording.name}"

    @property
    def skills(self) -> frozenset[str]:
        """Those it holds results of, and the typed ones, whose absence it then tells."""
        return TYPED_SKILLS | {key.partition(":")[0] for key in self.recording.results}

    @property
    def question_kinds(self) -> frozenset[str] | None:
        """The kinds of image of which it answers questions in free words; None: of any."""
        return self.recording.question_kinds

    @property
    def evidence(self) -> Mapping[str, Evidence]:
        """What its answers are worth beside a guess, by skill."""
        return self.recording.evidence

    def open(self, image: Image) -> RecordingSession:
        """A session that starts at the first result; the image's pixels are not looked at."""
        self.opened += 1
        return RecordingSession(self.path, self.recording, self.recording.results)

    def open_volume(self, stack: Stack) -> RecordingSession:
        """As ``open``: which slices are shown makes no difference to what was recorded."""
        return self.open(stack.middle)


def load(path: Path, adapters: Path | None = None) -> RecordingModel:
    """Read and validate a recording. Raises InputError naming the file and the field."""
    if adapters is not None:
        raise InputError(f"{path}: a recording takes no adapters; leave out --adapters")
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path}: a recording may have at most {MAX_BYTES // 2**20} MiB")
        data = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_constant)
        return RecordingModel(path, RecordingFile.model_validate(data))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); give the path of a recording") from None
    except ValidationError as error:
        raise InputError(f"{path}: not a recording: {first_problem(error)}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not a recording: not valid JSON ({error})") from None


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def recognises(path: Any) -> bool:
    """A path that ends in ``.json``."""
    return Path(path).suffix.lower() == ".json"


RECORDING = FamilySpec(
    name="recording",
    description="Replays skill outputs that were made elsewhere, from a JSON file given as --base.",
    recognises=recognises,
    load=load,
)
