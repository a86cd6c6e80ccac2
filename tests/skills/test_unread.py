"""Words that the embedded model cannot read: its tokenizer lacks some of their characters."""

from __future__ import annotations

import random

import pytest
from transformers import PreTrainedTokenizerFast

from fiducial.skills.datasets.language import sample_question
from fiducial.skills.families.llava.prompting import unread_words
from fiducial.skills.load import embedded_folder


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast.from_pretrained(embedded_folder() / "base")  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("question", "unread"),
    [
        ("How many white cells are there?", ()),
        ("Where is the zyxomatic quibble?", ()),  # unknown words of known letters come apart, and can be read
        ("图中有多少个白细胞？", ()),
        ("那您想这里也有几个血小板呢…", ()),
        ("How many cells – and where — are there…?", ()),
        ("图中有多少个肺结节，结节在哪里？", ("节",)),
        ("Wie groß ist der Schädel?", ("groß", "schädel")),
        ("Где клетки?", ("где", "клетки")),
        ("細胞はいくつありますか", ("細",)),
    ],
)
def test_what_cannot_be_read(tokenizer: PreTrainedTokenizerFast, question: str, unread: tuple[str, ...]) -> None:
    found = unread_words(tokenizer, question)
    assert set(unread) <= set(found) if unread else not found


def test_what_was_taught_can_be_read(tokenizer: PreTrainedTokenizerFast) -> None:
    rng = random.Random(0)
    drawn = [sample_question(rng, noise=False) for _ in range(3000)]
    refused = [q for q, intent in drawn if intent.task != "unknown" and unread_words(tokenizer, q)]
    assert not refused
