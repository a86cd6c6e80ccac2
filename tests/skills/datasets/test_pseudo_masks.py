"""Pseudo-masks through the real classes of CLIPSeg, on a tiny checkpoint that is built and saved here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fiducial.skills.datasets.pseudo_masks import TextSegmenter, load_clipseg, pseudo_masked
from fiducial.skills.datasets.sample import Object, Sample
from fiducial.tools.errors import InputError

SIDE = 32


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch
    from transformers import CLIPSegConfig, CLIPSegForImageSegmentation, CLIPSegProcessor, CLIPTokenizer
    from transformers.convert_slow_tokenizer import bytes_to_unicode
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

    folder = tmp_path_factory.mktemp("clipseg")
    part = {"hidden_size": 32, "intermediate_size": 37, "num_hidden_layers": 2, "num_attention_heads": 4}
    letters = list(bytes_to_unicode().values())
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    last = len(tokens) - 1
    ends = {"vocab_size": len(tokens), "bos_token_id": last - 1, "eos_token_id": last, "pad_token_id": last}
    config = CLIPSegConfig(
        text_config=part | ends, vision_config=part | {"image_size": SIDE, "patch_size": 4}, projection_dim=32,
        reduce_dim=16, extract_layers=[0, 1], decoder_num_attention_heads=2, decoder_intermediate_size=16,
    )  # fmt: skip
    torch.manual_seed(0)
    CLIPSegForImageSegmentation(config).save_pretrained(folder)
    pixels = ViTImageProcessorPil(size={"height": SIDE, "width": SIDE}, image_mean=[0.48] * 3, image_std=[0.27] * 3)
    words = CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))
    CLIPSegProcessor(image_processor=pixels, tokenizer=words).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def segmenter(checkpoint: Path) -> TextSegmenter:
    return load_clipseg(str(checkpoint))


def picture() -> np.ndarray:
    rgb = np.zeros((48, 80, 3), np.uint8)
    rgb[10:30, 20:60] = 255
    return rgb


@pytest.mark.parametrize("words", [["polyp"], ["polyp", "a very long name of a tool"]])
def test_probabilities_have_the_size_of_the_image(segmenter: TextSegmenter, words: list[str]) -> None:
    soft = segmenter.probabilities(picture(), words)
    assert soft.shape == (len(words), 48, 80)
    assert ((soft >= 0) & (soft <= 1)).all()
    assert np.array_equal(soft[0], segmenter.probabilities(picture(), words)[0])
    assert np.ptp(soft[0]) > 0


def test_regions_are_synthetic_samples_in_stored_pixels(segmenter: TextSegmenter) -> None:
    sample = Sample("a", "p", "other", picture, (Object("polyp", (20, 10, 60, 30)),), split="train")
    soft = segmenter.probabilities(picture(), ["polyp"])[0]
    threshold = float(np.quantile(soft, 0.8))
    (found,) = pseudo_masked([sample], segmenter, ["polyp"], threshold)
    assert found.synthetic
    assert (found.id, found.image_name, found.group, found.split) == ("a#pseudo", "a", "p", "train")
    assert found.objects == ()
    outline = np.array(found.asks[0].target.polygons[0].polygon_xy_px)
    assert ((outline >= 0) & (outline <= [80, 48])).all()
    x, y = outline.mean(axis=0)
    nearby = soft[max(0, int(y) - 6) : int(y) + 6, max(0, int(x) - 6) : int(x) + 6]
    assert nearby.max() >= threshold


def test_nothing_or_everything_is_no_region(segmenter: TextSegmenter) -> None:
    sample = Sample("a", "p", "other", picture)
    for threshold in (-1.0, 1.1):
        assert list(pseudo_masked([sample], segmenter, ["polyp"], threshold)) == []
    with pytest.raises(InputError, match="no structure"):
        list(pseudo_masked([sample], segmenter, []))


def test_a_checkpoint_with_a_missing_weight_or_none_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    for path in checkpoint.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    weights = load_file(tmp_path / "model.safetensors")
    gone = "decoder.reduces.0.weight"
    save_file({k: v for k, v in weights.items() if k != gone}, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match=gone):
        load_clipseg(str(tmp_path))
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(InputError, match="as CLIPSeg"):
        load_clipseg(str(tmp_path))


def test_the_module_is_imported_without_transformers() -> None:
    source = "import sys, fiducial.skills.datasets.pseudo_masks; print({'torch', 'transformers'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
