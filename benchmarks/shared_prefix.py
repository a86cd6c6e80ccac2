"""What activated LoRA gains: four skills on one image, with and without shared keys and values of image and question.

``python -m fiducial.benchmarks.shared_prefix [--side 448] [--tokens 16]``: on the tests' tiny Qwen2.5-VL and on one of
some 35 M parameters, both of random weights, with an activated adapter for each of the skills. Seconds of one thread of
the processor, the best of the repeats; the image's features are made once in both, so the gain is the language model's.
``same`` says whether every skill wrote the same text both ways. With 256 image tokens (448 px) the 36 M base gained
1.28, with 1024 (896 px) 1.63, on one core of a busy machine; the rest is the questions and the answers themselves.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image as PILImage

from fiducial.benchmarks.common import table
from fiducial.skills.adapters import Manifest, base_hash
from fiducial.skills.base import FindArgs, QuestionArgs, SubjectArgs
from fiducial.skills.families.hub.model import HubModel, load_network, processor_of
from fiducial.skills.families.hub.spec import HUB_SPECS
from fiducial.skills.load import load_model
from fiducial.skills.recipes import recipes
from fiducial.skills.training.networks import activated_ids, save_adapter, trainable
from fiducial.tests.skills.families.tiny_hub import qwen
from fiducial.tools.images.image import Image
from fiducial.tools.images.open_image import open_image

FAMILY = "qwen2_5_vl"
SKILLS: dict[str, Any] = {
    "count": SubjectArgs(structure="platelet"),
    "detect": FindArgs(structure="platelet"),
    "point": FindArgs(structure="platelet"),
    "question": QuestionArgs(question="What is shown?"),
}
ROPE = {"rope_type": "default", "mrope_section": [8, 12, 12], "rope_theta": 10000.0}
TEXT: dict[str, Any] = {"hidden_size": 512, "intermediate_size": 1536, "num_hidden_layers": 10, "head_dim": 64}
TEXT |= {"num_attention_heads": 8, "num_key_value_heads": 4, "rope_parameters": ROPE}
VISION = {"depth": 4, "num_heads": 4, "hidden_size": 256, "intermediate_size": 512, "out_hidden_size": 512}


def with_adapters(root: Path, text: dict[str, Any], vision: dict[str, Any], tokens: int) -> tuple[HubModel, float]:
    """A model with an activated adapter for each skill, and its millions of parameters."""
    base = qwen(root / "base", FAMILY, text, vision)
    spec, recipe = next(s for s in HUB_SPECS if s.name == FAMILY), recipes()["lora"]
    processor = processor_of(spec, base, {})
    for seed, skill in enumerate(SKILLS):
        torch.manual_seed(seed)
        network: Any = trainable(load_network(spec, base), recipe, activated_ids(recipe, spec, processor))
        for name, weight in network.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weight, std=0.1)
        manifest = Manifest(
            skills=(skill,),
            family=FAMILY,
            dialect=spec.dialect,
            base="base",
            base_sha256=base_hash(base),
            activated=True,
        )
        save_adapter(network, root / "adapters" / skill, manifest)
    model = load_model(str(base), root / "adapters")
    assert isinstance(model, HubModel)
    model.network.generation_config.max_new_tokens = tokens
    model.processor.image_processor.size["longest_edge"] = 1 << 24
    return model, sum(p.numel() for name, p in model.network.named_parameters() if "lora" not in name) / 1e6


def four_skills(model: HubModel, image: Image, shared: bool) -> tuple[list[str], float]:
    """What each skill writes, and the seconds that all of them take, with a session of their own."""
    session = model.open(image)
    if not shared:
        session._prefix = None  # type: ignore[assignment]
    begun = time.process_time()
    said = [session.perform(skill, args).text for skill, args in SKILLS.items()]  # type: ignore[attr-defined]
    return said, time.process_time() - begun


def main() -> None:
    """Print the table."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--side", type=int, default=448, help="of the square image, pixels")
    made.add_argument("--tokens", type=int, default=16, help="that each skill writes")
    made.add_argument("--repeats", type=int, default=3)
    made.add_argument("--out", type=Path, help="write the figures to this JSON file")
    args = made.parse_args()
    torch.set_num_threads(1)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        rgb = np.random.default_rng(0).integers(0, 256, (args.side, args.side, 3), np.uint8)
        PILImage.fromarray(rgb).save(root / "image.png")
        image = open_image(root / "image.png")
        for name, text, vision in (("tiny", {}, {}), ("35 M", TEXT, VISION)):
            model, millions = with_adapters(root / name, text, vision, args.tokens)
            four_skills(model, image, True)  # what is slow the first time
            runs = {s: [four_skills(model, image, s) for _ in range(args.repeats)] for s in (False, True)}
            alone, shared = (min(seconds for _, seconds in runs[s]) for s in (False, True))
            same = runs[False][0][0] == runs[True][0][0]
            ids = model.processor.encode([image.rgb_u8], "")["input_ids"][0].tolist()
            seen = ids.count(model.network.config.image_token_id)
            rows.append((name, f"{millions:.1f}", seen, f"{alone:.3f}", f"{shared:.3f}", f"{alone / shared:.2f}", same))
    header = ("base", "M parameters", "image tokens", "alone, s", "shared, s", "gain", "same")
    print(table(header, rows))
    if args.out:
        args.out.write_text(json.dumps([dict(zip(header, row, strict=True)) for row in rows], indent=1) + "\n")


if __name__ == "__main__":
    main()
