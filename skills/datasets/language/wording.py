"""From a bare phrase to what a person types: courtesy, filler, punctuation, case, slips of the keyboard."""

from __future__ import annotations

import random

from fiducial.skills.datasets.language.nouns import load

_KEYS = "abcdefghijklmnopqrstuvwxyz"


def dress(rng: random.Random, form: str, text: str, domain: str, noise: bool = True) -> str:
    """A full question of a phrase of the given form (direct, clause, imperative, phrase, terse)."""
    data = load("phrasing")
    if form in ("clause", "imperative", "phrase"):
        text = f"{rng.choice(data[f'{form}_wrap'])} {text}".strip()
    if rng.random() < (0.05 if form == "terse" else 0.2):
        opener = rng.choice(data["openers" if rng.random() < 0.75 else f"openers_{domain}"])
        text = f"{opener} {text}"
    if rng.random() < (0.04 if form == "terse" else 0.14):
        text += rng.choice(data["closers"])
    if noise and rng.random() < 0.14:
        for _ in range(rng.choice((1, 1, 2))):
            text = _slip(rng, text)
    return _typed(rng, form, text)


def _typed(rng: random.Random, form: str, text: str) -> str:
    """Case and the mark at the end."""
    case = rng.random()
    if case < 0.62:
        text = text[:1].upper() + text[1:]
    elif case < 0.9:
        text = text.lower()
    elif case < 0.94:
        text = text.upper()
    elif case < 0.96:
        text = text.title()
    marks = (
        ("", "", "?", ".", "", "...")
        if form in ("imperative", "terse")
        else ("?", "?", "?", "?", "?", "", "", ".", "??", " ?", "?!")
    )
    text += rng.choice(marks)
    return "  " + text.replace(" ", "  ", 1) if rng.random() < 0.02 else text


def _slip(rng: random.Random, text: str) -> str:
    """One typing slip in a longer word: letters swapped, dropped, doubled or hit wrong; or an apostrophe lost."""
    words = text.split(" ")
    long = [i for i, word in enumerate(words) if len(word) > 4 and word.isalpha()]
    kind = rng.random()
    if kind < 0.12 and "'" in text:
        return text.replace("'", "", 1)
    if not long:
        return text
    i = rng.choice(long)
    word, at = words[i], rng.randint(1, len(words[i]) - 2)
    if kind < 0.4:
        words[i] = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    elif kind < 0.65:
        words[i] = word[:at] + word[at + 1 :]
    elif kind < 0.85:
        words[i] = word[:at] + word[at] + word[at:]
    else:
        words[i] = word[:at] + rng.choice(_KEYS) + word[at + 1 :]
    return " ".join(words)
