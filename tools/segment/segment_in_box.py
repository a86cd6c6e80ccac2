"""From a cell's box to its outline: the level half way between cell and background, to a fraction of a pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fiducial.tools.geometry.boxes import iou_matrix, valid_boxes
from fiducial.tools.geometry.ellipses import fit_ellipse
from fiducial.tools.geometry.masks import mask_contour
from fiducial.tools.geometry.polygons import is_simple, polygon_area
from fiducial.tools.record import Ellipse, Region
from fiducial.tools.segment.stain import absorption, background_rgb

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

MARGIN = 0.25  # of the box's side: room for a box that is off by a tenth, and for some background
LEVEL = {"red_cell": 0.5, "platelet": 0.5, "white_cell": 0.35}  # a white cell's cytoplasm is paler than its nucleus
SMOOTH_PX = 0.7
LEAST_CONTRAST = 8.0  # grey levels between cell and background
LEAST_IOU = 0.35  # of the outline's box with the given one
EDGE_SIGMA_PX = 0.7  # of a clear edge: half of the usual blur


@dataclass(frozen=True)
class Segment:
    """An outline in stored pixels. score: IoU of its box with the given one. clipped: share that was cut off."""

    polygon_xy_px: tuple[tuple[float, float], ...]
    area_px: float
    ellipse_px: Ellipse | None
    score: float
    clipped: float

    def region(self, found: Region) -> Region:
        """The outline as a region of the record: a polygon that is a part of the region that it was found in."""
        return Region(
            id=f"{found.id}.outline",
            label=found.label,
            kind="polygon",
            polygon_xy_px=self.polygon_xy_px,
            score=found.score,
            sigma_px=EDGE_SIGMA_PX * (1.0 + 4.0 * self.clipped),
            skill="segment_in_box",
            parent_id=found.id,
        )


def segment_in_box(rgb_u8: NDArray[np.uint8], box_xyxy_px: Sequence[float], structure_key: str) -> Segment | None:
    """The outline of the stained cell in a box, or None where nothing in it stands out or fills it.

    rgb_u8: (height, width, 3). The box may be off by a tenth of its side. What a neighbour shares with the cell is
    cut off at the ellipse inscribed in the box, widened by a tenth, and counted in ``clipped``.
    """
    height, width = rgb_u8.shape[:2]
    x0, y0, x1, y1 = box_xyxy_px
    crop = _crop(box_xyxy_px, width, height)
    field = _field(rgb_u8, crop, box_xyxy_px, LEVEL.get(structure_key, 0.5)) if crop else None
    if crop is None or field is None:
        return None
    left, top, right, bottom = crop
    grid_y, grid_x = np.mgrid[top:bottom, left:right] + 0.5
    radius = np.hypot((grid_x - (x0 + x1) / 2) / (x1 - x0), (grid_y - (y0 + y1) / 2) / (y1 - y0)) * 2
    borders = (left > 0, top > 0, right < width, bottom < height)
    cell, clipped = _component(field > 0.5, radius, borders)
    contour = None if cell is None else _contour(field, cell)
    if contour is None:
        return None
    contour += (left, top)
    box = (*contour.min(axis=0), *contour.max(axis=0))
    score = float(iou_matrix([box], [box_xyxy_px])[0, 0])
    if score < LEAST_IOU or not is_simple(contour):
        return None
    outline = tuple((float(x), float(y)) for x, y in contour)
    return Segment(outline, polygon_area(contour), fit_ellipse(contour), score, clipped)


def _crop(box_xyxy_px: Sequence[float], width: int, height: int) -> tuple[int, int, int, int] | None:
    """The box with its margin, in whole pixels of the image; None for an invalid box or one without room."""
    if not valid_boxes([box_xyxy_px])[0]:
        return None
    x0, y0, x1, y1 = box_xyxy_px
    pad = MARGIN * max(x1 - x0, y1 - y0)
    left, top = int(max(0, np.floor(x0 - pad))), int(max(0, np.floor(y0 - pad)))
    right, bottom = int(min(width, np.ceil(x1 + pad))), int(min(height, np.ceil(y1 + pad)))
    return (left, top, right, bottom) if min(right - left, bottom - top) >= 4 else None


def _field(
    rgb_u8: NDArray[np.uint8], crop: tuple[int, int, int, int], box: Sequence[float], level: float
) -> Floats | None:
    """Absorption in the crop, 0.5 where it is ``level`` of the way from background to cell; None if flat."""
    from scipy.ndimage import gaussian_filter

    left, top, right, bottom = crop
    stain = absorption(rgb_u8[top:bottom, left:right], background_rgb(rgb_u8))
    stain = gaussian_filter(stain, SMOOTH_PX)
    x0, y0, x1, y1 = box
    rows = slice(int(max(0, y0 + 0.15 * (y1 - y0) - top)), int(np.ceil(y1 - 0.15 * (y1 - y0) - top)))
    columns = slice(int(max(0, x0 + 0.15 * (x1 - x0) - left)), int(np.ceil(x1 - 0.15 * (x1 - x0) - left)))
    core = stain[rows, columns]
    if not core.size:
        return None
    # The cell's own level: the upper half of its core, so that a pale centre does not lower it. The background's: the
    # dim tenth of the crop, and zero at the least where the crop holds no background.
    cell, empty = float(np.percentile(core, 65)), float(np.percentile(stain, 5))
    empty = empty if empty < 0.4 * cell else 0.0
    if cell - empty < LEAST_CONTRAST:
        return None
    return np.asarray(0.5 * (stain - empty) / (level * (cell - empty)))


def _component(mask: Mask, radius: Floats, borders: tuple[bool, bool, bool, bool]) -> tuple[Mask | None, float]:
    """The part of the mask that fills the box best, holes filled, and the share of it that was cut off.

    radius: 1 on the ellipse inscribed in the box. borders: whether the crop's left, top, right, bottom edge is inside
    the image.
    """
    from scipy.ndimage import binary_fill_holes, label

    filled = binary_fill_holes(mask)
    labels, count = label(filled)
    if not count:
        return None, 0.0
    overlap = np.bincount(labels[radius <= 1.0], minlength=count + 1)
    overlap[0] = 0
    if not overlap.any():
        return None, 0.0
    cell = labels == int(np.argmax(overlap))
    edges = (cell[:, 0], cell[0], cell[:, -1], cell[-1])
    runs_on = any(inner and edge.any() for inner, edge in zip(borders, edges, strict=True))
    beyond = radius > 1.1
    if not runs_on and float(radius[cell].max()) < 1.6:
        return cell, 0.0
    cut = cell & ~beyond
    return cut, float((cell & beyond & (radius < 1.6)).sum() / max(int(cell.sum()), 1))


def _contour(field: Floats, cell: Mask) -> Floats | None:
    """(N, 2) the outline in pixels of the crop: the field's own level line, but solid inside, empty outside."""
    from scipy.ndimage import binary_dilation, binary_erosion

    solid = binary_erosion(cell, iterations=2, border_value=1)
    near = binary_dilation(cell, iterations=1)
    # A pixel of the cell's rim keeps its own value, so that the line falls between pixels; one that was cut off does
    # not.
    soft = np.where(cell, np.maximum(field, 0.5001), np.minimum(field, 0.4999))
    soft = np.where(solid, 1.0, np.where(near, np.clip(soft, 0.0, 1.0), 0.0))
    return mask_contour(soft, 0.5)
