"""From a true box to a mask: threshold, watershed, random walker and active contour against the shipped method.

On the nuclei of dsb2018 val and on the cells of phantoms. Every method gets the same crop: the box and a quarter of its
longer side around it, in grey, turned so that the object is dark. Dice is the mean over an image's objects; the
interval draws the images anew. ``box`` is the ellipse inscribed in the box, which looks at no pixel: what the product
measures where the shipped method refuses, and so what counts for it there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.draw import polygon2mask

from fiducial.benchmarks.common import bootstrap, mean, parser, progress, table, write
from fiducial.tools.geometry.ellipses import ellipse_polygon
from fiducial.tools.geometry.masks import mask_box
from fiducial.tools.phantoms import SCENES
from fiducial.tools.segment.segment_in_box import segment_in_box
from fiducial.tools.segment.stain import on_bright_ground

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]
Box = tuple[float, float, float, float]
Task = tuple[NDArray[np.uint8], list[tuple[str, Box, Mask]]]  # a picture; label, box and mask of its objects

MARGIN = 0.25  # of the longer side, around the box
CORE = 0.4  # of the inscribed ellipse: surely the object
WALKER_BETA = 2000  # the best of 130 to 30,000 on dsb2018 train
LEAST_SIDE_PX = 6.0  # smaller objects are left out, for all methods alike
PHANTOMS = {"smear phantoms": "blood_smear", "nuclei phantoms": "nuclei", "H&E phantoms": "nuclei_he"}


def inscribed(shape: tuple[int, int], box: Box, share: float = 1.0) -> Mask:
    """The pixels whose centre lies in the ellipse inscribed in a box, its axes taken ``share`` times."""
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    x0, y0, x1, y1 = box
    return np.asarray(np.hypot((2 * x - x0 - x1) / (x1 - x0), (2 * y - y0 - y1) / (y1 - y0)) <= share)


def inside(shape: tuple[int, int], box: Box) -> Mask:
    """The pixels whose centre lies in the box."""
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    return np.asarray((x >= box[0]) & (x < box[2]) & (y >= box[1]) & (y < box[3]))


def _whole(mask: Mask, core: Mask) -> Mask:
    """The connected part that holds most of the core, holes filled; nothing where none does."""
    from scipy.ndimage import binary_fill_holes, label

    parts, count = label(mask)
    if not count:
        return mask
    held = np.bincount(parts[core], minlength=count + 1)
    held[0] = 0
    return np.asarray(binary_fill_holes(parts == held.argmax())) if held.max() else np.zeros_like(mask)


def by_threshold(grey: Floats, box: Box) -> Mask:
    """Otsu's threshold in the crop."""
    from skimage.filters import gaussian, threshold_otsu

    smooth = gaussian(grey, 1.0)
    part = inside(grey.shape, box) & (smooth < threshold_otsu(smooth))
    return _whole(part, inscribed(grey.shape, box, CORE))


def by_watershed(grey: Floats, box: Box) -> Mask:
    """Watershed of the gradient, from the middle of the box and from outside of it."""
    from skimage.filters import gaussian, sobel
    from skimage.segmentation import watershed

    return np.asarray(watershed(sobel(gaussian(grey, 1.0)), _markers(grey.shape, box)) == 1)


def by_random_walker(grey: Floats, box: Box) -> Mask:
    """Random walker from the same places (Grady, IEEE TPAMI 28:1768, 2006)."""
    from skimage.filters import gaussian
    from skimage.segmentation import random_walker

    smooth = gaussian(grey, 1.0)
    return np.asarray(random_walker(smooth, _markers(grey.shape, box), beta=WALKER_BETA, mode="bf") == 1)


def by_active_contour(grey: Floats, box: Box) -> Mask:
    """Morphological active contour without edges from the inscribed ellipse (Marquez-Neila et al., TPAMI 36:2)."""
    from skimage.segmentation import morphological_chan_vese

    start = inscribed(grey.shape, box, 0.8)
    found = morphological_chan_vese(grey, 40, init_level_set=start, smoothing=2).astype(bool)
    core = inscribed(grey.shape, box, CORE)
    found = ~found if found[core].mean() < 0.5 else found  # the two sides of the contour have no names
    return _whole(found & inside(grey.shape, box), core)


def _markers(shape: tuple[int, int], box: Box) -> NDArray[np.int32]:
    return np.where(inscribed(shape, box, CORE), 1, np.where(inside(shape, box), 0, 2)).astype(np.int32)


METHODS: dict[str, Callable[[Floats, Box], Mask]] = {
    "box": lambda grey, box: inscribed(grey.shape, box),
    "threshold": by_threshold,
    "watershed": by_watershed,
    "random walker": by_random_walker,
    "active contour": by_active_contour,
}


def dice(found: Mask, truth: Mask) -> float:
    """Twice the common pixels over the sum of both."""
    both = int(np.count_nonzero(found)) + int(np.count_nonzero(truth))
    return 2.0 * int(np.count_nonzero(found & truth)) / max(1, both)


