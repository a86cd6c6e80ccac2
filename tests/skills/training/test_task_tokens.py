"""The three task tokens of gi-vqa: one token each, their rows trained, kept in the adapter, known again when loaded."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fiducial.skills.adapter_files import check_adapter
from fiducial.skills.adapters import read_manifest
from fiducial.skills.datasets.sample import Ask, Sample
from fiducial.skills.families.hub.model import HubModel
from fiducial.skills.load import load_model
from fiducial.skills.recipes import recipes
from fiducial.skills.targets import Query, TextTarget
from fiducial.skills.templates import template_set
from fiducial.skills.training.run import Plan, train
from fiducial.tests.skills.families.tiny_hub import BUILDERS
from fiducial.tools.errors import InputError

TOKENS = template_set("gi-vqa").task_tokens
RGB = np.random.default_rng(1).integers(0, 256, (90, 140, 3), np.uint8)
IN_A_FRESH_PROCESS = """
import json, sys
from pathlib import Path
import torch
from fiducial.skills.load import load_model
from fiducial.tests.skills.training.test_task_tokens import said
torch.set_num_threads(1)
print(json.dumps(said(load_model(sys.argv[1], Path(sys.argv[2])))))
"""


def said(model: Any) -> dict[str, Any]:
    """What a model writes to a prompt with each task token, and the ids of its prompt."""
    found: dict[str, Any] = {}
    for token in TOKENS:
        inputs = model.processor.encode([RGB], f"{token}What?")
        written = model.write("answer", inputs, 8)
        found[token] = [inputs["input_ids"][0].tolist()[-8:], written.text, round(written.confidence, 3)]
    return found


def livelier(base: Path) -> Path:
    """A checkpoint whose attention is not next to nothing, so that one token of the prompt can make a difference."""
    from safetensors.torch import load_file, save_file

    path = base / "model.safetensors"
    weights = {k: 6 * w if "language_model" in k and w.dim() == 2 else w for k, w in load_file(path).items()}
    save_file(weights, path, metadata={"format": "pt"})
    return base


def test_gi_vqa_trains_its_task_tokens_and_answers_by_them_in_a_fresh_process(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    base = livelier(BUILDERS["florence2"](tmp_path / "base"))
    asks = tuple(
        Ask(Query(task=task, question="What?"), TextTarget(text=text))
        for task, text in (("answer", "a polyp"), ("explain", "red"))
    )
    samples = [Sample(str(n), str(n), "other", lambda: RGB, asks=asks) for n in range(2)]
    quick = {"learning_rate": 2e-3, "epochs": 50, "effective_batch": 4, "schedule": "constant"}
    recipe = recipes()["gi-vqa"].model_copy(update=quick)
    plan = Plan(("answer", "explain"), recipe, base, {"set": samples}, tmp_path / "out", batch_size=4)
    folder = train(plan)

    assert read_manifest(folder).recipe["task_tokens"] == list(TOKENS)
    check_adapter(folder, base)
    rows = [w for key, w in load_file(folder / "adapter_model.safetensors").items() if "trainable_tokens" in key]
    assert [tuple(w.shape) for w in rows] == [(3, 64)]
    mean = next(w for key, w in load_file(base / "model.safetensors").items() if key.endswith("shared.weight")).mean(0)
    moved = (rows[0] - mean).abs().amax(1)
    assert (moved > 0.01).all()  # the third too, as an output that is never right: embeddings and head are tied
    assert not torch.equal(rows[0][0], rows[0][1])

    model = load_model(str(base), folder.parent)
    assert isinstance(model, HubModel)
    tokenizer = model.processor.tokenizer
    assert [len(tokenizer(token, add_special_tokens=False)["input_ids"]) for token in TOKENS] == [1, 1, 1]
    here = said(model)
    assert [here[token][1] for token in TOKENS[:2]] == ["a polyp", "red"]  # the prompts differ in the token alone
    assert tokenizer.convert_tokens_to_ids(TOKENS[2]) in here[TOKENS[2]][0]  # not replaced by the library's prompt
    assert model.processor.harmless(f"is this {TOKENS[0]} a polyp?") == "is this   a polyp?"
    command = [sys.executable, "-c", IN_A_FRESH_PROCESS, str(base), str(folder.parent)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == here
    with torch.no_grad():  # it is by their trained rows that the two tasks are told apart
        next(w for name, w in model.network.named_parameters() if "trainable_tokens" in name).copy_(mean.expand(3, -1))
    blurred = said(model)
    assert blurred[TOKENS[0]][1] == blurred[TOKENS[1]][1]


def test_adapters_with_different_task_tokens_are_refused_together() -> None:
    from fiducial.skills.families.hub.model import task_tokens_of

    manifest = manifest_with(["<A>"])
    assert task_tokens_of({"answer": manifest, "count": manifest_with(None)}) == ("<A>",)
    with pytest.raises(InputError, match="task tokens"):
        task_tokens_of({"answer": manifest, "count": manifest_with(["<B>"])})


def manifest_with(tokens: list[str] | None) -> Any:
    from fiducial.skills.adapters import Manifest

    recipe = {} if tokens is None else {"task_tokens": tokens}
    known: dict[str, Any] = {"skills": ("answer",), "family": "florence2", "dialect": "florence-2", "base": "b"}
    return Manifest(base_sha256="", recipe=recipe, **known)
