"""The dialects by name. None of them imports torch or transformers: they read and write text."""

from __future__ import annotations

from fiducial.skills.families.dialects.base import Dialect, Parsed
from fiducial.skills.families.dialects.florence2 import Florence2
from fiducial.skills.families.dialects.gemma3 import Gemma3
from fiducial.skills.families.dialects.llava_decimals import LlavaDecimals
from fiducial.skills.families.dialects.medvision import MedVision
from fiducial.skills.families.dialects.openai_compatible import OpenAICompatible
from fiducial.skills.families.dialects.qwen2_5_vl import PointDetectCount, Qwen25VL
from fiducial.skills.families.dialects.qwen2_vl import UMIT, Qwen2VL
from fiducial.skills.families.dialects.qwen3_vl import Qwen3VL
from fiducial.tools.errors import InputError

DIALECTS: dict[str, Dialect] = {
    dialect.name: dialect
    for dialect in (
        Qwen2VL(),
        UMIT(),
        Qwen25VL(),
        PointDetectCount(),
        Qwen3VL(),
        Florence2(),
        LlavaDecimals(),
        Gemma3(),
        MedVision(),
        OpenAICompatible(),
    )
}


def dialect(name: str) -> Dialect:
    """A dialect by its name; InputError that names what there is."""
    if name not in DIALECTS:
        raise InputError(f"unknown dialect '{name}'; there is: {', '.join(sorted(DIALECTS))}")
    return DIALECTS[name]


__all__ = ["DIALECTS", "Dialect", "Parsed", "dialect"]
