"""Names of structures and of kinds of images, in the language of a question; words that no table has stay as they are.

English is in the structure table itself, every other language in ``words.LANGUAGE.json`` beside this file; a name that
is not there is given in English.
"""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.resources import files

from fiducial.tools.record import Language
from fiducial.tools.structures import DOMAIN_NAMES, structures

CJK = re.compile(r"[\u3400-\u9fff]")
SAME_IN_PLURAL = ("s", "ia", "ae", "i")  # opacities, scopae, nuclei are plurals already


def language_of(text: str) -> Language:
    """Chinese where a text holds a Chinese character, else English."""
    return "zh" if CJK.search(text) else "en"


def name_of(key: str, number: int = 2, language: Language = "en") -> str:
    """The name of a structure, singular for ``number`` 1; of words that are no key, the words, with a plain plural."""
    if language != "en" and (named := _table(language)["structures"].get(key)):
        return named
    entry = structures().get(key)
    if entry is not None:
        return entry.name if number == 1 else entry.plural
    words = key.replace("_", " ")
    return words if number == 1 or CJK.search(words) or words.endswith(SAME_IN_PLURAL) else f"{words}s"


def domain_of(kind: str, language: Language = "en") -> str:
    """The name of a kind of image, without an article."""
    if language != "en" and (named := _table(language)["domains"].get(kind)):
        return named
    return DOMAIN_NAMES.get(kind, kind)


def keys_of_names(language: Language) -> dict[str, str]:
    """The structure of each name that the tables have, in lower case; longer names first, so that they are found."""
    found = {entry.name.lower(): key for key, entry in structures().items()}
    found |= {entry.plural.lower(): key for key, entry in structures().items()}
    if language != "en":
        found |= {name: key for key, name in _table(language)["structures"].items() if key in structures()}
    return dict(sorted(found.items(), key=lambda pair: -len(pair[0])))


@cache
def _table(language: Language) -> dict[str, dict[str, str]]:
    text = files("fiducial.tools").joinpath(f"words.{language}.json").read_text(encoding="utf-8")
    table: dict[str, dict[str, str]] = json.loads(text)
    return table
