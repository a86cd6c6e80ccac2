"""From a cell's box to its outline: a smooth curve through the places where rays leave the cell.

Rays that run into a neighbour say nothing; there the curve follows from the others and from the box. The curve is
s(t) = 1 + Σ c_j f_j(t) in the unit disc of an ellipse (a shift, a size, a stretch, a turn: all ellipses near it; then
two faint harmonics), fitted by iteratively reweighted least squares (Tukey's biweight) with a normal prior for the
error of the box.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fiducial.tools.geometry.boxes import iou_matrix, valid_boxes
from fiducial.tools.geometry.polygons import is_simple, polygon_area
from fiducial.tools.record import Region
from fiducial.tools.segment.cell_rays import LOOKS, RAYS, SMOOTH_PX, Edges, Look, find_edges, ray_directions
from fiducial.tools.segment.leaves_box import FREE, MOST_BEYOND, beyond_box, mean_distance_px, room_around
from fiducial.tools.segment.nucleus_in_tissue import coloured, nucleus_in_tissue
from fiducial.tools.segment.stain import background_rgb, on_bright_ground

Floats = NDArray[np.float64]

MARGIN = 0.9  # of the box's longer side: rays reach half as far again as the box, and the box may be off
LEAST_IOU = 0.35  # of the outline's box with the given one
LEAST_CLEAR, FEW, HALF = 0.25, 0.4, 0.5  # of the rays
# Prior of the curve, in radii: shift x, y; size, stretch; turn (the box knows nothing of it); harmonics 3 and 4.
PRIOR_SD = np.array([0.06, 0.06, 0.05, 0.05, 0.12, 0.02, 0.02, 0.012, 0.012])
SPREADS = (0.14, 0.07, 0.05)  # of the edges around the curve so far, stage by stage
FOLLOW_PASSES, STILL = 6, 0.02  # passes of the first stage, until the curve moves by less, in radii
FOLLOW_CLEAR, FOLLOW_GAIN = 0.7, 0.05  # of the rays: only a cell that lies free can be told from its neighbours
AGREE = 0.04  # radii between an edge and the curve that it is evidence for
NEIGHBOURS = 3.0  # rays that err together
FLOOR_PX = 0.16  # what the scatter of the edges does not show
LOOSE = 0.82  # people draw boxes with room around the cell
VERTICES = 144


@dataclass(frozen=True)
class Segment:
    """An outline in stored pixels.

    score: IoU of its box with the given one. clear: share of rays with a clear edge on the outline. sigma_px: one
    standard deviation of the outline's place, from the scatter of the edges around it. beyond: how far it leaves the
    box, a share of the side. held: whether it is the second try, held to the box, for the first had bled out of it.
    bounded: whether the way it was found lets it leave the box by little, whatever it meets.
    """

    polygon_xy_px: tuple[tuple[float, float], ...]
    area_px: float
    score: float
    clear: float
    sigma_px: float
    beyond: float = 0.0
    held: bool = False
    bounded: bool = False

    @property
    def strayed(self) -> bool:
        """It leaves the box by more than the box can be off, and no clear edge explains it: it must not be measured."""
        return not self.bounded and self.clear < FREE and self.beyond > MOST_BEYOND

    @property
    def doubtful(self) -> bool:
        """Half of the outline or more follows from the rest and from the box alone, as where neighbours cover it."""
        return self.clear < HALF

    def region(self, found: Region) -> Region:
        """The outline as a region of the record: a polygon that is a part of the region that it was found in."""
        return Region(
            id=f"{found.id}.outline",
            label=found.label,
            kind="polygon",
            polygon_xy_px=self.polygon_xy_px,
            score=found.score,
            sigma_px=self.sigma_px,
            skill="segment_in_box",
            parent_id=found.id,
        )


def segment_in_box(rgb_u8: NDArray[np.uint8], box_xyxy_px: Sequence[float], structure_key: str) -> Segment | None:
    """The outline of the stained cell in a box, or None where nothing in it stands out or fills it.

    rgb_u8: (height, width, 3), of dark cells on a bright ground or of bright ones on a dark ground. The box
    may be off by a tenth of its side. The outline is cut off at the image's edge. A nucleus in a coloured picture lies
    in stained tissue, and is left to ``nucleus_in_tissue``, which is bounded. Any other outline that bled out of the
    box is tried once more, held to it; one that is still ``strayed`` must not be measured.
    """
    height, width = rgb_u8.shape[:2]
    crop = _crop(box_xyxy_px, width, height)
    if crop is None:
        return None
    if structure_key == "nucleus" and coloured(rgb_u8):
        nucleus = nucleus_in_tissue(rgb_u8, box_xyxy_px)
        drawn = nucleus and _segment(nucleus.vertices, box_xyxy_px, nucleus.clear, nucleus.sigma_px)
        return replace(drawn, bounded=True) if drawn else None
    loss, corner = _green_loss(on_bright_ground(rgb_u8), crop), np.array(crop[:2], dtype=np.float64)
    box = np.array(box_xyxy_px, dtype=np.float64)
    center, axes = (box[:2] + box[2:]) / 2 - corner, np.diag((box[2:] - box[:2]) / 2)
    axes = axes * _tightness(loss, center, axes, structure_key)
    prior = PRIOR_SD * np.where(_at_border(box, width, height), 3.0, 1.0)
    found = _settled(loss, center, axes, prior, 1, structure_key)
    if found is None or found.clear < 1.0 - FOLLOW_GAIN:
        followed = _settled(loss, center, axes, prior, FOLLOW_PASSES, structure_key)
        if followed and followed.clear >= max(FOLLOW_CLEAR, FOLLOW_GAIN + (found.clear if found else 0.0)):
            found = followed
    if found is None:
        return None
    segment = _drawn(found, corner, box_xyxy_px, (width, height))
    if segment is None or not segment.strayed:
        return segment
    low, high = room_around(box_xyxy_px, (width, height))
    again = _settled(loss, center, axes, prior, 1, structure_key, (low - corner, high - corner))
    return _held(segment, _drawn(again, corner, box_xyxy_px, (width, height)))


def _drawn(
    found: _Fit | None, corner: Floats, box_xyxy_px: Sequence[float], size_wh_px: tuple[int, int]
) -> Segment | None:
    """A fit in the crop as a segment of the image."""
    if found is None:
        return None
    outline = _polygon(found.center + corner, found.axes, found.curve, size_wh_px)
    return _segment(outline, box_xyxy_px, found.clear, found.sigma_px)


def _held(first: Segment, second: Segment | None) -> Segment:
    """The second try, uncertain by what it differs from the first by too; the first where that is no better."""
    if second is None or second.strayed:
        return first
    apart_px = mean_distance_px(np.array(first.polygon_xy_px), np.array(second.polygon_xy_px))
    return replace(second, sigma_px=math.hypot(second.sigma_px, apart_px / math.sqrt(2.0)), held=True)


@dataclass(frozen=True)
class _Fit:
    """A curve around an ellipse of the crop. clear: share of rays with a clear edge on it, 0 to 1."""

    center: Floats
    axes: Floats
    curve: Floats
    clear: float
    sigma_px: float


def _settled(
    loss: Floats,
    center: Floats,
    axes: Floats,
    prior: Floats,
    passes: int,
    structure_key: str,
    bounds: tuple[Floats, Floats] | None = None,
) -> _Fit | None:
    """The curve after at most so many passes at the widest spread, then one at each narrower; None without an edge.

    More than one pass follows a cell that the box misses a part of: each brings more of its edge within reach.
    bounds: the lowest and highest x, y of an edge, of the crop.
    """
    spreads = [SPREADS[0]] * (passes - 1) + list(SPREADS)
    while spreads:
        spread = spreads.pop(0)
        edges = find_edges(loss, center, axes, spread, structure_key)
        if edges is not None and bounds is not None:
            edges = edges.within(center, axes, *bounds)
        if edges is None or edges.trust.mean() < LEAST_CLEAR:
            return None
        curve, deviation = _fit(edges, prior)
        if spreads:
            center, axes = _moved(center, axes, curve)
        if np.abs(curve[:5]).max() < STILL:
            spreads = [s for s in spreads if s < SPREADS[0]]
    assert edges is not None  # the last pass has found some
    radius_px = float(np.sqrt(np.linalg.det(axes)))
    vague_px = LOOKS.get(structure_key, Look()).vague * radius_px
    sigma_px = math.hypot(deviation * radius_px, vague_px, FLOOR_PX)
    on_curve = np.abs(edges.place - 1.0 - _basis(ray_directions()) @ curve) < AGREE
    return _Fit(center, axes, curve, float((edges.clear & on_curve).mean()), sigma_px)


def _segment(outline: Floats, box_xyxy_px: Sequence[float], clear: float, sigma_px: float) -> Segment | None:
    """The outline with its figures, or None where it does not fill the box."""
    if len(outline) < 3 or not is_simple(outline):
        return None
    score = float(iou_matrix([(*outline.min(axis=0), *outline.max(axis=0))], [box_xyxy_px])[0, 0])
    if score < LEAST_IOU:
        return None
    vertices = tuple((float(x), float(y)) for x, y in outline)
    return Segment(vertices, polygon_area(outline), score, clear, sigma_px, beyond_box(outline, box_xyxy_px))


def _crop(box_xyxy_px: Sequence[float], width: int, height: int) -> tuple[int, int, int, int] | None:
    """The box with its margin, in whole pixels of the image; None for an invalid box or one without room."""
    if not valid_boxes([box_xyxy_px])[0]:
        return None
    x0, y0, x1, y1 = box_xyxy_px
    pad = MARGIN * max(x1 - x0, y1 - y0)
    left, top = int(max(0, np.floor(x0 - pad))), int(max(0, np.floor(y0 - pad)))
    right, bottom = int(min(width, np.ceil(x1 + pad))), int(min(height, np.ceil(y1 + pad)))
    return (left, top, right, bottom) if min(right - left, bottom - top) >= 4 else None


def _green_loss(rgb_u8: NDArray[np.uint8], crop: tuple[int, int, int, int]) -> Floats:
    """(height, width) of the crop: how much green is lost against the image's background, in grey levels, smoothed."""
    from scipy.ndimage import gaussian_filter

    left, top, right, bottom = crop
    loss = background_rgb(rgb_u8)[1] - rgb_u8[top:bottom, left:right, 1].astype(np.float64)
    return np.asarray(gaussian_filter(loss, SMOOTH_PX))


