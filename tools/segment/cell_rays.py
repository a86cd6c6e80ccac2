"""Where rays from the middle of a stained cell leave it: the place half way down its edge, and whether that is clear.

Rays live in the unit disc of an ellipse: ray t runs along centre + s · axes @ (cos t, sin t), and s is 1 on the
ellipse. Stain is the loss of green light, which haemoglobin and the Romanowsky dyes all absorb; unlike a maximum over
the channels it stays linear where the ground is brighter than its median.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

RAYS = 72
INNERMOST, OUTERMOST = 0.4, 1.55
STEP_PX = 0.7
LEAST_SAMPLES, MOST_SAMPLES = 64, 240
SMOOTH_PX = 1.0
WINDOW_PX, WINDOW_SHARE = 3.5, 0.06  # the plateaus beside an edge, in pixels or as a share of the radius
LEAST_CONTRAST = 8.0  # grey levels between cell and background
LENS_DROP, LENS_DROP_GREY = 0.2, 6.0  # of the contrast, and noise
LENS_TRUST = 0.5
LEFT_OVER = 0.3  # of the cell's own contrast: with more of it beyond the edge, the ray ran into a neighbour
LEFT_OVER_GREY = 5.0  # noise
UNEVEN_GREY = 10.0  # between the sides of a cell, by uneven light


@dataclass(frozen=True)
class Look:
    """How a kind of cell looks near its outline.

    percentile: of the stain on the rim, which is the cell's own level. most_contrast: grey levels above which that is a
    nucleus, not a rim. most: of the contrast, above which a ray's plateau is a nucleus or a second cell on top.
    least_drop: of the contrast, that an edge must fall. most_left_over: grey levels beyond an edge, at most. lens: of
    the contrast, how dark the overlap with a neighbour is at least, for bodies that light passes through. vague: share
    of the radius that such a body's outline itself is uncertain by.
    """

    percentile: float = 55.0
    most_contrast: float = 255.0
    most: float = 1.3
    least_drop: float = 0.4
    most_left_over: float = 255.0
    lens: float = math.inf
    vague: float = 0.0


LOOKS = {
    "red_cell": Look(lens=1.15),
    # Pale cytoplasm around a dark nucleus: the edge of the nucleus, which leads into cytoplasm, is not the outline.
    "white_cell": Look(percentile=30.0, most_contrast=65.0, least_drop=0.25, most_left_over=8.0),
    "platelet": Look(percentile=50.0, most=1.08, vague=0.012),  # domed: thinner at its rim
}


@dataclass(frozen=True)
class Edges:
    """Where the rays leave a cell.

    place: (RAYS,) s of the edge. clear: (RAYS,) whether the ray left into empty background, inside the image. lens:
    (RAYS,) whether it left from under or over a neighbour instead: out of the darker overlap of both into the other.
    """

    place: Floats
    clear: Mask
    lens: Mask

    @property
    def trust(self) -> Floats:
        """(RAYS,) weight of each ray's edge: 1 where it is clear, less out of an overlap, 0 where none was found."""
        return np.where(self.clear, 1.0, np.where(self.lens, LENS_TRUST, 0.0))

    def within(self, center: Floats, axes: Floats, low_xy: Floats, high_xy: Floats) -> Edges:
        """Only the edges that lie between two corners, (2,) each; the other rays found none."""
        points = center + self.place[:, None] * (ray_directions() @ axes.T)
        inside = ((points >= low_xy) & (points <= high_xy)).all(axis=1)
        return Edges(self.place, self.clear & inside, self.lens & inside)


def ray_directions() -> Floats:
    """(RAYS, 2) points on the unit circle."""
    t = np.linspace(0.0, 2.0 * np.pi, RAYS, endpoint=False)
    return np.stack([np.cos(t), np.sin(t)], axis=1)


def unrolled(green_loss: Floats, center: Floats, axes: Floats) -> tuple[Floats, Floats, float]:
    """(S,) places s, (RAYS, S) stain there (NaN outside of the image), and the mean radius in pixels.

    green_loss: (height, width). center: (2,) and axes: (2, 2), the map from the unit disc, in its pixels.
    """
    from scipy.ndimage import map_coordinates

    radius_px = float(np.sqrt(abs(np.linalg.det(axes))))
    count = int(np.clip((OUTERMOST - INNERMOST) * radius_px / STEP_PX, LEAST_SAMPLES, MOST_SAMPLES))
    s = np.linspace(INNERMOST, OUTERMOST, count)
    points = center + s[None, :, None] * (ray_directions() @ axes.T)[:, None, :]
    x, y = points[..., 0], points[..., 1]
    height, width = green_loss.shape
    stain = map_coordinates(green_loss, [y - 0.5, x - 0.5], order=1, mode="nearest")
    inside = (x >= 0.5) & (x <= width - 0.5) & (y >= 0.5) & (y <= height - 0.5)
    return s, np.where(inside, stain, np.nan), radius_px


