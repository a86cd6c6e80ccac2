"""Twenty pictures of no domain: skimage's bundled ones, noise, text, blanks. Each must end in abstention.

Two questions each; a picture counts as refused only where both abstain. The pictures are made in a temporary folder and
are no part of any training.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from fiducial.benchmarks.common import open_asker, parser, progress, refused_domain, status, table, write, zero_case

BUNDLED = (
    "astronaut", "brick", "camera", "cat", "cell", "clock", "coffee", "coins", "grass", "hubble_deep_field",
    "immunohistochemistry", "moon", "page", "retina", "rocket",
)  # fmt: skip
QUESTIONS = ("How many white blood cells are there?", "What is the head circumference?")
LOREM = "The quick brown fox jumps over the lazy dog while the printer runs out of ink. "


def drawn() -> Iterator[tuple[str, np.ndarray]]:
    """The five pictures that are made here."""
    yield "noise", np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    page = Image.new("RGB", (640, 800), "white")
    lines = "\n".join((LOREM * 2)[i : i + 90] for i in range(0, 45))
    ImageDraw.Draw(page).multiline_text((30, 30), lines, fill="black", spacing=5)
    yield "text_page", np.asarray(page)
    yield "white", np.full((480, 640, 3), 255, np.uint8)
    yield "black", np.zeros((480, 640, 3), np.uint8)
    yield "gradient", np.repeat(np.tile(np.linspace(0, 255, 640).astype(np.uint8), (480, 1))[..., None], 3, axis=2)


def pictures() -> Iterator[tuple[str, np.ndarray]]:
    """Name and pixels of all twenty."""
    import skimage.data

    for name in BUNDLED:
        yield name, getattr(skimage.data, name)()
    yield from drawn()


def main() -> None:
    """Make, ask, print, write."""
    args = parser(__doc__).parse_args()
    asker, rows = open_asker(args), []
    with tempfile.TemporaryDirectory() as folder:
        for name, pixels in progress(list(pictures())[: args.limit], "off domain"):
            path = Path(folder) / f"{name}.png"
            Image.fromarray(pixels).save(path)
            records = [asker.ask(path, question) for question in QUESTIONS]
            row: dict[str, Any] = {"picture": name, "abstained": all(status(r) == "abstained" for r in records)}
            row["off_domain"] = all(refused_domain(r) for r in records)
            row["zero_cases"] = sum(zero_case(r) for r in records)
            row["reasons"] = [[reason.code for reason in r.verdict.reasons] for r in records if r.verdict]
            rows.append(row)
    print(
        table(
            ("picture", "abstained", "as off-domain", "reasons"), ([*list(r.values())[:3], r["reasons"]] for r in rows)
        )
    )
    figures = {
        "pictures": len(rows),
        "abstained": sum(r["abstained"] for r in rows),
        "as_off_domain": sum(r["off_domain"] for r in rows),
        "zero_cases": sum(r["zero_cases"] for r in rows),
    }
    print()
    print(table(("", "value"), figures.items()))
    write(args.out, {**figures, "rows": rows})


if __name__ == "__main__":
    main()
