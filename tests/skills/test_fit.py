"""Fitting the base and an adapter: what changes, what must not, and what comes back from disk."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from fiducial.skills.base import AnswerArgs, SubjectArgs
from fiducial.skills.datasets.language import closed_words
from fiducial.skills.families.llava import dialect
from fiducial.skills.families.llava.model import embed
from fiducial.skills.families.llava.prompting import prompt_ids
from fiducial.skills.families.llava.tower import KINDS, LABELS
from fiducial.skills.load import load_model
from fiducial.skills.recipes.embedded import FitRecipe
from fiducial.skills.training.embedded.base_tasks import said_words
from fiducial.skills.training.embedded.commands import manifest_of, save_base
from fiducial.skills.training.embedded.examples import Encoded, Example
from fiducial.skills.training.embedded.fit import collate, fit, tokenise
from fiducial.skills.training.embedded.tasks import ON_IMAGES, SKILLS, draw_example
from fiducial.skills.training.encoding import IGNORED
from fiducial.skills.training.networks import save_adapter
from fiducial.skills.training.trainer import newest_complete
from fiducial.tests.skills.tiny import load_base
from fiducial.tools.images.open_image import open_image
from fiducial.tools.positions import PLACE_WORDS
from fiducial.tools.record import Intent

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from fiducial.skills.datasets.sample import Sample
    from fiducial.skills.training.embedded.dense_data import Cached

BLANK = [Encoded("other", torch.zeros(16, 128), dict.fromkeys(LABELS, ()), dict.fromkeys(LABELS, 0))]
NONE_OF = dict.fromkeys(LABELS, ()), dict.fromkeys(LABELS, 0)
FILMS = [Encoded("chest_xray", torch.zeros(16, 128), *NONE_OF, report=line) for line in dialect.report_lines()]
RECIPE = FitRecipe(steps=2, batch_size=2, learning_rate=1e-2, warmup=0.0)


def weights(model: Any) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_a_base_learns_projector_and_decoder_and_leaves_the_tower(
    tiny_base: Path, tokenizer: PreTrainedTokenizerFast, encoded: list[Encoded], tmp_path: Path
) -> None:
    model = load_base(tiny_base)
    before = weights(model)
    trained = fit(model, tokenizer, "base", encoded, RECIPE, tmp_path / "work")
    changed = {name for name, value in weights(trained).items() if not torch.equal(value, before[name])}
    assert not [name for name in changed if "vision_tower" in name]
    assert any("multi_modal_projector" in name for name in changed)
    assert any("layers.1.mlp" in name for name in changed)
    save_base(trained, tokenizer, tmp_path / "base")
    again = load_base(tmp_path / "base").state_dict()
    assert all(torch.equal(value.half(), again[name].half()) for name, value in trained.state_dict().items())


def test_an_adapter_leaves_every_weight_of_the_base_as_it_was(
    tiny_base: Path, tokenizer: PreTrainedTokenizerFast, encoded: list[Encoded], tmp_path: Path
) -> None:
    model = load_base(tiny_base)
    before = weights(model)
    recipe = FitRecipe(steps=2, batch_size=2, learning_rate=1e-2, warmup=0.0, rank=4)
    trained = fit(model, tokenizer, "detect", encoded, recipe, tmp_path / "work")
    after = {
        name.replace("base_model.model.", "").replace(".base_layer", ""): v for name, v in weights(trained).items()
    }
    assert set(before) <= set(after)
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    lora = {name: value for name, value in after.items() if "lora_B" in name}
    assert {name.split(".")[-4] for name in lora} >= {"q_proj", "v_proj", "down_proj"}
    assert all(value.abs().sum() > 0 for value in lora.values())
    assert not any("vision_tower" in name for name in after if "lora" in name)
    save_adapter(trained, tmp_path / "detect", manifest_of("detect", tiny_base, {}, {}))
    written = sorted(path.name for path in (tmp_path / "detect").iterdir())
    assert written == ["adapter_config.json", "adapter_model.safetensors", "manifest.json"]
    assert str(tmp_path) not in (tmp_path / "detect" / "adapter_config.json").read_text()


def test_an_activated_adapter_works_from_the_end_of_the_prompt_on_in_training_as_when_asked(
    tiny_base: Path,
    tiny_adapters: Path,
    tokenizer: PreTrainedTokenizerFast,
    encoded: list[Encoded],
    smear: Sample,
    picture: Callable[..., Path],
    tmp_path: Path,
) -> None:
    recipe = FitRecipe(steps=2, batch_size=3, learning_rate=1e-1, warmup=0.0, rank=4)
    trained = fit(load_base(tiny_base), tokenizer, "count", encoded, recipe, tmp_path / "work", activated=True)
    learned = {name: value for name, value in weights(trained).items() if "lora_B" in name}
    assert all(value.abs().sum() > 0 for value in learned.values())  # without offsets PEFT learns nothing
    assert not any("multi_modal_projector" in name for name in learned)
    save_adapter(trained, tmp_path / "own" / "count", manifest_of("count", tiny_base, {}, {}, activated=True))
    shutil.copytree(tiny_adapters / "answer", tmp_path / "own" / "answer")  # a plain one, loaded before it
    model: Any = load_model(str(tiny_base), tmp_path / "own")
    session = model.open(open_image(picture(smear.pixels())))
    prompt = dialect.find_prompt("count", "red_cell")
    on, off = (one.generate("count", prompt).steps[0] for one in (session, session.with_adapter("count", None)))
    assert float((on - off).abs().max()) > 1e-4
    tokens = session._encoded[0].hidden_states[-1]
    ids = torch.tensor([prompt_ids(tokenizer, prompt, tokens.shape[1])])
    given = {"inputs_embeds": embed(trained.get_base_model(), ids, tokens), "attention_mask": torch.ones_like(ids)}  # type: ignore[operator]
    with torch.no_grad():
        told = trained(**given, alora_offsets=[1]).logits[0]
        with trained.disable_adapter():  # type: ignore[operator]
            base = trained(**given).logits[0]
    assert torch.allclose(told[:-1], base[:-1], atol=1e-5)
    assert torch.allclose(told[-1].softmax(-1), on, atol=1e-5)
    assert session.perform("count", SubjectArgs(structure="red_cell")).count is not None
    assert session.perform("answer", AnswerArgs(intent=Intent(task="kind", scope="image"))).value is not None


@pytest.mark.parametrize(("task", "rank", "most"), [("count", 2, 5), ("base", 0, 1)])  # most looks at an image
def test_a_fit_that_is_cut_off_and_resumed_ends_in_the_same_weights(
    task: str,
    rank: int,
    most: int,
    tiny_base: Path,
    tokenizer: PreTrainedTokenizerFast,
    encoded: list[Encoded],
    tmp_path: Path,
) -> None:
    recipe = FitRecipe(steps=4, batch_size=2, learning_rate=1e-2, rank=rank)

    class CutOff(list[Any]):
        looks = 0

        def __getitem__(self, index: Any) -> Any:
            self.looks += 1
            if self.looks > most:
                raise KeyboardInterrupt
            return super().__getitem__(index)

    whole = fit(load_base(tiny_base), tokenizer, task, encoded, recipe, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        fit(load_base(tiny_base), tokenizer, task, CutOff(encoded), recipe, tmp_path / "cut")
    assert newest_complete(tmp_path / "cut") is not None
    (tmp_path / "cut" / "checkpoint-3").mkdir()  # what a kill in the middle of the next one leaves
    resumed = fit(load_base(tiny_base), tokenizer, task, encoded, recipe, tmp_path / "cut", resume=True)
    again = weights(resumed)
    assert all(torch.equal(value, again[name]) for name, value in weights(whole).items())


def test_only_the_target_is_learned(tokenizer: PreTrainedTokenizerFast, encoded: list[Encoded]) -> None:
    row = tokenise(Example.of([("detect red_cell", "<r1><r3>")], encoded[0]), tokenizer)
    learned = [i for i in row["labels"] if i != IGNORED]
    assert tokenizer.convert_ids_to_tokens(learned) == ["<r1>", "<r3>", "<eos>"]
    assert row["input_ids"][-3:] == learned
    assert row["input_ids"].count(tokenizer.convert_tokens_to_ids("<image>")) == len(encoded[0].tokens)
    short = tokenise(Example.of([("copy yes", "yes")]), tokenizer)
    batch = collate([short, row], tokenizer.pad_token_id)
    assert batch["image_tokens"].shape == (1, 16, 128)
    n = len(short["input_ids"])
    assert batch["attention_mask"].sum(1).tolist() == [n, len(row["input_ids"])]
    assert (batch["labels"][0, n:] == IGNORED).all()


@pytest.mark.parametrize("task", [*SKILLS, "base"])
def test_examples_are_a_function_of_seed_and_index_and_their_targets_parse(task: str, encoded: list[Encoded]) -> None:
    asked = replace(encoded[0], questions=(("Is it round?", "yes"), ("Where is it?", "Left side")))
    images = [*encoded, *FILMS, asked]
    drawn = [draw_example(task, images, 0, i) for i in range(60)]
    told = [[(e.turns, id(e.image)) for e in drawn]]
    told += [[(e.turns, id(e.image)) for e in (draw_example(task, images, s, i) for i in range(60))] for s in (0, 1)]
    assert told[0] == told[1] != told[2]
    assert all((e.image is not None) == (task in ON_IMAGES) for e in drawn) or task == "base"
    for e in drawn:
        for prompt, target in e.turns:
            assert prompt
            assert target
            assert parses(task, prompt, target, e.image), (prompt, target)


def parses(task: str, prompt: str, target: str, image: Encoded | None) -> bool:
    if task in ("detect", "point", "landmark"):
        return dialect.parse_slots(target, 12) is not None
    if task == "count":
        assert image is not None
        return dialect.parse_count(target) == min(image.counts[prompt.split()[1]], dialect.MAX_COUNT)
    if task in ("report", "understand"):
        return {"report": dialect.parse_report, "understand": dialect.parse_intent}[task](target) is not None
    if task == "base":
        return base_parses(prompt, target, image)
    if prompt == dialect.KIND_PROMPT:
        return dialect.parse_kind(target, (*KINDS, "chest_xray")) is not None
    return task != "answer" or dialect.parse_presence(target) is not None


def base_parses(prompt: str, target: str, image: Encoded | None) -> bool:
    task, _, rest = prompt.partition(" ")
    if task == "describe":
        assert image is not None
        return target.startswith(image.kind) and all(f"{k} {image.counts[k]} " in target for k in image.labels)
    if task == "name":
        assert image is not None
        (slot,) = dialect.parse_slots(rest, 40) or ()
        return slot in image.slots[target] if target != dialect.NONE else slot not in sum(image.slots.values(), ())
    if task == "copy":
        return target == rest
    return target in PLACE_WORDS if task == "place" else task in ("restate", "retell")


def test_the_base_is_asked_for_every_word_of_the_dialect(tokenizer: PreTrainedTokenizerFast) -> None:
    assert {*closed_words(), *KINDS, *dialect.YES_NO, dialect.NONE, "R7", "60", "<r39>"} <= {*said_words()}
    drawn = [draw_example("base", BLANK, 0, i) for i in range(4000)]
    learned = {i for e in drawn for i in tokenise(e, tokenizer)["labels"]}
    assert {i for word in said_words() for i in tokenizer(word, add_special_tokens=False)["input_ids"]} <= learned


def test_the_longest_example_fits_the_decoder(tokenizer: PreTrainedTokenizerFast, encoded: list[Encoded]) -> None:
    drawn = [draw_example(task, encoded, 0, i) for task in ("explain", "base") for i in range(300)]
    lengths = [len(tokenise(e, tokenizer)["input_ids"]) for e in drawn]
    assert max(lengths) <= 512


def test_an_encoded_image_names_slots_of_its_own_objects(encoded: list[Encoded], items: list[Cached]) -> None:
    assert len(encoded) == 2 * len(items)
    for image in encoded:
        assert image.tokens.shape == (16, 128)
        assert set(image.slots) == set(image.counts) == set(LABELS)
        assert all(len(image.slots[label]) <= image.counts[label] for label in LABELS)
        named = [slot for slots in image.slots.values() for slot in slots]
        assert all(0 <= slot < 12 for slot in named)
    plain = encoded[0]
    assert plain.kind == "blood_smear"
    cells = int((items[0].objects[:, 0] == LABELS.index("red_cell")).sum())
    assert cells - 2 <= plain.counts["red_cell"] <= cells  # one that is hardly in the picture is not counted
