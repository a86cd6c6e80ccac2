"""The dialect of the embedded model: typed arguments to prompts, typed targets to text and back.

Training and inference share it.

A region is *named* by its slot, ``<r7>``, not spelled: the slot stands for a proposal of the tower, whose box is exact.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from fiducial.skills.datasets.language import next_words, parse_intent, prompt_text, render_intent
from fiducial.tools.record import Intent

DIALECT = "slots-2"  # 2: the word of its slot is added to each region token
NONE = "none"
MAX_COUNT = 60
YES_NO = ("yes", "no")
_SLOT = re.compile(r"<r([0-9]+)>")


def understand_prompt(question: str) -> str:
    """The prompt of ``understand``: the normalised question."""
    return f"understand {prompt_text(question)}"


def presence_prompt(structure: str) -> str:
    """The prompt of ``answer`` for presence."""
    return f"answer presence {structure}"


KIND_PROMPT = "answer kind"


def find_prompt(skill: str, structure: str) -> str:
    """The prompt of ``count``, ``detect``, ``point`` and ``landmark``."""
    return f"{skill} {structure}"


REPORT_PROMPT = "report"
SIDES = ("none", "right", "left")  # of the lungs: where an opacity is
HEARTS = ("normal", "enlarged")


def render_report(opacity: str, heart: str) -> str:
    """What a chest film shows: ``opacity right heart normal``. opacity: one of SIDES; heart: one of HEARTS."""
    return f"opacity {opacity} heart {heart}"


def report_lines() -> list[str]:
    """Every line of the language of reports."""
    return [render_report(side, heart) for side in SIDES for heart in HEARTS]


def parse_report(text: str) -> tuple[str, str] | None:
    """Inverse of ``render_report``."""
    words = text.split()
    if len(words) != 4 or " ".join(words) not in report_lines():
        return None
    return words[1], words[3]


def question_prompt(question: str) -> str:
    """The prompt of ``question``: the normalised question in free words."""
    return f"question {prompt_text(question)}"


def render_words(answer: str) -> str:
    """An answer in free words, or an option: normalised as questions are, so that each word is spelled in one way."""
    return prompt_text(answer)


def render_slots(slots: Sequence[int]) -> str:
    """Slots in rising order, or ``none``."""
    return "".join(f"<r{k}>" for k in sorted(slots)) or NONE


def parse_slots(text: str, count: int) -> list[int] | None:
    """Inverse of ``render_slots``: the slots below ``count`` in order; None where the text is not a list of slots."""
    text = text.strip()
    if text == NONE:
        return []
    slots = [int(k) for k in _SLOT.findall(text)]
    if not slots or _SLOT.sub("", text).strip() or len(set(slots)) != len(slots) or max(slots) >= count:
        return None
    return slots


def render_count(count: int) -> str:
    """A count as a number word of the vocabulary."""
    return str(min(count, MAX_COUNT))


def parse_count(text: str) -> int | None:
    """Inverse of ``render_count``."""
    text = text.strip()
    return int(text) if re.fullmatch(r"[0-9]{1,2}", text) else None


def render_presence(present: bool) -> str:
    """Presence as a word."""
    return YES_NO[0] if present else YES_NO[1]


def parse_presence(text: str) -> bool | None:
    """Inverse of ``render_presence``."""
    return {"yes": True, "no": False}.get(text.strip())


def parse_kind(text: str, kinds: Sequence[str]) -> str | None:
    """The one of the kinds of image that the text names, or None."""
    return text.strip() if text.strip() in kinds else None


__all__ = [
    "HEARTS",
    "KIND_PROMPT",
    "REPORT_PROMPT",
    "SIDES",
    "Intent",
    "find_prompt",
    "next_words",
    "parse_count",
    "parse_intent",
    "parse_kind",
    "parse_presence",
    "parse_report",
    "parse_slots",
    "presence_prompt",
    "prompt_text",
    "question_prompt",
    "render_count",
    "render_intent",
    "render_presence",
    "render_report",
    "render_slots",
    "render_words",
    "report_lines",
    "understand_prompt",
]
