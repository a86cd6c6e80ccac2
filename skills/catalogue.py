"""The built-in skills. A skill is a typed task; how it is performed is the family's affair."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel

from fiducial.skills.base import (
    AnswerArgs,
    AnswerResult,
    CountResult,
    ExplainArgs,
    ExplainResult,
    FindArgs,
    FindResult,
    Session,
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
    _skill("landmark", "The head's ellipse and the ends of its two axes", FindArgs, FindResult),
    _skill("explain", "An explanation of an answer that cites its regions", ExplainArgs, ExplainResult),
)
