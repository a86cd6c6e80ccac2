"""What of a network is trained: a LoRA on its linear layers, or its own parameters; and how the result is saved."""

from __future__ import annotations

import re
import shutil
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from fiducial.skills.adapters import MANIFEST, Manifest
from fiducial.skills.recipes import Lora, Recipe
from fiducial.skills.templates import template_set
from fiducial.tools.errors import InputError

if TYPE_CHECKING:
    from fiducial.skills.families.hub.processor import HubProcessor
    from fiducial.skills.families.hub.spec import HubSpec

VISION = re.compile(r"(^|\.)(visual|vision_tower)\.(?!.*merger)")  # the part that hands features on is no encoder
LANGUAGE = "language_model"
WEIGHT_FILES = ("*.safetensors", "*.safetensors.index.json", "*.bin", "*.pt", "*.pth")


def trainable(
    network: Any, recipe: Recipe, activated_ids: list[int] | None = None, task_ids: list[int] | None = None
) -> nn.Module:
    """The network with what the recipe trains set to be trained.

    activated_ids: the tokens from which on an *activated* LoRA works; None for a plain one. task_ids: tokens whose rows
    of the embeddings are trained beside the LoRA.
    """
    if recipe.lora is None:
        for name, parameter in network.named_parameters():
            parameter.requires_grad_("vision" not in recipe.frozen or VISION.search(name) is None)
        return network  # type: ignore[no-any-return]
    from peft import get_peft_model

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        made: nn.Module = get_peft_model(network, lora_config(network, recipe.lora, activated_ids, task_ids))
    return made


def task_tokens(recipe: Recipe) -> tuple[str, ...]:
    """The words that a recipe's templates want as one token each, where a LoRA is trained and not all embeddings."""
    if recipe.lora is None or recipe.lora.embeddings or recipe.templates is None:
        return ()
    return template_set(recipe.templates).task_tokens


def activated_ids(recipe: Recipe, spec: HubSpec, processor: HubProcessor) -> list[int]:
    """The tokens from which on an activated LoRA of a family works. InputError where there can be none."""
    why = None
    if spec.encoder_decoder:
        why = f"the family '{spec.name}' is an encoder-decoder, in which it has no effect"
    elif recipe.lora is None:
        why = f"the recipe '{recipe.name}' trains all parameters and no LoRA"
    elif recipe.lora.embeddings:
        why = f"the recipe '{recipe.name}' trains the embeddings, which change the image's cache"
    elif task_tokens(recipe):
        why = f"the recipe '{recipe.name}' trains the embeddings of its task tokens, which change the image's cache"
    elif recipe.lora.layers != "language":
        why = f"the recipe '{recipe.name}' trains layers of the vision tower, which change the image's cache"
    if why is not None:
        raise InputError(f"no activated LoRA here: {why}; leave out --activated")
    return processor.invocation_ids


def lora_config(
    network: nn.Module, lora: Lora, activated_ids: list[int] | None = None, task_ids: list[int] | None = None
) -> Any:
    """PEFT's configuration: every linear layer of the language model, or of the whole model, but the output head."""
    from peft import LoraConfig, TaskType

    targets: str | list[str] = "all-linear"
    if lora.layers == "language":
        own = {
            name.rpartition(".")[2]
            for name, module in network.named_modules()
            if isinstance(module, nn.Linear) and f"{LANGUAGE}." in name
        }
        targets = rf".*{LANGUAGE}\..*\.({'|'.join(sorted(own))})"
    encoder_decoder = bool(getattr(network.config, "is_encoder_decoder", False))
    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,  # type: ignore[arg-type]
        lora_dropout=lora.dropout,
        target_modules=targets,
        modules_to_save=embedding_names(network) if lora.embeddings else None,
        task_type=None if encoder_decoder or activated_ids is None else TaskType.CAUSAL_LM,
        alora_invocation_tokens=activated_ids,
        trainable_token_indices=task_ids,
    )


def embedding_names(network: Any) -> list[str]:
    """The last parts of the names of the word embeddings and of the output head."""
    parts = (network.get_input_embeddings(), network.get_output_embeddings())
    names = {id(module): name for name, module in network.named_modules()}
    return sorted({names[id(part)].rpartition(".")[2] for part in parts if part is not None and id(part) in names})


def save_adapter(network: Any, folder: Path, manifest: Manifest) -> None:
    """The adapter as it was trained, its configuration without a path of this machine, and its manifest."""
    network.peft_config["default"].base_model_name_or_path = manifest.base
    network.save_pretrained(str(folder), save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")


def save_base(network: Any, parent: Path, folder: Path) -> None:
    """A whole base: weights in safetensors, and all that its parent has beside its weights."""
    folder.mkdir(parents=True, exist_ok=True)
    ignored = shutil.ignore_patterns(*WEIGHT_FILES)
    shutil.copytree(parent, folder, ignore=ignored, dirs_exist_ok=True)
    network.config._name_or_path = ""  # else the path of this machine goes with the weights
    network.save_pretrained(folder)
