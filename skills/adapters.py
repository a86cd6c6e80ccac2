"""LoRA adapters: one a skill, each a folder with its weights (safetensors), its configuration and its manifest.

Loading fails, loudly, if any weight is not applied or the manifest names another base or dialect: PEFT alone
only warns.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fiducial.tools.errors import InputError
from fiducial.tools.hooks import first_problem

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel


class Manifest(BaseModel):
    """Where an adapter comes from and what it fits.

    base, base_sha256: the base's name and the hash of its weights; dialect: the family's, with its version; recipe: the
    numbers it was trained with; data_sha256: of the list of each split it was trained on; versions: of the libraries.
    """

    model_config = ConfigDict(extra="forbid")

    skill: str
    family: str
    dialect: str
    base: str
    base_sha256: str
    recipe: dict[str, Any] = Field(default_factory=dict)
    data_sha256: dict[str, str] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=dict)


WEIGHTS, CONFIG, MANIFEST = "adapter_model.safetensors", "adapter_config.json", "manifest.json"


def base_hash(base: Path) -> str:
    """SHA-256 of the base's weight files, by which a manifest names its parent."""
    digest = hashlib.sha256()
    for path in sorted(base.glob("*.safetensors")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def adapter_folders(folder: Path) -> dict[str, Path]:
    """The adapters below a folder, by skill."""
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder of adapters; give one that holds a folder a skill")
    parts = (CONFIG, MANIFEST, WEIGHTS)  # one that has lost a part is to be refused, not passed over
    return {path.name: path for path in sorted(folder.iterdir()) if any((path / part).is_file() for part in parts)}


def read_manifest(folder: Path, base: str | None = None, dialect: str | None = None) -> Manifest:
    """An adapter's manifest; refuses one of another base (a hash) or dialect where these are given."""
    path = folder / MANIFEST
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"cannot read the manifest {path} ({error}); train or copy the adapter again") from None
    except ValidationError as error:
        raise InputError(f"the manifest {path}: {first_problem(error)}; train or copy the adapter again") from None
    if manifest.skill != folder.name:
        raise InputError(
            f"the adapter {folder} is for the skill '{manifest.skill}', not '{folder.name}'; rename its folder"
        )
    if base is not None and manifest.base_sha256 != base:
        raise InputError(
            f"the adapter {folder} was trained on another base (its manifest says"
            f" {manifest.base_sha256[:12]}, the base is {base[:12]}); give the base it was trained on"
        )
    if dialect is not None and manifest.dialect != dialect:
        raise InputError(
            f"the adapter {folder} speaks the dialect '{manifest.dialect}', this family now '{dialect}'; train it again"
        )
    return manifest


def manifest_hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of each adapter's manifest, by skill: what the store keeps of the adapters of a run."""
    found = adapter_folders(folder)
    return {skill: hashlib.sha256((path / MANIFEST).read_bytes()).hexdigest() for skill, path in found.items()}


def load_adapters(model: PreTrainedModel, base: Path, folder: Path, dialect: str | None) -> PeftModel:
    """The model with every adapter below ``folder`` loaded under its skill's name, all of them verified.

    dialect: the only one that the family speaks; None where each adapter may speak its own.
    """
    from peft import PeftModel, get_peft_model_state_dict
    from safetensors import SafetensorError, safe_open

    parent, peft = base_hash(base), None
    for skill, path in adapter_folders(folder).items():
        read_manifest(path, parent, dialect)
        for part, why in ((WEIGHTS, "only safetensors is read"), (CONFIG, "train or copy it again")):
            if not (path / part).is_file():
                raise InputError(f"the adapter {path} has no {part}; {why}")
        try:
            if peft is None:
                peft = PeftModel.from_pretrained(model, str(path), adapter_name=skill, local_files_only=True)
            else:
                peft.load_adapter(str(path), adapter_name=skill, local_files_only=True)
            with safe_open(path / WEIGHTS, "pt") as file:
                stored = set(file.keys())
        except (RuntimeError, ValueError, KeyError, TypeError, OSError, SafetensorError) as error:
            why = str(error).partition("\n")[0]
            raise InputError(f"the adapter {path} does not fit the base ({why}); train or copy it again") from None
        # Without the last argument PEFT asks the model hub for a base of this name, over the network.
        applied = set(get_peft_model_state_dict(peft, adapter_name=skill, save_embedding_layers=False))
        if stored != applied:
            odd = sorted(stored ^ applied)[0]
            side = "is not in the model" if odd in stored else "is missing from the file"
            raise InputError(f"the adapter {path} does not fit: the weight {odd} {side}")
    if peft is None:
        raise InputError(f"{folder} holds no adapter; train one with: fiducial train SKILL")
    return peft.eval()
