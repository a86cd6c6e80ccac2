"""Text in the overlay picture, in the font that Pillow carries (Aileron): no font of the system is needed.

That font lacks ``µ`` and ``²``; both are drawn from glyphs that it has. What else it lacks is folded to plain letters.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from PIL import ImageDraw, ImageFont

FOLD = str.maketrans({"–": "-", "—": "-", "−": "-", "‐": "-", "×": "x", "≥": ">=", "≤": "<=", "μ": "µ", "ß": "ss"})
KEPT = "µ²±°…“”’·"
Color = tuple[int, int, int]


@cache
def font(size_px: int) -> ImageFont.FreeTypeFont:
    """Pillow's own font at a size."""
    return ImageFont.load_default(size=size_px)  # type: ignore[return-value]


def plain(text: str) -> str:
    """The text in characters that can be drawn; one line. What cannot be folded to a letter becomes ``?``."""
    result = []
    for char in " ".join(text.translate(FOLD).split()):
        if char in KEPT or " " <= char <= "~":
            result.append(char)
            continue
        letters = "".join(c for c in unicodedata.normalize("NFKD", char) if " " <= c <= "~")
        result.append(letters or "?")
    return "".join(result)


def drawable(text: str) -> bool:
    """Whether all of a text can be drawn, if only folded: Chinese cannot."""
    return plain(text).count("?") == text.count("?")


def _runs(text: str) -> list[str]:
    return [run for run in re.split("([µ²])", plain(text)) if run]


def text_width(text: str, size_px: int) -> float:
    """Width of a line as ``draw_text`` draws it, in pixels."""
    return sum(_run_width(run, size_px) for run in _runs(text))


def _run_width(run: str, size_px: int) -> float:
    if run == "²":
        return float(font(_small(size_px)).getlength("2"))
    return float(font(size_px).getlength("u" if run == "µ" else run))


def _small(size_px: int) -> int:
    """Size of a superscript."""
    return max(6, round(size_px * 0.65))


def draw_text(draw: ImageDraw.ImageDraw, xy: tuple[float, float], text: str, size_px: int, fill: Color) -> float:
    """Draw one line with its top left at ``xy``; returns its width in pixels."""
    x, y = xy
    for run in _runs(text):
        if run == "²":
            draw.text((x, y - size_px * 0.06), "2", font=font(_small(size_px)), fill=fill)
        elif run == "µ":
            draw.text((x, y), "u", font=font(size_px), fill=fill)
            left, _, _, bottom = draw.textbbox((x, y), "u", font=font(size_px))
            stem = max(1, round(size_px * 0.085))
            draw.rectangle([left, bottom - size_px * 0.2, left + stem - 1, bottom + size_px * 0.2], fill=fill)
        else:
            draw.text((x, y), run, font=font(size_px), fill=fill)
        x += _run_width(run, size_px)
    return x - xy[0]


def wrap(text: str, size_px: int, width_px: float, max_lines: int) -> list[str]:
    """Break a text into at most ``max_lines`` lines of at most ``width_px``; a cut one ends in ``…``."""
    lines, line = [], ""
    words = [piece for word in plain(text).split(" ") for piece in _pieces(word, size_px, width_px)]
    for word in words:
        longer = f"{line} {word}".strip()
        if line and text_width(longer, size_px) > width_px:
            lines.append(line)
            longer = word
        line = longer
    lines.append(line)
    if len(lines) <= max_lines:
        return lines
    last = lines[max_lines - 1]
    while last and text_width(last + "…", size_px) > width_px:
        last = last[:-1]
    return [*lines[: max_lines - 1], last.rstrip() + "…"]


def _pieces(word: str, size_px: int, width_px: float) -> list[str]:
    """A word cut where it is wider than a line."""
    pieces = []
    while text_width(word, size_px) > width_px and len(word) > 1:
        count = max(1, int(len(word) * width_px / text_width(word, size_px)) - 1)
        pieces.append(word[:count])
        word = word[count:]
    return [*pieces, word]
