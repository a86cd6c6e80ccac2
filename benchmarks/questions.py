"""Held-out questions: understood rightly, and answered rightly. ``--set`` picks which.

``eighty`` (``questions_80.jsonl``) is of blood smears and fetal heads; ``grown`` (``questions_grown.jsonl``) of nuclei,
polyps, livers, brains, cephalograms and chest films, half of it in Chinese. Written by someone who had seen only the
list of skills, and never used in training. By default only ids and totals are
printed, so that whoever works on the model does not learn the wording of what failed; ``--show`` prints it.

Understood: task, structure, pair of structures; the quantity where the question names one (for a head the names of the
field and of geometry count as one); which one, for a size of cells; what an angle or a distance is taken between. A
choice of kinds may be taken for a question about the kind or for a closed question.
Answered rightly: presence and kind exactly; a count exactly, and beside it within 1 or 15 %; a size within 5 % of the
truth or with the truth in its 95 % interval; a place with an F1 of at least 0.75 at IoU 0.5; a comparison by its
outcome; an angle within 2°, a ratio within 0.02, a landmark within 2 mm; a place in a volume with an IoU of at least
0.5; a report with all its facts. The true size of a cell of BCCD, and of a nucleus of dsb2018, is that of the ellipse
inscribed in its box; of a lesion in a whole volume, the axes of its body. Where what is to be measured is not in the
image, it is right to abstain or to say none.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from statistics import median
from typing import Any

from fiducial.benchmarks.common import (
    HERE,
    boxes_of,
    matched,
    mean,
    open_asker,
    parser,
    precision_recall_f1,
    progress,
    status,
    table,
    within,
    write,
    zero_case,
)
from fiducial.benchmarks.phantom_skills import right_facts
from fiducial.benchmarks.phantoms import save_phantom
from fiducial.benchmarks.skill_scores import PLACED_WITHIN_MM
from fiducial.benchmarks.truth import (
    Truth,
    bccd_truth,
    dsb2018_truth,
    hc18_truth,
    in_mm,
    phantom_truth,
    same_quantity,
)
from fiducial.tools.record import Intent, Measurement, Record
from fiducial.tools.structures import members

QUESTIONS = {"eighty": HERE / "questions_80.jsonl", "grown": HERE / "questions_grown.jsonl"}
READERS = {"bccd": bccd_truth, "hc18": hc18_truth, "dsb2018": dsb2018_truth}
RANK = {"largest": 0, "second_largest": 1, "third_largest": 2, "smallest": -1}
LOCATION_F1 = 0.75
LOCATION_IOU_3D = 0.5
WITHIN = {"°": 2.0, "1": 0.02}  # of what is taken between landmarks, by its unit; lengths as sizes are
BETWEEN = ("angle", "distance")  # tasks, and the quantities without a name of their own


def understood(want: dict[str, Any], got: Intent | None) -> dict[str, bool]:
    """Which parts of the intent are right; only the parts that the question settles."""
    if got is None:
        return {"task": False}
    parts = {"task": got.task == want["task"]}
    if want["task"] == "kind" and want.get("options"):
        parts["task"] |= got.task == "question" and bool(got.options)
    if want["task"] in ("unknown", "kind", "report"):
        return parts
    if want.get("landmarks"):
        return {**parts, "landmarks": same_landmarks(want, got)}
    if want["task"] == "compare":
        # Which of the two is named first is no part of the meaning.
        parts["structures"] = {got.structure, got.other_structure} == {want["structure"], want["other_structure"]}
    else:
        parts["structure"] = (got.structure, got.other_structure) == (want["structure"], want["other_structure"])
    if want["task"] in ("size", "compare") and want["quantity"]:
        parts["quantity"] = same_quantity(got.quantity) == same_quantity(want["quantity"])
    if want["task"] == "size" and want["structure"] != "head":
        parts["selector"] = got.selector == want["selector"]
    return parts


def same_landmarks(want: dict[str, Any], got: Intent) -> bool:
    """Whether what is asked is the place of the same landmarks, or the same quantity between them."""
    if want["task"] in BETWEEN and got.quantity == want["quantity"]:
        return True
    named = list(got.landmarks)
    same = named in (want["landmarks"], want["landmarks"][::-1])
    return same and (want["task"] == "location" or (got.quantity in (None, *BETWEEN) and len(named) < 4))


def agrees(measurement: Measurement, truth: float) -> bool:
    """Within 5 %, or the truth in the stated interval."""
    low, high = (in_mm(measurement, v) for v in (measurement.interval.low, measurement.interval.high))
    return within(in_mm(measurement, measurement.value), truth, 0.05) or low <= truth <= high


def size_right(want: dict[str, Any], record: Record, truth: Truth) -> bool:
    """Whether the measured size is that of the object asked for; cut objects may count among the candidates or not."""
    quantity = same_quantity(want["quantity"])
    taken = [m for m in record.measurements if same_quantity(m.quantity) == quantity]
    if not taken:
        return False
    in_view = truth.with_pixels() if taken[0].unit.startswith("px") else truth
    candidates = [in_view.sizes(want["structure"], want["quantity"], whole_only) for whole_only in (False, True)]
    if want["selector"] == "each":
        taken = sorted(taken, key=lambda m: -in_mm(m, m.value))
        return any(
            len(c) == len(taken) and all(agrees(m, v) for m, v in zip(taken, c, strict=True)) for c in candidates
        )
    value = record.answer.value if record.answer else None
    said = next((m for m in taken if isinstance(value, int | float) and within(m.value, value, 1e-3)), taken[0])
    rank = RANK[want["selector"]]
    return any(agrees(said, c[rank]) for c in candidates if len(c) > max(rank, 0))


def compare_right(want: dict[str, Any], record: Record, truth: Truth) -> bool:
    """Whether the answer has as greater what is greater: more of them, or the larger by the median diameter."""
    pair = want["structure"], want["other_structure"]
    if want["quantity"] == "count":
        values = [float(len(truth.of(s))) for s in pair]
    else:
        values = [median(truth.sizes(s, "equivalent_diameter") or [0.0]) for s in pair]
    return said_greater(record) == _greater(pair, values)


def said_greater(record: Record) -> str | None:
    """The structure that the answer has as the greater; None for equal, ``untold`` where it does not say."""
    value = record.answer.value if record.answer else None
    if not isinstance(value, list) or len(value) != 2 or not (seen := record.understanding):
        return "untold"
    if record.verdict and any("overlap" in reason.code for reason in record.verdict.reasons):
        return "untold"
    return _greater((seen.intent.structure, seen.intent.other_structure), value)


def _greater(pair: tuple[str | None, str | None], values: Sequence[float]) -> str | None:
    return None if values[0] == values[1] else pair[values[0] < values[1]]


def to_be_seen(want: dict[str, Any], truth: Truth) -> bool:
    """Whether what a question wants measured is in the image at all."""
    if want["task"] not in ("size", "compare") or want["quantity"] == "count":
        return True
    keys = [key for key in (want["structure"], want["other_structure"]) if key]
    return all(len(truth.of(key)) > max(RANK.get(want["selector"], 0), 0) for key in keys)


def right(want: dict[str, Any], record: Record, truth: Truth) -> bool:
    """Whether the final answer is true."""
    if status(record) == "abstained" or record.answer is None:
        return False
    judge = JUDGES.get(want["task"])
    return judge(want, record, truth) if judge else record.answer.value == len(truth.of(want["structure"]))


def presence_right(want: dict[str, Any], record: Record, truth: Truth) -> bool:
    """Whether the yes or no is true."""
    return record.answer is not None and record.answer.value is bool(truth.of(want["structure"]))


def kind_right(want: dict[str, Any], record: Record, truth: Truth) -> bool:
    """Whether the kind is the true one, or that option of a choice which means it."""
    options = want.get("choice", {})
    return record.answer is not None and record.answer.value in (truth.kind, options.get(truth.kind, truth.kind))


def report_right(want: dict[str, Any], record: Record, truth: Truth) -> bool:
    """Whether all facts of a film's report are right."""
    text = record.answer.text if record.answer else ""
    return all(right_facts(text, truth.made, want["language"]).values())


