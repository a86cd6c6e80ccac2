"""Where in an image a region lies, in plain words: a grid of three by three, and halves.

The words are for a person who looks at the image as it is displayed. Regions and ``width_px``, ``height_px`` are stored
pixels; ``orientation`` (1 to 8, ``ImageInfo.orientation``) says how those are turned to be displayed.
"""

from __future__ import annotations

from collections.abc import Sequence

from fiducial.tools.images.orientation import STEPS
from fiducial.tools.record import PointXY, Region

PLACES = (("upper left", "top", "upper right"), ("left", "centre", "right"), ("lower left", "bottom", "lower right"))
PLACE_WORDS = tuple(word for row in PLACES for word in row)
HALVES = ("left", "right", "upper", "lower")
MOST = 0.65  # a share in one half that is called "most"
SPREAD_CELLS = 5  # occupied cells of the nine from which regions are called spread


def anchor_xy_px(region: Region) -> PointXY:
    """The middle of a region, in stored pixels: a point itself, an ellipse's centre, else the middle of its box."""
    if region.point_xy_px is not None:
        return region.point_xy_px
    if region.ellipse_px is not None:
        return region.ellipse_px.center_xy_px
    if region.box_xyzxyz_voxel is not None:
        x0, y0, _, x1, y1, _ = region.box_xyzxyz_voxel
        return (x0 + x1) / 2, (y0 + y1) / 2
    if region.box_xyxy_px is not None:
        x0, y0, x1, y1 = region.box_xyxy_px
        return (x0 + x1) / 2, (y0 + y1) / 2
    xs, ys = zip(*(region.polygon_xy_px or ((0.0, 0.0),)), strict=True)
    return (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2


def _displayed(region: Region, width_px: int, height_px: int, orientation: int) -> tuple[float, float, int, int]:
    """The middle of a region in pixels of the displayed image (x, y), and that image's width and height."""
    exchange, mirror_x, mirror_y = STEPS[orientation]
    x, y = anchor_xy_px(region)
    if exchange:
        x, y, width_px, height_px = y, x, height_px, width_px
    return width_px - x if mirror_x else x, height_px - y if mirror_y else y, width_px, height_px


def place_of(region: Region, width_px: int, height_px: int, orientation: int = 1) -> str:
    """The third of the displayed image across and down that a region's middle is in, one of ``PLACE_WORDS``."""
    x, y, width, height = _displayed(region, width_px, height_px, orientation)
    column = min(2, max(0, int(3 * x / width)))
    row = min(2, max(0, int(3 * y / height)))
    return PLACES[row][column]


def half_shares(regions: Sequence[Region], width_px: int, height_px: int, orientation: int = 1) -> dict[str, float]:
    """The share of the regions' middles in each half of the displayed image (left, right, upper, lower), 0 to 1."""
    middles = [_displayed(r, width_px, height_px, orientation) for r in regions]
    n = max(1, len(middles))
    left = sum(x < width / 2 for x, _, width, _ in middles) / n
    upper = sum(y < height / 2 for _, y, _, height in middles) / n
    return {"left": left, "right": 1 - left, "upper": upper, "lower": 1 - upper}


def is_spread(regions: Sequence[Region], width_px: int, height_px: int, orientation: int = 1) -> bool:
    """Whether the regions occupy at least ``SPREAD_CELLS`` of the nine cells."""
    return len({place_of(r, width_px, height_px, orientation) for r in regions}) >= SPREAD_CELLS


def distribution(regions: Sequence[Region], width_px: int, height_px: int, orientation: int = 1) -> str:
    """``most left`` (right, upper, lower) where at least ``MOST`` lie in that half, else ``spread``, else empty."""
    shares = half_shares(regions, width_px, height_px, orientation)
    half = max(HALVES, key=lambda name: shares[name])
    if shares[half] >= MOST:
        return f"most {half}"
    return "spread" if is_spread(regions, width_px, height_px, orientation) else ""
