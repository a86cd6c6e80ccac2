"""A question as the model reads it: the one normalisation that training and inference share."""

from __future__ import annotations

import re
import unicodedata

MAX_WORDS = 48
_QUOTES = str.maketrans({"‘": "'", "’": "'", "´": "'", "`": "'", "“": '"', "”": '"', "œ": "oe", "æ": "ae"})
_HAN = "\u3400-\u9fff"
_TOKEN = re.compile(rf"[{_HAN}]|'(?:s|t|re|ve|d|ll|m)\b|(?:(?![{_HAN}])[^\W_])+|[^\w\s]|_")


def prompt_text(question: str) -> str:
    """Lower-case NFKC text with single spaces around every word and punctuation mark, at most ``MAX_WORDS`` of them.

    A Chinese character is a word of its own. A clitic keeps its apostrophe (``what's`` → ``what 's``). Control
    characters go, and a control token such as ``<|im_start|>`` comes apart, so that nothing a user types reads as one.
    Idempotent.
    """
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", question).lower()).translate(_QUOTES)
    if not text.isascii() or not text.isprintable():
        text = "".join(_printable(character) for character in text)
    return " ".join(_TOKEN.findall(text)[:MAX_WORDS])


def _printable(character: str) -> str:
    """The character; a space for a control character, nothing for an invisible one (a zero-width joiner, say)."""
    match unicodedata.category(character):
        case "Cc":
            return " "
        case "Cf" | "Co" | "Cn" | "Cs":
            return ""
    return character
