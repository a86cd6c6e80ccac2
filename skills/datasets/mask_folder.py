"""A folder of images with masks: ``images/NAME.*`` and ``masks/NAME.png`` (or ``labels/``), by the same name.

A sample: ``images/cju0qkwl3.png`` with ``masks/cju0qkwl3.png``, white where the polyp is. A mask of one value beside 0
is taken apart into its connected parts; of several values, each is one object (0 is the background). White with soft
grey edges is cut at 128 first. With a ``classes.json`` such as ``{"1": "polyp", "2": "instrument"}`` the values are
classes, and each connected part of one is an object. Splits are ``train.txt`` and so on, or drawn by image where there
is no list.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image as PILImage
from PIL import UnidentifiedImageError

from fiducial.skills.datasets.objects import RawBox, mask_object, sound_objects
from fiducial.skills.datasets.pictures import IMAGE_SUFFIXES, read_picture
from fiducial.skills.datasets.rows import read_json
from fiducial.skills.datasets.sample import Sample
from fiducial.skills.datasets.splits import drawn_split, listed_names
from fiducial.tools.errors import InputError

MASK_FOLDERS = ("masks", "labels", "mask")
WHITE, HALF = 240, 128  # grey values of an 8-bit mask
THIN = 0.2  # share of inner pixels: a grey edge has next to none, an object of 16 px has a quarter
MASK_SUFFIXES = (".png", ".tif", ".tiff", ".bmp", ".gif")


def read_mask(path: Path) -> np.ndarray:
    """(H, W) whole numbers of a mask file. Raises InputError for one that is a colour picture or not readable."""
    try:
        with PILImage.open(path) as image:
            values = np.asarray(image)
    except (OSError, UnidentifiedImageError, PILImage.DecompressionBombError, SyntaxError) as error:
        raise InputError(f"cannot read the mask '{path}': {error}; copy it again from the data set") from None
    if values.ndim == 3:
        colours = values[..., :3]
        if not (colours == colours[..., :1]).all():
            raise InputError(f"the mask '{path}' is in colour; save it with one number a pixel")
        values = colours[..., 0]
    return values.astype(np.int64)


def mask_boxes(values: np.ndarray, classes: Mapping[int, str] | None, label: str = "object") -> Iterator[RawBox]:
    """One box with its outline for each object of a mask (H, W); what the values mean is said in the module's text."""
    from skimage.measure import label as connected
    from skimage.measure import regionprops

    if classes is None and _soft_edged(values):
        values = (values >= HALF).astype(np.int64)
    present = [int(v) for v in np.unique(values) if v != 0]
    by_part = classes is not None or len(present) == 1
    for value in present if by_part else [0]:
        parts = connected(values == value) if by_part else values
        name = label if classes is None else classes.get(value, "")
        if not name:
            continue
        for region in regionprops(parts):
            row, column, _, _ = region.bbox
            found = mask_object(region.image, name)
            if found is not None:
                yield _moved(found, column, row)


def _soft_edged(values: np.ndarray) -> bool:
    """Whether grey values are edges of white objects, anti-aliased or compressed, and not the numbers of objects.

    Then most of what is not black is white, and grey is thin: few of its pixels lie among four of the same value.
    """
    found, counts = np.unique(values[values != 0], return_counts=True)
    grey = (values > 255 - WHITE) & (values < WHITE)
    if len(found) < 3 or found[0] < 0 or found[-1] > 255 or found[counts.argmax()] < WHITE or not grey.any():
        return False
    padded = np.pad(values, 1, constant_values=-1)
    around = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
    inner = np.logical_and.reduce([values == side for side in around])
    return bool(inner[grey].mean() < THIN)


def _moved(box: RawBox, x: float, y: float) -> RawBox:
    """A box found in a crop, in the pixels of the whole image."""
    x0, y0, x1, y1 = box.box_xyxy_px
    outline = tuple((px + x, py + y) for px, py in box.polygon_xy_px or ())
    return RawBox(box.label, (x0 + x, y0 + y, x1 + x, y1 + y), outline)


def _classes(root: Path) -> dict[int, str] | None:
    path = root / "classes.json"
    if not path.is_file():
        return None
    table = read_json(path)
    try:
        return {int(value): str(name) for value, name in table.items()}
    except (AttributeError, ValueError):
        raise InputError(f'{path} is no table of mask values and class names; write it as {{"1": "polyp"}}') from None


def _pairs(root: Path) -> Iterator[tuple[Path, Path]]:
    """Each image with its mask, by name."""
    folder = next((root / name for name in MASK_FOLDERS if (root / name).is_dir()), None)
    if not (root / "images").is_dir() or folder is None:
        raise InputError(f"{root} has no images/ and {'/ or '.join(MASK_FOLDERS)}/; put images and masks there")
    for image in sorted((root / "images").iterdir()):
        if image.suffix.lower() in IMAGE_SUFFIXES:
            mask = next(
                (folder / f"{image.stem}{s}" for s in MASK_SUFFIXES if (folder / f"{image.stem}{s}").is_file()), None
            )
            if mask is None:
                raise InputError(f"{folder} has no mask '{image.stem}.png' for images/{image.name}; add an empty one")
            yield image, mask


def _sample(image: Path, mask: Path, classes: Mapping[int, str] | None, label: str) -> Sample:
    values = read_mask(mask)
    size = (values.shape[1], values.shape[0])
    objects, problems = sound_objects(mask_boxes(values, classes, label), size, image.name)
    return Sample(image.name, image.name, "other", partial(read_picture, image), objects, problems=problems)


def open_mask_folder(root: Path, split: str, label: str = "object") -> Iterator[Sample]:
    """Stream the samples of a split; the group is the image."""
    classes, listed = _classes(root), listed_names(root, split)
    if listed is None:
        yield from drawn_split((_sample(image, mask, classes, label) for image, mask in _pairs(root)), split)
        return
    names = {Path(name).stem for name in listed}
    for image, mask in _pairs(root):
        if image.stem in names:
            yield replace(_sample(image, mask, classes, label), split=split)
