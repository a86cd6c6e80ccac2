"""Adapters as files: what is checked before one is added, taken out, pushed to a hub and pulled from it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from fiducial.skills.adapter_files import add_adapter, check_adapter, remove_adapter
from fiducial.skills.adapters import adapters_by_skill, read_manifest
from fiducial.skills.families.llava.family import load_llava
from fiducial.skills.load import embedded_folder
from fiducial.tests.skills.local_hub import TOKEN, local_hub
from fiducial.tools.errors import InputError

PARTS = {"adapter_model.safetensors", "adapter_config.json", "manifest.json"}


def rewritten(path: Path, **fields: Any) -> None:
    """Change fields of a JSON file; None takes one away."""
    merged = {**json.loads(path.read_text()), **fields}
    path.write_text(json.dumps({key: value for key, value in merged.items() if value is not None}))


@pytest.fixture
def source(adapter_copy: Path) -> Path:
    """The folder of an adapter for ``count``."""
    return adapter_copy / "count"


# --- what an adapter serves -------------------------------------------------------------------------------------------


def test_an_adapter_of_two_skills_is_the_one_that_both_are_performed_with(
    tiny_base: Path, tiny_adapters: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny_adapters, tmp_path / "all"))
    shutil.rmtree(folder / "point")
    (folder / "detect").rename(folder / "cells+1.0")
    rewritten(folder / "cells+1.0" / "manifest.json", skill=None, skills=["detect", "point"], metrics={"f1": 0.5})
    found = adapters_by_skill(folder)
    assert found["detect"] == found["point"] == folder / "cells+1.0"
    assert read_manifest(found["point"]).metrics == {"f1": 0.5}
    model = load_llava(tiny_base, folder)
    assert model.adapter_hashes["detect"] == model.adapter_hashes["point"] != model.adapter_hashes["count"]
    state = model.peft.state_dict()
    for name, value in load_file(folder / "cells+1.0" / "adapter_model.safetensors").items():
        assert torch.equal(state[name.replace(".weight", ".detect+point.weight")], value.float())


def test_two_adapters_for_one_skill_are_refused(tiny_base: Path, adapter_copy: Path) -> None:
    shutil.copytree(adapter_copy / "count", adapter_copy / "count-2")
    with pytest.raises(InputError, match="'count' and 'count-2'") as caught:
        load_llava(tiny_base, adapter_copy)
    assert "\n" not in str(caught.value)


def test_the_adapters_of_the_package_serve_the_skill_that_they_are_named_after() -> None:
    folder = embedded_folder() / "adapters"
    for skill, path in adapters_by_skill(folder).items():
        assert path.name == skill
        assert check_adapter(path, embedded_folder() / "base").skills == (skill,)


@pytest.mark.parametrize("skills", [[], ["a.b"], ["a+b"], ["../a"], [1], "count"])
def test_skills_that_could_not_be_looked_up_are_refused(source: Path, skills: Any) -> None:
    rewritten(source / "manifest.json", skill=None, skills=skills)
    with pytest.raises(InputError, match="skills"):
        read_manifest(source)


# --- what is refused --------------------------------------------------------------------------------------------------


def without(part: str) -> Callable[[Path], object]:
    return lambda folder: (folder / part).unlink()


def weights(change: Callable[[dict[str, torch.Tensor], str], object]) -> Callable[[Path], object]:
    def spoil(folder: Path) -> None:
        tensors = load_file(folder / "adapter_model.safetensors")
        change(tensors, sorted(tensors)[0])
        save_file(tensors, folder / "adapter_model.safetensors")

    return spoil


def config(**fields: Any) -> Callable[[Path], object]:
    return lambda folder: rewritten(folder / "adapter_config.json", **fields)


SPOILT: dict[str, tuple[Callable[[Path], object], str]] = {
    "a pickle beside it": (lambda f: torch.save({}, f / "adapter_model.bin"), "the pickle adapter_model.bin"),
    "a pickle in its place": (lambda f: (f / "adapter_model.safetensors").rename(f / "adapter_model.pt"), "pickle"),
    "no weights": (without("adapter_model.safetensors"), "no adapter_model.safetensors"),
    "no configuration": (without("adapter_config.json"), "no adapter_config.json"),
    "no manifest": (without("manifest.json"), "no manifest.json"),
    "a manifest that lacks a field": (lambda f: rewritten(f / "manifest.json", base_sha256=None), "base_sha256"),
    "no safetensors": (lambda f: (f / "adapter_model.safetensors").write_bytes(b"\xff" * 99), "as safetensors"),
    "a weight that has lost its other half": (weights(lambda t, key: t.pop(key)), "lora_A of .* is missing"),
    "a weight of a module that is not named": (
        weights(lambda t, key: t.update({key.replace("down_proj", "other"): t[key].clone()})),
        "other.* is not in its adapter_config.json",
    ),
    "a weight that is no adapter's": (weights(lambda t, _: t.update(weight=torch.ones(1))), "the weight weight"),
    "no weight at all": (weights(lambda t, _: t.clear()), "no weight of a LoRA"),
    "another rank": (config(r=7), "has the rank 2, its adapter_config.json says 7"),
    "another method": (config(peft_type="IA3"), "not of a LoRA"),
    "a configuration that is none": (lambda f: (f / "adapter_config.json").write_text("["), "adapter_config.json"),
}


@pytest.mark.parametrize("what", SPOILT)
def test_what_is_not_whole_is_not_added(what: str, source: Path, tmp_path: Path) -> None:
    spoil, said = SPOILT[what]
    spoil(source)
    with pytest.raises(InputError, match=said) as caught:
        add_adapter(source, tmp_path / "to")
    assert "\n" not in str(caught.value)
    assert str(source) in str(caught.value)
    assert not list(tmp_path.glob("to/*"))


def test_one_of_another_base_is_not_added(source: Path, tiny_base: Path, tmp_path: Path) -> None:
    rewritten(source / "manifest.json", base_sha256="0" * 64)
    with pytest.raises(InputError, match="another base"):
        add_adapter(source, tmp_path / "to", tiny_base)
    with pytest.raises(InputError, match="has no weights"):
        add_adapter(source, tmp_path / "to", tmp_path)


# --- added and removed ------------------------------------------------------------------------------------------------


def test_an_added_adapter_loads_and_brings_nothing_along(source: Path, tiny_base: Path, tmp_path: Path) -> None:
    (source / "README.md").write_text("# Counts")
    (source / "training_args.json").write_text("{}")
    target = add_adapter(source, tmp_path / "to", tiny_base)
    assert target == tmp_path / "to" / "count"
    assert {path.name for path in target.iterdir()} == {*PARTS, "README.md"}
    assert [path.name for path in (tmp_path / "to").iterdir()] == ["count"]
    assert set(load_llava(tiny_base, tmp_path / "to").peft.peft_config) == {"count"}


def test_a_name_that_is_taken_is_replaced_only_by_force(source: Path, tmp_path: Path) -> None:
    target = add_adapter(source, tmp_path / "to")
    (target / "README.md").write_text("before")
    with pytest.raises(InputError, match="--force"):
        add_adapter(source, tmp_path / "to")
    (source / "manifest.json").rename(tmp_path / "kept.json")
    with pytest.raises(InputError, match=r"no manifest\.json"):
        add_adapter(source, tmp_path / "to", force=True)
    assert (target / "README.md").read_text() == "before"  # what cannot replace it leaves it as it was
    (tmp_path / "kept.json").rename(source / "manifest.json")
    add_adapter(source, tmp_path / "to", force=True)
    assert not (target / "README.md").exists()


def test_a_skill_that_another_serves_already_is_not_added_again(source: Path, tmp_path: Path) -> None:
    add_adapter(source, tmp_path / "to")
    with pytest.raises(InputError, match="'count' for the skill 'count'"):
        add_adapter(source, tmp_path / "to", name="better")
    assert [path.name for path in (tmp_path / "to").iterdir()] == ["count"]


def test_only_an_adapter_is_removed_and_never_the_package_s_own(adapter_copy: Path, tmp_path: Path) -> None:
    (adapter_copy / "notes").mkdir()
    (adapter_copy / "notes" / "mine.txt").write_text("kept")
    for name in ("notes", "detect", "../adapters"):
        with pytest.raises(InputError, match="there is: count"):
            remove_adapter(name, adapter_copy)
    remove_adapter("count", adapter_copy)
    assert [path.name for path in adapter_copy.iterdir()] == ["notes"]
    (tmp_path / "link").symlink_to(embedded_folder() / "adapters")
    for folder in (embedded_folder() / "adapters", tmp_path / "link"):
        with pytest.raises(InputError, match="belongs to the package"):
            remove_adapter("count", folder)
        with pytest.raises(InputError, match="belongs to the package"):
            add_adapter(embedded_folder() / "adapters" / "count", folder, force=True)


# --- the command line, and a hub that runs on this machine ------------------------------------------------------------


def fiducial(home: Path, *arguments: str | Path, endpoint: str = "http://127.0.0.1:9") -> tuple[int, str, str]:
    """The program in a process of its own, with an empty cache and login, and the hub at ``endpoint``."""
    surroundings = {**os.environ, "HF_HOME": str(home), "HF_ENDPOINT": endpoint, "HF_TOKEN": TOKEN}
    surroundings |= {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "0", "NO_PROXY": "127.0.0.1"}
    for name in ("HF_HUB_OFFLINE", "FIDUCIAL_DEBUG"):
        surroundings.pop(name, None)
    command = [sys.executable, "-m", "fiducial.cli", "adapters", *map(str, arguments)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=surroundings)
    return done.returncode, done.stdout.strip(), done.stderr.strip()


def test_pushed_to_a_hub_and_pulled_from_it_an_adapter_is_the_same(
    adapter_copy: Path, tiny_base: Path, tmp_path: Path
) -> None:
    (adapter_copy / "count" / "notes.json").write_text("{}")  # not a part of an adapter: it stays here
    with local_hub() as made:
        endpoint, files = made.address, made.files
        code, out, err = fiducial(tmp_path, "push", "count", "me/cells", "--adapters", adapter_copy, endpoint=endpoint)
        assert (code, out) == (0, f"{endpoint}/me/cells"), err
        assert set(files) == PARTS
        arguments = ("--to", tmp_path / "to", "--base", tiny_base)
        code, out, err = fiducial(tmp_path, "pull", "me/cells", *arguments, endpoint=endpoint)
        assert (code, out) == (0, str(tmp_path / "to" / "cells")), err
        for name in PARTS:
            assert (tmp_path / "to" / "cells" / name).read_bytes() == (adapter_copy / "count" / name).read_bytes()
        assert set(load_llava(tiny_base, tmp_path / "to").peft.peft_config) == {"count"}

        code, _, err = fiducial(tmp_path, "add", "me/cells", *arguments, endpoint=endpoint)
        assert code == 2 and "--force" in err
        files["adapter_model.bin"] = files.pop("adapter_model.safetensors")
        code, _, err = fiducial(tmp_path, "pull", "me/cells", *arguments, "--force", endpoint=endpoint)
        assert code == 2 and "adapter_model" in err and len(err.splitlines()) == 1


def test_a_hub_that_is_out_of_reach_is_one_sentence(adapter_copy: Path, tmp_path: Path) -> None:
    for arguments in (
        ("push", "count", "me/cells", "--adapters", adapter_copy),
        ("pull", "me/cells", "--to", tmp_path / "to"),
        ("pull", "../cells", "--to", tmp_path / "to"),
    ):
        code, out, err = fiducial(tmp_path, *arguments)
        assert (code, out, len(err.splitlines())) == (2, "", 1), err
        assert "the model hub" in err and "cells" in err


def test_the_command_line_lists_adds_and_removes(adapter_copy: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    code, out, err = fiducial(tmp_path, "add", adapter_copy / "count", "--to", mine)
    assert (code, out) == (0, str(mine / "count")), err
    rewritten(mine / "count" / "manifest.json", skill=None, skills=["count", "point"])
    assert fiducial(tmp_path, "list", "--adapters", mine)[1].split("  ")[-1] == "for count, point"
    code, _, err = fiducial(tmp_path, "remove", "count", "--from", mine)
    assert code == 2 and "--yes" in err and (mine / "count").is_dir()
    assert fiducial(tmp_path, "remove", "count", "--from", mine, "--yes")[0] == 0
    assert not list(mine.iterdir())
    code, _, err = fiducial(tmp_path, "add", adapter_copy / "count")
    assert code == 2 and "--to" in err
    code, _, err = fiducial(tmp_path, "add", tmp_path / "nothing", "--to", mine)
    assert code == 2 and "nothing" in err
