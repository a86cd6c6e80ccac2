"""A picture of the experiments: a row an arm, a column a figure, a dot a seed, a bar over their range."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from fiducial.skills.training.plot import GRID, OKABE_ITO, TEXT, ticks
from fiducial.tools.overlay_text import draw_text, text_width

Runs = Mapping[str, Sequence[Mapping[str, float]]]  # of an arm, the figures of each seed
ZOOM = 2  # drawn larger and reduced, for smooth circles
NAMES_PX, COLUMN_PX, ROW_PX, HEAD_PX, FOOT_PX, GAP_PX = 190, 200, 30, 46, 34, 44
DOT_PX, TEXT_PX = 4, 14


def draw_experiments(runs: Runs, columns: Sequence[str], path: Path) -> None:
    """Write the picture (PNG). A figure that an arm has not is left out."""
    width, height = NAMES_PX + len(columns) * COLUMN_PX, HEAD_PX + len(runs) * ROW_PX + FOOT_PX
    picture = Image.new("RGB", (width * ZOOM, height * ZOOM), "white")
    draw = ImageDraw.Draw(picture)
    for row, name in enumerate(runs):
        _write(draw, (12, HEAD_PX + row * ROW_PX + 6), name)
    for number, column in enumerate(columns):
        _column(draw, NAMES_PX + number * COLUMN_PX, column, [[one.get(column) for one in runs[name]] for name in runs])
    picture.resize((width, height), Image.Resampling.LANCZOS).save(path)


def _column(draw: ImageDraw.ImageDraw, left: int, title: str, rows: Sequence[Sequence[float | None]]) -> None:
    """One figure of all arms, on an axis of its own that begins where the values do."""
    values = [value for row in rows for value in row if value is not None]
    marks = ticks(min(values), max(values), 3) if values else [0.0, 1.0]
    bottom, right = HEAD_PX + len(rows) * ROW_PX, left + COLUMN_PX - GAP_PX

    def across(value: float) -> float:
        return left + (right - left) * (value - marks[0]) / (marks[-1] - marks[0])

    _write(draw, (left, 14), title)
    for mark in marks:
        x = across(mark)
        draw.line([(x * ZOOM, HEAD_PX * ZOOM), (x * ZOOM, bottom * ZOOM)], fill=GRID, width=ZOOM)
        said = f"{mark:.3g}"
        _write(draw, (x - text_width(said, TEXT_PX) / 2, bottom + 6), said)
    for number, row in enumerate(rows):
        y, seen = HEAD_PX + number * ROW_PX + ROW_PX / 2, [across(value) for value in row if value is not None]
        if seen:
            ends = [(min(seen) * ZOOM, y * ZOOM), (max(seen) * ZOOM, y * ZOOM)]
            draw.line(ends, fill=OKABE_ITO[5], width=5 * ZOOM)
        for x in seen:
            corners = [(x - DOT_PX) * ZOOM, (y - DOT_PX) * ZOOM, (x + DOT_PX) * ZOOM, (y + DOT_PX) * ZOOM]
            draw.ellipse(corners, fill=OKABE_ITO[0], outline="white", width=ZOOM)


def _write(draw: ImageDraw.ImageDraw, xy: tuple[float, float], said: str) -> None:
    draw_text(draw, (xy[0] * ZOOM, xy[1] * ZOOM), said, TEXT_PX * ZOOM, TEXT)
