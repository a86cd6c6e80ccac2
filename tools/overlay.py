"""The overlay picture: the image with every region of the record, and the record's essence in a strip below it.

Accepted regions are solid, one colour a structure; rejected ones dashed and grey, with the check that rejected them.
What was measured between landmarks is drawn along thin white lines.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from fiducial.tools.errors import InputError
from fiducial.tools.frames import FrameMap2D, identity_map
from fiducial.tools.overlay_caption import draw_caption, scale_bar
from fiducial.tools.overlay_lines import measured_lines
from fiducial.tools.overlay_text import Color, draw_text, plain, text_width
from fiducial.tools.record import Record, Region

Points = NDArray[np.float64]
COLORS: dict[str, Color] = {
    "red_cell": (0, 190, 255),
    "white_cell": (255, 236, 40),
    "platelet": (255, 120, 0),
    "head": (60, 220, 150),
}
OTHERS: tuple[Color, ...] = ((255, 90, 190), (170, 130, 255), (150, 230, 60), (255, 165, 120))
REJECTED: Color = (155, 155, 155)
CASING: Color = (0, 0, 0)
MEASURED: Color = (255, 255, 255)
SHORTER_SIDES_PX = (720, 1600)
FEW_REGIONS = 6
FAR_PX = 1e5


def draw_overlay(
    image_rgb_u8: NDArray[np.uint8],
    record: Record,
    stored_to_display: FrameMap2D | None = None,
    labels: bool = True,
    caption: bool = True,
) -> NDArray[np.uint8]:
    """The overlay picture, (H', W', 3) uint8.

    image_rgb_u8: (H, W, 3), as displayed. stored_to_display: from the record's coordinates (stored pixels) to pixels of
    image_rgb_u8; without it the two are the same. Small images are enlarged by a whole number, very large ones reduced;
    ``picture_zoom`` says by how much. labels: region ids beside the regions; caption: the strip below.
    """
    to_display = stored_to_display or identity_map()
    height, width = image_rgb_u8.shape[:2]
    zoom = picture_zoom(width, height)
    size = max(1, round(width * zoom)), max(1, round(height * zoom))
    sampling = Image.Resampling.LANCZOS if zoom < 1 else Image.Resampling.BICUBIC
    picture = Image.fromarray(np.ascontiguousarray(image_rgb_u8)).convert("RGB").resize(size, sampling)
    text_px = max(13, round(math.sqrt(size[0] * size[1]) / 58))
    colors = _colors(record)
    outlines = {region.id: _outline(region, to_display, zoom) for region in record.regions}
    _measure(picture, record, to_display, zoom, max(2, round(text_px / 7)))
    _paint(picture, record, outlines, colors, max(2, round(text_px / 7)))
    if labels:
        _label(picture, record, outlines, colors, max(12, round(text_px * 0.8)))
    if not caption:
        return np.asarray(picture)
    not_drawn = [region.id for region in record.regions if not outlines[region.id]]
    scale = record.image.scale and to_display.scale(record.image.scale)
    width_px = max(picture.width, 640)
    bar = scale_bar(scale, zoom, min(picture.width, width_px * 0.22))
    strip = draw_caption(record, width_px, text_px, colors, not_drawn, bar)
    whole = Image.new("RGB", (width_px, picture.height + strip.height), (0, 0, 0))
    whole.paste(picture, ((width_px - picture.width) // 2, 0))
    whole.paste(strip, (0, picture.height))
    return np.asarray(whole)


def write_overlay(
    path: str | Path, image_rgb_u8: NDArray[np.uint8], record: Record, stored_to_display: FrameMap2D | None = None
) -> Path:
    """Write the overlay picture as PNG or JPEG by the path's ending. Raises InputError where it cannot be written."""
    target = Path(path)
    if target.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise InputError(f"cannot write the overlay {target}: name a file that ends in .png or .jpg")
    picture = Image.fromarray(draw_overlay(image_rgb_u8, record, stored_to_display))
    try:
        picture.save(target)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"cannot write the overlay {target}: {reason}; name a folder you may write to") from None
    return target


