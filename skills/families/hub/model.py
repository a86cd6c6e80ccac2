"""A base of the model hub and its adapters in memory: loading, and generating with one adapter or none."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from fiducial.skills.adapters import Manifest, evidence_in, load_adapters, read_manifests
from fiducial.skills.base import ALL_SKILLS
from fiducial.skills.bases import read_base_manifest
from fiducial.skills.families.dialects import Dialect, dialect
from fiducial.skills.families.hub.spec import HubSpec
from fiducial.tools.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from fiducial.skills.base import Model
    from fiducial.skills.evidence import Evidence
    from fiducial.skills.families.hub.processor import HubProcessor
    from fiducial.skills.families.hub.session import HubSession
    from fiducial.skills.families.hub.shared_prefix import SharedPrefix
    from fiducial.skills.stack import Stack
    from fiducial.tools.images.image import Image

PIXEL_LIMITS = ("min_pixels", "max_pixels")


@dataclass(frozen=True)
class Written:
    """A generation: its text, and the geometric mean of its tokens' probabilities."""

    text: str
    confidence: float


class HubModel:
    """See the module's docstring. manifests: of the adapter that serves each skill, by skill.

    base_recipe: by which the base itself was trained here; nothing for a publisher's.
    """

    def __init__(
        self,
        spec: HubSpec,
        folder: Path,
        network: Any,
        processor: HubProcessor,
        manifests: Mapping[str, Manifest],
        base_recipe: Mapping[str, Any] | None = None,
    ) -> None:
        self.spec, self.folder, self.network = spec, folder, network
        self.processor, self.manifests, self.base_recipe = processor, manifests, base_recipe or {}
        self.guide: Model | None = None  # reads questions in place of the embedded model

    @property
    def name(self) -> str:
        """Family and base."""
        return f"{self.spec.name}:{self.folder.name}"

    @property
    def skills(self) -> frozenset[str]:
        """All of them; what a family writes only when it was trained to, where an adapter or the base itself was."""
        return (ALL_SKILLS - self.spec.trained_only) | set(self.manifests) | set(self.base_recipe.get("skills", ()))

    @property
    def evidence(self) -> dict[str, Evidence]:
        """What the answers of each skill's adapter are worth beside a guess, where its manifest tells."""
        return evidence_in(self.manifests)

    def open(self, image: Image) -> HubSession:
        """A session on one image."""
        from fiducial.skills.families.hub.session import HubSession

        return HubSession(self, image)

    def open_volume(self, stack: Stack) -> HubSession:
        """A session on some slices of a volume, each an image of its own."""
        from fiducial.skills.families.hub.session import HubSession

        return HubSession(self, stack.middle, stack=stack)

    def dialect(self, skill: str) -> Dialect:
        """What the skill's adapter was trained to speak, or the base; else the family's own dialect."""
        manifest = self.manifests.get(skill)
        own = self.base_recipe.get("dialects", {}).get(self.spec.name, self.spec.dialect)
        return dialect(manifest.dialect.partition("/")[0] if manifest else own)

    def templates(self, skill: str) -> str:
        """The templates that the skill's adapter, or the base, was trained with; else its dialect's."""
        manifest = self.manifests.get(skill)
        named = (manifest.recipe if manifest else self.base_recipe).get("templates")
        return str(named or self.dialect(skill).templates)

    def shares(self, skill: str) -> bool:
        """Whether the base's keys and values serve the skill: it has no adapter, or an activated one."""
        decoder_only = bool(self.processor.invocation_ids)
        return decoder_only and (skill not in self.manifests or self.manifests[skill].activated)

    def new_tokens(self, at_most: int) -> int:
        """How many tokens an answer may have: the base's own limit, or this."""
        return min(getattr(self.network.generation_config, "max_new_tokens", None) or at_most, at_most)

    @contextmanager
    def adapter(self, skill: str) -> Iterator[None]:
        """The skill's adapter switched on; all of them off where it has none."""
        if skill in self.manifests:
            self.network.set_adapter(self.manifests[skill].loaded_as)
            yield
        elif self.manifests:
            with self.network.disable_adapter():
                yield
        else:
            yield

    def _never_written(self) -> list[int] | None:
        """The task tokens, which are asked by and are no answer, though where they are tied they have an output too."""
        return self.processor.add_task_tokens(task_tokens_of(self.manifests)) or None

    def write(
        self,
        skill: str,
        inputs: Mapping[str, Tensor],
        max_new_tokens: int,
        seed: int | None = None,
        prefix: SharedPrefix | None = None,
    ) -> Written:
        """Greedy generation with the skill's adapter, or sampling where a seed is given.

        prefix: of the session, shared where the skill can.
        """
        if seed is not None:
            torch.manual_seed(seed)
        sampling = (
            {"do_sample": True}
            if seed is not None
            else {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
        )
        device = next(self.network.parameters()).device
        given: dict[str, Any] = {key: value.to(device) for key, value in inputs.items()}
        if prefix is not None and self.shares(skill):
            given = prefix.given(self.network, given, self.processor.invocation_ids)
        with torch.inference_mode(), self.adapter(skill):
            out = self.network.generate(
                **given,
                **sampling,
                num_beams=1,
                max_new_tokens=self.new_tokens(max_new_tokens),
                return_dict_in_generate=True,
                output_logits=True,
                eos_token_id=self.processor.end_ids,
                pad_token_id=self.processor.tokenizer.pad_token_id,
                suppress_tokens=self._never_written(),
            )
        ids = out.sequences[0].tolist()[-len(out.logits) :]
        logs = [float(step[0].float().log_softmax(-1)[i]) for step, i in zip(out.logits, ids, strict=True)]
        return Written(self.processor.decode(ids), math.exp(sum(logs) / len(logs)) if logs else 0.0)


def positions_of(network: Any) -> int | None:
    """How many tokens the language model has positions for; None where its configuration does not say."""
    found: int | None = getattr(network.config.get_text_config(), "max_position_embeddings", None)
    return found


def load_hub_model(spec: HubSpec, folder: Path, adapters: Path | None) -> HubModel:
    """Load a base folder and the adapters below ``adapters`` (or beside the base). InputError for what does not fit."""
    made_here = read_base_manifest(folder)
    adapters = adapters or (found if (found := folder.parent / "adapters").is_dir() else None)
    manifests = read_manifests(adapters) if adapters else {}
    for skill, manifest in manifests.items():
        if manifest.family != spec.name:
            raise InputError(
                f"the adapter '{skill}' is for the family '{manifest.family}', not for '{spec.name}'; give another base"
            )
        dialect(manifest.dialect.partition("/")[0])
        if manifest.activated and spec.encoder_decoder:
            raise InputError(
                f"the adapter '{skill}' is an activated LoRA, which has no effect in the family '{spec.name}' (an"
                " encoder-decoder); train a plain one"
            )
    processor = load_processor(spec, folder, manifests)
    network = load_network(spec, folder)
    if tokens := task_tokens_of(manifests):
        grow(network, processor.add_task_tokens(tokens))
    if manifests and adapters:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            network = load_adapters(network, folder, adapters, dialect=None)
    recipe = made_here.recipe if made_here else None
    return HubModel(spec, folder, network.eval(), processor, manifests, recipe)


def load_network(spec: HubSpec, folder: Path, half: bool = True) -> Any:
    """The model, every weight of it from the folder's safetensors; on a GPU where there is one, in half precision.

    half: False keeps float32 on a GPU too, as training of all parameters needs it.
    """
    import transformers
    from safetensors import SafetensorError

    on_gpu = torch.cuda.is_available()
    try:
        network, info = getattr(transformers, spec.model_class).from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=True,
            dtype="bfloat16" if on_gpu and half else "float32",
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        why = str(error).partition("\n")[0]
        raise InputError(f"the base {folder} cannot be loaded ({why}); give a complete folder") from None
    if missing := sorted(info["missing_keys"]):
        raise InputError(f"the base {folder} lacks the weight {missing[0]} and {len(missing) - 1} more; copy it again")
    return network.to("cuda") if on_gpu else network


def load_processor(spec: HubSpec, folder: Path, manifests: Mapping[str, Manifest]) -> HubProcessor:
    """The family's processor with the pixel limits that its adapters were trained with, which must be the same."""
    limits = {tuple((key, m.recipe.get(key)) for key in PIXEL_LIMITS) for m in manifests.values()}
    if len(limits) > 1:
        raise InputError(f"the adapters of {folder} were trained with different pixel limits; give one kind of them")
    pixels = {key: int(value) for key, value in next(iter(limits), ()) if value is not None}
    processor = processor_of(spec, folder, pixels)
    processor.add_task_tokens(task_tokens_of(manifests))
    return processor


def task_tokens_of(manifests: Mapping[str, Manifest]) -> tuple[str, ...]:
    """The words that the adapters' tokenizer must know as one token each. InputError where they differ."""
    found = {tuple(named) for m in manifests.values() if (named := m.recipe.get("task_tokens"))}
    if len(found) > 1:
        raise InputError("the adapters were trained with different task tokens; give those of one kind")
    return next(iter(found), ())


def grow(network: Any, ids: Sequence[int]) -> None:
    """Rows of embeddings and output head for these tokens, each the mean of the rows before them."""
    if max(ids) >= network.get_input_embeddings().weight.shape[0]:
        network.resize_token_embeddings(max(ids) + 1, mean_resizing=False)
    with torch.no_grad():
        for part in (network.get_input_embeddings(), network.get_output_embeddings()):
            rows = part.weight[: min(ids)].float().mean(0)
            part.weight[list(ids)] = rows.to(part.weight.dtype)


def processor_of(spec: HubSpec, folder: Path, pixels: dict[str, int]) -> HubProcessor:
    """The family's processor with these pixel limits. InputError where the folder lacks a part of it."""
    try:
        return spec.processor_class()(folder, pixels)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        why = str(error).partition("\n")[0]
        raise InputError(f"the processor of {folder} cannot be loaded ({why}); give a complete folder") from None
