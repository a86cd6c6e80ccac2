"""Pascal VOC: one XML file of boxes an image (Everingham et al., 2010).

A sample, from BCCD: ``Annotations/BloodImage_00338.xml`` has ``<filename>BloodImage_00338.jpg</filename>``, a size of
640×480×3 and ``<object><name>RBC</name><bndbox><xmin>453</xmin><ymin>81</ymin><xmax>555</xmax><ymax>182</ymax>``, which
is the box (452, 80, 555, 182). Splits are lists of names: ``ImageSets/Main/train.txt`` or ``train.txt``.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from fiducial.skills.datasets.objects import RawBox, Size, sound_objects
from fiducial.skills.datasets.pictures import read_named
from fiducial.skills.datasets.sample import Object, Problem, Sample
from fiducial.skills.datasets.splits import read_split
from fiducial.tools.errors import InputError

SIDES = ("xmin", "ymin", "xmax", "ymax")


def _number(node: ET.Element, path: Path, field: str) -> float:
    text = node.findtext(field)
    try:
        return float(text or "")
    except ValueError:
        raise InputError(f"{path}: {field} is '{text}', which is no number; mend the file or leave it out") from None


def _size(root: ET.Element, path: Path) -> Size | None:
    """The image's size as the file states it; None where it states none or 0, as some tools write."""
    if root.find("size") is None:
        return None
    width, height = (int(_number(root, path, f"size/{side}")) for side in ("width", "height"))
    return (width, height) if width > 0 and height > 0 else None


def read_voc(path: Path, labels: Mapping[str, str] | None = None) -> tuple[tuple[Object, ...], tuple[Problem, ...]]:
    """The sound boxes of one VOC file, and what is wrong with the others. labels: our names of the set's.

    VOC counts pixels from 1 and includes the last one, hence ``xmin - 1`` to ``xmax`` in corner coordinates. Raises
    InputError for a file that is no VOC, or an unknown name where labels are given.
    """
    try:
        root = ET.parse(path).getroot()
    except (OSError, ET.ParseError) as error:
        raise InputError(f"cannot read '{path}' as VOC ({error}); copy it again from the data set") from None
    boxes = []
    for node in root.findall("object"):
        name = (node.findtext("name") or "").strip()
        if not name or (labels is not None and name not in labels):
            known = f"; there is: {', '.join(labels)}" if labels else ""
            raise InputError(f"{path}: an object has the name '{name}'{known}; mend the file or leave it out")
        x0, y0, x1, y1 = (_number(node, path, f"bndbox/{side}") for side in SIDES)
        boxes.append(RawBox(labels[name] if labels else name, (x0 - 1, y0 - 1, x1, y1)))
    return sound_objects(boxes, _size(root, path), path.name)


def _names(root: Path, split: str) -> list[str]:
    for folder in (root / "ImageSets" / "Main", root):
        if (folder / f"{split}.txt").is_file():
            return read_split(folder, split)
    raise InputError(
        f"{root / f'{split}.txt'} is missing, and so is ImageSets/Main/{split}.txt; name the split's images"
    )


def open_voc(root: Path, split: str, labels: Mapping[str, str] | None = None, kind: str = "other") -> Iterator[Sample]:
    """Stream the samples of a split; the group is the image."""
    for stem in _names(root, split):
        objects, problems = read_voc(root / "Annotations" / f"{stem}.xml", labels)
        pixels = partial(read_named, root / "JPEGImages", stem)
        yield Sample(stem, stem, kind, pixels, objects, split=split, problems=problems)
