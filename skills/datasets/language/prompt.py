"""A question as the model reads it: the one normalisation that training and inference share."""

from __future__ import annotations

import re
import unicodedata

MAX_WORDS = 48
_QUOTES = str.maketrans({"‘": "'", "’": "'", "´": "'", "`": "'", "“": '"', "”": '"', "œ": "oe", "æ": "ae"})
_TOKEN = re.compile(r"'?[^\W_]+|[^\w\s]|_")


def prompt_text(question: str) -> str:
    """Lower-case NFKC text with single spaces around every word and punctuation mark, at most ``MAX_WORDS`` of them.

    A clitic keeps its apostrophe (``what's`` → ``what 's``). Control characters go, and a control token such as
    ``<|im_start|>`` comes apart, so that nothing a user types reads as one. Idempotent.
    """
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", question).lower()).translate(_QUOTES)
    words = []
    for match in _TOKEN.finditer(text):
        token = match.group()
        if len(token) > 1 and token[0] == "'" and not _follows_word(text, match.start()):
            words += ["'", token[1:]]
        else:
            words.append(token)
    return " ".join(words[:MAX_WORDS])


def _follows_word(text: str, at: int) -> bool:
    """Whether the apostrophe at this place belongs to the word before it (directly, or split off by this function)."""
    before = text[:at]
    return bool(before) and (before[-1].isalnum() or (len(before) > 1 and before[-1] == " " and before[-2].isalnum()))
