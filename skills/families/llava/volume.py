"""A session over a whole volume: the tower looks at every slice shown; what it finds is linked from slice to slice."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from pydantic import BaseModel

from fiducial.skills.base import (
    AnswerArgs,
    AnswerResult,
    CountResult,
    DomainEvidence,
    FindArgs,
    FindResult,
    SubjectArgs,
)
from fiducial.skills.families.llava.link import Candidate, Linked, link
from fiducial.skills.families.llava.session import LlavaSession
from fiducial.tools.errors import InputError
from fiducial.tools.record import Region

if TYPE_CHECKING:
    from fiducial.skills.families.llava.family import LlavaModel
    from fiducial.skills.stack import Stack

FOUND = 0.4  # the tower's score from which an object's best section counts
SEEN = 0.1  # the least score of a candidate


class VolumeSession:
    """See the module's docstring. What is asked of the whole image is asked of the middle slice."""

    def __init__(self, model: LlavaModel, stack: Stack) -> None:
        self.model, self.stack = model, stack
        self._found: dict[str, list[Linked]] = {}

    @cached_property
    def slices(self) -> tuple[LlavaSession, ...]:
        """A session on each slice, encoded when it is first looked at."""
        return tuple(self.model.open(image) for image in self.stack.slices)

    @property
    def middle(self) -> LlavaSession:
        """The session on the slice that stands for the volume."""
        return self.slices[len(self.slices) // 2]

    @property
    def domain(self) -> DomainEvidence:
        """What kind of image the middle slice is."""
        return self.middle.domain

    def perform(self, skill: str, args: BaseModel) -> BaseModel:
        """Presence, number and places in the volume; everything else as on one image."""
        if skill == "detect_3d" and isinstance(args, FindArgs):
            return self.detect_3d(args)
        if skill == "count" and isinstance(args, SubjectArgs):
            found = self.linked(args.structure)
            return CountResult(count=len(found), confidence=_sure(found), parsed=True, text=str(len(found)))
        if skill == "answer" and isinstance(args, AnswerArgs) and args.intent.structure is not None:
            found = self.linked(args.intent.structure)
            return AnswerResult(value=bool(found), confidence=_sure(found), parsed=True, text="")
        return self.middle.perform(skill, args)

    def zoom(self, box_xyxy_px: Sequence[float]) -> LlavaSession:
        """A volume has no crop."""
        raise InputError("a whole volume cannot be zoomed into; ask about one slice with --slice")

    def linked(self, structure: str) -> list[Linked]:
        """The objects of a structure, best first."""
        if structure not in self._found:
            candidates = [c for session in self.slices for c in candidates_of(session, structure)]
            self._found[structure] = link(candidates, self.stack.indices, FOUND)
        return self._found[structure]

    def detect_3d(self, args: FindArgs) -> FindResult:
        """Boxes in the volume, in voxels of its plane and in the world."""
        found = self.linked(args.structure)
        if args.exactly_count is not None:
            found = found[: args.exactly_count]
        regions = [
            Region(
                id=f"R{n}",
                label=args.structure,
                kind="box_3d",
                box_xyzxyz_voxel=each.box_xyzxyz_voxel,
                box_xyzxyz_mm=self.stack.box_xyzxyz_mm(each.box_xyzxyz_voxel),
                score=each.score,
                skill="detect_3d",
            )
            for n, each in enumerate(found, 1)
        ]
        return FindResult(regions=regions, confidence=_sure(found), parsed=True, text="")


def candidates_of(session: LlavaSession, structure: str) -> list[Candidate]:
    """What the tower proposes on one slice for a structure. Raises InputError for one that it does not know."""
    labels = session.model.tower.config.labels
    if structure not in labels:
        raise InputError(f"this model knows no structure '{structure}'; it knows: {', '.join(labels)}")
    column, proposals = labels.index(structure), session.proposals
    boxes = session.stored_to_input.inverse().boxes_xyxy(proposals.box_xyxy_px[0].double().numpy())
    scores = proposals.label_scores[0, :, column].tolist()
    own = (proposals.label_scores[0].argmax(-1) == column).tolist()
    seen = [k for k, score in enumerate(scores) if own[k] and score >= SEEN]
    index = session.image.slice_index
    return [Candidate(index, tuple(float(v) for v in boxes[k]), scores[k]) for k in seen]  # type: ignore[arg-type]


def _sure(found: Sequence[Linked]) -> float:
    """The probability of the best; that there is none is not known better than the threshold."""
    return max((each.score for each in found), default=1 - FOUND)
