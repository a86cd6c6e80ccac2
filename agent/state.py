"""What the graph carries between nodes: the record and notes as plain JSON data, never pixels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from pydantic import Field

from fiducial.agent.policy import Policy
from fiducial.skills.base import Model, Session, opens_volumes, question_kinds_of, skills_of
from fiducial.tools.hooks import Registry
from fiducial.tools.record import Part, Quantity, Record
from fiducial.tools.structures import members, structures

if TYPE_CHECKING:
    from fiducial.skills.stack import Stack
    from fiducial.tools.images.image import Image


class Downgrade(Part):
    """A reason collected on the way: the verdict is the most severe of them."""

    status: Literal["partial", "abstained"]
    code: str
    detail: str


class Claim(Part):
    """What is claimed of one elementary structure before anything is pointed at; None where nothing could be read."""

    present: bool | None = None
    count: int | None = None


class Stated(Part):
    """A number as the model states it: a claim. unit: mm, cm, px, mm², px², deg or 1."""

    name: str
    value: float
    unit: str


class Notes(Part):
    """What nodes tell later nodes beside the record.

    quantities: what to measure; claims: by elementary structure; spread: the lowest and highest reading of a count
    that was settled; looked_for: whether what a free answer is about was looked for, and what was written of it read.
    """

    quantities: tuple[Quantity, ...] = ()
    claims: dict[str, Claim] = Field(default_factory=dict)
    spread: dict[str, tuple[int, int]] = Field(default_factory=dict)
    looked_for: bool = False
    downgrades: tuple[Downgrade, ...] = ()


class RunState(TypedDict):
    """The graph's state. ``record`` and ``notes`` are ``Record`` and ``Notes`` as JSON data."""

    record: dict[str, Any]
    notes: dict[str, Any]


@dataclass
class RunContext:
    """What a run uses but never checkpoints: the model, the image's pixels, the registry and the policy.

    A resumed run makes a new one from the paths and hashes in its record. stack: of a question about a whole volume,
    its slices, of which ``image`` is the middle one.
    """

    model: Model
    image: Image
    registry: Registry
    policy: Policy
    stack: Stack | None = None

    @cached_property
    def session(self) -> Session:
        """The one session of the run: the image is encoded in it once, whatever the number of skills."""
        if self.stack is not None and opens_volumes(self.model):
            return self.model.open_volume(self.stack)
        return self.model.open(self.image)

    @cached_property
    def skills(self) -> frozenset[str]:
        """What the model performs."""
        return skills_of(self.model)

    @cached_property
    def question_kinds(self) -> frozenset[str] | None:
        """The kinds of image of which the model answers questions in free words; None: of any."""
        return question_kinds_of(self.model)

    @cached_property
    def structures(self) -> tuple[str, ...]:
        """Keys of the structures of the table that the model knows; all of them where it does not say."""
        known = getattr(self.model, "structures", None)
        return tuple(key for key in structures() if known is None or {*members(key)} <= known)

    def placed(self, record: Record) -> Record:
        """The record with the place in the world of each region, where its image lies in one."""
        from fiducial.tools.images.world import placed

        if self.stack is None:
            return placed(record, self.image)
        return record.model_copy(update={"regions": tuple(map(self.stack.placed, record.regions))})
