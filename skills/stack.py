"""A volume as a model sees it: some of its slices, which they are, and the way from voxels to the world."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fiducial.tools.record import BoxXYZXYZ, FileSlices, ImageInfo, Region

if TYPE_CHECKING:
    from fiducial.tools.images.image import Image

VOLUME_SLICES = 16  # of a volume are shown to a model, in training as at inference


@dataclass(frozen=True, eq=False)
class Stack:
    """slices: in rising order of their index, all of one plane and size; nothing of the volume between is kept.

    Coordinates in the stack are voxels of its plane: x and y in stored pixels of a slice, z in slices of the whole
    volume, continuous, 0 at the outer face of its first slice, so that slice k reaches from k to k + 1.
    """

    slices: tuple[Image, ...]

    @property
    def indices(self) -> tuple[int, ...]:
        """Which slices of the volume are shown, from 0."""
        return tuple(image.slice_index for image in self.slices)

    @property
    def count(self) -> int:
        """How many slices the volume has in this plane."""
        return self.slices[0].slice_count

    @property
    def middle(self) -> Image:
        """The slice that stands for the volume where one image is needed."""
        return self.slices[len(self.slices) // 2]

    @property
    def info(self) -> ImageInfo:
        """The record's image: size and scale are those of a slice."""
        image = self.middle
        shown = FileSlices(plane=image.plane or "axial", indices=self.indices, count=self.count)
        return image.info.model_copy(update={"file_slice": None, "file_slices": shown})

    def box_xyzxyz_mm(self, box_xyzxyz_voxel: BoxXYZXYZ) -> BoxXYZXYZ | None:
        """The box along the world's axes, mm, LPS, that holds a box of voxels; None without a place in the world."""
        image = self.middle
        plane, step = image.stored_to_world, image.slice_step_mm
        if plane is None or step is None or not np.isfinite(box_xyzxyz_voxel).all():
            return None
        x0, y0, z0, x1, y1, z1 = box_xyzxyz_voxel
        flat = plane.points(np.array([(x, y) for x in (x0, x1) for y in (y0, y1)]))
        # the plane's map leads to the middle of its slice's thickness
        corners = np.concatenate([flat + step * (z - (image.slice_index + 0.5)) for z in (z0, z1)])
        low, high = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
        return low[0], low[1], low[2], high[0], high[1], high[2]

    def placed(self, region: Region) -> Region:
        """A box in the volume with its place in the world."""
        if region.box_xyzxyz_voxel is None:
            return region
        return region.model_copy(update={"box_xyzxyz_mm": self.box_xyzxyz_mm(region.box_xyzxyz_voxel)})


def spread(count: int, wanted: int) -> list[int]:
    """The slices, evenly spaced and as far from the ends as from each other: every one where there are no more."""
    shown = min(count, wanted)
    return [((2 * k + 1) * count) // (2 * shown) for k in range(shown)]
