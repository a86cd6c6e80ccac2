"""Training speed beside TRL's SFTTrainer with PEFT: same base, rows, batch, LoRA, optimiser and threads, in one run.

``python -m fiducial.benchmarks.train_speed [--trl FOLDER] [--rows 64] [--batch 4]``; TRL is no dependency: install it,
or name a folder with ``pip install --target FOLDER --no-deps trl datasets …``. The base is a LLaVA of random weights.
Samples a second after the first steps; above 1: faster than TRL. ``features`` is the same training with the features
of the frozen vision tower made anew for every row.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig
from PIL import Image as PILImage
from transformers import TrainerCallback, TrainingArguments

from fiducial.benchmarks.common import table
from fiducial.skills.families.dialects import dialect
from fiducial.skills.families.hub.model import load_network, processor_of
from fiducial.skills.families.hub.spec import HUB_SPECS, HubSpec
from fiducial.skills.recipes import recipe_named
from fiducial.skills.training.balance import Balancer
from fiducial.skills.training.encoding import Encoder, Epochs, collate
from fiducial.skills.training.features import Features
from fiducial.skills.training.networks import lora_config, trainable
from fiducial.skills.training.rows import Row, rows_of
from fiducial.skills.training.trainer import SkillTrainer
from fiducial.tests.skills.families.tiny_hub import LLAVA_TOKENS, tokenizer
from fiducial.tests.skills.training.samples import samples

SPEC: HubSpec = next(spec for spec in HUB_SPECS if spec.name == "llava_hub")
SKIPPED = 2  # steps before the clock starts
EPOCHS = 3
CHAT = (
    "{% for m in messages %}{% if m.role == 'user' %}<s>USER: {% for part in m.content %}"
    "{% if part.type == 'image' %}<image>\n{% else %}{{ part.text }}{% endif %}{% endfor %} ASSISTANT:"
    "{% else %}{{ m.content[0].text }}</s>{% endif %}{% endfor %}"
)


def make_base(folder: Path) -> Path:
    """A LLaVA with random weights: a ViT-S of 224² px under four layers of 256, a vocabulary of 32,000."""
    from transformers import CLIPImageProcessorPil, CLIPVisionConfig, LlamaConfig, LlavaConfig
    from transformers import LlavaForConditionalGeneration as Llava

    spoken = tokenizer(LLAVA_TOKENS, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>")
    text = LlamaConfig(
        vocab_size=32000, hidden_size=256, intermediate_size=768, num_hidden_layers=4, num_attention_heads=8,
        num_key_value_heads=8, max_position_embeddings=2048, pad_token_id=spoken.pad_token_id,
    )  # fmt: skip
    vision = CLIPVisionConfig(
        hidden_size=384, intermediate_size=1536, num_hidden_layers=12, num_attention_heads=6, image_size=224,
        patch_size=14,
    )  # fmt: skip
    torch.manual_seed(0)
    image = spoken.convert_tokens_to_ids("<image>")
    placed: dict[str, Any] = {"image_token_index": image, "image_token_id": image, "image_seq_length": 256}
    chosen: dict[str, Any] = {"vision_feature_layer": -2, "vision_feature_select_strategy": "default"}
    network = Llava(LlavaConfig(text_config=text, vision_config=vision, **placed, **chosen))
    network.save_pretrained(folder)
    spoken.save_pretrained(folder)
    CLIPImageProcessorPil(
        size={"shortest_edge": 224}, crop_size={"height": 224, "width": 224}
    ).save_pretrained(folder)  # fmt: skip
    return folder


class Clock(TrainerCallback):
    """Seconds and steps since the first steps."""

    def __init__(self) -> None:
        self.began = self.ended = 0.0
        self.steps = 0

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The clock starts when the first steps are done."""
        self.ended = time.perf_counter()
        if state.global_step == SKIPPED:
            self.began = self.ended
        self.steps = state.global_step - SKIPPED

    def rate(self, batch: int) -> float:
        """Samples a second."""
        return self.steps * batch / (self.ended - self.began)