def location_right(want: dict[str, Any], record: Record, truth: Truth) -> bool:
    """Whether the accepted regions are those of the structure; of landmarks, all of them within 2 mm."""
    if want.get("landmarks"):
        return all(_placed(name, record, truth) for name in want["landmarks"])
    if truth.box_3d:
        return truth.box_3d.best_iou(record) >= LOCATION_IOU_3D
    found, there = boxes_of(record, members(want["structure"])), truth.of(want["structure"])
    hits = matched(found, [t.box_xyxy_px for t in there])
    return precision_recall_f1(hits, len(found), len(there))["f1"] >= LOCATION_F1


def _placed(name: str, record: Record, truth: Truth) -> bool:
    """Whether a landmark is pointed at where it is; always within 2 mm, so never without a scale."""
    x, y = truth.landmarks_xy_px[name]
    steps = truth.column_mm or math.inf, truth.row_mm or math.inf
    points = [r.point_xy_px for r in record.accepted if r.label == name and r.point_xy_px is not None]
    return any(math.hypot((px - x) * steps[0], (py - y) * steps[1]) <= PLACED_WITHIN_MM for px, py in points)


def between_right(want: dict[str, Any], record: Record, truth: Truth) -> bool:
    """Whether an angle, a distance or a ratio between landmarks is the true one."""
    there = truth.known.get(want["quantity"])
    if there is None or not record.measurements:
        return False
    taken = record.measurements[0]
    if taken.unit in WITHIN:
        return abs(taken.value - there) <= WITHIN[taken.unit]
    return not taken.unit.startswith("px") and agrees(taken, there)


