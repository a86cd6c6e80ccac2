"""The text of a short report of a chest film, from its facts: ``reports.json`` has the words."""

from __future__ import annotations

from typing import Any

from fiducial.skills.datasets.language.nouns import load
from fiducial.tools.record import Language


def report_text(opacity: str, heart: str, ratio: float | None = None, language: Language = "en") -> str:
    """Two sentences. opacity: none, or the lung with it, right or left; heart: normal or enlarged.

    ratio: the cardiothoracic ratio, where it was measured.
    """
    words: dict[str, Any] = load("reports")[language]
    measured = "" if ratio is None else str(words["ratio"]).format(ratio=ratio)
    return f"{words['heart'][heart]}{measured}{words['end']}{words['opacity'][opacity]}"
