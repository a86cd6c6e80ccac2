"""What an explanation or a report claims, read from its text in the language that it is written in."""

from __future__ import annotations

from fiducial.tools.claims.chinese import read_chinese
from fiducial.tools.claims.claim import Claim, ClaimKind
from fiducial.tools.claims.english import NUMBER_WORDS, PLACE_PHRASES, read_english
from fiducial.tools.words import language_of

__all__ = ["NUMBER_WORDS", "PLACE_PHRASES", "Claim", "ClaimKind", "claims"]


def claims(text: str) -> tuple[Claim, ...]:
    """Every claim of a text, in order."""
    return tuple(read_chinese(text) if language_of(text) == "zh" else read_english(text))
