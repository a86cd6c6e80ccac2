"""Adapters of a family of the hub, on a tiny checkpoint: its own dialect, and what does not fit is refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fiducial.skills.base import FindArgs, SubjectArgs
from fiducial.skills.families.hub.model import HubModel
from fiducial.skills.load import load_model
from fiducial.skills.targets import Query
from fiducial.skills.templates import fill
from fiducial.tools.errors import InputError

if TYPE_CHECKING:
    from fiducial.tools.images.image import Image

Checkpoint = Callable[[str], Path]


def loaded(folder: Path, adapters: Path | None = None, tokens: int | None = None) -> HubModel:
    model = load_model(str(folder), adapters)
    assert isinstance(model, HubModel)
    if tokens is not None:
        model.network.generation_config.max_new_tokens = tokens
    return model


def add_adapter(folder: Path, base: Path, name: str = "detect", **manifest: Any) -> Path:
    """An adapter with random weights that are not zero, and its manifest; returns the folder of adapters."""
    import torch
    from peft import LoraConfig, get_peft_model

    from fiducial.skills.adapters import Manifest, base_hash

    network = loaded(base).network
    torch.manual_seed(3)
    trained = get_peft_model(network, LoraConfig(r=4, lora_alpha=64, target_modules=["q_proj", "v_proj"]))
    for key, weight in trained.named_parameters():
        if "lora_B" in key:
            torch.nn.init.normal_(weight, std=0.5)
    trained.save_pretrained(str(folder / name))
    known = {"skills": [name], "family": "qwen2_5_vl", "dialect": "point-detect-count", "base": base.name}
    written = Manifest.model_validate({**known, "base_sha256": base_hash(base), **manifest})
    (folder / name / "manifest.json").write_text(written.model_dump_json())
    return folder


def test_a_skill_with_an_adapter_speaks_its_dialect_and_the_others_the_base_s(
    checkpoint: Checkpoint, tmp_path: Path, image: Image
) -> None:
    base = checkpoint("qwen2_5_vl")
    adapters = add_adapter(tmp_path / "adapters", base, dialect="medvision", recipe={"max_pixels": 28 * 28 * 4})
    model, plain = loaded(base, adapters, tokens=8), loaded(base, tokens=8)
    assert (model.dialect("detect").name, model.dialect("count").name) == ("medvision", "qwen2.5-vl")
    assert model.templates("detect") == "medvision"
    target = model.open(image).stored_to_input.target
    assert target.width * target.height <= 28 * 28 * 4 < plain.open(image).stored_to_input.target.width ** 2
    for skill, args in (("count", SubjectArgs(structure="platelet")), ("detect", FindArgs(structure="platelet"))):
        session = plain.open(image)
        query = Query(task=skill, label="platelet")  # type: ignore[arg-type]
        inputs = model.processor.encode([session.view.rgb_u8], fill("umit", query))
        same = model.write(skill, inputs, 8).text == plain.write(skill, inputs, 8).text
        assert same == (skill == "count")
        assert model.open(image).perform(skill, args).text is not None


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        ({"family": "florence2"}, "florence2"),
        ({"dialect": "esperanto"}, "esperanto"),
        ({"base_sha256": "0" * 64}, "another base"),
    ],
)
def test_an_adapter_of_another_family_base_or_dialect_is_refused(
    manifest: dict[str, Any], said: str, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    base = checkpoint("qwen2_5_vl")
    with pytest.raises(InputError, match=said):
        loaded(base, add_adapter(tmp_path / "adapters", base, **manifest))


def test_adapters_of_different_pixel_limits_are_refused_together(checkpoint: Checkpoint, tmp_path: Path) -> None:
    base = checkpoint("qwen2_5_vl")
    add_adapter(tmp_path / "adapters", base, recipe={"max_pixels": 3136})
    add_adapter(tmp_path / "adapters", base, "count", recipe={"max_pixels": 6272})
    with pytest.raises(InputError, match="pixel limits"):
        loaded(base, tmp_path / "adapters")


def test_an_adapter_of_a_mixture_serves_each_of_its_skills_and_no_other(
    checkpoint: Checkpoint, tmp_path: Path, image: Image
) -> None:
    base = checkpoint("qwen2_5_vl")
    add_adapter(tmp_path / "adapters", base, "cells-v1.2", skills=["detect", "count"])
    add_adapter(tmp_path / "adapters", base, "explain", dialect="umit")
    model, plain = loaded(base, tmp_path / "adapters", tokens=8), loaded(base, tokens=8)
    assert set(model.manifests) == {"detect", "count", "explain"}
    view = plain.open(image).view.rgb_u8
    inputs = model.processor.encode([view], fill("umit", Query(task="count", label="platelet")))
    texts = {skill: model.write(skill, inputs, 8).text for skill in ("detect", "count", "point")}
    assert texts["detect"] == texts["count"] != texts["point"] == plain.write("point", inputs, 8).text
    assert [model.dialect(skill).name for skill in ("count", "explain")] == ["point-detect-count", "umit"]


@pytest.mark.parametrize(("kind", "said"), [("missing", "is missing from the file"), ("extra", "is not in the model")])
def test_a_weight_too_few_or_too_many_is_named(kind: str, said: str, checkpoint: Checkpoint, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    base = checkpoint("qwen2_5_vl")
    path = add_adapter(tmp_path / "adapters", base) / "detect" / "adapter_model.safetensors"
    weights = load_file(path)
    name = sorted(weights)[0]
    if kind == "missing":
        del weights[name]
    else:
        name = name.replace("layers.0", "layers.7")
        weights[name] = weights[sorted(weights)[0]].clone()
    save_file(weights, path)
    with pytest.raises(InputError, match=said) as caught:
        loaded(base, tmp_path / "adapters")
    assert name in str(caught.value)


def test_a_pickled_adapter_is_not_read(checkpoint: Checkpoint, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    base = checkpoint("qwen2_5_vl")
    folder = add_adapter(tmp_path / "adapters", base) / "detect"
    torch.save(load_file(folder / "adapter_model.safetensors"), folder / "adapter_model.bin")
    (folder / "adapter_model.safetensors").unlink()
    with pytest.raises(InputError, match="only safetensors is read"):
        loaded(base, tmp_path / "adapters")


def test_an_adapter_s_file_does_not_load_onto_another_base(checkpoint: Checkpoint, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    base = checkpoint("qwen2_5_vl")
    adapters, other = add_adapter(tmp_path / "adapters", base), Path(shutil.copytree(base, tmp_path / "other"))
    weights = load_file(other / "model.safetensors")
    first = sorted(weights)[0]
    save_file({**weights, first: weights[first] + 1e-3}, other / "model.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match="another base"):
        loaded(other, adapters)


def test_a_base_that_training_made_is_known_by_its_weights(checkpoint: Checkpoint, tmp_path: Path) -> None:
    from fiducial.skills.bases import read_base_manifest, write_base_manifest

    parent = checkpoint("qwen2_5_vl")
    base = Path(shutil.copytree(parent, tmp_path / "aligned"))
    assert read_base_manifest(base) is None
    written = write_base_manifest(base, parent, {"name": "umit-align", "steps": 3}, {"train": "0" * 64})
    assert read_base_manifest(base) == written
    assert (written.parent, written.sha256) == ("base", written.parent_sha256)  # nothing was trained: the same weights
    assert loaded(base).name == "qwen2_5_vl:aligned"
    weights = base / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x7f")
    for spoil in (lambda: None, lambda: (base / "base_manifest.json").write_text("{}")):
        spoil()
        with pytest.raises(InputError, match=r"base_manifest\.json") as caught:
            loaded(base)
        assert "\n" not in str(caught.value)
