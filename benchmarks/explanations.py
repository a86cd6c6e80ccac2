"""Explanations over both val sets: what the explain skill says at its first attempt, before any repair.

A claim is a number, a region or a kind that the text states; it agrees where the record says the same.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from typing import Any

from fiducial.benchmarks.common import (
    CELLS,
    bootstrap,
    mean,
    open_asker,
    parser,
    picture,
    progress,
    read_hc18_rows,
    samples,
    status,
    table,
    write,
)
from fiducial.tools.claims import claims
from fiducial.tools.contradictions import Truth, contradictions
from fiducial.tools.record import Record
from fiducial.tools.structures import structures

WORDINGS = (
    "How many {plural} are there?",
    "Where are the {plural}?",
    "Are there any {plural}?",
    "How large is the largest {name}?",
)
HEAD_WORDINGS = ("What is the head circumference?", "Where is the head?", "Is there a head?")
FIRST_ATTEMPT = re.compile(r"^attempt 1: .*: “(?P<text>.*)”$", re.DOTALL)


def agreement(text: str, record: Record) -> tuple[int, int]:
    """How many of a text's distinct claims agree with the record, and how many there are.

    Whatever is said of a region that the record has not is wrong.
    """
    said, known = set(claims(text)), {r.id for r in record.accepted}
    of_none = [c for c in said if c.kind in ("region", "label", "place") and c.subject not in known]
    other = [problem for problem in contradictions(text, Truth.of_record(record)) if not problem.startswith("cites ")]
    return max(0, len(said) - len(of_none) - len(other)), len(said)


def first_text(record: Record) -> str | None:
    """The first attempt's text: as it stands in the record, or in the check that turned it down; None without one."""
    for check in record.checks:
        if check.name == "explanation_contradicts" and (found := FIRST_ATTEMPT.match(check.detail)):
            return found["text"]
    if record.explanation is not None and record.explanation.source == "skill":
        return record.explanation.text
    return None


def shape(text: str) -> str:
    """A text with its numbers and ids taken out."""
    return re.sub(r"\d+(\.\d+)?", "#", text)


def asked(args: argparse.Namespace) -> Iterator[tuple[str, str, str, str | None]]:
    """Data set, image, question, scale; every image twice."""
    scales = read_hc18_rows(args.data)
    for i, sample in enumerate(samples(args.data, "bccd", "val", args.limit)):
        for j in range(2):
            known = structures()[CELLS[(i + j) % 3]]
            yield "bccd", sample.id, WORDINGS[(i // 3 + 2 * j) % 4].format(plural=known.plural, name=known.name), None
    for i, sample in enumerate(samples(args.data, "hc18", "val", args.limit)):
        for question in dict.fromkeys((HEAD_WORDINGS[0], HEAD_WORDINGS[1 + i % 2])):
            yield "hc18", sample.id, question, f"{scales[sample.id][0]} mm/px"


def row(record: Record) -> dict[str, Any] | None:
    """The figures of one explanation; None where the run ended before it."""
    if record.explanation is None:
        return None
    text = first_text(record)
    agreed, total = agreement(text, record) if text is not None else (0, 0)
    replaced = record.explanation.source == "listing"
    attempts = sum(step.name == "explain" for step in record.steps)
    return {
        "status": status(record),
        "text": text,
        "claims": total,
        "agreed": agreed,
        "replaced": replaced,
        "attempts": attempts,
        "kept": record.explanation.text,
    }


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The totals of a set."""
    total = sum(r["claims"] for r in rows)
    texts = [r["text"] for r in rows if r["text"] is not None]
    return {
        "explanations": len(rows),
        "claims": total,
        "share_of_claims_that_agree": sum(r["agreed"] for r in rows) / total if total else float("nan"),
        "share_of_texts_all_right": mean(r["agreed"] == r["claims"] for r in rows if r["text"] is not None),
        "texts_without_a_claim": sum(r["claims"] == 0 for r in rows if r["text"] is not None),
        "share_made_again": mean(r["attempts"] > 1 for r in rows),
        "share_replaced_by_a_listing": mean(r["replaced"] for r in rows),
        "replaced_interval": bootstrap([float(r["replaced"]) for r in rows]),
        "distinct_texts": len(set(texts)),
        "distinct_shapes": len({shape(t) for t in texts}),
    }


def main() -> None:
    """Ask, hold against the record, print, write."""
    args = parser(__doc__).parse_args()
    asker, rows, ended_before = open_asker(args), [], 0
    for name, image, question, scale in progress(asked(args), "explanations"):
        record = asker.ask(picture(args.data, name, image), question, scale=scale)
        figures = row(record)
        if figures is None:
            ended_before += 1
        else:
            rows.append({"set": name, "image": image, "question": question, **figures})
    parts = {name: [r for r in rows if r["set"] == name] for name in ("bccd", "hc18")}
    totals = {"both": summary(rows), **{name: summary(own) for name, own in parts.items()}}
    print(table(("", *totals), ([key, *(t[key] for t in totals.values())] for key in totals["both"])))
    print(f"\nended before an explanation: {ended_before}")
    write(args.out, {**totals, "ended_before": ended_before, "rows": rows})


if __name__ == "__main__":
    main()
