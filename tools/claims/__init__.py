"""What an explanation or a report claims, read sentence by sentence in the language that it is written in."""

from __future__ import annotations

import re
from itertools import groupby

from fiducial.tools.claims.chinese import read_chinese
from fiducial.tools.claims.claim import Claim, ClaimKind
from fiducial.tools.claims.english import NUMBER_WORDS, PLACE_PHRASES, read_english
from fiducial.tools.record import Language
from fiducial.tools.words import CJK, language_of

__all__ = ["NUMBER_WORDS", "PLACE_PHRASES", "Claim", "ClaimKind", "claims"]

_SENTENCE = re.compile(r".+?(?:[.!?]+(?=\s)|[。！？\n]|\Z)\s*", re.DOTALL)
_GLOSS = re.compile(r"[（(][^（()）]*[)）]")
_WORD = re.compile(r"[A-Za-z]{2,}")  # which the id of a region is not
_READERS = {"en": read_english, "zh": read_chinese}


def claims(text: str) -> tuple[Claim, ...]:
    """Every claim of a text, in order. Sentences of one language that follow each other are read together."""
    runs = groupby(_sentences(text), key=lambda pair: pair[0])
    return tuple(c for language, run in runs for c in _READERS[language]("".join(said for _, said in run)))


def _sentences(text: str) -> list[tuple[Language, str]]:
    """Each sentence with its language: that of most of its words, not counting a gloss; without any, the former's."""
    language = language_of(text)
    found: list[tuple[Language, str]] = []
    for match in _SENTENCE.finditer(text):
        own = _GLOSS.sub("", match[0])
        chinese, english = len(CJK.findall(own)), len(_WORD.findall(own))
        if chinese or english:
            language = "zh" if chinese > english else "en"
        found.append((language, match[0]))
    return found