def picture_zoom(width_px: int, height_px: int) -> float:
    """Picture pixels per displayed pixel: whole for small images, below 1 for very large ones, else 1."""
    short, long = min(width_px, height_px), max(width_px, height_px)
    least, most = SHORTER_SIDES_PX
    if short > most:
        return most / short
    return float(max(1, min(math.ceil(least / short), 4 * least // long)))


def _colors(record: Record) -> dict[str, Color]:
    """One colour for each label of the record, and one for what was rejected. Parts have the colour of their whole."""
    labels = dict.fromkeys(region.label for region in record.regions)
    whole = {region.id: region.label for region in record.regions}
    unknown = [label for label in labels if label not in COLORS]
    others = {label: OTHERS[index % len(OTHERS)] for index, label in enumerate(unknown)}
    colors = {**COLORS, **others, "rejected": REJECTED}
    parts = [region for region in record.regions if region.parent_id in whole and region.label not in COLORS]
    return {**colors, **{region.label: colors[whole[str(region.parent_id)]] for region in parts}}


def _outline(region: Region, to_display: FrameMap2D, zoom: float) -> list[Points]:
    """The region as polylines in picture pixels, the outline first; empty where a coordinate is not drawable."""
    if region.box_xyxy_px is not None:
        x0, y0, x1, y1 = region.box_xyxy_px
        lines = [np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)], dtype=np.float64)]
    elif region.polygon_xy_px is not None:
        lines = [np.array([*region.polygon_xy_px, *region.polygon_xy_px[:1]], dtype=np.float64).reshape(-1, 2)]
    elif region.ellipse_px is not None:
        (ax, bx, cx, dx) = (np.array(point) for point in region.ellipse_px.vertices_xy_px)
        middle = (ax + bx) / 2
        t = np.linspace(0, 2 * math.pi, 181)[:, None]
        rim = middle + np.cos(t) * (ax - middle) + np.sin(t) * (cx - middle)
        lines = [rim, np.stack([ax, bx]), np.stack([cx, dx])]
    else:
        lines = [np.array([region.point_xy_px], dtype=np.float64)]
    if not all(np.isfinite(line).all() and np.abs(line).max(initial=0) < FAR_PX for line in lines):
        return []
    return [to_display.points(line) * zoom for line in lines]


def _dashes(line: Points, dash_px: float) -> list[Points]:
    """A polyline cut into dashes as long as the gaps between them."""
    steps = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    if steps[-1] == 0:
        return []
    starts = np.arange(0, min(steps[-1], 4000 * dash_px), 2 * dash_px)
    dashes = []
    for start in starts:
        inner = steps[(steps > start) & (steps < start + dash_px)]
        at = np.concatenate([[start], inner, [min(start + dash_px, steps[-1])]])
        dashes.append(np.stack([np.interp(at, steps, line[:, 0]), np.interp(at, steps, line[:, 1])], axis=1))
    return dashes


