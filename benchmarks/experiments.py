"""The papers' experiments on the embedded base and real smears, three seeds each: one adapter an arm, asked alone.

``python -m fiducial.benchmarks.experiments --data ../shared/data --work FOLDER [--only ARM …] [--picture FILE]``

Every finished run is kept in ``FOLDER`` and not made again. The adapters are trained on ``bccd`` train (the part that
fits) and asked on val by greedy text alone: no rule of inclusion, no check, no fallback, so that what is compared is
the training. Arms: single tasks against a mixture (Point, Detect, Count); answers with and without the grounding task
(grounded GI VQA); rank 4 to 32; with and without questions about what is not there; activated against plain LoRA.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import get_peft_model
from transformers import TrainingArguments

from fiducial.benchmarks.common import matched, mean, precision_recall_f1, table
from fiducial.benchmarks.experiments_picture import draw_experiments
from fiducial.skills.datasets.bccd import open_bccd
from fiducial.skills.datasets.sample import Sample, held_out
from fiducial.skills.families.llava import dialect
from fiducial.skills.families.llava.family import load_base
from fiducial.skills.families.llava.model import embed
from fiducial.skills.families.llava.prompting import invocation_ids, prompt_ids
from fiducial.skills.load import embedded_folder
from fiducial.skills.recipes.embedded import FitRecipe
from fiducial.skills.training.balance import Balancer
from fiducial.skills.training.embedded.dense_data import cache_all
from fiducial.skills.training.embedded.examples import Encoded, Example, encode_all
from fiducial.skills.training.embedded.fit import TokenTrainer, collate, lora, tokenise
from fiducial.skills.training.embedded.tasks import ON_IMAGES

CELLS = ("white_cell", "red_cell", "platelet")
STRENGTHS = (0.0, 0.25, 0.25, 0.5, 0.5, 1.0)
SEEDS = (0, 1, 2)
STEPS, BATCH = 120, 16  # a task; rows a step
MAX_NEW_TOKENS = 64


@dataclass(frozen=True)
class Arm:
    """What one adapter is trained on. negatives: whether it is asked about what is not there."""

    tasks: tuple[str, ...]
    rank: int = 16
    negatives: bool = True
    activated: bool = False


GROUND, ALL = ("detect",), ("count", "detect", "point")
ARMS: dict[str, Arm] = {
    "count alone": Arm(("count",)),
    "detect alone": Arm(("detect",)),
    "point alone": Arm(("point",)),
    "all three": Arm(ALL),
    "answers": Arm(("answer", "count")),
    "answers and grounding": Arm(("answer", "count", *GROUND)),
    "rank 4": Arm(ALL, rank=4),
    "rank 8": Arm(ALL, rank=8),
    "rank 32": Arm(ALL, rank=32),
    "no negatives": Arm(ALL, negatives=False),
    "activated": Arm(ALL, activated=True),
}


class Mixed(torch.utils.data.Dataset[dict[str, Any]]):
    """One question a row, of the arm's tasks in turn; a function of seed and index."""

    def __init__(self, arm: Arm, images: Sequence[Encoded], tokenizer: Any, seed: int, length: int) -> None:
        self.arm, self.images, self.tokenizer, self.seed, self.length = arm, images, tokenizer, seed, length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Ids, labels and image tokens."""
        task = self.arm.tasks[index % len(self.arm.tasks)]
        rng = random.Random(f"{self.seed}-{index}")
        while True:
            image = rng.choice(self.images)
            prompt, target = rng.choice(ON_IMAGES[task](image, rng))
            if self.arm.negatives or target not in (dialect.NONE, "0", "no"):
                return tokenise(Example.of([(prompt, target)], image), self.tokenizer)


def trained(arm: Arm, images: Sequence[Encoded], seed: int, out: Path) -> tuple[Any, Any]:
    """The base with the arm's adapter, and the tokenizer."""
    network, tokenizer = load_base(embedded_folder() / "base")
    torch.manual_seed(seed)
    recipe = FitRecipe(STEPS * len(arm.tasks), BATCH, learning_rate=2e-3, rank=arm.rank, alpha=2 * arm.rank)
    config = lora(replace(recipe, seed=seed), invocation_ids(tokenizer) if arm.activated else None)
    network.model.vision_tower.requires_grad_(False).eval()
    model = get_peft_model(network, config)
    arguments = TrainingArguments(
        output_dir=str(out), max_steps=recipe.steps, per_device_train_batch_size=recipe.batch_size,
        learning_rate=recipe.learning_rate, lr_scheduler_type="cosine", warmup_steps=recipe.steps // 20,
        weight_decay=recipe.weight_decay, bf16=True, use_cpu=not torch.cuda.is_available(), save_strategy="no",
        seed=seed, report_to=[], remove_unused_columns=False, disable_tqdm=True, dataloader_pin_memory=False,
        logging_steps=STEPS,
    )  # fmt: skip
    TokenTrainer(
        model=model, args=arguments, train_dataset=Mixed(arm, images, tokenizer, seed, recipe.steps * BATCH),
        data_collator=lambda rows: collate(rows, tokenizer.pad_token_id), balancer=Balancer("uniform", ("all",)),
    ).train()  # fmt: skip
    return model.eval(), tokenizer


@torch.inference_mode()
def said(model: Any, tokenizer: Any, tokens: torch.Tensor, prompt: str, activated: bool) -> str:
    """The greedy text."""
    ids = torch.tensor([prompt_ids(tokenizer, prompt, len(tokens))])
    embedded = embed(model.get_base_model(), ids, tokens[None].float())
    offsets = {"alora_offsets": [len(invocation_ids(tokenizer))]} if activated else {}
    out = model.generate(
        inputs_embeds=embedded, attention_mask=torch.ones_like(ids), max_new_tokens=MAX_NEW_TOKENS, do_sample=False,
        pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id, **offsets,
    )  # fmt: skip
    gone = (tokenizer.eos_token_id, tokenizer.pad_token_id)
    return str(tokenizer.decode([i for i in out[0].tolist() if i not in gone])).strip()


