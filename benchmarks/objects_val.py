"""What ``bccd_val`` and ``dsb2018_val`` share: objects counted and found on a set's val images through the whole chain.

F1 is over all images: one that abstains counts as missed. Count errors are over those that answered, so the share
answered stands beside them.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from statistics import median
from typing import Any

from fiducial.benchmarks.common import (
    bootstrap,
    boxes_of,
    matched,
    mean,
    open_asker,
    picture,
    precision_recall_f1,
    progress,
    refused_domain,
    samples,
    status,
    table,
    zero_case,
)
from fiducial.tools.structures import structures

COUNTED = "count"
COLUMNS = (
    "precision", "recall", "f1", "count_mae", "train_median_mae", "count_exact", "count_mae_answered_only",
    "share_answered", "share_answered_or_partial",
)  # fmt: skip


@dataclass(frozen=True)
class ObjectSet:
    """A data set and what is asked of it. wordings: of each task, in turn over the images."""

    name: str
    structures: tuple[str, ...]
    wordings: Mapping[str, tuple[str, ...]]

    def title(self, structure: str, task: str) -> str:
        """What a row of the table is called."""
        return structure if len(self.wordings) == 1 else f"{structure}, {task}"


def ask_all(args: argparse.Namespace, objects: ObjectSet, val: Sequence[Any]) -> list[dict[str, Any]]:
    """One row for each image, structure and task."""
    asker, rows = open_asker(args), []
    for i, sample in enumerate(progress(val, f"{objects.name} val")):
        for structure in objects.structures:
            truth = [o.box_xyxy_px for o in sample.of(structure)]
            for task, wordings in objects.wordings.items():
                question = wordings[i % len(wordings)].format(plural=structures()[structure].plural)
                record = asker.ask(picture(args.data, objects.name, sample.id), question)
                found = boxes_of(record, (structure,))
                told = task == COUNTED and record.answer is not None and status(record) != "abstained"
                rows.append(
                    {
                        "image": sample.id,
                        "kind": sample.kind,
                        "structure": structure,
                        "task": task,
                        "wording": i % len(wordings),
                        "status": status(record),
                        "reasons": [r.code for r in record.verdict.reasons] if record.verdict else [],
                        "said": record.answer.value if told and record.answer else None,
                        "truth": len(truth),
                        "found": len(found),
                        "matched": matched(found, truth),
                        "off_domain": refused_domain(record),
                        "zero_case": zero_case(record),
                    }
                )
    return rows


def summary(rows: Sequence[Mapping[str, Any]], train_median: float) -> dict[str, Any]:
    """The figures of one structure and task; those of numbers are nan where no number was asked for."""
    told = [r for r in rows if r["said"] is not None]
    sure = [r for r in rows if r["status"] == "answered"]
    errors = [abs(r["said"] - r["truth"]) for r in told]
    scores = precision_recall_f1(*(sum(r[key] for r in rows) for key in ("matched", "found", "truth")))
    return {
        **scores,
        "count_mae": mean(errors),
        "count_mae_interval": bootstrap(errors),
        "count_exact": mean(e == 0 for e in errors),
        "count_mae_answered_only": mean(abs(r["said"] - r["truth"]) for r in sure if r["said"] is not None),
        "share_answered": len(sure) / len(rows),
        "share_partial": mean(r["status"] == "partial" for r in rows),
        "share_abstained": mean(r["status"] == "abstained" for r in rows),
        "share_answered_or_partial": mean(r["status"] != "abstained" for r in rows),
        "train_median": train_median,
        "train_median_mae": mean(abs(train_median - r["truth"]) for r in rows),
        "train_median_mae_same_images": mean(abs(train_median - r["truth"]) for r in told),
    }


def usual_number(train: Sequence[Any], structure: str, kind: str | None = None) -> float:
    """The median number of a structure on the train images, of one kind where one is given; nan without any."""
    numbers = [len(t.of(structure)) for t in train if kind in (None, t.kind)]
    return float(median(numbers)) if numbers else math.nan


def figures_of(
    objects: ObjectSet, train: Sequence[Any], rows: Sequence[Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """The figures of each structure and task, and where there are several kinds of image, of each of those too.

    The median to compare with is that of the train images which a row is about: of all, or of its kind.
    """
    kinds = sorted({r["kind"] for r in rows})
    figures = {}
    parts = (None, *kinds) if len(kinds) > 1 else (None,)
    for kind, structure, task in product(parts, objects.structures, objects.wordings):
        about = [r for r in rows if kind in (None, r["kind"])]
        own = [r for r in about if (r["structure"], r["task"]) == (structure, task)]
        title = objects.title(structure, task) + (f", {kind}" if kind else "")
        figures[title] = {"images": len(own), **summary(own, usual_number(train, structure, kind))}
    return figures


def measure(args: argparse.Namespace, objects: ObjectSet) -> dict[str, Any]:
    """Ask and score the set's val: figures of the whole, of each structure, task and kind of image; all rows."""
    train, val = samples(args.data, objects.name, "train"), samples(args.data, objects.name, "val", args.limit)
    rows = ask_all(args, objects, val)
    return {
        "images": len(val),
        "zero_cases": sum(r["zero_case"] for r in rows),
        "share_off_domain": mean(r["off_domain"] for r in rows),
        "images_off_domain": sorted({r["image"] for r in rows if r["off_domain"]}),
        "structures": figures_of(objects, train, rows),
        "rows": rows,
    }


def show(found: Mapping[str, Any]) -> None:
    """Print the tables of what ``measure`` found."""
    columns = ("images", *COLUMNS)
    own = ([title, *(figures[c] for c in columns)] for title, figures in found["structures"].items())
    print(table(("structure", *columns), own))
    print()
    print(table(("", "value"), ((key, value) for key, value in found.items() if key not in ("structures", "rows"))))
