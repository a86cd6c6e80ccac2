"""Questions in free words on VQA-RAD val: right answers beside those of guesses.

A guess is the majority answer, the model on a blank image and, for closed questions, chance (0 where the wording leaves
all answers).

Each question is put to the skill with the options that its wording leaves, as ``ask`` puts it; then to ``ask``, which
withholds what is no better than a guess. Intervals are drawn by image. The majority answer is that of the train list,
of the question's own type. Without an adapter that understands questions, ``ask`` is left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fiducial.agent.reading import free_question
from fiducial.benchmarks.common import mean, open_asker, parser, progress, samples, status, table, write
from fiducial.skills.base import QuestionArgs, Session, skills_of
from fiducial.skills.evidence import by_chance, commonest, question_type
from fiducial.tools.metrics.answers import same_answer, words_of_answer
from fiducial.tools.metrics.means import group_interval, paired_interval
from fiducial.tools.record import Record

SET = "vqa_rad"
MISSPELT = {"ATRIB": "ATTRIB"}
GUESSES = ("majority", "blank", "chance")


def token_f1(predicted: str | None, true: str) -> float:
    """F1 of the words of an answer, each as often as it stands there."""
    said, truth = Counter(words_of_answer(predicted or "")), Counter(words_of_answer(true))
    both = (said & truth).total()
    return 2 * both / (said.total() + truth.total()) if both else 0.0


def type_of(sample: Any) -> str:
    """VQA-RAD's own type of a question; the first of several."""
    first = sample.facts["question_type"].partition(",")[0].strip().upper()
    return str(MISSPELT.get(first, first))


def truth_of(sample: Any) -> str:
    """The answer as the set has it."""
    target = sample.asks[0].target
    return str(target.choice if target.kind == "choice" else target.text)


def closed(sample: Any) -> bool:
    """Whether the set calls a question closed."""
    return bool(sample.facts["answer_type"] == "CLOSED")


def majority_of(train: Sequence[Any]) -> Callable[[Any], str | None]:
    """The commonest answer of the train list to closed or open questions of a type; to all of them for a new type."""
    found: dict[tuple[bool, str | None], list[str]] = {}
    for sample in train:
        for kind in (type_of(sample), None):
            found.setdefault((closed(sample), kind), []).append(truth_of(sample))
    best = {key: commonest(answers) for key, answers in found.items()}
    return lambda sample: best.get((closed(sample), type_of(sample)), best.get((closed(sample), None)))


def answered(session: Session, question: str) -> str | None:
    """What the skill answers."""
    args = QuestionArgs(question=question, options=list(free_question(question).options))
    return session.perform("question", args).value  # type: ignore[attr-defined, no-any-return]


def told(record: Record) -> dict[str, Any]:
    """What ``ask`` made of a question."""
    reasons = record.verdict.reasons if record.verdict else ()
    said = record.answer.text if record.answer else None
    return {"status": status(record), "reasons": [reason.code for reason in reasons], "told": said}


def ask_all(args: Any) -> list[dict[str, Any]]:
    """A row for each question."""
    from fiducial.tools.images.open_image import open_image

    asker, majority = open_asker(args), majority_of(samples(args.data, SET, "train"))
    rows: list[dict[str, Any]] = []
    asks = "understand" in skills_of(asker.model)
    sessions: dict[str, tuple[Session, Session]] = {}
    for sample in progress(samples(args.data, SET, "val", args.limit), "vqa_rad val"):
        path: Path = args.data / SET / "images" / sample.image_name
        if sample.image_name not in sessions:
            image = open_image(path)
            blank = replace(image, rgb_u8=np.zeros_like(image.rgb_u8))
            sessions[sample.image_name] = asker.model.open(image), asker.model.open(blank)
        question, truth = sample.asks[0].query.question, truth_of(sample)
        seen, unseen = (answered(session, question) for session in sessions[sample.image_name])
        options = free_question(question).options
        said = {"answer": seen, "majority": majority(sample), "blank": unseen}
        rows.append(
            {
                "id": sample.id,
                "image": sample.image_name,
                "question": question,
                "truth": truth,
                "closed": closed(sample),
                "type": type_of(sample),
                "wording": question_type(options),
                **({"chance_right": by_chance(len(options))} if closed(sample) else {}),
                **said,
                **{f"{name}_right": same_answer(text, truth) for name, text in said.items()},
                **{f"{name}_f1": token_f1(text, truth) for name, text in said.items()},
                **(told(asker.ask(path, question)) if asks else {}),
            }
        )
    return rows


def scores(rows: Sequence[Mapping[str, Any]], measure: str = "right") -> dict[str, Any]:
    """The mean of a measure with its interval by image, beside each guess, and what it is above them."""
    images = [row["image"] for row in rows]
    own = [float(row[f"answer_{measure}"]) for row in rows]
    found: dict[str, Any] = {"questions": len(rows), "images": len({*images})}
    found |= {measure: mean(own), "interval": group_interval(own, images)}
    for guess in (guess for guess in GUESSES if all(f"{guess}_{measure}" in row for row in rows)):
        theirs = [float(row[f"{guess}_{measure}"]) for row in rows]
        found[guess] = mean(theirs)
        found[f"above {guess}"] = paired_interval(own, theirs, images)
    return found


def summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The figures: closed questions and their types, open ones by both measures, and what ``ask`` made of them."""
    figures: dict[str, Any] = {}
    for name, wanted in (("closed", True), ("open", False)):
        own = [row for row in rows if row["closed"] == wanted]
        if not own:
            continue
        kinds = sorted({row["type"] for row in own}, key=lambda kind: -sum(row["type"] == kind for row in own))
        figures[name] = {"all": scores(own)} | {kind: scores([r for r in own if r["type"] == kind]) for kind in kinds}
        if "status" in own[0]:
            figures[f"{name} ask"] = {
                "share_abstained": mean(row["status"] == "abstained" for row in own),
                "reasons": dict(Counter(code for row in own for code in row["reasons"])),
                "right_of_told": mean(
                    same_answer(row["told"], row["truth"]) for row in own if row["status"] != "abstained"
                ),
            }
        if not wanted:
            figures["open token f1"] = {"all": scores(own, "f1")}
    return figures


def main() -> None:
    """Ask, score, print, write."""
    args = parser(__doc__).parse_args()
    rows = ask_all(args)
    figures = summary(rows)
    for name, found in figures.items():
        print(f"\n{name}")
        if name.endswith("ask"):
            print(table(("", "value"), found.items()))
        else:
            print(table(("type", *found["all"]), ([kind, *one.values()] for kind, one in found.items())))
    write(args.out, {**figures, "rows": rows})


if __name__ == "__main__":
    main()