@dataclass(frozen=True)
class Held:
    """One val image: its tokens, proposals (K, 4), and true boxes of each structure, all in the tower's input."""

    tokens: torch.Tensor
    proposed: np.ndarray
    truth: dict[str, np.ndarray]


def held_images(tower: Any, samples: Sequence[Sample]) -> list[Held]:
    """Val, encoded as at inference."""
    from fiducial.skills.training.embedded.dense_data import boxes_of, make_batch
    from fiducial.skills.training.embedded.examples import valid_boxes

    made, config = [], tower.config
    for item in cache_all(samples, config):
        batch = make_batch([item], np.random.default_rng(0), config, 0.0)
        with torch.no_grad():
            seen = tower(batch.pixels)
        boxes = boxes_of(batch.objects[0], config)
        own = {k: boxes[batch.objects[0][:, 0] == config.labels.index(k)] for k in CELLS}
        made.append(Held(seen.hidden_states[-1][0], valid_boxes(seen.proposals, 0), own))
    return made


def asked(arm: Arm, model: Any, tokenizer: Any, held: Sequence[Held]) -> dict[str, float]:
    """Figures of each skill, whether the arm was trained on it or not."""
    rows: dict[str, list[float]] = {}
    answers: dict[str, set[str]] = {}
    for image in held:
        for structure in CELLS:
            for skill in ("answer", "count", "detect", "point"):
                prompt = (
                    dialect.presence_prompt(structure) if skill == "answer" else dialect.find_prompt(skill, structure)
                )
                text = said(model, tokenizer, image.tokens, prompt, arm.activated)
                answers.setdefault(skill, set()).add(text)
                for name, value in scored(skill, text, image, image.truth[structure]):
                    rows.setdefault(f"{skill} {name}", []).append(value)
    figures = {name: float(np.mean(values)) for name, values in rows.items()}
    return figures | {f"{skill} distinct": float(len(texts)) for skill, texts in answers.items()}


def scored(skill: str, text: str, image: Held, truth: np.ndarray) -> Iterator[tuple[str, float]]:
    """The scores of one answer. A text that cannot be read is wrong, and counted."""
    if skill == "answer":
        said_so = dialect.parse_presence(text)
        yield "unread", float(said_so is None)
        yield "right", float(said_so is (len(truth) > 0))
    elif skill == "count":
        number = dialect.parse_count(text)
        yield "unread", float(number is None)
        yield "error", float(abs((number or 0) - len(truth)))
    else:
        slots = dialect.parse_slots(text, len(image.proposed))
        found = image.proposed[slots or []]
        yield "unread", float(slots is None)
        if len(truth):
            yield "zero cases", float(not len(found))
            hits = matched(found.tolist(), truth.tolist())
            yield "F1", precision_recall_f1(hits, len(found), len(truth))["f1"]
        else:
            yield "invented", float(len(found) > 0)


def run(
    name: str, arm: Arm, seed: int, images: Sequence[Encoded], held: Sequence[Held], work: Path
) -> dict[str, float]:
    """One training and its figures, kept in a file."""
    kept = work / f"{name.replace(' ', '-')}-{seed}.json"
    if kept.is_file():
        figures: dict[str, float] = json.loads(kept.read_text(encoding="utf-8"))
        return figures
    model, tokenizer = trained(arm, images, seed, work / "trainer")
    figures = asked(arm, model, tokenizer, held)
    kept.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    print(name, seed, {k: round(v, 3) for k, v in figures.items()}, flush=True)
    return figures


def own(arm: Arm, figures: dict[str, float]) -> dict[str, float]:
    """The figures of the tasks that an arm was trained on; of others a text is read only by chance."""
    return {name: value for name, value in figures.items() if name.split()[0] in arm.tasks}


def spread(values: Sequence[float]) -> str:
    """Mean and range over the seeds; a dash where there is none."""
    return "–" if not values else f"{mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def main() -> None:
    """Run what is missing, and print the table."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--data", type=Path, default=Path("../shared/data"))
    made.add_argument("--work", type=Path, required=True, help="keeps every finished run")
    made.add_argument("--picture", type=Path, help="draw the table as a picture, to this PNG file")
    made.add_argument("--only", nargs="*", choices=ARMS, help="only these arms")
    args = made.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    tower = load_base(embedded_folder() / "base")[0].model.vision_tower
    fitted = [sample for sample in open_bccd(args.data / "bccd", "train") if not held_out(sample.group)]
    images = encode_all(tower, cache_all(fitted, tower.config), STRENGTHS)
    held = held_images(tower, list(open_bccd(args.data / "bccd", "val")))
    runs = {}
    for name in args.only or ARMS:
        arm = ARMS[name]
        runs[name] = [own(arm, run(name, arm, seed, images, held, args.work)) for seed in SEEDS]
    rows = [[name, *(spread([one[k] for one in made if k in one]) for k in SHOWN)] for name, made in runs.items()]
    print(table(["arm", *SHOWN], rows))
    if args.picture:
        draw_experiments(runs, SHOWN, args.picture)


SHOWN = (
    "answer right", "count error", "detect F1", "detect zero cases", "detect invented", "detect unread",
    "point F1", "point zero cases", "count distinct",
)  # fmt: skip


if __name__ == "__main__":
    main()
