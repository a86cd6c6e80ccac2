"""Whether the adapters matter: each skill alone with its adapter, with none, and with another skill's in its place.

The same base, the same images (val of each set, phantoms of unseen seeds for what those alone taught), the same calls,
scored between 0 and 1 (see ``skill_scores.py``; understanding on the held-out questions): paired differences with a
95 % bootstrap interval over images. A set of which the base does not know the structures is left out, and said. What is
named is named as shipped, by the decoder's reading and the tower's together, so that the tower makes up for an adapter
that is off; ``--decoder-alone`` takes the tower's part away and shows what the adapter itself has learned.
Beside it, the whole chain and the tower's own proposals alone, thresholded on train: ``--chain`` takes what
``bccd_val`` wrote.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fiducial.benchmarks.common import (
    CELLS,
    bootstrap,
    matched,
    mean,
    parser,
    picture,
    precision_recall_f1,
    progress,
    samples,
    table,
    write,
)
from fiducial.benchmarks.phantom_skills import FIRST_SEED, written
from fiducial.benchmarks.questions import read_questions, understood
from fiducial.benchmarks.skill_scores import MAKERS, OF_KIND, ON_PHANTOMS, Trial, trials
from fiducial.skills.base import UnderstandArgs
from fiducial.skills.families.llava.inclusion import Rule
from fiducial.tools.errors import FiducialError

SKILLS = ("understand", *MAKERS, "report")
# The real sets, and of what kinds their images are.
SETS = {
    "bccd": ("blood_smear",),
    "hc18": ("head_ultrasound",),
    "dsb2018": ("nuclei_fluorescence", "nuclei_he"),
}
QUESTION_SET, PHANTOM_SET, PHANTOMS = "questions", "phantoms", 20
SETTINGS = ("on", "off", "swapped")
Scores = dict[tuple[str, str], dict[str, list[float]]]
THRESHOLDS = np.arange(0.05, 0.96, 0.05)


def other_skill(skill: str, known: Collection[str]) -> str | None:
    """The skill whose adapter is put in the place of this one's: the next in the list that the model has one for.

    None where there is no other.
    """
    own = [other for other in SKILLS if other in known or other == skill]
    return own[(own.index(skill) + 1) % len(own)] if len(own) > 1 else None


def perform(session: Any, skill: str, trial: Trial) -> float:
    """The score of one call; a call that fails, or whose text is no well-formed result, scores 0."""
    try:
        result = session.perform(skill, trial.args)
    except FiducialError:
        return 0.0
    return trial.score(result) if getattr(result, "parsed", True) else 0.0


def settings(session: Any, skill: str) -> dict[str, Any]:
    """The session as shipped, with no adapter for this skill, and with another skill's where there is one."""
    other = other_skill(skill, session.model.skills)
    swapped = {"swapped": session.with_adapter(skill, other)} if other else {}
    return {"on": session, "off": session.with_adapter(skill, None), **swapped}


def open_session(model: Any, path: Path) -> tuple[Any, tuple[int, int]]:
    """A session on an image, and the image's width and height."""
    from fiducial.tools.images.open_image import open_image

    image = open_image(path)
    return model.open(image), (image.info.width_px, image.info.height_px)


def question_trials() -> list[Trial]:
    """The understanding of each held-out question."""
    rows = read_questions("eighty")
    return [
        Trial(
            UnderstandArgs(question=row["question"]),
            lambda r, want=row["intent"]: float(all(understood(want, r.intent).values())),  # type: ignore[misc]
        )
        for row in rows
    ]


def spread(items: Sequence[Any], wanted: int | None) -> list[Any]:
    """As many items as are wanted, evenly over the list."""
    if not wanted or wanted >= len(items):
        return list(items)
    return [items[int(i)] for i in np.linspace(0, len(items) - 1, wanted)]


def missing(model: Any, name: str) -> list[str]:
    """The structures of a set that the model does not know."""
    return sorted({structure for kind in SETS[name] for structure in OF_KIND[kind]} - model.structures)


def scores(model: Any, args: argparse.Namespace) -> Scores:
    """Set and skill → setting → one mean score an image (of understanding, one a question)."""
    found: Scores = {}
    session = None
    for name in SETS:
        if unknown := missing(model, name):
            print(f"{name} is left out: this base does not know {', '.join(unknown)}")
            continue
        for sample in progress(spread(samples(args.data, name, "val", args.limit), args.images), name):
            session, size_px = open_session(model, picture(args.data, name, sample.id))
            for skill in MAKERS:
                put(found, name, skill, session, list(trials(skill, sample, size_px)))
    for skill, made, path in phantoms(model, args.limit or args.images or PHANTOMS):
        put(found, PHANTOM_SET, skill, open_session(model, path)[0], [made])
    if session is not None:
        for question in question_trials()[: args.limit]:
            put(found, QUESTION_SET, "understand", session, [question])
    return found


