"""Opening what is asked about: one image, or as many slices of a volume as a model is to see."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fiducial.skills.stack import Stack, spread

if TYPE_CHECKING:
    from fiducial.tools.images.image import Image
    from fiducial.tools.record import ImageInfo, Record, Region, Scale


def is_volume(image: Image) -> bool:
    """Whether an opened file is one slice of several that lie above each other."""
    return image.slice_count > 1 and image.plane is not None


def stack_of(image: Image, wanted: int, scale: Scale | None = None) -> Stack:
    """Slices of the volume that an opened image is a slice of, in its plane."""
    return _stack(image, spread(image.slice_count, wanted), scale)


def reopened(info: ImageInfo) -> tuple[Image, Stack | None]:
    """The image of a record again, and its stack where the record is about a volume."""
    from fiducial.tools.images.open_image import open_image, reopen

    if info.file_slices is None:
        return reopen(info), None
    scale = info.scale if info.scale is not None and info.scale.source == "user" else None
    first = open_image(Path(info.path), scale, plane=info.file_slices.plane, index=info.file_slices.indices[0])
    stack = _stack(first, list(info.file_slices.indices), scale)
    return stack.middle, stack


def _stack(image: Image, indices: list[int], scale: Scale | None) -> Stack:
    from fiducial.tools.images.open_image import open_image

    path = Path(image.info.path)
    at = {image.slice_index: image}
    return Stack(tuple(at.get(k) or open_image(path, scale, plane=image.plane, index=k) for k in indices))


def flattened(record: Record, stack: Stack) -> tuple[Record, Image]:
    """A record about a volume for a picture: the slice shown that most boxes reach into, and those boxes in it."""
    boxes = [r for r in record.regions if r.box_xyzxyz_voxel is not None]

    def inside(k: int) -> list[Region]:
        return [r for r in boxes if (b := r.box_xyzxyz_voxel) and b[2] < k + 1 and b[5] > k]

    image = max(stack.slices, key=lambda each: (len(inside(each.slice_index)), each is stack.middle))
    flat = [
        r.model_copy(update={"kind": "box", "box_xyxy_px": (b[0], b[1], b[3], b[4]), "box_xyzxyz_voxel": None})
        for r in inside(image.slice_index)
        if (b := r.box_xyzxyz_voxel)
    ]
    others = [r for r in record.regions if r.box_xyzxyz_voxel is None]
    return record.model_copy(update={"regions": (*others, *flat)}), image
