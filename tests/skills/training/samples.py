"""Samples that ask for every prompt task about one small drawn picture, without any data set."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fiducial.skills.datasets.sample import Ask, Sample
from fiducial.skills.targets import (
    Boxes3DTarget,
    BoxesTarget,
    ChoiceTarget,
    CountTarget,
    LabelledBox,
    LabelledBox3D,
    LabelledPoint,
    LabelledPolygon,
    LandmarksTarget,
    Number,
    NumbersTarget,
    PointsTarget,
    PolygonsTarget,
    Query,
    ReportTarget,
    TextTarget,
)
from fiducial.tools.record import Scale

WIDTH_PX, HEIGHT_PX = 112, 84
SCALE = Scale(row_mm=0.5, column_mm=0.25, source="user")
LABEL = "platelet"


def discs(seed: int) -> np.ndarray:
    """(N, 2) middles in pixels, N 1 to 4, at least 24 px apart."""
    rng = np.random.default_rng([seed, 77])
    places = np.stack(np.meshgrid([20, 50, 80], [20, 50]), -1).reshape(-1, 2).astype(float)
    chosen = rng.permutation(len(places))[: 1 + seed % 4]
    return places[np.sort(chosen)] + rng.uniform(-3, 3, (len(chosen), 2))


def draw(seed: int) -> np.ndarray:
    """(84, 112, 3) uint8: dark discs of a radius of 8 px on a light ground."""
    y, x = np.mgrid[:HEIGHT_PX, :WIDTH_PX] + 0.5
    pixels = np.full((HEIGHT_PX, WIDTH_PX, 3), (235, 225, 228), np.uint8)
    for cx, cy in discs(seed):
        pixels[(x - cx) ** 2 + (y - cy) ** 2 < 64] = (120, 60, 130)
    return pixels


def asks_about(middles: np.ndarray) -> Iterator[Ask]:
    """A question of every prompt task, with its target."""
    points = [(float(x), float(y)) for x, y in middles]
    boxes = [(x - 8, y - 8, x + 8, y + 8) for x, y in points]
    corners = [tuple((x + dx, y + dy) for dx, dy in ((-8, 0), (0, -8), (8, 0), (0, 8))) for x, y in points]
    found = tuple(LabelledPoint(label=LABEL, point_xy_px=p) for p in points)
    yield Ask(Query(task="point", label=LABEL), PointsTarget(points=found))
    boxed = tuple(LabelledBox(label=LABEL, box_xyxy_px=b) for b in boxes)
    yield Ask(Query(task="detect", label=LABEL, scale=SCALE), BoxesTarget(boxes=boxed))
    outlines = tuple(LabelledPolygon(label=LABEL, polygon_xy_px=c) for c in corners)
    yield Ask(Query(task="segment", label=LABEL), PolygonsTarget(polygons=outlines))
    volume = LabelledBox3D(label=LABEL, box_xyzxyz_voxel=(*boxes[0][:2], 0.0, *boxes[0][2:], 1.0))
    yield Ask(Query(task="detect_3d", label=LABEL), Boxes3DTarget(boxes=(volume,)))
    named = LandmarksTarget(landmarks=(LabelledPoint(label="first disc", point_xy_px=points[0]),))
    yield Ask(Query(task="landmark", label="first disc"), named)
    yield Ask(Query(task="count", label=LABEL), CountTarget(label=LABEL, count=len(points)))
    counted = CountTarget(label=LABEL, count=len(points), points_xy_px=tuple(points))
    yield Ask(Query(task="count_and_point", label=LABEL), counted)
    counted = CountTarget(label=LABEL, count=len(points), boxes_xyxy_px=tuple(boxes))
    yield Ask(Query(task="count_and_box", label=LABEL), counted)
    yield from asks_in_words(len(points))


def asks_in_words(count: int) -> Iterator[Ask]:
    """Those whose targets are words or numbers."""
    options = ("one disc", "more discs")
    many = "Is there one disc, or are there more?"
    yield Ask(Query(task="choose", question=many, options=options), ChoiceTarget(choice=options[count > 1]))
    yield Ask(Query(task="answer", question="What is shown?", language="zh"), TextTarget(text="圆盘"))
    yield Ask(Query(task="explain", question="Why?"), TextTarget(text="Because of the discs."))
    yield Ask(Query(task="report"), ReportTarget(text=f"Discs: {count}. Otherwise nothing."))
    axes = tuple(Number(name=name, value=4.0 * k, unit="mm") for k, name in ((2, "major axis"), (1, "minor axis")))
    names = tuple(number.name for number in axes)
    yield Ask(
        Query(task="measure_size", label=LABEL, quantities=names, unit="mm", scale=SCALE), NumbersTarget(numbers=axes)
    )
    for task, name, unit in (("measure_distance", "distance", "mm"), ("measure_angle", "angle", "deg")):
        number = Number(name=name, value=12.5, unit=unit)  # type: ignore[arg-type]
        query = Query(task=task, label=LABEL, quantities=(name,), unit=unit, scale=SCALE)  # type: ignore[arg-type]
        yield Ask(query, NumbersTarget(numbers=(number,)))


def samples(count: int = 4) -> list[Sample]:
    """Pictures with all their questions."""
    return [
        Sample(f"disc-{k}", f"disc-{k}", "other", lambda k=k: draw(k), scale=SCALE, asks=tuple(asks_about(discs(k))))
        for k in range(count)
    ]
