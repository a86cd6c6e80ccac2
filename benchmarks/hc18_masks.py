"""Head circumference from every annotation mask of HC18, in mm, against the file: the geometry alone, without a model.

The mask holds the 3 px line of its annotator, so its edge lies 1.5 px outside the ellipse that he drew. That is fitted
to the mask's sub-pixel outline, border of the image left out, where a head is cut; 1.5 px are taken off both semi-axes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fiducial.benchmarks.common import mean, parser, progress, read_hc18_rows, table, write
from fiducial.tools.geometry.ellipses import ellipse_circumference, fit_ellipse, normalised_radius
from fiducial.tools.geometry.masks import mask_contour, mask_ellipse, mask_polygon
from fiducial.tools.geometry.polygons import polygon_area

LINE_PX = 1.5  # half of the annotator's line
EDGE_PX = 2.0
BAR_MM = 0.15
UNEXPLAINED_MM = 1.0


def filled(path: Path) -> np.ndarray:
    """The head as a mask (H, W): what the annotator's outline encloses, and the outline."""
    from scipy.ndimage import binary_fill_holes

    return np.asarray(binary_fill_holes(np.asarray(Image.open(path).convert("L")) > 0))


def circumference(mask: np.ndarray, mm_per_px: float) -> tuple[float, dict[str, Any]]:
    """The circumference in mm, and of the fit: whether the border cuts it, how far the outline lies off."""
    height, width = mask.shape
    outline = mask_contour(mask)
    assert outline is not None
    x, y = outline.T
    whole = (x > EDGE_PX) & (x < width - EDGE_PX) & (y > EDGE_PX) & (y < height - EDGE_PX)
    ellipse = fit_ellipse(outline[whole])
    assert ellipse is not None
    off = np.abs(normalised_radius(ellipse, outline[whole]) - 1) * ellipse.semi_minor_px
    long, short = ellipse.semi_major_px - LINE_PX, ellipse.semi_minor_px - LINE_PX
    moments = mask_ellipse(mask)
    assert moments is not None
    polygon = mask_polygon(mask)
    assert polygon is not None
    told = {
        "cut": not whole.all(),
        "off_px": float(off.max()),
        "moments_mm": mm_per_px
        * ellipse_circumference(moments.semi_major_px - LINE_PX, moments.semi_minor_px - LINE_PX),
        "parts": int(np.count_nonzero(mask) - polygon_area(polygon)),
    }
    return mm_per_px * ellipse_circumference(long, short), told


def main() -> None:
    """Fit, compare, print, write."""
    args = parser(__doc__).parse_args()
    truth, rows = read_hc18_rows(args.data), []
    folder = args.data / "hc18"
    names = [n for n in sorted(truth) if (folder / "images" / n.replace(".png", "_Annotation.png")).exists()]
    if not names:
        names = [n for n in sorted(truth) if list(folder.rglob(n.replace(".png", "_Annotation.png")))]
    for name in progress(names[: args.limit], "hc18 masks"):
        mm, stated = truth[name]
        path = next(iter(folder.rglob(name.replace(".png", "_Annotation.png"))))
        value, told = circumference(filled(path), mm)
        rows.append({"image": name, "mm_per_px": mm, "truth_mm": stated, "error_mm": value - stated, **told})
    errors = np.array([row["error_mm"] for row in rows])
    figures = {
        "masks": len(rows),
        "mean_absolute_difference_mm": float(np.abs(errors).mean()),
        "mean_difference_mm": mean(errors),
        "largest_absolute_difference_mm": float(np.abs(errors).max()),
        "over_1_mm": int((np.abs(errors) > UNEXPLAINED_MM).sum()),
        "cut_by_the_border": sum(row["cut"] for row in rows),
        "by_moments_mean_absolute_mm": mean(abs(row["moments_mm"] - row["truth_mm"]) for row in rows),
        "within_the_bar": bool(np.abs(errors).mean() <= BAR_MM),
    }
    print(table(("", "value"), figures.items()))
    print("\nfarthest off:")
    worst = sorted(rows, key=lambda row: -abs(row["error_mm"]))[:10]
    header = ("image", "mm_per_px", "truth_mm", "error_mm", "cut", "off_px", "moments_mm", "parts")
    print(table(header, ([row[key] for key in header] for row in worst)))
    write(args.out, {**figures, "rows": rows})


if __name__ == "__main__":
    main()
