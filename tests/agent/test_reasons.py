"""Every reason that a verdict can have is told in the language of the question."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from fiducial.agent import phrases
from fiducial.agent.measure import WITHHELD
from fiducial.tools.hooks import registry
from fiducial.tools.words import CJK

AGENT = Path(__file__).parents[2] / "agent"
CODE_AT = {"downgrade": 0, "abstain": 0, "Settled": 1, "Reason": 0}  # the argument of each call; or one named code


def codes_in(path: Path) -> Iterator[str]:
    """The codes that a file writes out."""
    for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(call, ast.Call):
            continue
        at = CODE_AT.get(getattr(call.func, "attr", getattr(call.func, "id", "")))
        if at is None:
            continue
        given = [*call.args[at : at + 1], *(k.value for k in call.keywords if k.arg == "code")]
        for part in (node for value in given for node in ast.walk(value)):
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                yield part.value


def test_every_reason_has_chinese_words() -> None:
    written = {code for path in AGENT.rglob("*.py") for code in codes_in(path)}
    assert {"outline_left_box", "count_uncertain", "step_failed", "contradicted", "no_scale"} <= written
    # A check that fails gives its own name as the reason.
    codes = written | {code for code, _ in WITHHELD.values()} | {*registry().checks}
    known = phrases.table("zh")["reasons"]
    assert sorted(codes - known.keys()) == []
    assert all(CJK.search(words) for words in known.values())


def test_a_withheld_answer_is_not_told_as_kept() -> None:
    assert phrases.say("withheld", "zh", text="有血小板。") == "曾声称，但不予采纳：有血小板。"
