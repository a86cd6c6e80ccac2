"""Citations in a text: a region is cited by its id (R1, R2, …)."""

from __future__ import annotations

import re

REGION_ID = re.compile(r"R\d+")


def cited_ids(text: str) -> list[str]:
    """The ids of the regions that a text cites, each once, in the order of first citation."""
    return list(dict.fromkeys(REGION_ID.findall(text)))
