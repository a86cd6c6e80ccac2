"""Speed of the geometry in one run, as a ratio to the alternative (above 1: faster than it).

All-pairs box IoU against vectorised numpy and shapely; one-to-one matching against scipy's
``linear_sum_assignment`` on the same matrix, bare (every row gets some partner, however bad), and doing the same job:
the most pairs of IoU 0.5 and more, then the greatest sum. Times are medians of 15 to 200 short runs, taken in turns.
"""

from __future__ import annotations

import argparse
import time
import timeit
from collections.abc import Callable

import numpy as np
import shapely
from scipy.optimize import linear_sum_assignment

from fiducial.benchmarks.common import table
from fiducial.tools.geometry.boxes import iou_matrix
from fiducial.tools.geometry.matching import assign

Floats = np.ndarray
MIN_IOU = 0.5
SHAPELY_MOST = 300  # boxes: beyond, one run takes minutes


def by_numpy(a: Floats, b: Floats) -> Floats:
    """The usual vectorised IoU (as in torchvision and supervision), which takes an inverted box for a good one."""
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    sides = np.clip(high - low, 0, None)
    shared = sides[..., 0] * sides[..., 1]
    first, second = ((x[:, 2] - x[:, 0]) * (x[:, 3] - x[:, 1]) for x in (a, b))
    return np.asarray(shared / (first[:, None] + second[None] - shared))


def by_shapely(a: Floats, b: Floats) -> Floats:
    """The same through shapely's vectorised functions."""
    first, second = shapely.box(*a.T)[:, None], shapely.box(*b.T)[None]
    shared = shapely.area(shapely.intersection(first, second))
    return np.asarray(shared / (shapely.area(first) + shapely.area(second) - shared))


def by_scipy(iou: Floats) -> Floats:
    """The same pairs as ``assign``, by one call over the whole matrix."""
    allowed = iou >= MIN_IOU
    rows, columns = linear_sum_assignment(np.where(allowed, iou + min(iou.shape) + 1, 0.0), maximize=True)
    pairs = np.stack([rows, columns], axis=1)
    return np.asarray(pairs[allowed[rows, columns]])


def scene(count: int, seed: int, crowded: bool) -> tuple[Floats, Floats]:
    """Boxes, and the same boxes as a detector might see them: moved by some pixels, and in another order."""
    rng = np.random.default_rng(seed)
    side = 40.0 if crowded else 40.0 * np.sqrt(count)
    low = rng.uniform(0, 4 * side, (count, 2))
    boxes = np.hstack([low, low + rng.uniform(20, 60, (count, 2))])
    return boxes, (boxes + rng.normal(0, 3, boxes.shape))[rng.permutation(count)]


def median(functions: dict[str, Callable[[], object]], seconds: float) -> dict[str, float]:
    """The median time of one call of each, in µs: many short runs, in turns, so that a busy machine hits all alike.

    For about so many seconds, but 15 runs of each at least and 200 at most.
    """
    warm = {name: min(timeit.repeat(f, number=1, repeat=5)) for name, f in functions.items()}
    numbers = {name: max(1, int(5e-4 / max(took, 1e-7))) for name, took in warm.items()}
    found: dict[str, list[float]] = {name: [] for name in functions}
    start = time.perf_counter()
    for turn in range(200):
        if turn >= 15 and time.perf_counter() - start > seconds:
            break
        for name, function in functions.items():
            found[name].append(timeit.timeit(function, number=numbers[name]) / numbers[name] * 1e6)
    return {name: float(np.median(times)) for name, times in found.items()}


def main() -> None:
    """Time, print."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--seconds", type=float, default=1.5, help="about so long for each line of a table")
    seconds = made.parse_args().seconds
    rows = []
    for count in (10, 30, 100, 300, 1000):
        a, b = scene(count, count, crowded=False)
        functions: dict[str, Callable[[], object]] = {
            "ours": lambda a=a, b=b: iou_matrix(a, b),  # type: ignore[misc]
            "numpy": lambda a=a, b=b: by_numpy(a, b),  # type: ignore[misc]
        }
        if count <= SHAPELY_MOST:
            functions["shapely"] = lambda a=a, b=b: by_shapely(a, b)  # type: ignore[misc]
        np.testing.assert_allclose(iou_matrix(a, b), by_numpy(a, b), atol=1e-12)
        t = median(functions, seconds)
        shapely_ratio = t["shapely"] / t["ours"] if "shapely" in t else float("nan")
        rows.append((count, t["ours"], t["numpy"] / t["ours"], shapely_ratio))
    print(table(("boxes", "all-pairs IoU, µs", "× numpy", "× shapely"), rows), flush=True)
    matched = []
    for crowded in (False, True):
        for count in (10, 30, 100, 300, 1000):
            iou = iou_matrix(*scene(count, count, crowded))
            allowed = iou >= MIN_IOU
            ours, theirs = assign(iou, allowed), by_scipy(iou)
            assert len(ours) == len(theirs)
            assert np.isclose(iou[tuple(ours.T)].sum(), iou[tuple(theirs.T)].sum())
            t = median(
                {
                    "ours": lambda iou=iou: assign(iou, iou >= MIN_IOU),  # type: ignore[misc]
                    "same job": lambda iou=iou: by_scipy(iou),  # type: ignore[misc]
                    "bare": lambda iou=iou: linear_sum_assignment(iou, maximize=True),  # type: ignore[misc]
                },
                seconds,
            )
            scene_name = "all in one place" if crowded else "spread"
            matched.append((scene_name, count, t["ours"], t["same job"] / t["ours"], t["bare"] / t["ours"]))
    print(table(("boxes lie", "boxes", "matching, µs", "× scipy, same job", "× scipy, bare"), matched))


if __name__ == "__main__":
    main()