def without_the_tower(model: Any) -> Any:
    """The model's calibration, but each region is named by the decoder's reading of it alone."""
    config, alone = model.tower.config, Rule(tower=0.0, decoder=1.0)
    return replace(model.calibration, inclusion=dict.fromkeys((*config.labels, *config.kinds), alone))


def put(found: Scores, name: str, skill: str, session: Any, calls: Sequence[Trial]) -> None:
    """Score some calls on one image in each setting, and keep their mean; nothing where there are none."""
    own = found.setdefault((name, skill), {setting: [] for setting in SETTINGS}) if calls else {}
    for setting, one in settings(session, skill).items() if calls else ():
        own[setting].append(mean(perform(one, skill, call) for call in calls))


def phantoms(model: Any, count: int) -> Iterator[tuple[str, Trial, Path]]:
    """The calls on phantoms of unseen seeds, of the skills and landmarks that the model knows."""
    known = {"report": "report" in model.skills, "landmark": bool(model.tower.config.landmarks)}
    with tempfile.TemporaryDirectory() as folder:
        for skill, (scenes, make) in ON_PHANTOMS.items():
            for n in range(count if known[skill] else 0):
                made, path = written(scenes[n % len(scenes)], FIRST_SEED + n, Path(folder))
                yield skill, make(made), path