def _tightness(loss: Floats, center: Floats, axes: Floats, structure_key: str) -> float:
    """1, or LOOSE where few rays find an edge near the box and more do near an ellipse that much smaller."""
    tight, loose = (find_edges(loss, center, axes * f, SPREADS[0], structure_key) for f in (1.0, LOOSE))
    found = tight.clear.mean() if tight else 0.0
    return LOOSE if found < FEW and loose and loose.clear.mean() > found else 1.0


def _at_border(box: Floats, width: int, height: int) -> bool:
    """Whether the box touches the image's edge, so that it bounds a part of the cell only."""
    return bool((box[:2] < 2).any() or (box[2:] > (width - 2, height - 2)).any())


def _basis(direction: Floats) -> Floats:
    """(N, 9) the functions f_j at (N, 2) points of the unit circle; the first five move, size and shear an ellipse."""
    x, y = direction.T
    t = np.arctan2(y, x)
    higher = [f(n * t) for n in (3, 4) for f in (np.cos, np.sin)]
    return np.stack([x, y, np.ones_like(x), np.cos(2 * t), np.sin(2 * t), *higher], axis=1)


def _fit(edges: Edges, prior_sd: Floats) -> tuple[Floats, float]:
    """The coefficients of the curve, and one standard deviation of its place in radii, the mean over the outline."""
    basis = _basis(ray_directions())
    trust = edges.trust[edges.trust > 0]
    known, place = basis[edges.trust > 0], edges.place[edges.trust > 0] - 1.0
    weight, scatter = trust, 0.05
    for _ in range(8):
        scale = NEIGHBOURS * scatter**2
        precision = (known.T * weight) @ known / scale + np.diag(prior_sd**-2.0)
        curve = np.asarray(np.linalg.solve(precision, (known.T * weight) @ place / scale), np.float64)
        off = place - known @ curve
        scatter = max(1.4826 * float(np.median(np.abs(off))), 2e-3)
        weight = trust * np.clip(1.0 - (off / (4.7 * scatter)) ** 2, 0.0, None) ** 2
    covariance = np.linalg.inv(precision)
    return curve, float(np.sqrt(np.trace(basis @ covariance @ basis.T) / RAYS))


def _moved(center: Floats, axes: Floats, curve: Floats) -> tuple[Floats, Floats]:
    """The ellipse that the curve's first five coefficients describe."""
    shift, size, stretch, turn = curve[:2], *curve[2:5]
    moved = np.array([[1 + size + stretch, turn], [turn, 1 + size - stretch]])
    return center + axes @ shift, axes @ moved


def _polygon(center: Floats, axes: Floats, curve: Floats, size_wh_px: tuple[int, int]) -> Floats:
    """(N, 2) vertices of the curve, cut off at the image's edge."""
    import shapely

    t = np.linspace(0.0, 2.0 * np.pi, VERTICES, endpoint=False)
    direction = np.stack([np.cos(t), np.sin(t)], axis=1)
    outline: Floats = center + ((1.0 + _basis(direction) @ curve)[:, None] * direction) @ axes.T
    if (outline >= 0).all() and (outline <= size_wh_px).all():
        return outline
    whole = shapely.Polygon(outline)
    part = shapely.intersection(whole, shapely.box(0, 0, *size_wh_px)) if whole.is_valid else shapely.Polygon()
    return np.asarray(shapely.get_coordinates(part)[:-1]) if part.geom_type == "Polygon" else outline[:0]