JUDGES: dict[str, Callable[[dict[str, Any], Record, Truth], bool]] = {
    "presence": presence_right,
    "kind": kind_right,
    "location": location_right,
    "size": size_right,
    "compare": compare_right,
    "angle": between_right,
    "distance": between_right,
    "report": report_right,
}


def says_none(record: Record) -> bool:
    """Whether the answer is that there is none."""
    return record.answer is not None and record.answer.value is not None and not record.answer.value


def score(question: dict[str, Any], record: Record, truth: Truth) -> dict[str, Any]:
    """One row, without the question's wording."""
    want = {**question["intent"], "choice": question.get("choice", {})}
    got = record.understanding.intent if record.understanding else None
    parts = understood(want, got)
    row: dict[str, Any] = {
        "id": question["id"],
        "task": want["task"],
        "language": want.get("language", "en"),
        "answerable": question["answerable"],
        "parts": parts,
        "understood": all(parts.values()),
        "status": status(record),
        "reasons": [r.code for r in record.verdict.reasons] if record.verdict else [],
        "zero_case": zero_case(record),
    }
    withheld = status(record) == "abstained" or says_none(record)
    if question["answerable"]:
        row["right"] = right(want, record, truth) if to_be_seen(want, truth) else withheld
        if want["task"] == "count" and status(record) != "abstained" and record.answer:
            said, there = record.answer.value, len(truth.of(want["structure"]))
            row["near"] = isinstance(said, int) and within(said, there, 0.15, 1)
    else:
        row["withheld"] = withheld
    return row


def read_truth(question: dict[str, Any], sets: dict[str, dict[str, Truth]], folder: Path) -> Truth:
    """The truth of a question's image, or of the slice of it with the lesion; a phantom is drawn for it."""
    source, name = question["image"].split(":", 1)
    if source != "phantom":
        return sets[source][name]
    scene, seed = name.split(":")
    made, path = _drawn(scene, int(seed), folder)
    return phantom_truth(made, path, of_slice=question.get("slice") == "lesion")


