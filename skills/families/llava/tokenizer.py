"""The embedded model's tokenizer: a small BPE over its own language, one token for each slot and structure key."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

SLOT_TOKENS = tuple(f"<r{k}>" for k in range(64))
CONTROL_TOKENS = ("<pad>", "<bos>", "<eos>", "<sep>", "<image>", "<unk>")


def train_tokenizer(texts: Iterable[str], keys: Sequence[str], vocabulary_size: int = 3072) -> PreTrainedTokenizerFast:
    """Train on ``texts``; ``keys`` (structure and quantity keys such as ``red_cell``) become whole tokens.

    Control tokens in a user's text cannot arise: ``prompt_text`` sets its punctuation apart.
    """
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(prepend_scheme="always"), pre_tokenizers.Punctuation("isolated")]
    )
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=[*CONTROL_TOKENS, *SLOT_TOKENS, *keys],
        initial_alphabet=sorted(
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,;:?!'\"()-+*/%=<>_&#@"
        ),
        max_token_length=24,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens([AddedToken(key, special=True) for key in (*SLOT_TOKENS, *keys)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<eos>",
        sep_token="<sep>",
        unk_token="<unk>",
        extra_special_tokens={"image_token": "<image>"},
        clean_up_tokenization_spaces=False,
        padding_side="right",
    )
