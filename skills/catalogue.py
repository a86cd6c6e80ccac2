"""The built-in skills. A skill is a typed task; how it is performed is the family's affair."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel

from fiducial.skills.base import (
    AnswerArgs,
    AnswerResult,
    ClassifyArgs,
    ClassifyResult,
    CountResult,
    ExplainArgs,
    ExplainResult,
    FindArgs,
    FindResult,
    LandmarkArgs,
    QuestionArgs,
    QuestionResult,
    ReportArgs,
    ReportResult,
    Session,
    SizeArgs,
    SizeResult,
    SubjectArgs,
    UnderstandArgs,
    UnderstandResult,
)
from fiducial.tools.hooks import SkillSpec


def _performed(name: str) -> Callable[[Session, Any], BaseModel]:
    return lambda session, args: session.perform(name, args)


def _skill(name: str, description: str, args: type[BaseModel], result: type[BaseModel]) -> SkillSpec:
    return SkillSpec(name, description, args, result, _performed(name))


SKILLS = (
    _skill("understand", "What a question asks, of which structure: a typed intent", UnderstandArgs, UnderstandResult),
    _skill("answer", "Whether a structure is there; what kind of image this is", AnswerArgs, AnswerResult),
    _skill("count", "How many of a structure there are", SubjectArgs, CountResult),
    _skill("detect", "Where a structure's instances are, as boxes", FindArgs, FindResult),
    _skill("point", "Where a structure's instances are, as points", FindArgs, FindResult),
    _skill("segment", "Where a structure's instances are, as polygons", FindArgs, FindResult),
    _skill("detect_3d", "Where a structure's instances are in a volume, as boxes", FindArgs, FindResult),
    _skill("landmark", "Named landmarks; of a head, its ellipse and the ends of its axes", LandmarkArgs, FindResult),
    _skill("size", "Sizes, distances or angles as the model states them: claims to be checked", SizeArgs, SizeResult),
    _skill("classify", "Which of some classes an image is of", ClassifyArgs, ClassifyResult),
    _skill("question", "An answer to any question: free text, or one of its options", QuestionArgs, QuestionResult),
    _skill("report", "A report of the findings in an image", ReportArgs, ReportResult),
    _skill("explain", "An explanation of an answer that cites its regions", ExplainArgs, ExplainResult),
)
