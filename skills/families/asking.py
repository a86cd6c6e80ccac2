"""The built-in skills by way of a dialect: typed arguments to a query, what the model says to a typed result.

Finding is here; what is answered in words is in ``asking_words``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from pydantic import BaseModel

from fiducial.skills.base import CountResult, FindArgs, FindResult, LandmarkArgs, SubjectArgs
from fiducial.skills.families.dialects import Dialect, Parsed
from fiducial.skills.families.guide import Guide
from fiducial.skills.landmarks import HEAD_LANDMARKS, regions_of_head
from fiducial.skills.targets import (
    CountTarget,
    LandmarksTarget,
    PromptTask,
    Query,
)
from fiducial.tools.errors import InputError
from fiducial.tools.frames import FrameMap2D
from fiducial.tools.geometry.ellipses import ellipse_from_axes
from fiducial.tools.record import GEOMETRY_OF_KIND, Ellipse, PointXY, Region, Scale
from fiducial.tools.words import name_of

FoundKind = Literal["box", "point", "polygon", "box_3d"]


@dataclass(frozen=True)
class Asked:
    """What a model wrote, what that says, and the confidence in it, 0 to 1."""

    text: str
    parsed: Parsed
    confidence: float


class Asker(Protocol):
    """A session whose model is asked in a dialect."""

    guide: Guide

    @property
    def stored_to_input(self) -> FrameMap2D:
        """From stored pixels to the model's input."""

    @property
    def scale(self) -> Scale | None:
        """Of the stored pixels, for prompts that state it."""

    @property
    def adapters(self) -> Collection[str]:
        """The skills that have an adapter of their own."""

    def dialect(self, skill: str) -> Dialect:
        """The dialect that a skill is asked in."""

    def ask(self, skill: str, query: Query, seed: int | None = None) -> Asked:
        """One question to the model."""


def perform(session: Asker, skill: str, args: Any) -> BaseModel:
    """Perform one of the built-in skills. InputError for one that is none of them."""
    from fiducial.skills.families.asking_words import IN_WORDS

    if skill == "understand":
        return session.guide.understand(args)
    known = FINDING | IN_WORDS
    if skill not in known:
        raise InputError(f"a model of this family has no skill '{skill}'; it has: {', '.join(sorted(known))}")
    return known[skill](session, args)


def serving(session: Asker, *skills: str) -> str:
    """The first of these skills that has an adapter of its own; without any, the first."""
    return next((skill for skill in skills if skill in session.adapters), skills[0])


def label_of(args: SubjectArgs) -> str:
    """What is looked for, in the words of the question's language."""
    return name_of(args.structure, 1, args.language)


def count(session: Asker, args: SubjectArgs) -> CountResult:
    """How many."""
    asked = session.ask("count", Query(task="count", label=label_of(args), language=args.language))
    target = asked.parsed.target
    number = target.count if isinstance(target, CountTarget) else None
    return CountResult(count=number, confidence=asked.confidence, parsed=number is not None, text=asked.text)


# Of each prompt task that finds objects: the list in its target, and the kind of region that an item becomes.
LISTED: dict[PromptTask, tuple[str, FoundKind]] = {
    "detect": ("boxes", "box"),
    "point": ("points", "point"),
    "segment": ("polygons", "polygon"),
    "detect_3d": ("boxes", "box_3d"),  # in a volume: of its slices, which the session shows, and tells which they are
}


def finding(task: PromptTask) -> Callable[[Asker, FindArgs], FindResult]:
    """The skill of that name: all instances of a structure."""
    items, kind = LISTED[task]

    def find(session: Asker, args: FindArgs) -> FindResult:
        asked = session.ask(task, Query(task=task, label=label_of(args), language=args.language))
        target = asked.parsed.target
        found = () if target is None else getattr(target, items)
        return _found(session, task, args, asked, kind, [getattr(item, GEOMETRY_OF_KIND[kind]) for item in found])

    return find


def landmark(session: Asker, args: LandmarkArgs) -> FindResult:
    """Named landmarks, each asked for by itself; without names the ends of the head's axes, and their ellipse."""
    if args.names:
        return _named(session, args)
    asked = session.ask("landmark", Query(task="landmark", label=", ".join(HEAD_LANDMARKS), language=args.language))
    target = asked.parsed.target
    named = {m.label: m.point_xy_px for m in target.landmarks} if isinstance(target, LandmarksTarget) else {}
    regions: list[Region] = []
    ellipse = ellipse_of_ends([named[name] for name in HEAD_LANDMARKS]) if set(HEAD_LANDMARKS) <= set(named) else None
    if ellipse is not None and args.structure == "head":
        regions = regions_of_head(ellipse, asked.confidence, sigma_px=sigma_px(session, "landmark"))
    parsed = asked.parsed.complete and (ellipse is not None or not named)
    return FindResult(regions=regions, confidence=asked.confidence, parsed=parsed, text=asked.text)


def _named(session: Asker, args: LandmarkArgs) -> FindResult:
    """One question a name, as the families are trained; of several points that are written for one, none is it."""
    regions: list[Region] = []
    texts, confidences, parsed = [], [], True
    step = sigma_px(session, "landmark")
    for name in dict.fromkeys(args.names):
        asked = session.ask("landmark", Query(task="landmark", label=name, language=args.language))
        target = asked.parsed.target
        found = target.landmarks if isinstance(target, LandmarksTarget) else ()
        texts.append(asked.text)
        confidences.append(asked.confidence)
        parsed &= asked.parsed.complete and len(found) == 1
        if len(found) == 1:
            given = {"label": name, "score": asked.confidence, "sigma_px": step, "skill": "landmark"}
            place = {"id": f"R{len(regions) + 1}", "kind": "landmark", "point_xy_px": found[0].point_xy_px}
            regions.append(Region.model_validate(given | place))
    return FindResult(regions=regions, confidence=min(confidences), parsed=parsed, text="\n".join(texts))


def sigma_px(session: Asker, skill: str) -> float:
    """One standard deviation of a coordinate that is written in steps: of a uniform error of half a step."""
    return max(session.dialect(skill).grid.half_step_px(session.stored_to_input)) / math.sqrt(3)


def ellipse_of_ends(ends: Sequence[PointXY]) -> Ellipse | None:
    """``ellipse_from_axes`` of the two ends of each axis; None where a model wrote one that has no length."""
    try:
        return ellipse_from_axes(ends[:2], ends[2:])
    except ValueError:
        return None


def _found(
    session: Asker,
    skill: str,
    args: FindArgs,
    asked: Asked,
    kind: FoundKind,
    places: Sequence[tuple[Any, ...]],
) -> FindResult:
    """Regions in the order of the text; where a number was asked for, no more than that."""
    field = GEOMETRY_OF_KIND[kind]
    common = {"label": args.structure, "kind": kind, "score": asked.confidence, "skill": skill}
    step = sigma_px(session, skill)
    regions = [
        Region.model_validate({"id": f"R{i + 1}", field: place, "sigma_px": step, **common})
        for i, place in enumerate(places[: args.exactly_count])
    ]
    return FindResult(regions=regions, confidence=asked.confidence, parsed=asked.parsed.complete, text=asked.text)


FINDING: dict[str, Callable[[Any, Any], BaseModel]] = {
    **{task: finding(task) for task in LISTED},
    "count": count,
    "landmark": landmark,
}
