"""Explanations in Chinese say what the record holds, and no more."""

from __future__ import annotations

import random
import re

from fiducial.skills.datasets.language import explain_prompt, write_explanation
from fiducial.skills.training.embedded.records import random_record
from fiducial.tools.words import CJK, name_of


def test_a_chinese_explanation_names_the_numbers_ids_and_structures_of_its_record() -> None:
    seen = set()
    for seed in range(1500):
        rng = random.Random(seed)
        intent, answer, regions, size = random_record(rng)
        if intent.language != "zh":
            continue
        text = write_explanation(intent, answer, regions, *size, rng)
        assert CJK.search(text)
        assert "{" not in text
        assert explain_prompt(intent, answer, regions, *size).startswith("zh ")
        known = {r.id for r in regions}
        assert {*re.findall(r"R[0-9]+", text)} <= known
        if intent.task != "kind":
            own = [r for r in regions if r.parent_id is None]
            groups = {r.label for r in own}
            numbers = {str(sum(r.label == label for r in own)) for label in groups} | {"0"}
            told = {*re.findall(r"([0-9]+)个", text)}
            assert told <= numbers, text
            assert any(name_of(label, 2, "zh") in text for label in (*groups, intent.structure, intent.other_structure)
                       if label), text  # fmt: skip
        seen.add(intent.task)
    assert seen == {"presence", "count", "location", "size", "compare", "kind"}
