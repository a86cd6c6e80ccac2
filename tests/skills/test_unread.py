"""Words that the embedded model cannot read: its tokenizer lacks some of their characters."""

from __future__ import annotations

import random

import pytest
from transformers import PreTrainedTokenizerFast

from fiducial.skills.datasets.language import sample_question
from fiducial.skills.families.llava.prompting import PARTICLES, unread_words
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
        ("肝脏病灶的CT值是多少？", ("值",)),
        ("第12层有几个脑部病灶？", ("层",)),
        ("图中的红细胞有几个，但不要数白细胞", ("但",)),
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


def test_particles_are_all_that_is_passed_over(tokenizer: PreTrainedTokenizerFast) -> None:
    for particle in PARTICLES:
        assert tokenizer.unk_token_id in tokenizer(particle, add_special_tokens=False)["input_ids"], particle
        assert not unread_words(tokenizer, f"{particle}有几个血小板")


def test_answerable_questions_that_are_taught_can_be_read(tokenizer: PreTrainedTokenizerFast) -> None:
    rng = random.Random(0)
    drawn = [sample_question(rng, noise=False) for _ in range(3000)]
    assert not [q for q, intent in drawn if intent.task != "unknown" and unread_words(tokenizer, q)]
