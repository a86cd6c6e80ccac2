"""Tiny randomly initialised checkpoints of the real architectures, saved as their folders on the hub look."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

HIDDEN = 64
LIMIT = 120  # tokens a generation: random weights never end one

QWEN_TOKENS = [
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>",
    "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>",
    "<|video_pad|>",
]  # fmt: skip
FLORENCE_TOKENS = ["<s>", "<pad>", "</s>", "<unk>", "<image>", "<sep>", "<poly>", "</poly>"]
FLORENCE_TOKENS += [f"<loc_{k}>" for k in range(1000)]
GEMMA_TOKENS = [
    "<pad>",
    "<eos>",
    "<bos>",
    "<start_of_turn>",
    "<end_of_turn>",
    "<start_of_image>",
    "<end_of_image>",
    "<image_soft_token>",
]
LLAVA_TOKENS = ["<unk>", "<s>", "</s>", "<pad>", "<image>"]


def tokenizer(tokens: Sequence[str], **named: Any) -> Any:
    """A tokenizer of bytes, with the tokens of control before them."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: k for k, letter in enumerate(alphabet)}
    made = Tokenizer(models.BPE(vocabulary, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in tokens])
    return PreTrainedTokenizerFast(tokenizer_object=made, **named)


def _save(folder: Path, network: Any, spoken: Any, image_processor: Any) -> Path:
    from transformers import GenerationConfig

    network.generation_config = GenerationConfig.from_model_config(network.config)
    network.generation_config.max_new_tokens = LIMIT
    network.generation_config.min_new_tokens = 4
    network.save_pretrained(folder)
    spoken.save_pretrained(folder)
    image_processor.save_pretrained(folder)
    return folder


def qwen(
    folder: Path, family: str, text_sizes: dict[str, Any] | None = None, vision_sizes: dict[str, Any] | None = None
) -> Path:
    """Qwen2-VL, 2.5 or 3. text_sizes, vision_sizes: of the configurations, in place of the tiny ones."""
    import torch
    import transformers
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    spoken = tokenizer(QWEN_TOKENS, pad_token="<|endoftext|>", eos_token="<|im_end|>")
    ids = {token: spoken.convert_tokens_to_ids(token) for token in QWEN_TOKENS}
    name = {"qwen2_vl": "Qwen2VL", "qwen2_5_vl": "Qwen2_5_VL", "qwen3_vl": "Qwen3VL"}[family]
    patch = 16 if family == "qwen3_vl" else 14
    rope = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10000.0}
    text = {
        "vocab_size": len(spoken), "hidden_size": HIDDEN, "intermediate_size": 96, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "rope_parameters": rope,
        "bos_token_id": ids["<|endoftext|>"], "eos_token_id": ids["<|im_end|>"], "max_position_embeddings": 4096,
    }  # fmt: skip
    vision: dict[str, Any] = {
        "depth": 2,
        "num_heads": 4,
        "patch_size": patch,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
    }
    if family == "qwen2_vl":
        vision |= {"embed_dim": 32, "hidden_size": HIDDEN, "mlp_ratio": 2}
    else:
        vision |= {"hidden_size": 32, "intermediate_size": 48, "out_hidden_size": HIDDEN}
    if family == "qwen2_5_vl":
        vision |= {"fullatt_block_indexes": [1], "window_size": 56}
    if family == "qwen3_vl":
        vision |= {"deepstack_visual_indexes": [0], "num_position_embeddings": 64}
    text, vision = text | (text_sizes or {}), vision | (vision_sizes or {})
    config = getattr(transformers, f"{name}Config")(
        text_config=text, vision_config=vision, image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"], vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
    )  # fmt: skip
    torch.manual_seed(0)
    network = getattr(transformers, f"{name}ForConditionalGeneration")(config)
    factor = 2 * patch
    limits = {"shortest_edge": factor**2 * 4, "longest_edge": factor**2 * 16}
    return _save(folder, network, spoken, Qwen2VLImageProcessorPil(patch_size=patch, size=limits))