@lru_cache(maxsize=4)
def _drawn(scene: str, seed: int, folder: Path) -> tuple[Any, Path]:
    """A phantom, and the file that it lies in; a volume takes seconds to draw, and is asked about more than once."""
    from fiducial.tools.phantoms import SCENES

    made = SCENES[scene](seed)
    return made, save_phantom(made, folder)


def read_questions(name: str) -> list[dict[str, Any]]:
    """The rows of a set of questions."""
    return [json.loads(line) for line in QUESTIONS[name].read_text(encoding="utf-8").splitlines()]


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The totals."""
    asked = [r for r in rows if r["answerable"]]
    other = [r for r in rows if not r["answerable"]]
    counts = [r for r in asked if "near" in r]
    return {
        "questions": len(rows),
        "understood": mean(r["understood"] for r in rows),
        "understood_answerable": mean(r["understood"] for r in asked),
        "task_right": mean(r["parts"]["task"] for r in rows),
        "answerable": len(asked),
        "answers_right": mean(r["right"] for r in asked),
        "answers_withheld": mean(r["status"] == "abstained" for r in asked),
        "answers_wrong": mean(not r["right"] and r["status"] != "abstained" for r in asked),
        "right_of_those_given": mean(r["right"] for r in asked if r["status"] != "abstained"),
        "counts_given_within_1_or_15_percent": mean(r["near"] for r in counts),
        "unanswerable": len(other),
        "unanswerable_withheld": mean(r["withheld"] for r in other),
        "zero_cases": sum(r["zero_case"] for r in rows),
    }


def by_task(rows: list[dict[str, Any]]) -> list[list[Any]]:
    """Task, questions, share understood, share of the answerable ones that are right."""
    of_task = {task: [r for r in rows if r["task"] == task] for task in sorted({r["task"] for r in rows})}
    return [
        [task, len(own), mean(r["understood"] for r in own), mean(r["right"] for r in own if "right" in r)]
        for task, own in of_task.items()
    ]


def by_language(rows: list[dict[str, Any]]) -> Iterable[list[Any]]:
    """Language, questions, shares understood, of the answerable ones right, and of the others withheld."""
    for language in sorted({r["language"] for r in rows}):
        own = [r for r in rows if r["language"] == language]
        shares = (mean(r[key] for r in own if key in r) for key in ("understood", "right", "withheld"))
        yield [language, len(own), *shares]


def main() -> None:
    """Ask, score, print, write."""
    made = parser(__doc__)
    made.add_argument("--show", action="store_true", help="print the wording of what failed, and what was said")
    made.add_argument("--set", choices=QUESTIONS, default="eighty", help="which questions (default: %(default)s)")
    args = made.parse_args()
    questions = read_questions(args.set)[: args.limit]
    needed = {q["image"].split(":")[0] for q in questions} & {*READERS}
    sets = {name: READERS[name](args.data) for name in sorted(needed)}
    asker, rows = open_asker(args), []
    with tempfile.TemporaryDirectory() as folder:
        for question in progress(questions, "questions"):
            truth = read_truth(question, sets, Path(folder))
            record = asker.ask(truth.path, question["question"], scale=question.get("scale"), index=truth.index)
            rows.append(score(question, record, truth))
            row = rows[-1]
            if args.show and not (row["understood"] and row.get("right", True) and row.get("withheld", True)):
                print(f"{row['id']} {question['image']}: {question['question']}\n   wanted {question['intent']}")
                print(f"   got {record.understanding}\n   {record.answer}\n   {record.verdict}\n")
    figures = summary(rows)
    print(table(("", "value"), figures.items()))
    print("\n" + table(("task", "questions", "understood", "right"), by_task(rows)))
    print("\n" + table(("language", "questions", "understood", "right", "withheld"), by_language(rows)))
    for title, key in (("misunderstood", "understood"), ("not right", "right"), ("not withheld", "withheld")):
        print(f"\n{title}: " + (", ".join(r["id"] for r in rows if r.get(key) is False) or "none"))
    write(args.out, {**figures, "rows": rows})


if __name__ == "__main__":
    main()
