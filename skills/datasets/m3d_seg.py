"""M3D-Seg: CT volumes with masks of organs and lesions, as boxes in three dimensions (Bai et al., arXiv 2404.00578).

A row of ``0012/0012.json``: ``{"train": [{"image": "0012/1/image.npy", "label": "0012/1/mask_(3, 512, 512, 96).npz"}],
"test": […]}``. The image is (1, x, y, z) float; the mask a scipy sparse matrix whose name holds its shape (class, x, y,
z); ``dataset_info.json`` names the classes: ``{"0012": {"0": "liver", …}}`` or a list. There is no spacing, so no
scale. A slice's picture has x to the right and y down. The group is the case's folder.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from fiducial.skills.datasets.pictures import inside, middle_slice
from fiducial.skills.datasets.rows import AS_PUBLISHED, Row, read_json
from fiducial.skills.datasets.sample import Ask, Sample
from fiducial.skills.datasets.splits import require_split
from fiducial.skills.targets import Boxes3DTarget, LabelledBox3D, Query
from fiducial.tools.errors import InputError
from fiducial.tools.record import BoxXYZXYZ

SPLITS = {"train": "train", "val": "test"}  # the publisher has two parts; his second serves to choose


def shape_in_name(path: Path) -> tuple[int, ...]:
    """The shape that the name of a mask file holds."""
    try:
        shape = ast.literal_eval(path.stem.rsplit("_", 1)[-1])
    except (ValueError, SyntaxError):
        shape = None
    if not isinstance(shape, tuple) or len(shape) != 4 or not all(isinstance(n, int) and n > 0 for n in shape):
        raise InputError(
            f"the name of '{path}' does not hold a shape such as mask_(3, 512, 512, 96).npz; keep its name"
        )
    return shape


def class_boxes(path: Path) -> list[BoxXYZXYZ | None]:
    """The half-open box ``x0, y0, z0, x1, y1, z1`` of each class of a sparse mask, in voxels; None if absent."""
    from scipy import sparse

    shape = shape_in_name(path)
    try:
        matrix = sparse.load_npz(path).tocoo()
        flat = np.ravel_multi_index((matrix.row, matrix.col), matrix.shape)[matrix.data != 0]
        classes, x, y, z = np.unravel_index(flat, shape)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"cannot read the mask '{path}' ({error}); copy it again from the data set") from None
    boxes: list[BoxXYZXYZ | None] = []
    for number in range(shape[0]):
        found = np.stack([x, y, z])[:, classes == number]
        if not found.size:
            boxes.append(None)
            continue
        (x0, y0, z0), (x1, y1, z1) = found.min(axis=1).tolist(), (found.max(axis=1) + 1).tolist()
        boxes.append((float(x0), float(y0), float(z0), float(x1), float(y1), float(z1)))
    return boxes


def read_case(path: Path) -> np.ndarray:
    """(slices, H, W) of an image file (1, x, y, z), so that a slice has x to the right and y down."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"cannot read '{path}': {error}; copy the volume again from the data set") from None
    if array.ndim != 4 or len(array) != 1:
        raise InputError(f"'{path}' has the shape {array.shape}, not (1, x, y, z); copy it again")
    return np.asarray(array[0].transpose(2, 1, 0), np.float32)


def _names(root: Path, code: str) -> list[str]:
    """The classes of one part of the set, in the order of the mask's first axis."""
    table = read_json(root / "dataset_info.json")
    names = table.get(code) if isinstance(table, dict) else None
    if isinstance(names, dict):
        names = [str(names[key]) for key in sorted(names, key=int)]
    if not isinstance(names, list) or not names:
        raise InputError(f"{root / 'dataset_info.json'} names no classes of '{code}'; {AS_PUBLISHED}")
    return [str(name) for name in names]


def _asks(boxes: list[BoxXYZXYZ | None], names: list[str], slices: int) -> Iterator[Ask]:
    for name, box in zip(names, boxes, strict=False):
        found = () if box is None else (LabelledBox3D(label=name, box_xyzxyz_voxel=box),)
        yield Ask(Query(task="detect_3d", label=name, image_count=slices), Boxes3DTarget(boxes=found))


def _sample(root: Path, code: str, row: Row, names: list[str], split: str) -> Sample:
    image, label = row.text("image"), row.text("label")
    mask = inside(root, label, row.where)
    volume = partial(read_case, inside(root, image, row.where))
    group = str(Path(image).parent)
    asks = tuple(_asks(class_boxes(mask), names, shape_in_name(mask)[3]))
    pixels = middle_slice(volume)
    return Sample(
        group, group, "other", pixels, split=split, image=image, asks=asks, volume=volume, facts={"part": code}
    )


def open_m3d_seg(root: Path, split: str) -> Iterator[Sample]:
    """Stream the volumes of all parts in the folder. An absent class is a target without a box."""
    published = require_split(split, SPLITS, "m3d_seg")
    paths = sorted(root.glob("[0-9]*/[0-9]*.json"))
    if not paths:
        raise InputError(f"{root} has no part such as 0012/0012.json; give the folder that holds the parts")
    for path in paths:
        document, names = read_json(path), _names(root, path.stem)
        rows = document.get(published) if isinstance(document, dict) else None
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise InputError(f"{path} has no list '{published}'; {AS_PUBLISHED}")
        for number, fields in enumerate(rows, 1):
            yield _sample(root, path.stem, Row(f"{path}, {published} {number}", fields), names, split)
