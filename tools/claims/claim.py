"""One claim of a text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ClaimKind = Literal[
    "count",
    "number",
    "region",
    "label",
    "place",
    "distribution",
    "presence",
    "absence",
    "listed",
    "image_kind",
    "not_kind",
]


@dataclass(frozen=True)
class Claim:
    """One claim. subject: a structure, a region id, or ``region`` for regions in general; value: what is said of it."""

    kind: ClaimKind
    subject: str | None = None
    value: float | str | None = None
