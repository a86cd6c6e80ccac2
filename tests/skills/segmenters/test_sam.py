"""A promptable segmenter on a tiny checkpoint of the real class: boxes and points in, masks in stored pixels out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from transformers import SamConfig, SamModel

from fiducial.skills.segmenters.sam import SamSegmenter, load_sam
from fiducial.tools.errors import InputError
from fiducial.tools.geometry.polygons import polygon_area
from fiducial.tools.hooks import registry

IMAGE = np.random.default_rng(0).integers(0, 255, (48, 80, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_attention_heads": 2}
    config = SamConfig(
        vision_config=sizes
        | {"output_channels": 16, "num_hidden_layers": 2, "image_size": 64, "global_attn_indexes": [1]}
        | {"num_pos_feats": 8, "window_size": 2, "mlp_dim": 32},
        prompt_encoder_config={"hidden_size": 16, "image_size": 64, "mask_input_channels": 4},
        mask_decoder_config=sizes | {"mlp_dim": 32, "iou_head_hidden_dim": 16},
    )
    path = tmp_path_factory.mktemp("sam")
    SamModel(config).save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def sam(folder: Path) -> SamSegmenter:
    return load_sam(folder)


def test_prompts_give_masks_of_the_images_size(sam: SamSegmenter) -> None:
    for prompt in (
        {"box_xyxy_px": (10, 8, 40, 30)},
        {"points_xy_px": [(20, 20), (30, 22)]},
        {"box_xyxy_px": (10, 8, 40, 30), "points_xy_px": [(20, 20)]},
    ):
        found = sam.segment(IMAGE, **prompt)
        assert (found.mask.shape, found.mask.dtype) == (IMAGE.shape[:2], np.dtype(bool))
        assert np.isfinite(found.score) and found.score <= 1


def test_the_weights_of_the_folder_are_the_ones_that_answer(folder: Path, sam: SamSegmenter, tmp_path: Path) -> None:
    model = SamModel.from_pretrained(folder)
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(-1)
    model.save_pretrained(tmp_path)
    prompt = (10, 8, 40, 30)
    assert load_sam(folder).segment(IMAGE, prompt).score == sam.segment(IMAGE, prompt).score
    assert load_sam(tmp_path).segment(IMAGE, prompt).score != sam.segment(IMAGE, prompt).score


@pytest.mark.parametrize(
    "prompt",
    [{}, {"box_xyxy_px": (40, 8, 10, 30)}, {"box_xyxy_px": (90, 8, 99, 30)}, {"points_xy_px": [(81, 5)]}],
)
def test_prompts_without_use_are_refused(sam: SamSegmenter, prompt: dict) -> None:
    with pytest.raises(InputError):
        sam.segment(IMAGE, **prompt)


def test_missing_weights_are_one_sentence(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no SAM in"):
        load_sam(tmp_path)
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    with pytest.raises(InputError, match="has no weights"):
        load_sam(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(InputError, match="cannot be loaded") as refused:
        load_sam(tmp_path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("orientation", [1, 6])
def test_the_tool_outlines_in_stored_pixels(folder: Path, sam: SamSegmenter, tmp_path: Path, orientation: int) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    Pillow.fromarray(IMAGE).save(tmp_path / "a.png", exif=exif)
    box = (10.0, 8.0, 40.0, 30.0)
    arguments = {"path": str(tmp_path / "a.png"), "weights": str(folder), "box_xyxy_px": box, "label": "nucleus"}
    found = registry().get("tools", "segment_promptable").call(arguments)
    expected = sam.segment(IMAGE, box)
    rows, columns = np.nonzero(expected.mask)
    assert found.mask_area_px == expected.mask.sum() > 0
    assert found.mask_box_xyxy_px == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert found.region.score == max(0.0, expected.score)
    assert (found.region.label, found.scale) == ("nucleus", None)
    assert polygon_area(found.region.polygon_xy_px) > 0
    quantity = {"region": found.region.model_dump(), "quantity": "area", "scale": found.scale}
    assert registry().get("tools", "measure_region").call(quantity).measurement.unit == "px²"


def test_the_tool_refuses_what_does_not_fit_in_one_sentence(folder: Path, tmp_path: Path) -> None:
    Pillow.fromarray(IMAGE).save(tmp_path / "a.png")
    fine = {"path": str(tmp_path / "a.png"), "weights": str(folder), "box_xyxy_px": (10, 8, 40, 30)}
    for wrong, words in (
        ({"box_xyxy_px": None}, "needs a box or points"),
        ({"weights": str(tmp_path)}, "no SAM in"),
        ({"points_xy_px": [(500, 1)]}, "inside the image"),
        ({"path": str(tmp_path / "none.png")}, "none.png"),
    ):
        with pytest.raises(InputError, match=words) as refused:
            registry().get("tools", "segment_promptable").call(fine | wrong)
        assert "\n" not in str(refused.value)


def test_registering_the_tool_does_not_import_torch() -> None:
    told = "import sys; from fiducial.tools.hooks import registry; registry().get('tools', 'segment_promptable')"
    told += "; assert not {'torch', 'transformers'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", told], check=True)
