"""Adapters as files: checked without a model, copied into a folder of adapters in one motion, taken out of it again."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

from fiducial.skills.adapters import (
    ADAPTER_NAME,
    CONFIG,
    MANIFEST,
    WEIGHTS,
    Manifest,
    adapter_folders,
    adapters_by_skill,
    read_manifest,
)
from fiducial.skills.bases import weights_hash
from fiducial.skills.load import embedded_folder
from fiducial.tools.errors import InputError

ADAPTER_FILES = (WEIGHTS, CONFIG, MANIFEST, "README.md", "*.csv", "*.png")  # the card, its curves and their picture
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")
LORA_KEY = re.compile(r"base_model\.model\.(?P<module>.+)\.lora_(?P<part>embedding_[AB]$|[AB]\.weight$)")


def check_adapter(folder: Path, base: Path | None = None) -> Manifest:
    """The manifest of an adapter all of whose files are there and agree with each other.

    base: the folder of the base that it must have been trained on. Raises InputError: for a pickle, a file or a weight
    that is missing, a weight that the configuration does not name, another base.
    """
    if not folder.is_dir():
        raise InputError(f"there is no adapter {folder}; give the folder of one, or owner/name on the model hub")
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in PICKLES:
            raise InputError(
                f"the adapter {folder} has the pickle {path.name}, which can run code when it is read;"
                " give the adapter as safetensors alone"
            )
    for part in (WEIGHTS, CONFIG, MANIFEST):
        if not (folder / part).is_file():
            raise InputError(f"the adapter {folder} has no {part}; train or copy it again")
    manifest = read_manifest(folder, None if base is None else weights_hash(base))
    _check_weights(folder, _config(folder / CONFIG))
    return manifest


def _config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"cannot read {path} ({error}); train or copy the adapter again") from None
    if not isinstance(config, dict) or config.get("peft_type") != "LORA":
        raise InputError(f"{path} is not of a LoRA (its peft_type is not LORA); give an adapter that PEFT made as one")
    return config


def _check_weights(folder: Path, config: dict[str, Any]) -> None:
    """Each weight belongs to a module that the configuration names; each pair of a LoRA is whole, and of its rank."""
    ranks: dict[str, dict[str, int]] = {}
    whole = set(config.get("modules_to_save") or ())
    also = (".token_adapter.trainable_tokens_delta",) if config.get("trainable_token_indices") else ()
    for key, shape in _shapes(folder).items():
        pair = LORA_KEY.fullmatch(key)
        if pair is not None and _named(pair["module"], config.get("target_modules")):
            side = pair["part"].removesuffix(".weight")[-1]
            ranks.setdefault(pair["module"], {})[side] = shape[0 if side == "A" else -1]
        elif not key.endswith(also) and ".lora_magnitude_vector" not in key and whole.isdisjoint(key.split(".")):
            raise InputError(f"the adapter {folder} does not fit: the weight {key} is not in its {CONFIG}")
    if not ranks:
        raise InputError(f"the adapter {folder} does not fit: its {WEIGHTS} holds no weight of a LoRA")
    for module, sides in ranks.items():
        if missing := sorted({"A", "B"} - set(sides)):
            raise InputError(f"the adapter {folder} does not fit: lora_{missing[0]} of {module} is missing")
        if set(sides.values()) != {rank := _rank(module, config)}:
            raise InputError(
                f"the adapter {folder} does not fit: {module} has the rank {max(sides.values())}, its {CONFIG} says"
                f" {rank}"
            )


def _shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(folder / WEIGHTS, "np") as file:
            return {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
    except (OSError, ValueError, SafetensorError) as error:
        raise InputError(f"cannot read {folder / WEIGHTS} as safetensors ({error}); copy the adapter again") from None


def _named(module: str, targets: str | Collection[str] | None) -> bool:
    """Whether a configuration's ``target_modules`` (a pattern, or the ends of names) names a module."""
    if isinstance(targets, str):
        try:
            return targets == "all-linear" or re.fullmatch(targets, module) is not None
        except re.error:
            return False
    return any(module == name or module.endswith(f".{name}") for name in targets or ())


def _rank(module: str, config: dict[str, Any]) -> Any:
    own = (rank for name, rank in (config.get("rank_pattern") or {}).items() if _named(module, [name]))
    return next(own, config.get("r"))


def add_adapter(source: Path, to: Path, base: Path | None = None, force: bool = False, name: str | None = None) -> Path:
    """Copy a checked adapter into a folder of adapters under its own name; returns where it now lies.

    Written aside and renamed, so that no half of it is ever there. Raises InputError for what ``check_adapter``
    refuses, a name that is taken (unless ``force``) and a skill that another adapter there serves.
    """
    name = name or source.resolve().name
    if not ADAPTER_NAME.fullmatch(name):
        raise InputError(f"'{name}' is no name of an adapter; name its folder with letters, digits, - _ + and .")
    target = to / name
    if target.exists() and not force:
        raise InputError(f"{target} is there already; say --force to replace it, or take it out with adapters remove")
    _refuse_the_packages_own(to)
    check_adapter(source)  # of the source, so that what is wrong is said of the file that the user knows
    to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".adding-", dir=to) as aside:
        copied = Path(aside) / "new" / name
        copied.mkdir(parents=True)
        for path in {path for pattern in ADAPTER_FILES for path in source.glob(pattern)}:
            shutil.copyfile(path, copied / path.name)
        manifest = check_adapter(copied, base)
        _refuse_a_second(manifest, to, name)
        if target.exists():
            target.rename(Path(aside) / "old")
        copied.rename(target)
    return target


def _refuse_a_second(manifest: Manifest, to: Path, name: str) -> None:
    for skill, path in adapters_by_skill(to).items():
        if skill in manifest.skills and path.name != name:
            raise InputError(f"{to} has the adapter '{path.name}' for the skill '{skill}'; take it out first")


def _refuse_the_packages_own(folder: Path) -> None:
    if folder.resolve().is_relative_to(embedded_folder().resolve()):
        raise InputError(f"{folder} belongs to the package, which is never changed; name a folder of your own")


def remove_adapter(name: str, folder: Path) -> None:
    """Take an adapter out of a folder. Raises InputError for a name that it does not have, and the package's own."""
    found = adapter_folders(folder)
    if name not in found:
        raise InputError(f"{folder} has no adapter '{name}'; there is: {', '.join(found) or 'none'}")
    _refuse_the_packages_own(folder)
    path = found[name]
    if path.is_symlink():
        path.unlink()
        return
    with tempfile.TemporaryDirectory(prefix=".removing-", dir=folder) as aside:
        path.rename(Path(aside) / name)  # in one motion: no half of an adapter is ever there
