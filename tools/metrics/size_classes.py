"""Size classes of objects by their box's share of the image's area, as MedVision reports them (arXiv 2511.18676)."""

from __future__ import annotations

SIZE_CLASSES = ("<5 %", "5-10 %", ">10 %")
SMALL, LARGE = 0.05, 0.10


def size_class(share: float) -> str:
    """The class of a share of the image's area, 0 to 1. A bound belongs to the class above it, as in their code."""
    return SIZE_CLASSES[(share >= SMALL) + (share >= LARGE)]
