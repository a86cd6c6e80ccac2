"""What the measuring scripts share: arguments, truth, matching, intervals, tables."""

from __future__ import annotations

import argparse
import csv
import json
import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fiducial.tools.checks.common import extent
from fiducial.tools.geometry.matching import match_by_iou
from fiducial.tools.record import BoxXYXY, Record, Region

HERE = Path(__file__).resolve().parent
COMMAND = (sys.executable, "-m", "fiducial.cli")  # what the installed ``fiducial`` starts, in this environment
IOU = 0.5
CELLS = ("white_cell", "red_cell", "platelet")


def parser(description: str | None) -> argparse.ArgumentParser:
    """The arguments that every script takes."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder that holds bccd/, hc18/, …")
    made.add_argument("--out", type=Path, help="write the figures and every row to this JSON file")
    made.add_argument("--base", help="another base than the embedded one: a name or a folder")
    made.add_argument("--adapters", type=Path, help="another folder of adapters")
    made.add_argument("--limit", type=int, help="only the first N images of each set (for a trial; not for a report)")
    return made


def open_asker(args: argparse.Namespace) -> Any:
    """The product, opened once for all questions of a script."""
    from fiducial.agent.ask import Asker

    return Asker(base=args.base, adapters=args.adapters, store=None)


def progress(items: Iterable[Any], title: str) -> Iterable[Any]:
    """A progress bar on stderr."""
    from tqdm import tqdm

    bar: Iterable[Any] = tqdm(list(items), desc=title, leave=False)
    return bar


# --- truth ---------------------------------------------------------------------------------------------------------


def read_hc18_rows(data: Path) -> dict[str, tuple[float, float]]:
    """For each file of HC18: millimetres per pixel, head circumference in mm."""
    with (data / "hc18" / "pixel_size_and_hc.csv").open(newline="", encoding="utf-8") as lines:
        return {
            row["filename"]: (float(row["pixel size(mm)"]), float(row["head circumference (mm)"]))
            for row in csv.DictReader(lines)
        }


def annotated_boxes(path: Path) -> int:
    """How many boxes a VOC file has, the unusable ones (empty, inverted) counted too."""
    import xml.etree.ElementTree as ET

    return len(ET.parse(path).getroot().findall("object"))


def samples(data: Path, name: str, split: str, limit: int | None = None) -> list[Any]:
    """The annotated samples of a registered data set, one list."""
    from fiducial.tools.hooks import registry

    return list(registry().get("datasets", name).open(data / name, split))[:limit]


def picture(data: Path, name: str, sample_id: str) -> Path:
    """The file of a sample."""
    if name == "bccd":
        return data / "bccd" / "JPEGImages" / f"{sample_id}.jpg"
    return data / name / "images" / sample_id


# --- a record's outcome ----------------------------------------------------------------------------------------------


def status(record: Record) -> str:
    """answered, partial or abstained."""
    return record.verdict.status if record.verdict else "abstained"


def claims_presence(record: Record) -> bool:
    """Whether the answer says that something *in* the image is there."""
    answer, seen = record.answer, record.understanding
    if answer is None or answer.scope == "image" or seen is None or seen.intent.task == "kind":
        return False
    value = answer.value
    if value is None:
        return " no " not in answer.text
    return any(value) if isinstance(value, list) else bool(value)


def zero_case(record: Record) -> bool:
    """A positive answer without an accepted region that is not abstained: must never happen."""
    return status(record) != "abstained" and claims_presence(record) and not record.accepted


def refused_domain(record: Record) -> bool:
    """Abstained because the image is not of a kind that the model knows."""
    reasons = record.verdict.reasons if record.verdict else ()
    return status(record) == "abstained" and any("domain" in reason.code for reason in reasons)


def box_of(region: Region) -> BoxXYXY | None:
    """The bounding box of a box, polygon or ellipse, x0 y0 x1 y1 in pixels; None for a point."""
    if region.kind in ("point", "landmark"):
        return None
    x0, y0, x1, y1 = extent(region).tolist()
    return x0, y0, x1, y1


def boxes_of(record: Record, labels: Sequence[str]) -> list[BoxXYXY]:
    """Boxes of the accepted regions of these labels, without parts of other regions; none where the run abstained."""
    if status(record) == "abstained":
        return []
    found = (r for r in record.accepted if r.label in labels and r.parent_id is None)
    return [box for r in found if (box := box_of(r)) is not None]


# --- scores ----------------------------------------------------------------------------------------------------------


def matched(found: Sequence[BoxXYXY], truth: Sequence[BoxXYXY], iou: float = IOU) -> int:
    """How many boxes pair up one to one at this IoU: the most that any pairing allows."""
    return len(match_by_iou(found, truth, iou).pairs)


def precision_recall_f1(true_positive: int, found: int, truth: int) -> dict[str, float]:
    """Precision, recall and F1 out of the number of matches, of what was found and of what is there."""
    return {
        "precision": true_positive / found if found else float(truth == 0),
        "recall": true_positive / truth if truth else 1.0,
        "f1": 2 * true_positive / (found + truth) if found + truth else 1.0,
    }


def mean(values: Iterable[float]) -> float:
    """The mean, nan of nothing."""
    kept = list(values)
    return sum(kept) / len(kept) if kept else math.nan


def bootstrap(
    values: Sequence[float], statistic: Callable[..., Any] = np.mean, draws: int = 5000, seed: int = 0
) -> tuple[float, float]:
    """A 95 % percentile interval of a statistic, the values drawn anew with replacement."""
    if not len(values):
        return math.nan, math.nan
    kept = np.asarray(values, float)
    index = np.random.default_rng(seed).integers(0, len(kept), (draws, len(kept)))
    low, high = np.percentile(statistic(kept[index], axis=1), (2.5, 97.5))
    return float(low), float(high)


def within(value: float, truth: float, relative: float, absolute: float = 0.0) -> bool:
    """Whether a value is near the truth, relatively or absolutely."""
    return abs(value - truth) <= max(absolute, relative * abs(truth)) + 1e-9


# --- output ----------------------------------------------------------------------------------------------------------


def shown(value: Any) -> str:
    """A cell of a table."""
    if isinstance(value, float):
        return "–" if math.isnan(value) else f"{value:.3f}"
    if isinstance(value, tuple) and value and all(isinstance(item, float) for item in value):
        return " to ".join(shown(item) for item in value)
    return "–" if value is None else str(value)


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """An aligned table in Markdown."""
    cells = [list(header), *([shown(value) for value in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    lines = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |" for row in cells]
    lines.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    return "\n".join(lines)


def plain(value: Any) -> Any:
    """JSON-ready: nan becomes null, numpy numbers become Python's."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write(out: Path | None, figures: Mapping[str, Any]) -> None:
    """Write the figures, where a file was asked for."""
    if out is not None:
        out.write_text(json.dumps(plain(figures), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
