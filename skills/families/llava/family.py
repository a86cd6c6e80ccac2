"""Loading the LLaVA family: a base folder, its adapters by name, its tokenizer and calibration."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from fiducial.skills.adapters import evidence_in, load_adapters, manifest_hashes, read_manifests
from fiducial.skills.bases import read_base_manifest
from fiducial.skills.families.llava import tower as _registers_the_tower  # noqa: F401
from fiducial.skills.families.llava.calibration import Calibration
from fiducial.skills.families.llava.dialect import DIALECT, NONE
from fiducial.skills.families.llava.grammar import Grammars
from fiducial.skills.families.llava.inclusion import Inclusion, Rule
from fiducial.skills.families.llava.session import LlavaSession
from fiducial.skills.families.llava.tower import KINDS
from fiducial.skills.families.llava.volume import VolumeSession
from fiducial.tools.errors import InputError

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import LlavaForConditionalGeneration, PreTrainedTokenizerFast

    from fiducial.skills.evidence import Evidence
    from fiducial.skills.families.llava.tower import Tower
    from fiducial.skills.stack import Stack
    from fiducial.tools.images.image import Image


class LlavaModel:
    """A base and its adapters in memory. Adapters are switched by name; the base is never loaded again.

    evidence: what the answers of a skill are worth beside a guess; answers: those that it gives to open questions.
    """

    def __init__(
        self,
        folder: Path,
        peft: PeftModel,
        tokenizer: PreTrainedTokenizerFast,
        calibration: Calibration,
        adapter_hashes: Mapping[str, str],
        evidence: Mapping[str, Evidence] | None = None,
        answers: Sequence[str] = (),
    ) -> None:
        self.folder, self.peft, self.tokenizer, self.calibration = folder, peft, tokenizer, calibration
        self.adapter_hashes, self.evidence, self.answers = adapter_hashes, evidence or {}, tuple(answers)

    @property
    def name(self) -> str:
        """Family and base."""
        return f"llava:{self.folder.name}"

    @property
    def tower(self) -> Tower:
        """The vision tower, which looks at the pixels."""
        tower: Tower = self.peft.get_base_model().model.vision_tower  # type: ignore[union-attr, assignment]
        return tower

    @cached_property
    def slot_ids(self) -> tuple[int, ...]:
        """The token of each region slot."""
        return tuple(self.peft.get_base_model().config.slot_token_ids)  # type: ignore[union-attr, arg-type]

    def inclusion(self, structure: str, evidence: Sequence[float]) -> Inclusion:
        """Decides one list of slots by the structure's rule; evidence: the tower's score of each slot in use."""
        none = self.tokenizer(NONE, add_special_tokens=False)["input_ids"][0]
        rule = self.calibration.inclusion.get(structure, Rule())
        return Inclusion(self.slot_ids[: len(evidence)], none, self.tokenizer.eos_token_id, rule, evidence)

    @cached_property
    def grammars(self) -> Grammars:
        """For constrained decoding."""
        return Grammars(self.tokenizer, self.tower.config)

    @property
    def structures(self) -> frozenset[str]:
        """Keys of the elementary structures that it knows."""
        return frozenset(self.tower.config.labels)

    @property
    def skills(self) -> frozenset[str]:
        """What it performs: a skill for each adapter, and what needs none, where the tower knows enough for it."""
        config = self.tower.config
        others = {"detect_3d": config.volumes, "classify": len(config.kinds) > len(KINDS)}
        return frozenset({*self.adapter_hashes, *(skill for skill, can in others.items() if can)})

    @property
    def question_kinds(self) -> frozenset[str]:
        """The kinds of image that its questions in free words were about; it answers those of no other."""
        known = self.evidence.get("question")
        return frozenset(known.kinds) if known else frozenset()

    def open(self, image: Image) -> LlavaSession:
        """A session on one image."""
        return LlavaSession(self, image)

    def open_volume(self, stack: Stack) -> VolumeSession:
        """A session on a whole volume, of which every slice that is shown is looked at."""
        return VolumeSession(self, stack)


def load_base(base: Path) -> tuple[LlavaForConditionalGeneration, PreTrainedTokenizerFast]:
    """A base folder's model and tokenizer. Raises InputError for one that is incomplete or of an older dialect."""
    from safetensors import SafetensorError
    from transformers import AutoTokenizer, LlavaForConditionalGeneration

    read_base_manifest(base)
    try:
        model = LlavaForConditionalGeneration.from_pretrained(base, local_files_only=True, dtype="float32")
        tokenizer = AutoTokenizer.from_pretrained(base, local_files_only=True)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, SafetensorError) as error:
        why = str(error).partition("\n")[0]
        raise InputError(f"the base {base} cannot be loaded ({why}); give a complete folder") from None
    if not hasattr(model.config, "slot_token_ids"):
        raise InputError(f"the base {base} is of a dialect before '{DIALECT}'; train it again with: fiducial pretrain")
    return model.eval(), tokenizer  # type: ignore[return-value]


def load_llava(base: Path, adapters: Path) -> LlavaModel:
    """Load a base folder and every adapter below ``adapters``. Raises InputError for what does not fit."""
    model, tokenizer = load_base(base)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of one library about the other, nothing that a user could mend
        peft = load_adapters(model, base, adapters, DIALECT)
    hashes, manifests = manifest_hashes(adapters), read_manifests(adapters)
    answers = manifests["question"].answers if "question" in manifests else ()
    return LlavaModel(base, peft, tokenizer, Calibration.load(base), hashes, evidence_in(manifests), answers)
