"""A question as the model reads it: the one normalisation that training and inference share."""

from __future__ import annotations

import re
import unicodedata

MAX_WORDS = 48
_QUOTES = str.maketrans({"‘": "'", "’": "'", "´": "'", "`": "'", "“": '"', "”": '"', "œ": "oe", "æ": "ae"})
_TOKEN = re.compile(r"'(?:s|t|re|ve|d|ll|m)\b|[^\W_]+|[^\w\s]|_")


def prompt_text(question: str) -> str:
    """Lower-case NFKC text with single spaces around every word and punctuation mark, at most ``MAX_WORDS`` of them.

    A clitic keeps its apostrophe (``what's`` → ``what 's``). Control characters go, and a control token such as
    ``<|im_start|>`` comes apart, so that nothing a user types reads as one. Idempotent.
    """
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", question).lower()).translate(_QUOTES)
    return " ".join(_TOKEN.findall(text)[:MAX_WORDS])
