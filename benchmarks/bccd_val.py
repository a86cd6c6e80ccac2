"""Blood cells on BCCD val: counts and detection of three structures through the whole chain.

Each of the images is asked for white cells, red cells and platelets. F1 is over all images: one that abstains counts as
missed. Count errors are over those that answered, so the share answered stands beside them.
"""

from __future__ import annotations

import argparse
from statistics import median
from typing import Any

from fiducial.benchmarks.common import (
    CELLS,
    annotated_boxes,
    bootstrap,
    boxes_of,
    matched,
    mean,
    open_asker,
    parser,
    picture,
    precision_recall_f1,
    progress,
    refused_domain,
    samples,
    status,
    table,
    write,
    zero_case,
)
from fiducial.tools.structures import structures

WORDINGS = (
    "How many {plural} are there?",
    "Count the {plural}.",
    "How many {plural} can you see in this image?",
    "What is the number of {plural}?",
)


def ask_all(args: argparse.Namespace, val: list[Any]) -> list[dict[str, Any]]:
    """One row for each image and structure."""
    asker, rows = open_asker(args), []
    for i, sample in enumerate(progress(val, "bccd val")):
        for structure in CELLS:
            question = WORDINGS[i % len(WORDINGS)].format(plural=structures()[structure].plural)
            record = asker.ask(picture(args.data, "bccd", sample.id), question)
            found = boxes_of(record, (structure,))
            truth = [o.box_xyxy_px for o in sample.of(structure)]
            rows.append(
                {
                    "image": sample.id,
                    "structure": structure,
                    "wording": i % len(WORDINGS),
                    "status": status(record),
                    "reasons": [r.code for r in record.verdict.reasons],
                    "said": record.answer.value if record.answer and status(record) != "abstained" else None,
                    "truth": len(truth),
                    "found": len(found),
                    "matched": matched(found, truth),
                    "off_domain": refused_domain(record),
                    "zero_case": zero_case(record),
                }
            )
    return rows


def summary(rows: list[dict[str, Any]], train_median: float) -> dict[str, Any]:
    """The figures of one structure."""
    told = [r for r in rows if r["said"] is not None]
    sure = [r for r in told if r["status"] == "answered"]
    errors = [abs(r["said"] - r["truth"]) for r in told]
    scores = precision_recall_f1(*(sum(r[key] for r in rows) for key in ("matched", "found", "truth")))
    return {
        **scores,
        "count_mae": mean(errors),
        "count_mae_interval": bootstrap(errors),
        "count_exact": mean(e == 0 for e in errors),
        "count_mae_answered_only": mean(abs(r["said"] - r["truth"]) for r in sure),
        "share_answered": len(sure) / len(rows),
        "share_answered_or_partial": len(told) / len(rows),
        "train_median": train_median,
        "train_median_mae": mean(abs(train_median - r["truth"]) for r in rows),
        "train_median_mae_same_images": mean(abs(train_median - r["truth"]) for r in told),
    }


def unusable_boxes(args: argparse.Namespace, val: list[Any]) -> int:
    """Empty and inverted boxes of the annotation, which are left out."""
    files = (args.data / "bccd" / "Annotations" / f"{s.id}.xml" for s in val)
    return sum(annotated_boxes(path) for path in files) - sum(len(s.objects) for s in val)


def main() -> None:
    """Ask, score, print, write."""
    args = parser(__doc__).parse_args()
    train, val = samples(args.data, "bccd", "train"), samples(args.data, "bccd", "val", args.limit)
    rows = ask_all(args, val)
    figures = {s: summary([r for r in rows if r["structure"] == s], median(len(t.of(s)) for t in train)) for s in CELLS}
    whole = {
        "images": len(val),
        "unusable_boxes": unusable_boxes(args, val),
        "zero_cases": sum(r["zero_case"] for r in rows),
        "share_off_domain": mean(r["off_domain"] for r in rows),
        "images_off_domain": sorted({r["image"] for r in rows if r["off_domain"]}),
    }
    columns: tuple[str, ...] = ("precision", "recall", "f1", "count_mae", "train_median_mae", "count_exact")
    columns += ("count_mae_answered_only", "share_answered", "share_answered_or_partial")
    print(table(("structure", *columns), ([s, *(figures[s][c] for c in columns)] for s in CELLS)))
    print()
    print(table(("", "value"), whole.items()))
    print("\nwhite cells, images whose count is not 1:")
    unusual = [r for r in rows if r["structure"] == "white_cell" and r["truth"] != 1]
    print(
        table(("image", "truth", "said", "status"), ([r["image"], r["truth"], r["said"], r["status"]] for r in unusual))
    )
    write(args.out, {**whole, "structures": figures, "white_cells_not_one": unusual, "rows": rows})


if __name__ == "__main__":
    main()