def florence2(folder: Path) -> Path:
    """Florence-2 with DaViT's four stages."""
    import torch
    from transformers import BartConfig, CLIPImageProcessorPil, Florence2Config, Florence2ForConditionalGeneration
    from transformers.models.florence2.configuration_florence2 import Florence2VisionConfig

    spoken = tokenizer(
        FLORENCE_TOKENS, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>",
        extra_special_tokens={"image_token": "<image>"},
    )  # fmt: skip
    vision = Florence2VisionConfig(
        depths=(1, 1, 1, 1), embed_dim=(8, 16, 16, 32), num_heads=(1, 2, 2, 4), num_groups=(1, 2, 2, 4),
        window_size=4, projection_dim=HIDDEN,
    )  # fmt: skip
    pad, bos, eos = spoken.pad_token_id, spoken.bos_token_id, spoken.eos_token_id
    text = BartConfig(
        vocab_size=len(spoken), d_model=HIDDEN, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
        decoder_attention_heads=4, encoder_ffn_dim=96, decoder_ffn_dim=96, max_position_embeddings=512,
        pad_token_id=pad, bos_token_id=bos, eos_token_id=eos, decoder_start_token_id=eos, forced_eos_token_id=None,
    )  # fmt: skip
    config = Florence2Config(
        text_config=text, vision_config=vision, image_token_id=spoken.convert_tokens_to_ids("<image>"),
        pad_token_id=pad, bos_token_id=bos, eos_token_id=eos,
    )  # fmt: skip
    torch.manual_seed(0)
    side = {"height": 128, "width": 128}
    pictures = CLIPImageProcessorPil(size=side, crop_size=side, do_center_crop=False)
    pictures.image_seq_length = 17  # 4 × 4 of the last stage, and one for the whole image
    return _save(folder, Florence2ForConditionalGeneration(config), spoken, pictures)


def gemma3(folder: Path) -> Path:
    """Gemma 3 with a SigLIP tower."""
    import torch
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration, Gemma3TextConfig, SiglipVisionConfig
    from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil

    spoken = tokenizer(GEMMA_TOKENS, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>")
    text = Gemma3TextConfig(
        vocab_size=len(spoken), hidden_size=HIDDEN, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=16, sliding_window=512, pad_token_id=spoken.pad_token_id,
        bos_token_id=spoken.bos_token_id, eos_token_id=spoken.eos_token_id,
    )  # fmt: skip
    vision = SiglipVisionConfig(
        hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, image_size=112, patch_size=14
    )
    config = Gemma3Config(
        text_config=text, vision_config=vision, mm_tokens_per_image=16,
        boi_token_index=spoken.convert_tokens_to_ids("<start_of_image>"),
        eoi_token_index=spoken.convert_tokens_to_ids("<end_of_image>"),
        image_token_index=spoken.convert_tokens_to_ids("<image_soft_token>"),
        image_token_id=spoken.convert_tokens_to_ids("<image_soft_token>"),
    )  # fmt: skip
    torch.manual_seed(0)
    pictures = Gemma3ImageProcessorPil(size={"height": 112, "width": 112})
    return _save(folder, Gemma3ForConditionalGeneration(config), spoken, pictures)


def llava(folder: Path) -> Path:
    """LLaVA-1.5 with a CLIP tower."""
    import torch
    from transformers import (
        CLIPImageProcessorPil,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
    )

    spoken = tokenizer(LLAVA_TOKENS, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>")
    text = LlamaConfig(
        vocab_size=len(spoken), hidden_size=HIDDEN, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=2048, pad_token_id=spoken.pad_token_id,
        bos_token_id=spoken.bos_token_id, eos_token_id=spoken.eos_token_id,
    )  # fmt: skip
    vision = CLIPVisionConfig(
        hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, image_size=112, patch_size=14
    )
    config = LlavaConfig(
        text_config=text, vision_config=vision, image_token_index=spoken.convert_tokens_to_ids("<image>"),
        image_token_id=spoken.convert_tokens_to_ids("<image>"), vision_feature_layer=-2,
        vision_feature_select_strategy="default", image_seq_length=64,
    )  # fmt: skip
    torch.manual_seed(0)
    pictures = CLIPImageProcessorPil(size={"shortest_edge": 112}, crop_size={"height": 112, "width": 112})
    return _save(folder, LlavaForConditionalGeneration(config), spoken, pictures)


BUILDERS: dict[str, Callable[[Path], Path]] = {
    "qwen2_5_vl": lambda folder: qwen(folder, "qwen2_5_vl"),
    "florence2": florence2,
    "qwen2_vl": lambda folder: qwen(folder, "qwen2_vl"),
    "qwen3_vl": lambda folder: qwen(folder, "qwen3_vl"),
    "gemma3": gemma3,
    "llava_hub": llava,
}
