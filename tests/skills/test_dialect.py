"""The embedded model's language: what is rendered parses back exactly, and no text gives a slot that is not there."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from fiducial.skills.datasets.language import parse_intent, render_intent, sample_question
from fiducial.skills.families.llava import dialect
from fiducial.skills.families.llava.grammar import Grammar, intent_lines
from fiducial.skills.families.llava.prompting import prompt_ids
from fiducial.skills.families.llava.tokenizer import CONTROL_TOKENS, SLOT_TOKENS
from fiducial.skills.families.llava.tower import KINDS

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

SLOTS = st.sets(st.integers(0, 39)).map(sorted)


@given(SLOTS)
def test_slots_parse_back(slots: list[int]) -> None:
    assert dialect.parse_slots(dialect.render_slots(slots), 40) == slots


@given(st.integers(0, dialect.MAX_COUNT), st.booleans(), st.sampled_from(KINDS))
def test_counts_presence_and_kinds_parse_back(count: int, present: bool, kind: str) -> None:
    assert dialect.parse_count(dialect.render_count(count)) == count
    assert dialect.parse_presence(dialect.render_presence(present)) is present
    assert dialect.parse_kind(kind, KINDS) == kind


@given(st.integers(0, 2**32))
def test_intents_parse_back(seed: int) -> None:
    _, intent = sample_question(random.Random(seed))
    assert dialect.parse_intent(dialect.render_intent(intent)) == intent


@settings(max_examples=200)
@given(SLOTS, st.integers(1, 40), st.data())
def test_a_mutated_list_of_slots_never_names_one_that_is_not_there(
    slots: list[int], used: int, data: st.DataObject
) -> None:
    text = dialect.render_slots(slots)
    at = data.draw(st.integers(0, len(text)))
    cut = data.draw(st.integers(0, 3))
    text = (
        text[:at]
        + data.draw(st.text(max_size=4) | st.sampled_from(("<r", ">", "<r7>", "<r-1>", "<r٣>")))
        + text[at + cut :]
    )
    parsed = dialect.parse_slots(text, used)
    if parsed is not None:
        assert len(set(parsed)) == len(parsed)
        assert all(0 <= slot < used and f"<r{slot}>" in text for slot in parsed)


@given(st.text())
def test_no_text_makes_the_parsers_raise(text: str) -> None:
    count = dialect.parse_count(text)
    assert count is None or str(count) == text.strip().lstrip("0") or count == 0
    assert dialect.parse_presence(text) in (None, True, False)
    assert dialect.parse_kind(text, KINDS) in (None, *KINDS)
    assert dialect.parse_slots(text, 40) is None or "<r" in text or text.strip() == dialect.NONE


def test_texts_that_say_nothing_certain_are_refused() -> None:
    for text in ("<r1><r1>", "<r1> and <r2>", "<r40>", "", "some", "<r1", "none <r1>"):
        assert dialect.parse_slots(text, 40) is None
    assert dialect.parse_slots("<r3>", 3) is None
    for text in ("", "-1", "1.5", "123", "two", "²"):
        assert dialect.parse_count(text) is None


def test_the_tokenizer_gives_back_every_text_of_the_dialect(tokenizer: PreTrainedTokenizerFast) -> None:
    texts = [*intent_lines(), "none", "yes", "no", *KINDS, *map(str, range(61)), "".join(SLOT_TOKENS)]
    texts.append("blood_smear red_cell 3 <r1><r2> white_cell 0 none")
    for text in texts:
        assert tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]).strip() == text


@settings(max_examples=200, deadline=None)
@given(
    text=st.text(max_size=60) | st.sampled_from([f"is {t} here" for t in (*CONTROL_TOKENS, *SLOT_TOKENS, "red_cell")])
)
def test_no_question_contains_a_control_token(tokenizer: PreTrainedTokenizerFast, text: str) -> None:
    ids = prompt_ids(tokenizer, dialect.understand_prompt(text), 2)
    assert ids[:3] == [tokenizer.bos_token_id, *[tokenizer.convert_tokens_to_ids("<image>")] * 2]
    assert ids[-1] == tokenizer.sep_token_id
    unknown = tokenizer.unk_token_id
    assert not {i for i in ids[3:-1] if i != unknown} & set(tokenizer.all_special_ids)
    assert not set(ids[3:-1]) & set(tokenizer.convert_tokens_to_ids([*SLOT_TOKENS, "red_cell"]))


def test_the_grammar_admits_every_intent_as_it_is_trained(tokenizer: PreTrainedTokenizerFast) -> None:
    grammar = Grammar(tokenizer, intent_lines())
    for line in intent_lines():
        ids = [*tokenizer(line, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
        for n, token in enumerate(ids):
            assert token in grammar.allowed(ids[:n]), (line, tokenizer.convert_ids_to_tokens(ids[: n + 1]))


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_whatever_is_chosen_within_the_grammar_is_an_intent(tokenizer: PreTrainedTokenizerFast, seed: int) -> None:
    grammar, rng, ids = Grammar(tokenizer, intent_lines()), random.Random(seed), []
    while not ids or ids[-1] != tokenizer.eos_token_id:
        ids.append(rng.choice(grammar.allowed(ids)))
        assert len(ids) < 40
    text = tokenizer.decode(ids[:-1]).strip()
    intent = parse_intent(text)
    assert intent is not None
    assert render_intent(intent) == text


def test_what_is_outside_the_grammar_may_only_end(tokenizer: PreTrainedTokenizerFast) -> None:
    grammar = Grammar(tokenizer, intent_lines())
    assert grammar.allowed([tokenizer.convert_tokens_to_ids("<r3>")]) == [tokenizer.eos_token_id]
