"""Where in an image a region lies, in plain words: a grid of three by three, and halves."""

from __future__ import annotations

from collections.abc import Sequence

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
    if region.box_xyxy_px is not None:
        x0, y0, x1, y1 = region.box_xyxy_px
        return (x0 + x1) / 2, (y0 + y1) / 2
    xs, ys = zip(*(region.polygon_xy_px or ((0.0, 0.0),)), strict=True)
    return (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2


def place_of(region: Region, width_px: int, height_px: int) -> str:
    """The third of the image across and down that a region's middle is in, one of ``PLACE_WORDS``."""
    x, y = anchor_xy_px(region)
    column = min(2, max(0, int(3 * x / width_px)))
    row = min(2, max(0, int(3 * y / height_px)))
    return PLACES[row][column]


def half_shares(regions: Sequence[Region], width_px: int, height_px: int) -> dict[str, float]:
    """The share of the regions' middles in each half of the image (left, right, upper, lower), 0 to 1."""
    points = [anchor_xy_px(r) for r in regions]
    n = max(1, len(points))
    left = sum(x < width_px / 2 for x, _ in points) / n
    upper = sum(y < height_px / 2 for _, y in points) / n
    return {"left": left, "right": 1 - left, "upper": upper, "lower": 1 - upper}


def is_spread(regions: Sequence[Region], width_px: int, height_px: int) -> bool:
    """Whether the regions occupy at least ``SPREAD_CELLS`` of the nine cells."""
    return len({place_of(r, width_px, height_px) for r in regions}) >= SPREAD_CELLS


def distribution(regions: Sequence[Region], width_px: int, height_px: int) -> str:
    """``most left`` (right, upper, lower) where at least ``MOST`` lie in that half, else ``spread``, else empty."""
    shares = half_shares(regions, width_px, height_px)
    half = max(HALVES, key=lambda name: shares[name])
    if shares[half] >= MOST:
        return f"most {half}"
    return "spread" if is_spread(regions, width_px, height_px) else ""
