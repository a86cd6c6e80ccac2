"""A small drawn data set on disk, in the layout of COCO, and recipes for tiny checkpoints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PILImage
from PIL import ImageDraw

LABELS = ("polyp", "ulcer")
LORA = {"rank": 4, "alpha": 8, "dropout": 0.1, "layers": "language"}
RECIPE: dict[str, Any] = {
    "description": "tiny",
    "source": "none",
    "families": ["qwen2_vl", "qwen2_5_vl", "qwen3_vl", "florence2", "gemma3", "llava_hub"],
    "skills": {"detect": ["detect"], "count": ["count"], "point": ["point"]},
    "lora": LORA,
    "epochs": 100,
    "learning_rate": 1e-2,
    "batch_size": 2,
    "effective_batch": 4,
    "warmup_ratio": 0.1,
}


def write_set(root: Path, images: int = 6, split: str = "train") -> Path:
    """Images of 64 × 48 pixels with one or two discs of each label, drawn from a fixed seed. Returns the root."""
    rng = np.random.default_rng(7)
    (root / "annotations").mkdir(parents=True)
    (root / "images").mkdir()
    pictures, boxes = [], []
    for number in range(images):
        canvas = PILImage.new("RGB", (64, 48), (40, 20, 20))
        pen = ImageDraw.Draw(canvas)
        for category, _ in enumerate(LABELS):
            for _ in range(int(rng.integers(1, 3))):
                x, y, side = (int(rng.integers(low, high)) for low, high in ((0, 50), (0, 36), (6, 12)))
                pen.ellipse((x, y, x + side, y + side), fill=(200, 90 + 80 * category, 60))
                row = {"id": len(boxes), "image_id": number, "category_id": category, "bbox": [x, y, side, side]}
                boxes.append(row)
        canvas.save(root / "images" / f"{number}.png")
        pictures.append({"id": number, "file_name": f"{number}.png", "width": 64, "height": 48})
    names = [{"id": k, "name": label} for k, label in enumerate(LABELS)]
    document = {"images": pictures, "annotations": boxes, "categories": names}
    (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(document))
    return root


def write_recipe(path: Path, **changes: Any) -> Path:
    """``RECIPE`` with some of its fields changed, as a file that ``--recipe`` takes."""
    path.write_text(json.dumps({"name": path.stem, **RECIPE, **changes}))
    return path


def set_dropout(base: Path, share: float) -> Path:
    """Write another dropout into a checkpoint's configuration, wherever it names one. Returns its folder."""
    path = base / "config.json"

    def changed(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: changed(item, name) for name, item in value.items()}
        return share if "dropout" in key and isinstance(value, float) else value

    path.write_text(json.dumps(changed(json.loads(path.read_text()))))
    return base
