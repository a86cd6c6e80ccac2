"""Head circumference on HC18 val, in mm against the file, through the whole chain, with the scale of the file."""

from __future__ import annotations

import argparse
import math
from typing import Any

import numpy as np

from fiducial.benchmarks.common import (
    bootstrap,
    mean,
    open_asker,
    parser,
    picture,
    progress,
    read_hc18_rows,
    refused_domain,
    samples,
    status,
    table,
    write,
    zero_case,
)
from fiducial.tools.geometry.ellipses import normalised_radius
from fiducial.tools.record import Ellipse, Record

QUESTION = "What is the head circumference?"


def inside(ellipse: Ellipse, width_px: int, height_px: int) -> np.ndarray:
    """The pixels whose centre lies in the ellipse, (H, W) bool."""
    y, x = np.mgrid[:height_px, :width_px] + 0.5
    return normalised_radius(ellipse, np.stack([x, y], axis=-1)).reshape(height_px, width_px) <= 1


def dice(first: np.ndarray, second: np.ndarray) -> float:
    """Dice overlap of two masks."""
    total = int(first.sum()) + int(second.sum())
    return 2 * int((first & second).sum()) / total if total else 1.0


def score(record: Record, circumference_mm: float, truth: Ellipse) -> dict[str, Any]:
    """One row: the circumference against the file, its uncertainty, and the ellipse's overlap."""
    row: dict[str, Any] = {
        "status": status(record),
        "reasons": [r.code for r in record.verdict.reasons] if record.verdict else [],
        "truth_mm": circumference_mm,
        "off_domain": refused_domain(record),
        "zero_case": zero_case(record),
    }
    taken = [m for m in record.measurements if m.quantity == "head_circumference" and m.unit == "mm"]
    if row["status"] == "abstained" or not taken:
        return row
    m = taken[0]
    row |= {"value_mm": m.value, "uncertainty_mm": m.uncertainty, "error_mm": m.value - circumference_mm}
    row["in_one_sd"] = abs(m.value - circumference_mm) <= m.uncertainty
    row["in_interval"] = m.interval.low <= circumference_mm <= m.interval.high
    row["level"] = m.interval.level
    ellipses = [r.ellipse_px for r in record.accepted if r.ellipse_px is not None]
    if ellipses:
        size = record.image.width_px, record.image.height_px
        row["dice"] = dice(inside(ellipses[0], *size), inside(truth, *size))
    return row


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The figures of the set."""
    told = [r for r in rows if "error_mm" in r]
    errors = [abs(r["error_mm"]) for r in told]
    return {
        "images": len(rows),
        "median_absolute_error_mm": float(np.median(errors)) if errors else math.nan,
        "median_interval": bootstrap(errors, np.median),
        "mean_absolute_error_mm": mean(errors),
        "mean_interval": bootstrap(errors),
        "mean_error_mm": mean(r["error_mm"] for r in told),
        "largest_absolute_error_mm": max(errors, default=math.nan),
        "share_answered": mean(r["status"] == "answered" for r in rows),
        "share_answered_or_partial": len(told) / len(rows),
        "truth_within_one_sd": mean(r["in_one_sd"] for r in told),
        "truth_within_interval": mean(r["in_interval"] for r in told),
        "median_uncertainty_mm": float(np.median([r["uncertainty_mm"] for r in told])) if told else math.nan,
        "mean_dice": mean(r["dice"] for r in told if "dice" in r),
        "share_off_domain": mean(r["off_domain"] for r in rows),
        "zero_cases": sum(r["zero_case"] for r in rows),
    }


def ask_all(args: argparse.Namespace) -> list[dict[str, Any]]:
    """One row for each image."""
    truth, asker, rows = read_hc18_rows(args.data), open_asker(args), []
    for sample in progress(samples(args.data, "hc18", "val", args.limit), "hc18 val"):
        mm_per_px, circumference_mm = truth[sample.id]
        record = asker.ask(picture(args.data, "hc18", sample.id), QUESTION, scale=f"{mm_per_px} mm/px")
        rows.append({"image": sample.id, **score(record, circumference_mm, sample.objects[0].ellipse_px)})
    return rows


def main() -> None:
    """Ask, score, print, write."""
    args = parser(__doc__).parse_args()
    rows = ask_all(args)
    figures = summary(rows)
    print(table(("", "value"), figures.items()))
    print("\nfarthest off:")
    worst = sorted((r for r in rows if "error_mm" in r), key=lambda r: -abs(r["error_mm"]))[:8]
    print(table(("image", "truth mm", "error mm"), ([r["image"], r["truth_mm"], r["error_mm"]] for r in worst)))
    print("\nwithout an answer in mm:", ", ".join(r["image"] for r in rows if "error_mm" not in r) or "none")
    write(args.out, {**figures, "rows": rows})


if __name__ == "__main__":
    main()