def compared(found: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Mean of each setting that was tried, and the paired differences with their intervals."""
    tried = [setting for setting in SETTINGS if found[setting]]
    figures: dict[str, Any] = {"n": len(found["on"]), **{setting: mean(found[setting]) for setting in tried}}
    for setting in tried[1:]:
        difference = [a - b for a, b in zip(found["on"], found[setting], strict=True)]
        figures[f"on_minus_{setting}"] = mean(difference)
        figures[f"on_minus_{setting}_interval"] = bootstrap(difference)
    return figures


def shown_skills(figures: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """The table of every set and skill; without what was swapped, and a sentence, where no other adapter was there."""
    every = [(name, skill, f) for name, own in figures.items() for skill, f in own.items()]
    tried = [setting for setting in SETTINGS if any(setting in f for _, _, f in every)]
    columns = ["n", *tried, *(f"on_minus_{setting}" for setting in tried[1:])]
    intervals = [f"on_minus_{setting}_interval" for setting in tried[1:]]
    rows = ([name, skill, *(f.get(c, "") for c in (*columns, *intervals))] for name, skill, f in every)
    told = table(("set", "skill", *columns, *(f"95 % {setting}" for setting in tried[1:])), rows)
    alone = sorted({skill for _, skill, f in every if "swapped" not in f})
    return told + (f"\n\nThe model has no other adapter to put in the place of: {', '.join(alone)}." if alone else "")


# --- the tower alone -----------------------------------------------------------------------------------------------


def tower_boxes(session: Any) -> dict[str, list[tuple[Any, float]]]:
    """The tower's own proposals, each under its best label: box in stored pixels, score."""
    names = session.model.tower.config.names
    proposals = session.proposals
    boxes = session.stored_to_input.inverse().boxes_xyxy(proposals.box_xyxy_px[0].double().numpy())
    found: dict[str, list[tuple[Any, float]]] = {label: [] for label in names}
    for box, labels, score in zip(boxes, proposals.label_scores[0], proposals.score[0], strict=True):
        if score > 0:
            found[names[int(labels.argmax())]].append((tuple(map(float, box)), float(labels.max())))
    return found


def tower_rows(model: Any, data: Path, split: str, limit: int | None = None) -> Iterator[dict[str, Any]]:
    """For each image and structure: the proposals, and the truth."""
    for sample in progress(samples(data, "bccd", split, limit), f"tower on {split}"):
        proposals = tower_boxes(open_session(model, picture(data, "bccd", sample.id))[0])
        for structure in CELLS:
            truth = [o.box_xyxy_px for o in sample.of(structure)]
            yield {"image": sample.id, "structure": structure, "found": proposals.get(structure, []), "boxes": truth}


def at(rows: list[dict[str, Any]], threshold: float) -> list[dict[str, Any]]:
    """The rows with only the proposals of at least this score, counted and matched."""
    kept = []
    for row in rows:
        boxes = [box for box, score in row["found"] if score >= threshold]
        hits = matched(boxes, row["boxes"])
        kept.append({"image": row["image"], "found": len(boxes), "truth": len(row["boxes"]), "matched": hits})
    return kept


def pooled_f1(rows: list[dict[str, Any]]) -> float:
    """F1 over all rows together."""
    return precision_recall_f1(*(sum(r[key] for r in rows) for key in ("matched", "found", "truth")))["f1"]


def paired_f1(chain: list[dict[str, Any]], tower: list[dict[str, Any]], draws: int = 2000) -> tuple[float, float]:
    """A 95 % interval of the difference of two pooled F1, the same images drawn anew for both."""
    a, b = (np.array([[r[k] for k in ("matched", "found", "truth")] for r in rows], float) for rows in (chain, tower))
    index = np.random.default_rng(0).integers(0, len(a), (draws, len(a)))

    def f1(counts: np.ndarray) -> np.ndarray:
        total = counts[index].sum(axis=1)
        return np.asarray(2 * total[:, 0] / np.maximum(total[:, 1] + total[:, 2], 1))

    low, high = np.percentile(f1(a) - f1(b), (2.5, 97.5))
    return float(low), float(high)


def tower_alone(model: Any, args: argparse.Namespace) -> dict[str, Any]:
    """F1 and count error on val at the thresholds that are best on train, beside the chain's where it is given."""
    train = list(tower_rows(model, args.data, "train", args.train_images or args.limit))
    val = list(tower_rows(model, args.data, "val", args.limit))
    seen = {r["image"] for r in val}
    chain = json.loads(args.chain.read_text(encoding="utf-8"))["rows"] if args.chain else []
    figures: dict[str, dict[str, Any]] = {}
    for structure in CELLS:
        own = [r for r in train if r["structure"] == structure]
        best = max(THRESHOLDS, key=lambda t: pooled_f1(at(own, t)))
        best_count = min(THRESHOLDS, key=lambda t: mean(abs(r["found"] - r["truth"]) for r in at(own, t)))
        mine = [r for r in val if r["structure"] == structure]
        rows, counted = at(mine, best), {r["image"]: r for r in at(mine, best_count)}
        figures[structure] = {
            "threshold": float(best),
            "tower_f1": pooled_f1(rows),
            "count_threshold": float(best_count),
            "tower_count_mae": mean(abs(r["found"] - r["truth"]) for r in counted.values()),
        }
        whole = {r["image"]: r for r in chain if r["structure"] == structure and r["image"] in seen}
        if whole:
            told = [r for r in whole.values() if r["said"] is not None]
            pairs = [(abs(counted[r["image"]]["found"] - r["truth"]), abs(r["said"] - r["truth"])) for r in told]
            figures[structure] |= {
                "chain_f1": pooled_f1(list(whole.values())),
                "chain_minus_tower_f1_interval": paired_f1([whole[r["image"]] for r in rows], rows),
                "chain_count_mae": mean(b for _, b in pairs),
                "tower_count_mae_same_images": mean(a for a, _ in pairs),
                "tower_minus_chain_count_interval": bootstrap([a - b for a, b in pairs]),
            }
    return figures


def main() -> None:
    """Measure, print, write."""
    made = parser(__doc__)
    made.add_argument("--images", type=int, help="only so many val images of each set, evenly spread")
    made.add_argument("--train-images", type=int, help="only so many train images for the tower's thresholds")
    made.add_argument("--decoder-alone", action="store_true", help="name regions without the tower's own score of them")
    made.add_argument("--chain", type=Path, help="the JSON file that bccd_val wrote")
    args = made.parse_args()
    from fiducial.skills.load import load_model

    model: Any = load_model(args.base, args.adapters)
    if args.decoder_alone:
        model.calibration = without_the_tower(model)
    figures: dict[str, dict[str, Any]] = {}
    for (name, skill), found in scores(model, args).items():
        figures.setdefault(name, {})[skill] = compared(found)
    print(shown_skills(figures))
    tower = tower_alone(model, args)
    keys = list(next(iter(tower.values())))
    print("\n" + table(("structure", *keys), ([s, *(f[k] for k in keys)] for s, f in tower.items())))
    write(args.out, {"skills": figures, "tower": tower})


if __name__ == "__main__":
    main()
