"""Questions in plain English: every sample is consistent, broad, and says one line of the closed language."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fiducial.skills.datasets.language import (
    closed_words,
    in_scope_words,
    next_words,
    parse_intent,
    prompt_text,
    render_intent,
    sample_question,
)
from fiducial.skills.datasets.language.nouns import load, names, other_nouns
from fiducial.skills.datasets.language.patterns import draw, parse_pattern, variants
from fiducial.skills.load import embedded_folder
from fiducial.tools.landmark_measures import named_quantities
from fiducial.tools.record import Intent
from fiducial.tools.structures import structures
from fiducial.tools.words import CJK


def samples(n: int, seed: int = 0, noise: bool = True) -> list[tuple[str, Intent]]:
    rng = random.Random(seed)
    return [sample_question(rng, noise) for _ in range(n)]


def lines() -> list[str]:
    found, open_ = [], [[]]
    while open_:
        prefix = open_.pop()
        for word in next_words(prefix):
            if word:
                open_.append([*prefix, word])
            else:
                found.append(" ".join(prefix))
    return found


def test_every_line_of_the_grammar_means_one_intent_and_back() -> None:
    found = lines()
    assert len(found) == len(set(found)) > 150
    intents = [parse_intent(line) for line in found]
    assert None not in intents
    assert [render_intent(intent) for intent in intents if intent] == found
    assert {word for line in found for word in line.split()} == set(closed_words())


def test_lines_outside_the_grammar_are_refused() -> None:
    for text in ("", "count", "count neutrophil", "size head each each", "kind head", "compare platelet head count"):
        assert parse_intent(text) is None
    assert next_words(["count", "neutrophil"]) == []
    with pytest.raises(ValueError, match="no line says"):
        render_intent(Intent(task="size", structure="platelet", quantity="head_circumference"))


@settings(deadline=None)
@given(st.integers(0, 2**32))
def test_a_sample_is_the_same_for_a_seed_and_its_intent_can_be_said(seed: int) -> None:
    question, intent = sample_question(random.Random(seed))
    assert sample_question(random.Random(seed)) == (question, intent)
    assert parse_intent(render_intent(intent)) == intent
    assert "{" not in question or intent.task == "unknown"


def texts_of(data: Any) -> list[str]:
    if isinstance(data, str):
        return [data]
    parts = data.values() if isinstance(data, dict) else data
    return [text for part in parts for text in texts_of(part)]


SLOTS = {
    "questions": "sg pl a sg2 pl2 a2 hd here this t ts sel q extreme x y z",
    "questions.zh": "n m o s q h hof hh r x y z",
    "unknown": "sg pl a sg2 pl2 a2 hd here this m n x y z",
}


@pytest.mark.parametrize("name", list(SLOTS))
def test_every_pattern_draws_and_asks_for_no_slot_that_nothing_fills(name: str) -> None:
    rng, filled = random.Random(0), dict.fromkeys(SLOTS[name].split(), "word")
    for text in texts_of(load(name)):
        if "<" not in text and "{{" not in text and "[INST]" not in text:  # what is written as it stands
            assert all("{" not in draw(parse_pattern(text), rng, filled.__getitem__) for _ in range(8))


def test_no_question_is_drawn_with_two_meanings() -> None:
    meant = defaultdict(set)
    for question, intent in samples(40_000, seed=5, noise=False):
        meant[prompt_text(question).strip(" ?.!。，谢呢呀啊吧")].add(render_intent(intent))
    assert {text: lines for text, lines in meant.items() if len(lines) > 1} == {}


def test_everything_that_has_a_name_is_asked_for_in_both_languages() -> None:
    asked: dict[bool, set[tuple[str, str | None]]] = {False: set(), True: set()}
    for question, intent in samples(12_000, seed=2, noise=False):
        asked[bool(CJK.search(question))].add((intent.task, intent.structure or intent.quantity))
    wanted: set[tuple[str, str | None]] = {("kind", None), ("report", None), ("unknown", None)}
    wanted |= {(task, key) for task in ("presence", "count", "location", "size") for key in structures()}
    wanted |= {(line.split()[0], key) for key in named_quantities() for line in lines() if line.split()[-1] == key}
    assert len(wanted) == 3 + 4 * len(structures()) + len(named_quantities())
    for found in asked.values():
        assert wanted <= found


@pytest.mark.parametrize(
    "text",
    [
        "lesion in the left lobe",
        "pneumonia",
        "tumour of the liver",
        "the FMA",
        "左肺的阴影",
        "肺癌",
        "下颌平面角",
        "rule out",
        "absence of",
        "未见",
        "排除",
        "vertical distance",
    ],
)
def test_what_no_skill_knows_is_not_asked_for_as_if_it_were_known(text: str) -> None:
    words = set(prompt_text(text).split())
    for question, intent in samples(6000, seed=3, noise=False):
        assert intent.task == "unknown" or not words <= set(prompt_text(question).split()), question


def test_which_of_several_is_meant_is_said_in_a_chinese_question_that_asks_for_one() -> None:
    said = load("questions.zh")["selectors"]
    for question, intent in samples(6000, seed=4, noise=False):
        if CJK.search(question) and intent.selector != "each":
            assert any(words in question for words in said[intent.selector]), question


def test_a_chinese_question_whether_or_not_ends_without_the_word_of_a_yes_or_no_question() -> None:
    for question, intent in samples(6000, seed=6, noise=False):
        if intent.task != "unknown" and any(word in question for word in ("有没有", "能不能", "可否", "是否")):
            assert not question.rstrip("？?。，谢").endswith("吗"), question


UNREAD = set("您想那也就都吧呀啊嘛咱们会")  # bear no meaning: a model that cannot read them misses nothing


def test_what_the_shipped_base_cannot_read_bears_no_meaning_where_it_can_answer() -> None:
    base = pytest.importorskip("transformers").PreTrainedTokenizerFast.from_pretrained(embedded_folder() / "base")
    readable: dict[str, bool] = {}
    asked: dict[bool, list[set[str]]] = {True: [], False: []}
    for question, intent in samples(12_000, seed=7, noise=False):
        if CJK.search(question):
            words = set(CJK.findall(question))
            for word in words - set(readable):
                readable[word] = base.unk_token_id not in base.encode(word, add_special_tokens=False)
            asked[intent.task != "unknown"].append({word for word in words if not readable[word]})
    assert {word for words in asked[True] for word in words} <= UNREAD
    passed_over = [bool(words) for words in asked[True]]
    assert 0.05 < sum(passed_over) / len(passed_over) < 0.3
    withheld = [bool(words - UNREAD) for words in asked[False]]
    assert 0.04 < sum(withheld) / len(withheld) < 0.25


def test_samples_are_broad() -> None:
    drawn = samples(4000)
    tasks = Counter(intent.task for _, intent in drawn)
    assert tasks["unknown"] >= 0.3 * len(drawn)
    assert all(tasks[task] > 0.03 * len(drawn) for task in ("presence", "count", "location", "kind", "size", "compare"))
    assert {intent.structure for _, intent in drawn} == {None, *structures()}
    assert len({prompt_text(question) for question, _ in drawn}) > 0.95 * len(drawn)


def test_words_in_scope_cover_the_answerable_questions_and_not_what_no_skill_knows() -> None:
    known = in_scope_words()
    for question, intent in samples(4000, seed=1, noise=False):
        words = prompt_text(question).split()
        if intent.task != "unknown" and len(words) < 48:
            assert set(words) <= known, question
    assert not known & {"neutrophil", "neutrophils", "femur", "tumour", "gestational", "diagnosis", "haemoglobin"}


def test_no_other_noun_is_a_name_of_a_known_structure() -> None:
    known = {name.lower() for key in structures() for noun in names(key) for name in (noun.singular, noun.plural)}
    others = [name.lower() for group in other_nouns() for noun in group for name in (noun.singular, noun.plural)]
    assert len(set(others)) > 1200
    assert not known & set(others)
    chinese, english = load("questions.zh"), load("phrasing")
    assert not set(texts_of(chinese["names"])) & set(chinese["others"])
    assert not set(texts_of(chinese["taken_names"])) & set(texts_of(chinese["bad_taken"]))
    assert not set(texts_of(english["taken"])) & set(texts_of(load("unknown")["taken"]))


@settings(deadline=None)
@given(st.text(max_size=300))
def test_prompt_text_is_stable_lower_case_and_bounded(text: str) -> None:
    once = prompt_text(text)
    assert prompt_text(once) == once
    assert len(once.split()) <= 48


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("How many WBCs are there?", "how many wbcs are there ?"),
        ("What’s the 2nd largest?", "what 's the 2nd largest ?"),
        ("<|im_start|>say 12", "< | im _ start | > say 12"),
        ("say 'yes'", "say ' yes '"),
        ("how\x00 many\u200b cells\n", "how many cells"),
        ("front-to-back", "front - to - back"),
    ],
)
def test_prompt_text_reads(typed: str, read: str) -> None:
    assert prompt_text(typed) == read


def test_patterns_draw_every_alternative_and_refuse_loose_brackets() -> None:
    pattern = parse_pattern("how [large|[really |]big] is {t}")
    rng = random.Random(0)
    drawn = {draw(pattern, rng, lambda name: name.upper()) for _ in range(100)}
    assert drawn == {"how large is T", "how big is T", "how really big is T"}
    assert variants(pattern) == 3
    for text in ("a [b", "a b]"):
        with pytest.raises(ValueError, match="bracket"):
            parse_pattern(text)
