"""Random records to explain: what the explain skill is trained on, drawn without any image."""

from __future__ import annotations

import random

from fiducial.skills.families.llava.perform import EXPLAINED
from fiducial.skills.landmarks import regions_of_head
from fiducial.tools.record import Answer, Ellipse, Intent, Language, Region, Selector
from fiducial.tools.structures import DOMAIN_NAMES, members, structures

SELECTORS: tuple[Selector, ...] = ("largest", "second_largest", "third_largest", "smallest")
MOST = {"red_cell": 30, "white_cell": 4, "platelet": 9, "head": 1, "nucleus": 40, "polyp": 3, "heart": 1}
COMPARED = ("red_cell", "white_cell", "platelet")
CHINESE = 0.2  # share of records to explain in Chinese
FEW = 2  # of any other structure


def random_record(rng: random.Random) -> tuple[Intent, Answer, list[Region], tuple[int, int]]:
    """An intent, a fitting answer, accepted regions and the image's size in pixels."""
    size = rng.choice([(640, 480), (800, 540), (1024, 768), (512, 512), (480, 640)])
    language: Language
    task, language = rng.choice(EXPLAINED), "zh" if rng.random() < CHINESE else "en"
    if task == "kind":
        kind = rng.choice(sorted(DOMAIN_NAMES))
        answer = Answer(text=DOMAIN_NAMES[kind], value=kind, confidence=rng.random(), scope="image")
        return Intent(task="kind", scope="image", language=language), answer, [], size
    structure = rng.choice(sorted(structures()))
    other = None
    if task == "compare":
        structure, other = rng.sample(COMPARED, 2)
    regions: list[Region] = []
    for key in (k for s in (structure, other) if s for k in members(s)):
        regions += random_regions(rng, key, size, int(regions[-1].id[1:]) if regions else 0)
    found = [r for r in regions if r.label in members(structure)]
    quantity = None
    if task in ("size", "compare"):
        quantity = rng.choice(structures()[structure].quantities)
    if task == "compare" and rng.random() < 0.6:
        quantity = "count"
    ranked = task == "size" and structure != "head" and rng.random() < 0.5
    selector = rng.choice(SELECTORS) if ranked else "each"
    intent = Intent(task=task, structure=structure, other_structure=other, quantity=quantity, selector=selector,
                    language=language)  # fmt: skip
    value: bool | int = len(found) if task == "count" else bool(found)
    return intent, Answer(text=str(value), value=value, confidence=rng.random()), regions, size


def random_regions(rng: random.Random, label: str, size: tuple[int, int], taken: int) -> list[Region]:
    """Some regions of one structure, often few, sometimes none; a head comes with its four landmarks."""
    most = MOST.get(label, FEW)
    count = (
        0
        if rng.random() < 0.15
        else min(most, 1 + int(rng.expovariate(1.5 / most)) if rng.random() < 0.5 else rng.randint(1, most))
    )
    if label == "head":
        return head_regions(rng, size, taken) if count else []
    out: list[Region] = []
    gaps = rng.random() < 0.3  # regions that a check has rejected keep their ids
    for _ in range(count):
        taken += 1 + (rng.randint(1, 2) if gaps and rng.random() < 0.2 else 0)
        side = rng.uniform(0.04, 0.2) * size[0]
        x, y = rng.uniform(0, size[0] - side), rng.uniform(0, size[1] - side)
        box = (x, y, x + side, y + side * rng.uniform(0.7, 1.3))
        out.append(Region(id=f"R{taken}", label=label, kind="box", box_xyxy_px=box, score=rng.random(), skill="detect"))
    return out


def head_regions(rng: random.Random, size: tuple[int, int], taken: int) -> list[Region]:
    """A head's ellipse and the four ends of its axes."""
    major = rng.uniform(0.15, 0.4) * size[0]
    centre = rng.uniform(0.3, 0.7) * size[0], rng.uniform(0.35, 0.65) * size[1]
    ellipse = Ellipse(
        center_xy_px=centre,
        semi_major_px=major,
        semi_minor_px=major * rng.uniform(0.7, 0.95),
        angle_deg=rng.uniform(0, 180),
    )
    return regions_of_head(ellipse, rng.random(), taken)
