"""The built-in skills by way of a dialect: typed arguments to a query, what the model says to a typed result."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from pydantic import BaseModel

from fiducial.skills.base import (
    AnswerArgs,
    AnswerResult,
    CountResult,
    ExplainArgs,
    ExplainResult,
    FindArgs,
    FindResult,
    SubjectArgs,
)
from fiducial.skills.families.dialects import Dialect, Parsed
from fiducial.skills.families.guide import Guide
from fiducial.skills.landmarks import HEAD_LANDMARKS, regions_of_head
from fiducial.skills.targets import (
    BoxesTarget,
    ChoiceTarget,
    CountTarget,
    LandmarksTarget,
    PointsTarget,
    Query,
    TextTarget,
)
from fiducial.tools.errors import InputError
from fiducial.tools.frames import FrameMap2D
from fiducial.tools.positions import place_of
from fiducial.tools.record import Ellipse, PointXY, Region
from fiducial.tools.structures import DOMAIN_NAMES, structures

REGION_ID = re.compile(r"R\d+")
OTHER_KIND = "something else"


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

    def dialect(self, skill: str) -> Dialect:
        """The dialect that a skill is asked in."""

    def ask(self, skill: str, query: Query, seed: int | None = None) -> Asked:
        """One question to the model."""


def perform(session: Asker, skill: str, args: Any) -> BaseModel:
    """Perform one of the built-in skills. InputError for one that is none of them."""
    if skill == "understand":
        return session.guide.understand(args)
    if skill not in _PERFORM:
        raise InputError(f"a model of this family has no skill '{skill}'; it has: {', '.join(sorted(_PERFORM))}")
    return _PERFORM[skill](session, args)


def answer(session: Asker, args: AnswerArgs) -> AnswerResult:
    """Presence of a structure, or the kind of image: one choice among the words for them."""
    structure = args.intent.structure
    if args.intent.task == "kind" or structure is None:
        names = {name: key for key, name in DOMAIN_NAMES.items()} | {OTHER_KIND: "other"}
        asked = session.ask(
            "answer", Query(task="choose", question="What is shown in this image?", options=tuple(names))
        )
        chosen: bool | str | None = names.get(_choice(asked))
    else:
        question = f"Is there any {structures()[structure].name} in this image?"
        asked = session.ask("answer", Query(task="choose", question=question, options=("yes", "no")))
        chosen = {"yes": True, "no": False}.get(_choice(asked))
    return AnswerResult(value=chosen, confidence=asked.confidence, parsed=chosen is not None, text=asked.text)


def count(session: Asker, args: SubjectArgs) -> CountResult:
    """How many."""
    asked = session.ask("count", Query(task="count", label=structures()[args.structure].name))
    target = asked.parsed.target
    number = target.count if isinstance(target, CountTarget) else None
    return CountResult(count=number, confidence=asked.confidence, parsed=number is not None, text=asked.text)


def detect(session: Asker, args: FindArgs) -> FindResult:
    """Boxes."""
    asked = session.ask("detect", Query(task="detect", label=structures()[args.structure].name))
    target = asked.parsed.target
    boxes = [b.box_xyxy_px for b in target.boxes] if isinstance(target, BoxesTarget) else []
    return _found(session, "detect", args, asked, "box", boxes)


def point(session: Asker, args: FindArgs) -> FindResult:
    """Points."""
    asked = session.ask("point", Query(task="point", label=structures()[args.structure].name))
    target = asked.parsed.target
    points = [p.point_xy_px for p in target.points] if isinstance(target, PointsTarget) else []
    return _found(session, "point", args, asked, "point", points)


def landmark(session: Asker, args: FindArgs) -> FindResult:
    """The ends of the head's two axes, and the ellipse that they span."""
    asked = session.ask("landmark", Query(task="landmark", label=", ".join(HEAD_LANDMARKS)))
    target = asked.parsed.target
    named = {m.label: m.point_xy_px for m in target.landmarks} if isinstance(target, LandmarksTarget) else {}
    regions: list[Region] = []
    ellipse = ellipse_of_ends([named[name] for name in HEAD_LANDMARKS]) if set(HEAD_LANDMARKS) <= set(named) else None
    if ellipse is not None and args.structure == "head":
        regions = regions_of_head(ellipse, asked.confidence, sigma_px=sigma_px(session, "landmark"))
    parsed = asked.parsed.complete and (ellipse is not None or not named)
    return FindResult(regions=regions, confidence=asked.confidence, parsed=parsed, text=asked.text)


def explain(session: Asker, args: ExplainArgs) -> ExplainResult:
    """Text that cites regions, from the record so far; later attempts sample."""
    size = args.width_px, args.height_px, args.orientation
    seen = "; ".join(f"{r.id}, {structures()[r.label].name}, {place_of(r, *size)}" for r in args.regions if _known(r))
    question = (
        f"The answer to a question about an image is: {args.answer.text} It rests on these regions:"
        f" {seen or 'none'}. Say in one or two sentences why the answer holds, and name the regions by their ids."
    )
    asked = session.ask(
        "explain", Query(task="explain", question=question), None if args.attempt == 1 else args.attempt
    )
    text = asked.parsed.target.text if isinstance(asked.parsed.target, TextTarget) else asked.text
    cited = list(dict.fromkeys(REGION_ID.findall(text)))
    return ExplainResult(text=text, region_ids=cited, confidence=asked.confidence)


def sigma_px(session: Asker, skill: str) -> float:
    """One standard deviation of a coordinate that is written in steps: of a uniform error of half a step."""
    return max(session.dialect(skill).grid.half_step_px(session.stored_to_input)) / math.sqrt(3)


def ellipse_of_ends(ends: Sequence[PointXY]) -> Ellipse | None:
    """The ellipse of the ends of its major and its minor axis, in that order; None where they span none.

    The axes need not meet at right angles in what a model writes: the major axis gives the angle, the minor its length.
    """
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = ends
    major, minor = math.hypot(bx - ax, by - ay) / 2, math.hypot(dx - cx, dy - cy) / 2
    if not (major > 0 and minor > 0):
        return None
    center = ((ax + bx + cx + dx) / 4, (ay + by + cy + dy) / 4)
    angle_deg = math.degrees(math.atan2(by - ay, bx - ax)) % 180
    return Ellipse(center_xy_px=center, semi_major_px=major, semi_minor_px=minor, angle_deg=angle_deg)


def _found(
    session: Asker,
    skill: str,
    args: FindArgs,
    asked: Asked,
    kind: Literal["box", "point"],
    places: Sequence[tuple[float, ...]],
) -> FindResult:
    """Regions in the order of the text; where a number was asked for, no more than that."""
    field = {"box": "box_xyxy_px", "point": "point_xy_px"}[kind]
    common = {"label": args.structure, "kind": kind, "score": asked.confidence, "skill": skill}
    step = sigma_px(session, skill)
    regions = [
        Region.model_validate({"id": f"R{i + 1}", field: place, "sigma_px": step, **common})
        for i, place in enumerate(places[: args.exactly_count])
    ]
    return FindResult(regions=regions, confidence=asked.confidence, parsed=asked.parsed.complete, text=asked.text)


def _choice(asked: Asked) -> str:
    target = asked.parsed.target
    return target.choice if isinstance(target, ChoiceTarget) else ""


def _known(region: Region) -> bool:
    return region.label in structures() and region.parent_id is None


_PERFORM: dict[str, Callable[[Any, Any], BaseModel]] = {
    "answer": answer,
    "count": count,
    "detect": detect,
    "point": point,
    "landmark": landmark,
    "explain": explain,
}
