"""The skills that phantoms taught, on unseen seeds: kinds of image, angles, reports of chest films, boxes in volumes.

Each phantom is written as the file that it is, and asked about through the whole chain; a question that is not answered
counts as wrong. The kind is the model's own evidence of the image.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fiducial.benchmarks.common import open_asker, parser, progress, table, write
from fiducial.benchmarks.truth import lesion_box
from fiducial.tools.phantoms import SCENES
from fiducial.tools.phantoms.phantom import Phantom
from fiducial.tools.record import Language, Record

FIRST_SEED, SEEDS = 7_000_000, 20
KIND_SCENES = tuple(scene for scene in SCENES if scene != "nuclei_unscaled")
ANGLES = {"sna_angle": "What is the SNA angle?", "snb_angle": "What is the SNB angle?", "anb_angle": "What is ANB?"}
VOLUMES = {"ct_lesion": "Where are the liver lesions?", "lesion_3d": "Where are the brain lesions?"}
ENLARGED = 0.5  # cardiothoracic ratio
# How a report says that there is no opacity, that it is on the patient's right or left, and that the heart is enlarged.
REPORTED: dict[Language, dict[str, str]] = {
    "en": {"none": "no opacities", "right": "the right lung", "left": "the left lung", "enlarged": "is enlarged"},
    "zh": {"none": "未见肺部阴影", "right": "右肺", "left": "左肺", "enlarged": "心影增大"},
}


def written(scene: str, seed: int, folder: Path) -> tuple[Any, Path]:
    """A phantom, and the file or folder that it was written as."""
    made = SCENES[scene](seed)
    if isinstance(made, Phantom):
        path = folder / f"{scene}-{seed}{'.' if made.image.ending else ''}{made.image.ending}"
        made.image.write(path)
    else:
        from PIL import Image

        path = folder / f"{scene}-{seed}.png"
        Image.fromarray(made.rgb_u8).save(path)
    return made, path


def kinds(asker: Any, folder: Path, seeds: int) -> Iterator[dict[str, Any]]:
    """The kind that the model takes each phantom for."""
    from fiducial.tools.images.open_image import open_image

    cases = [(scene, FIRST_SEED + n) for scene in KIND_SCENES for n in range(seeds)]
    for scene, seed in progress(cases, "kinds"):
        made, path = written(scene, seed, folder)
        lesion = made.truth.objects[0] if scene in VOLUMES else None
        image = open_image(path, None, index=lesion.slice_index) if lesion else open_image(path)
        evidence = asker.model.open(image).domain
        yield {"scene": scene, "truth": made.truth.kind, "seen": evidence.kind, "typicality": evidence.typicality}


def angles(asker: Any, folder: Path, seeds: int) -> Iterator[dict[str, Any]]:
    """Steiner's angles, as measured."""
    for n in progress(range(seeds), "angles"):
        made, path = written("cephalogram", FIRST_SEED + n, folder)
        for quantity, question in ANGLES.items():
            record: Record = asker.ask(path, question)
            measured = next((m.value for m in record.measurements if m.quantity == quantity), None)
            truth = made.truth.value(quantity)
            yield {"quantity": quantity, "truth": truth, "error": None if measured is None else measured - truth}


def reports(asker: Any, folder: Path, seeds: int) -> Iterator[dict[str, Any]]:
    """The facts of each report: whether there is an opacity, in which lung, whether the heart is enlarged."""
    for n in progress(range(seeds), "reports"):
        scene = ("chest", "chest_clear")[n % 3 == 2]
        made, path = written(scene, FIRST_SEED + n, folder)
        answer = asker.ask(path, "Write a report.").answer
        text = answer.text if answer else ""
        yield {**right_facts(text, made.truth), "text": text}


def right_facts(text: str, truth: Any, language: Language = "en") -> dict[str, bool]:
    """Which facts of a film's report are right: an opacity or none, its side, the heart's size."""
    words = REPORTED[language]
    spots = [o for o in truth.objects if o.label == "opacity"]
    middle = np.mean([truth.landmarks_xy_px[k][0] for k in ("thorax_right", "thorax_left")])
    side = "none" if not spots else "right" if spots[0].ellipse_px.center_xy_px[0] < middle else "left"
    enlarged = truth.value("cardiothoracic_ratio") > ENLARGED
    said = next((s for s in ("none", "right", "left") if words[s] in text), "")
    return {
        "presence": (said == "none") == (side == "none") and bool(said),
        "side": said == side,
        "heart": bool(text) and (words["enlarged"] in text) == enlarged,
    }


def volumes(asker: Any, folder: Path, seeds: int) -> Iterator[dict[str, Any]]:
    """The best box that is found, against the true one: in the world; of oblique volumes, in voxels."""
    for scene, question in VOLUMES.items():
        for n in progress(range(seeds), scene):
            made, path = written(scene, FIRST_SEED + n, folder)
            record: Record = asker.ask(path, question)
            found = sum(r.kind == "box_3d" for r in record.accepted)
            yield {"scene": scene, "found": found, "iou": lesion_box(made).best_iou(record)}


def main() -> None:
    """Ask, print, write."""
    arguments = parser(__doc__)
    arguments.add_argument("--only", choices=PARTS, help="one part alone")
    args = arguments.parse_args()
    asker, seeds, rows = open_asker(args), args.limit or SEEDS, {}
    with tempfile.TemporaryDirectory() as folder:
        for name, part in PARTS.items():
            if args.only in (None, name):
                rows[name] = list(part(asker, Path(folder), seeds))
    figures = {name: value for part, own in rows.items() for name, value in FIGURES[part](own).items()}
    print(table(("", "value"), figures.items()))
    write(args.out, {**figures, "rows": rows})


def _kind_figures(rows: list[dict[str, Any]]) -> dict[str, float]:
    right = {k: np.mean([r["seen"] == k for r in rows if r["truth"] == k]) for k in {r["truth"] for r in rows}}
    return {"balanced accuracy of kind": float(np.mean(list(right.values())))}


def _angle_figures(rows: list[dict[str, Any]]) -> dict[str, float]:
    errors = [abs(r["error"]) if r["error"] is not None else np.inf for r in rows]
    return {"angles, median error (degrees)": float(np.median(errors)), "angles, largest": float(max(errors))}


def _report_figures(rows: list[dict[str, Any]]) -> dict[str, float]:
    facts = [r[fact] for r in rows for fact in ("presence", "side", "heart")]
    return {"facts of a report that are right": float(np.mean(facts))}


def _volume_figures(rows: list[dict[str, Any]]) -> dict[str, float]:
    found = {scene: [r["iou"] for r in rows if r["scene"] == scene] for scene in VOLUMES}
    return {
        f"{scene}: share with IoU of at least 0.5": float(np.mean(np.array(v) >= 0.5)) for scene, v in found.items()
    }


PARTS = {"kinds": kinds, "angles": angles, "reports": reports, "volumes": volumes}
FIGURES = {"kinds": _kind_figures, "angles": _angle_figures, "reports": _report_figures, "volumes": _volume_figures}

if __name__ == "__main__":
    main()
