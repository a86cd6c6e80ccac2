"""What makes a family of the model hub: how its folder is recognised, which class loads it, how it is asked."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fiducial.skills.families.hub.processor import HubProcessor

EMBEDDED_TOWER = "fiducial_tower"


@dataclass(frozen=True)
class HubSpec:
    """model_type: as config.json names it; model_class: in transformers; dialect: spoken where no adapter says another.

    processor: ``module:class`` below this package, imported when a model is loaded. trained_only: skills that a base
    of the family performs with an adapter alone.
    """

    name: str
    description: str
    model_type: str
    model_class: str
    dialect: str
    processor: str
    trained_only: frozenset[str] = frozenset()
    encoder_decoder: bool = False

    def recognises(self, base: Any) -> bool:
        """Whether a folder's config.json is of this model type (and is not the embedded model, a LLaVA of its own)."""
        config = read_config(base)
        vision = config.get("vision_config")
        tower = vision.get("model_type") if isinstance(vision, dict) else None
        return config.get("model_type") == self.model_type and tower != EMBEDDED_TOWER

    def processor_class(self) -> type[HubProcessor]:
        """The class that feeds this family."""
        module, _, name = self.processor.partition(":")
        found: type[HubProcessor] = getattr(import_module(f"fiducial.skills.families.hub.{module}"), name)
        return found


def read_config(base: Any) -> dict[str, Any]:
    """A folder's config.json; empty where there is none or it is no JSON object."""
    path = Path(base) / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return config if isinstance(config, dict) else {}


HUB_SPECS = (
    HubSpec(
        "qwen2_vl",
        "Qwen2-VL, the base of UMIT",
        "qwen2_vl",
        "Qwen2VLForConditionalGeneration",
        "qwen2-vl",
        "qwen_vl:QwenVLProcessor",
    ),
    HubSpec(
        "qwen2_5_vl",
        "Qwen2.5-VL, the base of Point, Detect, Count and of MedVision",
        "qwen2_5_vl",
        "Qwen2_5_VLForConditionalGeneration",
        "qwen2.5-vl",
        "qwen_vl:QwenVLProcessor",
    ),
    HubSpec(
        "qwen3_vl",
        "Qwen3-VL",
        "qwen3_vl",
        "Qwen3VLForConditionalGeneration",
        "qwen3-vl",
        "qwen_vl:Qwen3VLProcessor",
    ),
    HubSpec(
        "florence2",
        "Florence-2, the base of the GI-VQA system",
        "florence2",
        "Florence2ForConditionalGeneration",
        "florence-2",
        "florence2:FlorenceProcessor",
        # It answers task tokens, not questions, and looks at one image.
        frozenset({"question", "classify", "report", "size", "detect_3d"}),
        encoder_decoder=True,
    ),
    HubSpec(
        "gemma3",
        "Gemma 3, the architecture of MedGemma",
        "gemma3",
        "Gemma3ForConditionalGeneration",
        "gemma3",
        "gemma3:GemmaProcessor",
    ),
    HubSpec(
        "llava_hub",
        "LLaVA-1.5 from the model hub",
        "llava",
        "LlavaForConditionalGeneration",
        "llava-1.5",
        "llava_hub:LlavaHubProcessor",
    ),
)