def settings(out: Path, steps: int, batch: int) -> dict[str, Any]:
    """What both trainers are told."""
    return {
        "output_dir": str(out), "max_steps": steps, "per_device_train_batch_size": batch, "learning_rate": 1e-4,
        "save_strategy": "no", "report_to": [], "remove_unused_columns": False, "disable_tqdm": True,
        "use_cpu": not torch.cuda.is_available(), "bf16": torch.cuda.is_available(), "logging_steps": 1000,
        "dataloader_pin_memory": False, "lr_scheduler_type": "constant",
    }  # fmt: skip


def ours(base: Path, rows: list[Row], steps: int, batch: int, out: Path, reuse: bool) -> float:
    """Samples a second of this package's training."""
    recipe = recipe_named("lora")
    spoken = dialect(SPEC.dialect)
    encoder = Encoder(processor_of(SPEC, base, {}), spoken, spoken.templates)
    network = trainable(load_network(SPEC, base), recipe)
    data, clock = Epochs(rows, encoder, steps * batch), Clock()
    pad_id = encoder.processor.tokenizer.pad_token_id
    SkillTrainer(
        model=network, args=TrainingArguments(**settings(out, steps, batch)), train_dataset=data, callbacks=[clock],
        data_collator=lambda listed: collate(listed, pad_id), balancer=Balancer("uniform", data.tasks),
        features=Features(network) if reuse else None,
    ).train()  # fmt: skip
    return clock.rate(batch)


def trl_rate(base: Path, rows: list[Row], steps: int, batch: int, out: Path) -> float:
    """Samples a second of TRL's SFTTrainer on the same prompts and answers."""
    from datasets import Dataset, arrow_dataset
    from transformers import AutoImageProcessor, AutoTokenizer, LlavaProcessor
    from trl import SFTConfig, SFTTrainer

    arrow_dataset.generate_fingerprint = lambda _: "rows"  # pickles the table, which fails with some pyarrow
    spoken = dialect(SPEC.dialect)
    encoder = Encoder(processor_of(SPEC, base, {}), spoken, spoken.templates)
    shown = []
    for row in rows:
        rgb = row.sample.pixels()
        prompt, answer = encoder.texts(row, rgb.shape, 0)
        asked = [{"role": "user", "content": [{"type": "image", "text": None}, {"type": "text", "text": prompt}]}]
        said = [{"role": "assistant", "content": [{"type": "text", "text": answer}]}]
        shown.append({"images": [PILImage.fromarray(rgb)], "prompt": asked, "completion": said})
    processor = LlavaProcessor(
        AutoImageProcessor.from_pretrained(base), AutoTokenizer.from_pretrained(base), patch_size=14,
        vision_feature_select_strategy="default", chat_template=CHAT, num_additional_image_tokens=1,
    )  # fmt: skip
    network, clock = load_network(SPEC, base), Clock()
    recipe = recipe_named("lora")
    assert recipe.lora is not None
    lora: LoraConfig = lora_config(network, recipe.lora)
    arguments = SFTConfig(
        **settings(out, steps, batch), max_length=None, completion_only_loss=True, gradient_checkpointing=False
    )
    SFTTrainer(
        model=network, args=arguments, train_dataset=Dataset.from_list(shown), processing_class=processor,
        peft_config=lora, callbacks=[clock],
    ).train()  # fmt: skip
    return clock.rate(batch)


def main() -> None:
    """Run the three in turn and print the table."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--trl", type=Path, help="a folder that TRL was installed into")
    made.add_argument("--rows", type=int, default=48, help="rows an epoch")
    made.add_argument("--batch", type=int, default=4)
    args = made.parse_args()
    if args.trl:
        sys.path.append(str(args.trl))
    tasks = ("count", "detect", "point")
    rows = rows_of({"discs": samples(args.rows // len(tasks))}, recipe_named("lora"), tasks)
    steps = SKIPPED + EPOCHS * len(rows) // args.batch
    with tempfile.TemporaryDirectory() as folder:
        base = make_base(Path(folder) / "base")
        run = base, rows, steps, args.batch, Path(folder) / "out"
        rates = {"TRL": trl_rate(*run), "features": ours(*run, False), "fiducial": ours(*run, True)}
    print(f"{len(rows)} rows, {EPOCHS} epochs, batch {args.batch}, {torch.get_num_threads()} threads")
    shown = [[name, f"{rate:.2f}", f"{rate / rates['TRL']:.2f}"] for name, rate in rates.items()]
    print(table(["trainer", "samples a second", "ratio to TRL"], shown))


if __name__ == "__main__":
    main()