def _strokes(region: Region, lines: list[Points], width_px: int) -> list[tuple[Points, int]]:
    """What is stroked for a region: polylines with their widths; crosses for points, thin axes for ellipses."""
    if region.kind in ("point", "landmark"):
        x, y = lines[0][0]
        arm = 4.0 * width_px
        cross = [np.array([(x - arm, y), (x + arm, y)]), np.array([(x, y - arm), (x, y + arm)])]
        return [(line, width_px) for line in cross]
    strokes = [(lines[0], width_px)] + [(line, max(1, width_px // 2)) for line in lines[1:]]
    if region.status == "rejected":
        return [(dash, width) for line, width in strokes for dash in _dashes(line, 4.0 * width_px)]
    return strokes


def _paint(
    picture: Image.Image, record: Record, outlines: dict[str, list[Points]], colors: dict[str, Color], width_px: int
) -> None:
    """Stroke every region, rejected ones first; a dark casing keeps the lines legible on any ground."""
    draw = ImageDraw.Draw(picture)
    for region in sorted(record.regions, key=lambda item: item.status == "accepted"):
        strokes = _strokes(region, outlines[region.id], width_px) if outlines[region.id] else []
        color = colors[region.label] if region.status == "accepted" else REJECTED
        for ink, extra in ((CASING, 2), (color, 0)):
            for line, width in strokes:
                _stroke(draw, line, ink, width + extra)


def _measure(picture: Image.Image, record: Record, to_display: FrameMap2D, zoom: float, width_px: int) -> None:
    """Stroke, under the regions, what was measured between landmarks."""
    draw = ImageDraw.Draw(picture)
    accepted = {region.id: region for region in record.accepted}
    for measurement in record.measurements:
        for line in measured_lines(measurement, accepted):
            if np.isfinite(line).all() and np.abs(line).max() < FAR_PX:
                for ink, extra in ((CASING, 2), (MEASURED, 0)):
                    _stroke(draw, to_display.points(line) * zoom, ink, max(1, width_px // 2) + extra)


def _stroke(draw: ImageDraw.ImageDraw, line: Points, color: Color, width_px: int) -> None:
    """Pillow addresses pixel centres, our coordinates the corners."""
    draw.line([tuple(point) for point in line - 0.5], fill=color, width=width_px, joint="curve")


def _text_of(region: Region, few: bool) -> str:
    """A region's label: its id; its name too where there is room or it is a landmark; why it was rejected."""
    if region.status == "rejected":
        return f"{region.id} {region.rejected_by or 'rejected'}"
    return f"{region.id} {region.label.replace('_', ' ')}" if few or region.kind == "landmark" else region.id


def _anchors(lines: list[Points], w: float, h: float, gap: float) -> list[tuple[float, float]]:
    """Places for a label of size (w, h), best first: above, below and beside the outline, then inside it."""
    (x0, y0), (x1, y1) = lines[0].min(axis=0).tolist(), lines[0].max(axis=0).tolist()
    cx, cy = (x0 + x1) / 2 - w / 2, (y0 + y1) / 2 - h / 2
    over, under = y0 - h - gap, y1 + gap
    outside = [(x0, over), (x1 - w, over), (x0, under), (x1 - w, under), (x1 + gap, y0), (x0 - w - gap, y0)]
    beside = [(x1 + gap, cy), (x0 - w - gap, cy), (cx, over), (cx, under)]
    if len(lines) > 1:  # an ellipse keeps away from the corners of its box
        outside, beside = beside[2:] + beside[:2], outside
    return [*outside, *beside, (cx, cy), (x0 + gap, y0 + gap), (x1 - w - gap, y1 - h - gap)]


def _label(
    picture: Image.Image, record: Record, outlines: dict[str, list[Points]], colors: dict[str, Color], size_px: int
) -> None:
    """Write the labels, each in the picture and where it covers least of other labels and regions."""
    draw = ImageDraw.Draw(picture)
    few = len(record.regions) <= FEW_REGIONS
    placed: list[tuple[float, float, float, float]] = []
    rims = {key: lines[0] for key, lines in outlines.items() if lines}
    for region in sorted(record.regions, key=lambda item: item.status != "accepted"):
        if region.id not in rims:
            continue
        text = plain(_text_of(region, few))
        w, h = text_width(text, size_px) + size_px * 0.5, size_px * 1.3
        x, y = _best_place(_anchors(outlines[region.id], w, h, size_px * 0.4), (w, h), picture.size, placed, rims)
        placed.append((x, y, x + w, y + h))
        color = colors[region.label] if region.status == "accepted" else REJECTED
        draw.rectangle([x, y, x + w, y + h], fill=(24, 24, 28))
        ink = color if region.status == "accepted" else (205, 205, 205)
        draw_text(draw, (x + size_px * 0.25, y + size_px * 0.08), text, size_px, ink)


def _best_place(
    anchors: Sequence[tuple[float, float]],
    size: tuple[float, float],
    picture: tuple[int, int],
    placed: list[tuple[float, float, float, float]],
    rims: dict[str, Points],
) -> tuple[float, float]:
    """The first of the cheapest places, moved into the picture where it reaches outside."""
    (w, h), best, least = size, (0.0, 0.0), math.inf
    every = np.concatenate(list(rims.values()))
    for rank, (ax, ay) in enumerate(anchors):
        x, y = min(max(ax, 0.0), max(0.0, picture[0] - w - 1)), min(max(ay, 0.0), max(0.0, picture[1] - h - 1))
        moved = abs(x - ax) + abs(y - ay)
        overlap = sum(
            max(0.0, min(x + w, bx1) - max(x, bx0)) * max(0.0, min(y + h, by1) - max(y, by0))
            for bx0, by0, bx1, by1 in placed
        )
        crossed = np.mean((every[:, 0] > x) & (every[:, 0] < x + w) & (every[:, 1] > y) & (every[:, 1] < y + h))
        cost = 20 * overlap / (w * h) + moved / (w + h) + 30 * float(crossed) + 0.02 * rank
        if cost < least:
            best, least = (x, y), cost
    return best
