"""Adapters: whatever does not fit the base is refused, with the reason."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from fiducial.skills.adapters import adapter_folders, base_hash, read_manifest
from fiducial.skills.families.llava.dialect import DIALECT
from fiducial.skills.families.llava.family import load_llava
from fiducial.skills.load import load_model
from fiducial.skills.training.embedded.tasks import SKILLS
from fiducial.tools.errors import InputError


def refusal(base: Path, adapters: Path) -> str:
    with pytest.raises(InputError) as caught:
        load_llava(base, adapters)
    message = str(caught.value)
    assert "\n" not in message
    return message


def spoil(adapters: Path, change: object) -> None:
    path = adapters / "count" / "adapter_model.safetensors"
    tensors = load_file(path)
    change(tensors)  # type: ignore[operator]
    save_file(tensors, path)


def test_every_skill_has_an_adapter_that_loads(tiny_base: Path, tiny_adapters: Path) -> None:
    assert tuple(adapter_folders(tiny_adapters)) == SKILLS
    assert read_manifest(tiny_adapters / "count", base_hash(tiny_base), DIALECT).skills == ("count",)
    model = load_llava(tiny_base, tiny_adapters)
    assert set(model.peft.peft_config) == set(SKILLS)


def test_loading_asks_nobody_over_the_network(
    tiny_base: Path, adapter_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: asked.append(a[0]) or real(*a, **k))
    load_llava(tiny_base, adapter_copy)
    assert not asked


def test_the_stored_weights_are_those_in_the_model(tiny_base: Path, adapter_copy: Path) -> None:
    state = load_llava(tiny_base, adapter_copy).peft.state_dict()
    for name, value in load_file(adapter_copy / "count" / "adapter_model.safetensors").items():
        assert torch.equal(state[name.replace(".weight", ".count.weight")], value.float())


def test_one_trained_on_another_base(tiny_base: Path, adapter_copy: Path) -> None:
    path = adapter_copy / "count" / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps({**manifest, "base_sha256": "0" * 64}))
    message = refusal(tiny_base, adapter_copy)
    assert "another base" in message
    assert "000000000000" in message
    assert base_hash(tiny_base)[:12] in message


def test_one_of_an_older_dialect(tiny_base: Path, adapter_copy: Path) -> None:
    path = adapter_copy / "count" / "manifest.json"
    path.write_text(path.read_text().replace(f'"{DIALECT}"', '"slots-1"'))
    message = refusal(tiny_base, adapter_copy)
    assert "'slots-1'" in message
    assert f"'{DIALECT}'" in message


def test_one_whose_manifest_lacks_a_field(tiny_base: Path, adapter_copy: Path) -> None:
    path = adapter_copy / "count" / "manifest.json"
    fields = json.loads(path.read_text())
    del fields["base_sha256"]
    path.write_text(json.dumps(fields))
    assert "base_sha256" in refusal(tiny_base, adapter_copy)


def test_one_under_another_skills_name(tiny_base: Path, adapter_copy: Path) -> None:
    (adapter_copy / "count").rename(adapter_copy / "detect")
    message = refusal(tiny_base, adapter_copy)
    assert "'count'" in message
    assert "'detect'" in message


def test_one_without_a_manifest(tiny_base: Path, adapter_copy: Path) -> None:
    (adapter_copy / "count" / "manifest.json").unlink()
    assert "manifest" in refusal(tiny_base, adapter_copy)


@pytest.mark.parametrize("text", ["{", "[]", "null", '"text"'])
def test_one_whose_manifest_is_no_object(tiny_base: Path, adapter_copy: Path, text: str) -> None:
    (adapter_copy / "count" / "manifest.json").write_text(text)
    assert "manifest" in refusal(tiny_base, adapter_copy)


def test_one_that_lacks_a_weight(tiny_base: Path, adapter_copy: Path) -> None:
    spoil(adapter_copy, lambda tensors: tensors.pop(sorted(tensors)[0]))
    assert "is missing from the file" in refusal(tiny_base, adapter_copy)


def test_one_with_a_weight_too_many(tiny_base: Path, adapter_copy: Path) -> None:
    name = "base_model.model.model.language_model.layers.9.mlp.up_proj.lora_A.weight"
    spoil(adapter_copy, lambda tensors: tensors.update({name: torch.ones(2, 64)}))
    message = refusal(tiny_base, adapter_copy)
    assert "layers.9" in message
    assert "is not in the model" in message


def test_one_with_a_weight_of_another_shape(tiny_base: Path, adapter_copy: Path) -> None:
    def widen(tensors: dict[str, torch.Tensor]) -> None:
        name = sorted(tensors)[0]
        tensors[name] = torch.ones(tensors[name].shape[0] + 1, tensors[name].shape[1])

    spoil(adapter_copy, widen)
    assert "does not fit the base" in refusal(tiny_base, adapter_copy)


def test_a_pickle_is_never_read(tiny_base: Path, adapter_copy: Path) -> None:
    path = adapter_copy / "count" / "adapter_model.safetensors"
    torch.save(load_file(path), adapter_copy / "count" / "adapter_model.bin")
    path.unlink()
    assert "only safetensors is read" in refusal(tiny_base, adapter_copy)


def test_half_a_file_and_one_that_is_no_safetensors(tiny_base: Path, adapter_copy: Path) -> None:
    path = adapter_copy / "count" / "adapter_model.safetensors"
    whole = path.read_bytes()
    for spoiled in (whole[: len(whole) // 2], b"", b"\xff" * 100):
        path.write_bytes(spoiled)
        assert "does not fit the base" in refusal(tiny_base, adapter_copy)


def test_one_whose_configuration_is_gone_is_not_passed_over(tiny_base: Path, adapter_copy: Path) -> None:
    (adapter_copy / "count" / "adapter_config.json").unlink()
    assert "count" in refusal(tiny_base, adapter_copy)


def test_a_folder_without_adapters(tiny_base: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "holds no adapter" in refusal(tiny_base, tmp_path / "empty")
    assert "is not a folder" in refusal(tiny_base, tmp_path / "absent")


def test_a_base_that_is_incomplete_or_unknown(tiny_base: Path, tiny_adapters: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_base, tmp_path / "base")
    (tmp_path / "base" / "model.safetensors").write_bytes(b"no weights")
    assert "cannot be loaded" in refusal(tmp_path / "base", tiny_adapters)
    (tmp_path / "base" / "model.safetensors").unlink()
    assert "cannot be loaded" in refusal(tmp_path / "base", tiny_adapters)
    for base in (str(tmp_path / "absent"), "qwen"):
        with pytest.raises(InputError, match="unknown base"):
            load_model(base)
    with pytest.raises(InputError, match="no known family"):
        load_model(str(tmp_path))
