"""Small plots of curves over steps, several to a picture, drawn with Pillow: no plotting library is needed.

Colours are those of Okabe and Ito (Color Universal Design, 2008), which the colour-blind tell apart; markers differ
too, so that a print in grey can be read.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from PIL import Image, ImageDraw

from fiducial.tools.overlay_text import Color, draw_text, text_width

BLACK: Color = (0, 0, 0)
OKABE_ITO: tuple[Color, ...] = (
    (0, 114, 178),
    (213, 94, 0),
    (0, 158, 115),
    (204, 121, 167),
    (230, 159, 0),
    (86, 180, 233),
)
GREY: Color = (110, 110, 110)
MARKERS = ("circle", "square", "triangle", "diamond")
GRID: Color = (225, 225, 225)
TEXT: Color = (40, 40, 40)
ZOOM = 2  # drawn larger and reduced, for smooth lines
COLUMNS, PANEL_WH = 3, (460, 300)
LEFT, RIGHT, TOP, BOTTOM = 58, 16, 52, 46  # of a panel, around the plot
LEGEND_PX, TEXT_PX, TITLE_PX = 26, 13, 15
FEW_POINTS = 12  # up to so many, each has its marker
DODGE = 5.0  # pixels between the markers of two curves at one step


class Style(NamedTuple):
    """How a curve is drawn."""

    color: Color
    marker: str
    dashed: bool = False


@dataclass(frozen=True)
class Curve:
    """points: (step, value), in rising order of the step."""

    style: Style
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Panel:
    """One plot. y_label: what is plotted, with its unit; share: values are 0 to 1 and written as per cent."""

    title: str
    y_label: str
    curves: tuple[Curve, ...]
    share: bool = False


def style_of(number: int, dashed: bool = False) -> Style:
    """The style of the nth of several things."""
    return Style(OKABE_ITO[number % len(OKABE_ITO)], MARKERS[number % len(MARKERS)], dashed)


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers, 1, 2 or 5 times a power of ten apart, from at most ``low`` to at least ``high``."""
    span = max(high - low, 1e-9 * max(1.0, abs(high)), 1e-12)
    power = 10.0 ** math.floor(math.log10(span / most))
    step = next(power * k for k in (1, 2, 5, 10, 20) if span / (power * k) <= most)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [k * step for k in range(first, max(last, first + 1) + 1)]


