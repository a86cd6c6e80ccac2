"""Activated LoRA: the tokens from which on it works, and one image and question computed once for every skill."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from fiducial.skills.adapters import Manifest, base_hash
from fiducial.skills.base import FindArgs, QuestionArgs, SubjectArgs
from fiducial.skills.families.hub.model import HubModel, load_network, processor_of
from fiducial.skills.families.hub.sight import inner_of
from fiducial.skills.families.hub.spec import HUB_SPECS, HubSpec
from fiducial.skills.load import load_model
from fiducial.skills.recipes import recipes
from fiducial.skills.training.encoding import collate
from fiducial.skills.training.networks import activated_ids, save_adapter, trainable
from fiducial.tests.skills.families.tiny_hub import BUILDERS
from fiducial.tools.errors import InputError

if TYPE_CHECKING:
    from fiducial.tools.images.image import Image

Checkpoint = Callable[[str], Path]
DECODER_ONLY = [family for family in BUILDERS if family != "florence2"]
SKILLS = ("count", "detect", "question", "point")
ARGS = {
    "count": SubjectArgs(structure="platelet"),
    "detect": FindArgs(structure="platelet"),
    "question": QuestionArgs(question="What is shown?"),
    "point": FindArgs(structure="platelet"),
}
RGB = np.random.default_rng(1).integers(0, 256, (90, 140, 3), np.uint8)


def spec_of(family: str) -> HubSpec:
    return next(spec for spec in HUB_SPECS if spec.name == family)


def activated(family: str, base: Path) -> Any:
    """A base with an activated LoRA whose weights are not zero."""
    import torch

    spec, recipe = spec_of(family), recipes()["lora"]
    processor = processor_of(spec, base, {})
    network = trainable(load_network(spec, base), recipe, activated_ids(recipe, spec, processor))
    return spiced(network, torch.Generator().manual_seed(len(family)))


def spiced(network: Any, rng: Any) -> Any:
    import torch

    for key, weight in network.named_parameters():
        if "lora_B" in key:
            torch.nn.init.normal_(weight, std=0.3, generator=rng)
    return network.eval()


def adapters(family: str, base: Path, folder: Path, skills: dict[str, bool]) -> Path:
    """An adapter for each skill, activated or not, all different."""
    import torch

    spec, recipe = spec_of(family), recipes()["lora"]
    processor = processor_of(spec, base, {})
    for seed, (skill, is_activated) in enumerate(skills.items()):
        torch.manual_seed(seed)
        ids = activated_ids(recipe, spec, processor) if is_activated else None
        network = spiced(trainable(load_network(spec, base), recipe, ids), torch.Generator().manual_seed(seed))
        manifest = Manifest(
            skills=(skill,), family=family, dialect=spec.dialect, base="base", base_sha256=base_hash(base),
            activated=is_activated,
        )  # fmt: skip
        save_adapter(network, folder / skill, manifest)
    return folder


def loaded(base: Path, folder: Path, tokens: int = 24) -> HubModel:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        model = load_model(str(base), folder)
    assert isinstance(model, HubModel)
    model.network.generation_config.max_new_tokens = tokens
    return model


@pytest.mark.parametrize("family", DECODER_ONLY)
def test_the_invocation_tokens_end_every_prompt(family: str, checkpoint: Checkpoint) -> None:
    processor = processor_of(spec_of(family), checkpoint(family), {})
    ids = processor.invocation_ids
    said = processor.tokenizer.decode(ids)
    assert said in processor.chat.partition("{prompt}")[2] and said.strip()  # type: ignore[attr-defined]
    for prompt in ("Where? ", "a", "息肉。", "x \n", "ASSISTANT:", ""):
        for images in ([RGB], []):
            asked = processor.encode(images, prompt)["input_ids"][0].tolist()
            taught = processor.encode(images, prompt, "three")
            assert asked[-len(ids) :] == ids
            assert taught["input_ids"][0, : len(asked)].tolist() == asked
            assert (taught["labels"][0, : len(asked)] == -100).all()  # what is learned comes after them


@pytest.mark.parametrize("family", DECODER_ONLY)
def test_in_a_padded_batch_each_row_is_changed_from_its_own_answer_on(family: str, checkpoint: Checkpoint) -> None:
    import torch

    network = activated(family, checkpoint(family))
    processor = processor_of(spec_of(family), checkpoint(family), {})
    asks = (("Count the cells.", "three of them, and more"), ("Where is the polyp in this image?", "no"))
    rows = [processor.encode([RGB], prompt, answer) for prompt, answer in asks]
    numbered = [{**row, "task": 0} for row in rows]
    batch = collate(numbered, processor.tokenizer.pad_token_id)  # type: ignore[arg-type]
    batch.pop("task")
    with torch.inference_mode():
        together = network(**batch).logits
        with network.disable_adapter():
            base = network(**batch).logits
        for k, row in enumerate(rows):
            begin = int((row["labels"][0] == -100).sum()) - len(processor.invocation_ids)
            length = row["input_ids"].shape[1]
            alone = network(**row).logits[0]
            assert torch.allclose(together[k, :length], alone, atol=1e-4)
            assert torch.allclose(together[k, :begin], base[k, :begin], atol=1e-4)
            assert float((together[k, begin:length] - base[k, begin:length]).abs().max()) > 0.05


@pytest.mark.parametrize("family", DECODER_ONLY)
def test_skills_that_share_the_image_s_cache_say_the_same_as_without(
    family: str, checkpoint: Checkpoint, tmp_path: Path, image: Image
) -> None:
    base = checkpoint(family)
    kinds = {"count": True, "detect": True, "question": True, "point": False}
    model = loaded(base, adapters(family, base, tmp_path / "adapters", kinds))
    computed: list[int] = []  # tokens of each pass through the language model
    layer = inner_of(model.network).language_model.layers[0]
    layer.register_forward_pre_hook(lambda _, args: computed.append(args[0].shape[1]))
    alone, whole = {}, {}
    for skill in SKILLS:
        computed.clear()
        alone[skill], whole[skill] = without_sharing(model, image, skill), max(computed)
        computed.clear()
    assert len(set(alone.values())) == len(SKILLS)
    session, other = model.open(image), model.open(image).zoom((0, 0, 80, 100))
    session.perform("count", ARGS["count"])
    asked = model.processor.encode([RGB], "")["input_ids"][0].tolist()
    image_tokens = asked.count(model.network.config.image_token_id)
    for skill in (*SKILLS, "count", "detect"):
        other.perform("detect", ARGS["detect"])  # another image in between: the network keeps positions of its last
        computed.clear()
        assert said_in_turn(session, skill) == alone[skill]
        assert (sum(computed[:2]) <= whole[skill] - image_tokens) == kinds[skill]


def without_sharing(model: HubModel, image: Image, skill: str) -> str:
    session = model.open(image)
    session._prefix = None  # type: ignore[assignment]
    return said_in_turn(session, skill)


def said_in_turn(session: Any, skill: str) -> str:
    return str(session.perform(skill, ARGS[skill]).text)


def test_plain_and_activated_adapters_are_loaded_together_in_any_order(
    checkpoint: Checkpoint, tmp_path: Path, image: Image
) -> None:
    base = checkpoint("qwen2_5_vl")
    both = loaded(base, adapters("qwen2_5_vl", base, tmp_path / "both", {"count": False, "detect": True}))
    alone = loaded(base, adapters("qwen2_5_vl", base, tmp_path / "one", {"spare": False, "detect": True}))
    said = both.open(image).perform("detect", ARGS["detect"])
    assert said.text == alone.open(image).perform("detect", ARGS["detect"]).text  # type: ignore[attr-defined]
    plain = load_model(str(base)).open(image)
    assert said.text != plain.perform("detect", ARGS["detect"]).text  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("family", "recipe", "said"),
    [
        ("florence2", "lora", "encoder-decoder"),
        ("qwen2_5_vl", "medvision", "embeddings"),
        ("qwen2_vl", "umit-instruct", "all parameters"),
    ],
)
def test_it_is_refused_where_it_cannot_work(family: str, recipe: str, said: str, checkpoint: Checkpoint) -> None:
    spec = spec_of(family)
    with pytest.raises(InputError, match=f"no activated LoRA here: .*{said}"):
        activated_ids(recipes()[recipe], spec, processor_of(spec, checkpoint(family), {}))


def test_an_activated_adapter_of_an_encoder_decoder_is_not_loaded(checkpoint: Checkpoint, tmp_path: Path) -> None:
    base = checkpoint("florence2")
    folder = adapters("florence2", base, tmp_path / "adapters", {"detect": False})
    path = folder / "detect" / "manifest.json"
    path.write_text(path.read_text().replace('"activated": false', '"activated": true'))
    with pytest.raises(InputError, match="encoder-decoder"):
        load_model(str(base), folder)