def find_edges(green_loss: Floats, center: Floats, axes: Floats, spread: float, structure_key: str) -> Edges | None:
    """The edge on each ray, near s = 1 within about ``spread`` (one standard deviation); None where nothing stands out.

    An edge counts as clear where the stain beyond it is that of the empty background, so that neither a nucleus nor
    the border with a touching cell is taken for the outline.
    """
    s, stain, radius_px = unrolled(green_loss, center, axes)
    look = LOOKS.get(structure_key, Look())
    levels = _levels(s, stain, look)
    if levels is None:
        return None
    empty, contrast = levels[0] + _slope(s, stain, levels[0]), levels[1]
    step_px = float(s[1] - s[0]) * radius_px
    window = max(2, round(max(WINDOW_PX, WINDOW_SHARE * radius_px) / step_px))
    inside, outer = _beside(stain, window)
    inner = np.minimum(inside, empty + look.most * contrast)
    left_over = outer - empty
    most_left_over = min(max(LEFT_OVER * contrast, LEFT_OVER_GREY), look.most_left_over)
    clear = (left_over < most_left_over) & (inner - outer > look.least_drop * contrast)
    clear_score, clear_place = _best_crossing(s, stain, inner, outer, clear, contrast, spread)
    lens = (left_over >= most_left_over) & (inside - outer > max(LENS_DROP * contrast, LENS_DROP_GREY))
    lens &= inside > empty + look.lens * contrast
    lens_score, lens_place = _best_crossing(s, stain, inside, outer, lens, contrast, spread)
    by_lens = lens_score > clear_score
    return Edges(np.where(by_lens, lens_place, clear_place), ~by_lens & (clear_score > 0), by_lens)


def _best_crossing(
    s: Floats, stain: Floats, inner: Floats, outer: Floats, allowed: Mask, contrast: float, spread: float
) -> tuple[Floats, Floats]:
    """(RAYS,) score and place of each ray's best edge: where the stain crosses, outwards, the middle of its plateaus.

    The score is the drop, at most the contrast, times how likely the place is around s = 1; 0 where there is none.
    """
    allowed = allowed & (np.abs(s - 1.0) < 3.0 * spread)
    height = stain - (inner + outer) / 2
    crosses = allowed[:, :-1] & (height[:, :-1] >= 0) & (height[:, 1:] < 0)
    drop = np.minimum(inner - outer, contrast)[:, :-1]
    score = np.where(crosses, drop * np.exp(-0.5 * ((s[:-1] - 1.0) / spread) ** 2), 0.0)
    best, ray = score.argmax(axis=1), np.arange(RAYS)
    before, after = height[ray, best], height[ray, best + 1]
    found = score[ray, best] > 0
    share = np.where(found, before / np.where(found, before - after, 1.0), 0.0)
    return score[ray, best], s[best] + share * (s[1] - s[0])


def _levels(s: Floats, stain: Floats, look: Look) -> tuple[float, float] | None:
    """The stain of the background around the cell, and how much more its rim has; None where that is not enough."""
    around = stain[:, s > 1.0]
    rim = stain[:, (s > 0.78) & (s < 0.95)]
    around, rim = around[np.isfinite(around)], rim[np.isfinite(rim)]
    if not (len(around) and len(rim)):
        return None
    empty = float(np.percentile(around, 10))
    cell = float(np.percentile(rim, look.percentile))
    empty = empty if empty < 0.5 * cell else 0.0  # no background around: zero is the image's own
    contrast = min(cell - empty, look.most_contrast)
    return (empty, contrast) if contrast >= LEAST_CONTRAST else None


def _slope(s: Floats, stain: Floats, empty: float) -> Floats:
    """(RAYS, 1) how much darker or lighter the empty background is along each ray, as far as that is uneven light."""
    beyond = np.where(np.isfinite(stain), stain, 255.0)[:, s > 1.0].min(axis=1, keepdims=True)
    return np.asarray(np.minimum(beyond - empty, UNEVEN_GREY))


def _beside(stain: Floats, window: int) -> tuple[Floats, Floats]:
    """(RAYS, S) the plateaus on both sides of each place: the most stain just inside it, the least just outside."""
    from scipy.ndimage import maximum_filter1d, minimum_filter1d, uniform_filter1d

    known = np.isfinite(stain)
    smooth = uniform_filter1d(np.where(known, stain, 1e6), max(1, window // 2), axis=1, mode="nearest")
    size = window + 1
    # The origin moves the window: inner covers i − window … i, outer i … i + window.
    inner = maximum_filter1d(np.where(known, smooth, -1e6), size, axis=1, origin=(size - 1) // 2, mode="nearest")
    outer = minimum_filter1d(smooth, size, axis=1, origin=-(size // 2), mode="nearest")
    return inner, np.where(known, outer, 1e6)
