"""Blood cells on BCCD val: counts and detection of three structures through the whole chain (see ``objects_val``)."""

from __future__ import annotations

import argparse

from fiducial.benchmarks.common import CELLS, annotated_boxes, parser, samples, table, write
from fiducial.benchmarks.objects_val import COUNTED, ObjectSet, measure, show

BCCD = ObjectSet(
    "bccd",
    CELLS,
    {
        COUNTED: (
            "How many {plural} are there?",
            "Count the {plural}.",
            "How many {plural} can you see in this image?",
            "What is the number of {plural}?",
        )
    },
)


def unusable_boxes(args: argparse.Namespace) -> int:
    """Empty and inverted boxes of the annotation, which are left out."""
    val = samples(args.data, "bccd", "val", args.limit)
    files = (args.data / "bccd" / "Annotations" / f"{s.id}.xml" for s in val)
    return sum(annotated_boxes(path) for path in files) - sum(len(s.objects) for s in val)


def main() -> None:
    """Ask, score, print, write."""
    args = parser(__doc__).parse_args()
    found = {"unusable_boxes": unusable_boxes(args), **measure(args, BCCD)}
    show(found)
    print("\nwhite cells, images whose count is not 1:")
    columns = ("image", "truth", "said", "status")
    unusual = [r for r in found["rows"] if r["structure"] == "white_cell" and r["truth"] != 1]
    print(table(columns, ([r[c] for c in columns] for r in unusual)))
    write(args.out, {**found, "white_cells_not_one": unusual})


if __name__ == "__main__":
    main()
