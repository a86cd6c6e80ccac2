"""Where a region of a slice lies in the patient: its bounding box in the world, mm, LPS."""

from __future__ import annotations

import math

import numpy as np

from fiducial.tools.frames import Floats
from fiducial.tools.images.image import Image
from fiducial.tools.record import BoxXYZXYZ, Record, Region


def box_xyzxyz_mm(region: Region, image: Image) -> BoxXYZXYZ | None:
    """Bounding box of a region and of its slice's thickness along the world's axes: x0, y0, z0, x1, y1, z1, mm, LPS.

    The corners are the outer faces of pixels and slice, as of all boxes here: a box of one pixel is as wide as that.
    In an oblique slice the box is larger than the region. None for an image without a place in the world, and for
    coordinates that are not finite. Where the distance of slices is unknown the box has no thickness.
    """
    plane = image.stored_to_world
    if plane is None:
        return None
    if region.ellipse_px is not None:  # the extent of an ellipse along an axis is the norm of its mapped semi-axes
        ellipse = region.ellipse_px
        turn = math.radians(ellipse.angle_deg)
        axes = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
        semi = axes * [[ellipse.semi_major_px], [ellipse.semi_minor_px]] @ np.stack([plane.step_x_mm, plane.step_y_mm])
        center, extent = plane.points(ellipse.center_xy_px), np.linalg.norm(semi, axis=0)
        low, high = center - extent, center + extent
    else:
        points = plane.points(_outline(region))
        low, high = points.min(axis=0), points.max(axis=0)
    half = np.abs(image.slice_step_mm) / 2 if image.slice_step_mm is not None else np.zeros(3)
    if not np.isfinite([low, high]).all():
        return None
    x0, y0, z0 = (low - half).tolist()
    x1, y1, z1 = (high + half).tolist()
    return x0, y0, z0, x1, y1, z1


def _outline(region: Region) -> Floats:
    """(N, 2): stored pixels whose bounding box is that of the region."""
    if region.box_xyxy_px is not None:
        x0, y0, x1, y1 = region.box_xyxy_px
        return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], np.float64)
    return np.asarray(region.polygon_xy_px if region.polygon_xy_px is not None else [region.point_xy_px], np.float64)


def placed(record: Record, image: Image) -> Record:
    """The record with the place in the world of each region, where its image is a slice of a volume."""
    part = record.image.file_slice
    if part is None or part.plane is None or image.stored_to_world is None:
        return record
    regions = (region.model_copy(update={"box_xyzxyz_mm": box_xyzxyz_mm(region, image)}) for region in record.regions)
    return record.model_copy(update={"regions": tuple(regions)})
