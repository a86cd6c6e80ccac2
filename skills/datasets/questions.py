"""Questions in words: closed ones become a choice among their options, open ones free text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from fiducial.skills.datasets.sample import Ask
from fiducial.skills.targets import ChoiceTarget, Language, Query, ReportTarget, Target, TextTarget
from fiducial.tools.errors import InputError

YES_NO: dict[Language, tuple[str, str]] = {"en": ("yes", "no"), "zh": ("是", "不是")}
CLOSED_MARK = "CLOSED "


def language_of(code: str, where: str) -> Language:
    """The language of a code. Raises InputError for one that no template is written in."""
    for language in get_args(Language):
        if code.lower() == language:
            return language  # type: ignore[no-any-return]
    raise InputError(f"{where}: unknown language '{code}'; there is: {', '.join(get_args(Language))}")


def without_mark(text: str) -> str:
    """The text without the ``CLOSED `` that some exports of VQA-RAD left at its head."""
    return text.strip().removeprefix(CLOSED_MARK).strip()


def question_ask(
    question: str, answer: str, options: Sequence[str] = (), language: Language = "en", image_count: int = 1
) -> Ask:
    """A question with its answer. options: of a closed question; yes and no are recognised by the answer itself."""
    options = tuple(options)
    plain = answer.strip().rstrip(".。").lower()
    if not options and plain in YES_NO[language]:
        options, answer = YES_NO[language], plain
    query = Query(
        task="choose" if options else "answer",
        question=question,
        options=options,
        language=language,
        image_count=image_count,
    )
    target: Target = ChoiceTarget(choice=answer) if options else TextTarget(text=answer)
    return Ask(query, target)


def report_ask(text: str, language: Language = "en", image_count: int = 1) -> Ask:
    """A report of the whole image, asked for without a word of it."""
    return Ask(Query(task="report", language=language, image_count=image_count), ReportTarget(text=text))
