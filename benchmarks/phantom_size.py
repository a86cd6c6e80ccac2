"""Lengths of phantoms of exactly known size: three scales and a pixel that is not square.

Each measured length is set against that of the object it was taken on. Cells that the border cuts are left out.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from fiducial.benchmarks.common import mean, open_asker, parser, progress, status, table, within, write, zero_case
from fiducial.benchmarks.phantoms import save_phantom, thing_of
from fiducial.benchmarks.truth import Truth, in_mm, phantom_truth, same_quantity, size
from fiducial.tools.phantoms.blood_smear import make_blood_smear
from fiducial.tools.phantoms.fetal_head import make_fetal_head
from fiducial.tools.phantoms.scene import Scene
from fiducial.tools.record import Record

FIRST_SEED = 8000
SMEAR_UM_PER_PX = {"fine": (0.055, 0.055), "middle": (0.07, 0.07), "coarse": (0.085, 0.085), "not square": (0.06, 0.08)}
HEAD_MM_PER_PX = {"fine": (0.12, 0.12), "middle": (0.16, 0.16), "coarse": (0.20, 0.20), "not square": (0.12, 0.16)}
CELLS = {"white_cell": 1, "red_cell": 7, "platelet": 2}
AGE_WEEKS = 18.0
QUESTIONS = {
    "blood_smear": ("How long is the largest white blood cell?", "What is the long axis of each red blood cell?"),
    "fetal_head": (
        "What is the head circumference?",
        "What is the biparietal diameter?",
        "What is the occipitofrontal diameter?",
    ),
}


def scenes(seeds: int) -> Iterator[tuple[str, Scene]]:
    """The name of the scale, and the scene; the same seeds at every scale, those whose white cell is never cut."""
    kept = 0
    for seed in count(FIRST_SEED):
        smears = {
            name: make_blood_smear(seed, um_per_px_row=row, um_per_px_column=column, counts=CELLS)
            for name, (row, column) in SMEAR_UM_PER_PX.items()
        }
        if any(o.visible_fraction < 1 for s in smears.values() for o in s.truth.objects if o.label == "white_cell"):
            continue
        yield from smears.items()
        for name, (row, column) in HEAD_MM_PER_PX.items():
            yield name, make_fetal_head(seed, mm_per_px_row=row, mm_per_px_column=column, age_weeks=AGE_WEEKS)
        if (kept := kept + 1) == seeds:
            return


def errors(record: Record, truth: Truth) -> list[dict[str, Any]]:
    """One row for each measured length of a whole object."""
    rows = []
    for m in record.measurements if status(record) != "abstained" else ():
        thing, quantity = thing_of(m, record, truth), same_quantity(m.quantity)
        if thing is None or not thing.whole or quantity not in ("long_axis", "short_axis", "perimeter"):
            continue
        true_mm = size(thing.ellipse_px, quantity, truth.row_mm or 1.0, truth.column_mm or 1.0)
        low, high = in_mm(m, m.interval.low), in_mm(m, m.interval.high)
        rows.append(
            {
                "structure": thing.label,
                "quantity": m.quantity,
                "unit": m.unit,
                "truth_mm": true_mm,
                "value_mm": in_mm(m, m.value),
                "error_percent": 100 * (in_mm(m, m.value) / true_mm - 1),
                "in_interval": low <= true_mm <= high,
            }
        )
    return rows


def measure(args: argparse.Namespace) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Every question asked, and every length measured."""
    asker, asked, lengths = open_asker(args), [], []
    with tempfile.TemporaryDirectory() as folder:
        for scale, scene in progress(list(scenes(args.limit or args.seeds)), "phantoms"):
            truth = phantom_truth(scene, save_phantom(scene, Path(folder)))
            for question in QUESTIONS[scene.name]:
                record = asker.ask(truth.path, question)
                where = {"scene": scene.name, "seed": scene.seed, "scale": scale, "question": question}
                asked.append({**where, "status": status(record), "zero_case": zero_case(record)})
                lengths += [{**where, **row} for row in errors(record, truth)]
    return asked, lengths


def summary(rows: list[dict[str, Any]]) -> list[Any]:
    """The values of ``COLUMNS``; errors in %."""
    found = [r["error_percent"] for r in rows]
    size_of = [abs(e) for e in found]
    return [
        len(rows),
        mean(found),
        float(np.median(size_of)) if size_of else float("nan"),
        max(size_of, default=float("nan")),
        mean(within(e, 0, 0, 2) for e in size_of),
        mean(r["in_interval"] for r in rows),
    ]


COLUMNS = ("lengths", "mean_percent", "median_abs_percent", "max_abs_percent", "share_within_2_percent", "in_interval")


def main() -> None:
    """Draw, ask, compare, print, write."""
    made = parser(__doc__)
    made.add_argument("--seeds", type=int, default=5, help="phantoms of each scene and scale")
    asked, lengths = measure(made.parse_args())
    groups = sorted({(r["structure"], r["quantity"], r["scale"]) for r in lengths})
    rows = [[*g, *summary([r for r in lengths if (r["structure"], r["quantity"], r["scale"]) == g])] for g in groups]
    print(table(("structure", "quantity", "scale", *COLUMNS), rows))
    figures: dict[str, Any] = {
        "asked": len(asked),
        "answered": mean(r["status"] == "answered" for r in asked),
        "abstained": mean(r["status"] == "abstained" for r in asked),
        "zero_cases": sum(r["zero_case"] for r in asked),
        **dict(zip(COLUMNS, summary(lengths), strict=True)),
    }
    print("\n" + table(("", "value"), figures.items()))
    by_group = [dict(zip(("structure", "quantity", "scale", *COLUMNS), row, strict=True)) for row in rows]
    write(made.parse_args().out, {**figures, "groups": by_group, "asked_rows": asked, "lengths_rows": lengths})


if __name__ == "__main__":
    main()
