"""LoRA adapters: each a folder with its weights (safetensors), its configuration and its manifest.

An adapter serves one skill, or several when it was trained on a mixture; in one folder of adapters a skill has one.
Loading fails, loudly, if any weight is not applied or the manifest names another base or dialect: PEFT alone
only warns.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from fiducial.skills.catalogue import SKILLS
from fiducial.skills.evidence import Evidence
from fiducial.tools.errors import InputError
from fiducial.tools.hooks import first_problem

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel


Skill = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
ADAPTER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+.-]*")


class Manifest(BaseModel):
    """Where an adapter comes from and what it fits.

    skills: those it serves (an older manifest says ``skill``, one of them); base, base_sha256: the base's name and the
    hash of its weights; dialect: the family's, with its version; recipe: the numbers it was trained with; data_sha256:
    of the list of each split it was trained on; versions: of the libraries; metrics: on the split that was kept back;
    activated: whether it is an activated LoRA, which works from its invocation tokens on; parent: the hash of the
    manifest of the adapter that training went on from, if there was one; evidence: what its answers in free words are
    worth beside a guess; answers: those that an open question is answered with, free text where there are none.
    """

    model_config = ConfigDict(extra="forbid")

    skills: tuple[Skill, ...] = Field(min_length=1)
    family: str
    dialect: str
    base: str
    base_sha256: str
    recipe: dict[str, Any] = Field(default_factory=dict)
    data_sha256: dict[str, str] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=dict)
    metrics: dict[str, float] = Field(default_factory=dict)
    activated: bool = False
    parent: str | None = None
    evidence: Evidence | None = None
    answers: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _one_skill(cls, fields: Any) -> Any:
        """The key ``skill`` of the manifests before there were mixtures."""
        if isinstance(fields, dict) and "skill" in fields and "skills" not in fields:
            return {"skills": (fields["skill"],), **{key: value for key, value in fields.items() if key != "skill"}}
        return fields

    @property
    def loaded_as(self) -> str:
        """The adapter's name in the loaded model: its skills, so that one can be looked up; see ``serving``."""
        return "+".join(self.skills)


WEIGHTS, CONFIG, MANIFEST = "adapter_model.safetensors", "adapter_config.json", "manifest.json"


def library_versions() -> dict[str, str]:
    """Of the libraries that a training leans on, for its manifest."""
    return {name: importlib.metadata.version(name) for name in ("torch", "transformers", "peft")}


def base_hash(base: Path) -> str:
    """SHA-256 of the base's weight files, by which a manifest names its parent."""
    digest = hashlib.sha256()
    for path in sorted(base.glob("*.safetensors")):
        with path.open("rb") as file:  # in pieces: a base may be larger than the memory
            while piece := file.read(1 << 24):
                digest.update(piece)
    return digest.hexdigest()


def adapter_folders(folder: Path) -> dict[str, Path]:
    """The adapters below a folder, by name, which is the name of the adapter's folder."""
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder of adapters; give one that holds a folder an adapter")
    parts = (CONFIG, MANIFEST, WEIGHTS)  # one that has lost a part is to be refused, not passed over
    found = (path for path in sorted(folder.iterdir()) if any((path / part).is_file() for part in parts))
    return {path.name: path for path in found if not path.name.startswith(".")}


def adapters_by_skill(folder: Path) -> dict[str, Path]:
    """The adapter below a folder that serves each skill. Raises InputError where two claim the same."""
    found: dict[str, Path] = {}
    for path in adapter_folders(folder).values():
        for skill in dict.fromkeys(read_manifest(path).skills):
            if skill in found:
                raise InputError(
                    f"the adapters '{found[skill].name}' and '{path.name}' in {folder} both serve the skill '{skill}';"
                    " leave one of them there"
                )
            found[skill] = path
    return found


def serving(loaded: Iterable[str], skill: str) -> str | None:
    """Which of the loaded adapters (``Manifest.loaded_as``) serves a skill; None where none does."""
    return next((name for name in loaded if skill in name.split("+")), None)


def read_manifest(folder: Path, base: str | None = None, dialect: str | None = None) -> Manifest:
    """An adapter's manifest; refuses one of another base (a hash) or dialect where these are given."""
    path = folder / MANIFEST
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"cannot read the manifest {path} ({error}); train or copy the adapter again") from None
    except ValidationError as error:
        raise InputError(f"the manifest {path}: {first_problem(error)}; train or copy the adapter again") from None
    if not ADAPTER_NAME.fullmatch(folder.name):
        raise InputError(f"'{folder.name}' is no name of an adapter; name its folder with letters, digits, - _ + and .")
    if folder.name in {skill.name for skill in SKILLS} - set(manifest.skills):
        raise InputError(
            f"the adapter {folder} is for the skill '{', '.join(manifest.skills)}', not '{folder.name}';"
            " rename its folder"
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


def read_manifests(folder: Path) -> dict[str, Manifest]:
    """The manifest of the adapter that serves each skill, by skill."""
    return {skill: read_manifest(path) for skill, path in adapters_by_skill(folder).items()}


def evidence_in(manifests: Mapping[str, Manifest]) -> dict[str, Evidence]:
    """What the answers of each skill's adapter are worth beside a guess, where its manifest tells."""
    return {skill: own.evidence for skill, own in manifests.items() if own.evidence is not None}


def manifest_hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of the manifest of each skill's adapter: what the store keeps of the adapters of a run."""
    found = adapters_by_skill(folder)
    return {skill: hashlib.sha256((path / MANIFEST).read_bytes()).hexdigest() for skill, path in found.items()}


def load_adapters(model: PreTrainedModel, base: Path, folder: Path, dialect: str | None) -> PeftModel:
    """The model with every adapter below ``folder`` loaded, all of them verified; ``serving`` finds a skill's.

    dialect: the only one that the family speaks; None where each adapter may speak its own.
    """
    from peft import PeftModel, PeftModelForCausalLM, get_peft_model_state_dict
    from safetensors import SafetensorError, safe_open

    parent, peft = base_hash(base), None
    paths = list(dict.fromkeys(adapters_by_skill(folder).values()))
    # Any other class than this lets an activated LoRA have no effect at all, without a word.
    kind = PeftModelForCausalLM if any(read_manifest(path).activated for path in paths) else PeftModel
    for path in paths:
        name = read_manifest(path, parent, dialect).loaded_as
        for part, why in ((WEIGHTS, "only safetensors is read"), (CONFIG, "train or copy it again")):
            if not (path / part).is_file():
                raise InputError(f"the adapter {path} has no {part}; {why}")
        try:
            if peft is None:
                peft = kind.from_pretrained(model, str(path), adapter_name=name, local_files_only=True)
            else:
                peft.load_adapter(str(path), adapter_name=name, local_files_only=True)
            with safe_open(path / WEIGHTS, "pt") as file:
                stored = set(file.keys())
        except (RuntimeError, ValueError, KeyError, TypeError, OSError, SafetensorError) as error:
            why = str(error).partition("\n")[0]
            raise InputError(f"the adapter {path} does not fit the base ({why}); train or copy it again") from None
        # Without the last argument PEFT asks the model hub for a base of this name, over the network.
        applied = set(get_peft_model_state_dict(peft, adapter_name=name, save_embedding_layers=False))
        if stored != applied:
            odd = sorted(stored ^ applied)[0]
            side = "is not in the model" if odd in stored else "is missing from the file"
            raise InputError(f"the adapter {path} does not fit: the weight {odd} {side}")
    if peft is None:
        raise InputError(f"{folder} holds no adapter; train one with: fiducial train SKILL")
    return peft.eval()