def moved(box: Box, jitter: float, rng: np.random.Generator) -> Box:
    """The box with sides that are off by so many of its own lengths, one standard deviation."""
    x0, y0, x1, y1 = box
    dx, dy = rng.normal(0, jitter, 2) * (x1 - x0), rng.normal(0, jitter, 2) * (y1 - y0)
    return x0 + dx[0], y0 + dy[0], x1 + dx[1], y1 + dy[1]


def scores(picture: NDArray[np.uint8], label: str, box: Box, truth: Mask) -> dict[str, float]:
    """Dice of every method on one object, and 1 under ``refused`` where the shipped method found none."""
    height, width = picture.shape[:2]
    pad = MARGIN * max(box[2] - box[0], box[3] - box[1])
    left, top = int(max(0, box[0] - pad)), int(max(0, box[1] - pad))
    right, bottom = int(min(width, np.ceil(box[2] + pad))), int(min(height, np.ceil(box[3] + pad)))
    own = (box[0] - left, box[1] - top, box[2] - left, box[3] - top)
    light, part = on_bright_ground(picture), truth[top:bottom, left:right]
    grey = light[top:bottom, left:right].mean(axis=2) / 255.0
    found = {name: dice(method(grey, own), part) for name, method in METHODS.items()}
    segment = segment_in_box(picture, box, label)
    found |= {"refused": float(segment is None), "shipped": found["box"]}
    if segment is not None:
        outline = np.array(segment.polygon_xy_px)[:, ::-1]
        found["shipped"] = dice(polygon2mask((height, width), outline - 0.5), truth)
    return found


def nuclei(data: Path, limit: int | None) -> Iterator[Task]:
    """The pictures of dsb2018 val with the boxes and masks of their nuclei."""
    for name in (data / "dsb2018" / "val.txt").read_text(encoding="utf-8").split()[:limit]:
        stem = name.removesuffix(".png")
        picture = np.asarray(Image.open(data / "dsb2018" / "images" / f"{stem}.png").convert("RGB"))
        labels = np.asarray(Image.open(data / "dsb2018" / "labels" / f"{stem}.png"))
        masks = (labels == value for value in np.unique(labels) if value)
        yield picture, [("nucleus", box, mask) for mask in masks if (box := mask_box(mask)) is not None]


def cells(scene: str, seeds: int) -> Iterator[Task]:
    """Phantoms of a kind, with the objects that lie wholly inside."""
    for seed in range(seeds):
        made: Any = SCENES[scene](seed)
        size = made.rgb_u8.shape[:2]
        items = [item for item in made.truth.objects if item.visible_fraction == 1.0]
        yield (
            made.rgb_u8,
            [
                (i.label, i.box_xyxy_px, polygon2mask(size, ellipse_polygon(i.ellipse_px, 360)[:, ::-1] - 0.5))
                for i in items
            ],
        )


def measured(tasks: Sequence[Task], most: int, jitter: float, title: str) -> dict[str, list[dict[str, float]]]:
    """For each label, one row of mean scores a picture; at most ``most`` objects of a picture, drawn at random."""
    rows: dict[str, list[dict[str, float]]] = defaultdict(list)
    rng = np.random.default_rng(0)
    for picture, objects in progress(tasks, title):
        sized = [o for o in objects if min(o[1][2] - o[1][0], o[1][3] - o[1][1]) >= LEAST_SIDE_PX]
        by_label: dict[str, list[dict[str, float]]] = defaultdict(list)
        for index in sorted(rng.permutation(len(sized))[:most]):
            label, box, truth = sized[index]
            given = moved(box, jitter, rng) if jitter else box
            by_label[label].append(scores(picture, label, given, truth))
        for label, found in by_label.items():
            means = {name: mean(row[name] for row in found) for name in found[0]}
            rows[label].append({**means, "objects": len(found)})
    return rows


def main() -> None:
    """Segment, compare, print, write."""
    made = parser(__doc__)
    made.add_argument("--most", type=int, default=40, help="objects of a picture, drawn at random")
    made.add_argument("--seeds", type=int, default=8, help="phantoms of each kind")
    made.add_argument(
        "--jitter", type=float, default=0.0, help="error of each box side, in sides: 0.08 is a detector's"
    )
    args = made.parse_args()
    sets: dict[str, list[Task]] = {"dsb2018 val": list(nuclei(args.data, args.limit))}
    sets |= {title: list(cells(scene, args.seeds)) for title, scene in PHANTOMS.items()}
    names, figures, lines = [*METHODS, "shipped"], dict[str, Any](), []
    for title, tasks in sets.items():
        for label, rows in measured(tasks, args.most, args.jitter, title).items():
            for name in names:
                values = [row[name] for row in rows]
                refused = mean(row["refused"] * (name == "shipped") for row in rows)
                line = {"dice": mean(values), "interval": bootstrap(values), "refused": refused}
                figures[f"{title}, {label}, {name}"] = line
                count = int(sum(row["objects"] for row in rows))
                lines.append((title, label, count, name, line["dice"], line["interval"], refused))
    print(table(("set", "object", "objects", "method", "Dice", "95 % interval", "refused"), lines))
    write(args.out, figures)


if __name__ == "__main__":
    main()
