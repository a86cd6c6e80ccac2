"""All scenes side by side in one picture: what the documentation shows."""

from __future__ import annotations

from pathlib import Path

from fiducial.tools.errors import InputError
from fiducial.tools.phantoms import SCENES

TILE_PX = (288, 236)
CAPTION_PX, COLUMNS = 16, 3
# Without those that differ by what they lack: a head, cells, an opacity, a scale.
SHOWN = tuple(name for name in SCENES if not any(part in name for part in ("empty", "without", "clear", "unscaled")))


def write_sheet(path: str | Path, seed: int = 0) -> Path:
    """Draw every scene of ``SHOWN`` with one seed, small, with its name, and write one PNG of 256 colours.

    Raises InputError where the file cannot be written.
    """
    from PIL import Image, ImageDraw, ImageFont, ImageOps

    if not Path(path).absolute().parent.is_dir():  # before ten seconds of drawing
        raise InputError(f"cannot write {path}: there is no such folder; make it first")
    (width, height), rows = TILE_PX, -(-len(SHOWN) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * width, rows * (height + CAPTION_PX)), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=12)
    for number, name in enumerate(SHOWN):
        left, top = number % COLUMNS * width, number // COLUMNS * (height + CAPTION_PX)
        picture = Image.fromarray(SCENES[name](seed).rgb_u8)
        tile = ImageOps.pad(picture, (width - 4, height - 4), Image.Resampling.LANCZOS, color="black")
        sheet.paste(tile, (left + 2, top + 2))
        pen.text((left + 4, top + height - 1), name, fill="black", font=font)
    try:
        sheet.quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=1).save(path, format="PNG", optimize=True)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}; name a file you may write") from None
    return Path(path)