def draw_panels(panels: Sequence[Panel], legend: Sequence[tuple[str, Style]], last_step: int) -> Image.Image:
    """All panels below one legend, over steps 0 to ``last_step``."""
    columns = max(1, min(COLUMNS, len(panels)))
    width = columns * PANEL_WH[0]
    lines = _legend_lines(legend, width)
    head = len(lines) * LEGEND_PX + 10
    height = head + -(-len(panels) // columns) * PANEL_WH[1]
    picture = Image.new("RGB", (width * ZOOM, height * ZOOM), "white")
    draw = ImageDraw.Draw(picture)
    for row, line in enumerate(lines):
        for x, name, style in line:
            y = 8 + row * LEGEND_PX + LEGEND_PX / 2
            _curve(draw, [(x, y), (x + 30, y)], style)
            _marker(draw, (x + 15, y), style)
            _text(draw, (x + 38, y - 8), name)
    for number, panel in enumerate(panels):
        row, column = divmod(number, columns)
        _panel(draw, panel, (column * PANEL_WH[0], head + row * PANEL_WH[1]), last_step)
    return picture.resize((width, height), Image.Resampling.LANCZOS)


def _legend_lines(legend: Sequence[tuple[str, Style]], width: int) -> list[list[tuple[float, str, Style]]]:
    lines: list[list[tuple[float, str, Style]]] = [[]]
    x = 16.0
    for name, style in legend:
        wide = 38 + text_width(name, TEXT_PX) + 24
        if lines[-1] and x + wide > width:
            lines.append([])
            x = 16.0
        lines[-1].append((x, name, style))
        x += wide
    return lines


def _panel(draw: ImageDraw.ImageDraw, panel: Panel, corner: tuple[int, int], last_step: int) -> None:
    """One plot with its axes; corner: its top left, in the picture's pixels."""
    x0, y1 = corner[0] + LEFT, corner[1] + PANEL_WH[1] - BOTTOM
    x1, y0 = corner[0] + PANEL_WH[0] - RIGHT, corner[1] + TOP
    values = [value for curve in panel.curves for _, value in curve.points]
    y_ticks = [k / 4 for k in range(5)] if panel.share else ticks(0.0, max(values, default=1.0))
    top = y_ticks[-1]

    def place(step: float, value: float) -> tuple[float, float]:
        return x0 + (x1 - x0) * step / max(1, last_step), y1 - (y1 - y0) * min(value / top, 1.0)

    _text(draw, (corner[0] + 14, corner[1] + 6), panel.title, TITLE_PX)
    _text(draw, (corner[0] + 14, corner[1] + 27), panel.y_label)
    for tick in y_ticks:
        y = place(0, tick)[1]
        _line(draw, [(x0, y), (x1, y)], GRID, 1)
        said = f"{tick:.0%}" if panel.share else f"{tick:.6g}"
        _text(draw, (x0 - 7 - text_width(said, TEXT_PX), y - 8), said)
    for tick in (t for t in ticks(0.0, last_step) if t <= last_step and t == round(t)):
        x = place(tick, 0)[0]
        _line(draw, [(x, y1), (x, y1 + 4)], TEXT, 1)
        said = f"{tick:.0f}"
        _text(draw, (x - text_width(said, TEXT_PX) / 2, y1 + 6), said)
    _line(draw, [(x0, y1), (x1, y1)], TEXT, 1)
    _text(draw, ((x0 + x1) / 2 - text_width("optimiser step", TEXT_PX) / 2, y1 + 22), "optimiser step")
    for number, curve in enumerate(panel.curves):
        points = [place(*point) for point in curve.points]
        _curve(draw, points, curve.style)
        if len(points) <= FEW_POINTS:  # beside each other, so that equal curves do not hide each other
            aside = DODGE * (number - (len(panel.curves) - 1) / 2)
            for x, y in points:
                _marker(draw, (x + aside, y), curve.style)


def _curve(draw: ImageDraw.ImageDraw, points: list[tuple[float, float]], style: Style) -> None:
    if style.dashed:
        for dash in _dashes(points):
            _line(draw, dash, style.color, 2)
    else:
        _line(draw, points, style.color, 2)


def _dashes(points: list[tuple[float, float]], on: float = 7.0, off: float = 5.0) -> list[list[tuple[float, float]]]:
    """The pieces of a line that are drawn, in the same rhythm across its corners."""
    found: list[list[tuple[float, float]]] = []
    along = 0.0
    for (xa, ya), (xb, yb) in pairwise(points):
        length, here = math.hypot(xb - xa, yb - ya), 0.0
        while here < length - 1e-9:
            phase = (along + here) % (on + off)
            there = min(length, here + (on - phase if phase < on else on + off - phase) + 1e-6)
            if phase < on:
                a, b = here / length, there / length
                found.append([(xa + a * (xb - xa), ya + a * (yb - ya)), (xa + b * (xb - xa), ya + b * (yb - ya))])
            here = there
        along += length
    return found


def _marker(draw: ImageDraw.ImageDraw, point: tuple[float, float], style: Style) -> None:
    """A dashed curve has hollow markers."""
    (x, y), r = point, 3.6
    if style.marker == "circle":
        corners = [(x + r * math.cos(k * math.pi / 12), y + r * math.sin(k * math.pi / 12)) for k in range(24)]
    elif style.marker == "square":
        corners = [(x - r, y - r), (x + r, y - r), (x + r, y + r), (x - r, y + r)]
    elif style.marker == "triangle":
        corners = [(x, y - 1.2 * r), (x + 1.2 * r, y + r), (x - 1.2 * r, y + r)]
    else:
        corners = [(x, y - 1.3 * r), (x + 1.3 * r, y), (x, y + 1.3 * r), (x - 1.3 * r, y)]
    inside = "white" if style.dashed else style.color
    draw.polygon(_zoomed(corners), fill=inside, outline=style.color, width=2 * ZOOM)


def _line(draw: ImageDraw.ImageDraw, points: list[tuple[float, float]], color: Color, width: int) -> None:
    if len(points) > 1:
        draw.line(_zoomed(points), fill=color, width=width * ZOOM, joint="curve")


def _text(draw: ImageDraw.ImageDraw, xy: tuple[float, float], said: str, size_px: int = TEXT_PX) -> None:
    draw_text(draw, (xy[0] * ZOOM, xy[1] * ZOOM), said, size_px * ZOOM, TEXT)


def _zoomed(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    return [(x * ZOOM, y * ZOOM) for x, y in points]
