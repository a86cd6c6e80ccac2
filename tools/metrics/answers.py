"""Answers in words: accuracy of closed and open questions, with intervals by image and the majority answer beside."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from fiducial.tools.metrics.means import Interval, group_interval, mean

ARTICLES = {"a", "an", "the"}
_CHINESE = re.compile(r"[\u3400-\u9fff]")
_OTHER = re.compile(r"[^\w\u3400-\u9fff]+")


def words_of_answer(text: str) -> list[str]:
    """The words of an answer: lower case, without punctuation and articles; Chinese by its characters."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    spaced = _CHINESE.sub(lambda sign: f" {sign[0]} ", folded)
    return [word for word in _OTHER.sub(" ", spaced).split() if word not in ARTICLES]


def same_answer(predicted: str | None, true: str) -> bool:
    """Whether the words are the same, in order; nothing and an empty text are no answer."""
    words = words_of_answer(predicted or "")
    return bool(words) and words == words_of_answer(true)


def token_recall(predicted: str | None, true: str) -> float:
    """Share of the true answer's words that the prediction has, each as often: LLaVA-Med's score of open questions.

    It does not punish a long answer, so it stands beside the accuracy, never for it.
    """
    truth, said = Counter(words_of_answer(true)), Counter(words_of_answer(predicted or ""))
    return (truth & said).total() / truth.total() if truth else float(not said)


@dataclass(frozen=True)
class Accuracy:
    """Over one kind of question.

    accuracy: share of all of them answered in the true words, unread ones wrong; interval: 95 %, over groups (images).
    majority: accuracy of the commonest true answer of each question type. recall: mean token recall. answered: share
    that could be read.
    """

    questions: int
    answered: float
    accuracy: float
    interval: Interval
    majority: float
    recall: float


def answer_scores(
    predicted: Sequence[str | None],
    true: Sequence[str],
    closed: Sequence[bool],
    groups: Sequence[Hashable],
    types: Sequence[str] | None = None,
) -> dict[str, Accuracy]:
    """Accuracy over ``closed``, ``open`` and ``all`` questions.

    groups: the image of each; types: of question, for the majority answer, which is taken from the same questions and
    so is the best that a constant could do.
    """
    rows = list(zip(predicted, true, closed, groups, types or [""] * len(true), strict=True))
    parts = {"closed": [r for r in rows if r[2]], "open": [r for r in rows if not r[2]], "all": rows}
    return {name: _accuracy(part) for name, part in parts.items()}


def _accuracy(rows: Sequence[tuple[str | None, str, bool, Hashable, str]]) -> Accuracy:
    right = [float(same_answer(guess, truth)) for guess, truth, *_ in rows]
    common: dict[tuple[bool, str], Counter[tuple[str, ...]]] = defaultdict(Counter)
    for _, truth, is_closed, _, kind in rows:
        common[is_closed, kind][tuple(words_of_answer(truth))] += 1
    majority = sum(max(counts.values()) for counts in common.values())
    return Accuracy(
        questions=len(rows),
        answered=mean([bool(words_of_answer(guess or "")) for guess, *_ in rows]),
        accuracy=mean(right),
        interval=group_interval(right, [group for *_, group, _ in rows]),
        majority=majority / len(rows) if rows else float("nan"),
        recall=mean([token_recall(guess, truth) for guess, truth, *_ in rows]),
    )
