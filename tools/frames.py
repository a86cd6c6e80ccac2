"""Frames and the maps between them.

A frame is a coordinate system of one image: stored pixels, displayed pixels, a crop, a model's input after a resize
or letterbox, normalised (0–1, 0–1000, bins), or the world (mm, LPS as in DICOM PS3.3 C.7.6.2.1.1). In every pixel
frame x runs right, y down, and (0, 0) is the **corner** of the first pixel, so a pixel's centre is at +0.5.

A map is affine, names the frames that it leads from and to, and is explicit: ``a.then(b)`` refuses maps that do not
meet, and points of two frames cannot be subtracted. Everything is vectorised over (N, 2) or (N, 3) float64 arrays.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fiducial.tools.errors import FiducialError
from fiducial.tools.record import BoxXYXY, Ellipse, Scale

Floats = NDArray[np.float64]


class FrameError(FiducialError):
    """Coordinates of two frames were mixed without a map, or a map does not lead where it was asked to."""


@dataclass(frozen=True)
class Frame:
    """A coordinate system. width and height: its extent in its own units; None where unknown (a world has none).

    A frame of name "" is one that nobody named: maps that lead to it may be followed by any map, but points in it
    cannot be compared with any other points.
    """

    name: str = ""
    width: float | None = None
    height: float | None = None

    def meets(self, other: Frame) -> bool:
        """Whether both can be the same frame: no name and no extent contradicts."""
        pairs = ((self.name or None, other.name or None), (self.width, other.width), (self.height, other.height))
        return all(a is None or b is None or a == b for a, b in pairs)

    def __str__(self) -> str:
        extent = f" {self.width:g}×{self.height:g}" if self.width is not None and self.height is not None else ""
        return f"'{self.name or 'unnamed'}'{extent}"


WORLD = Frame("world")
ANY = Frame()


@dataclass(frozen=True, eq=False)
class Points:
    """Points in a named frame. coords: (N, 2) in a pixel frame, (N, 3) in the world; in the frame's own units."""

    coords: Floats
    frame: Frame

    def __post_init__(self) -> None:
        object.__setattr__(self, "coords", np.atleast_2d(np.asarray(self.coords, np.float64)))

    def _same(self, other: Points) -> None:
        if not self.frame.name or self.frame != other.frame:
            raise FrameError(f"points of frame {self.frame} and of frame {other.frame} need a map between the frames")

    def __sub__(self, other: Points) -> Floats:
        """Vectors from other to self, (N, 2) or (N, 3). Raises FrameError where the frames differ."""
        self._same(other)
        return self.coords - other.coords

    def midpoint(self, other: Points) -> Points:
        """The points half-way, in the same frame. Raises FrameError where the frames differ."""
        self._same(other)
        return Points((self.coords + other.coords) / 2, self.frame)

    def through(self, frame_map: FrameMap2D) -> Points:
        """The same points in the frame that the map leads to. Raises FrameError where it starts elsewhere."""
        if not frame_map.source.meets(self.frame):
            raise FrameError(f"the map starts in frame {frame_map.source}, but the points are in frame {self.frame}")
        return Points(frame_map.points(self.coords), frame_map.target)


@dataclass(frozen=True, eq=False)
class FrameMap2D:
    """An invertible affine map between two planar frames. matrix: (3, 3), acts on column vectors (x, y, 1)."""

    matrix: Floats
    source: Frame = ANY
    target: Frame = ANY

    def __post_init__(self) -> None:
        matrix = np.array(self.matrix, np.float64)
        if matrix.shape != (3, 3) or not np.isfinite(matrix).all() or not np.array_equal(matrix[2], [0, 0, 1]):
            raise FrameError("a map of the plane needs a finite 3×3 matrix whose last row is 0 0 1")
        if _det(matrix) == 0:
            raise FrameError("a map of the plane that is not invertible loses the image: no side may become zero")
        matrix.flags.writeable = False
        object.__setattr__(self, "matrix", matrix)

    @property
    def linear(self) -> Floats:
        """(2, 2): the map of vectors."""
        return self.matrix[:2, :2]

    def points(self, xy: ArrayLike) -> Floats:
        """Map points: (2,) or (N, 2) in, the same shape out, float64."""
        return np.asarray(xy, np.float64) @ self.linear.T + self.matrix[:2, 2]

    def vectors(self, xy: ArrayLike) -> Floats:
        """Map differences of points: (2,) or (N, 2), without the translation."""
        return np.asarray(xy, np.float64) @ self.linear.T

    def boxes_xyxy(self, boxes: ArrayLike) -> Floats:
        """Map boxes (N, 4) by their corners; of a turned box, its bounding box. An inverted box stays inverted."""
        array = np.asarray(boxes, np.float64).reshape(-1, 4)
        corners = self.points(array[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2))
        low, high = corners.min(axis=1), corners.max(axis=1)
        for axis in (0, 1):  # sorting must not repair a box that a check has yet to reject
            inverted = array[:, axis + 2] < array[:, axis]
            to = int(np.argmax(np.abs(self.linear[:, axis])))
            low[inverted, to], high[inverted, to] = high[inverted, to], low[inverted, to].copy()
        return np.concatenate([low, high], axis=1)

    def box_xyxy(self, box: Sequence[float]) -> BoxXYXY:
        """Map one box ``x0, y0, x1, y1``; see boxes_xyxy."""
        x0, y0, x1, y1 = self.boxes_xyxy(box)[0].tolist()
        return x0, y0, x1, y1

    def ellipse(self, ellipse: Ellipse) -> Ellipse:
        """Map an ellipse. Its axes are the singular values of the mapped axes, so anisotropic maps are exact."""
        turn = math.radians(ellipse.angle_deg)
        rotation = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
        u, axes, _ = np.linalg.svd(self.linear @ rotation @ np.diag([ellipse.semi_major_px, ellipse.semi_minor_px]))
        center = self.points(ellipse.center_xy_px)
        return Ellipse(
            center_xy_px=(float(center[0]), float(center[1])),
            semi_major_px=float(axes[0]),
            semi_minor_px=float(axes[1]),
            angle_deg=half_turn(math.degrees(math.atan2(u[1, 0], u[0, 0]))),
        )

    def scale(self, scale: Scale) -> Scale:
        """The scale of the target frame, given that of the source. Raises FrameError for a map that shears it."""
        steps_mm = np.diag([scale.column_mm, scale.row_mm]) @ np.linalg.inv(self.linear)
        column_mm, row_mm = np.linalg.norm(steps_mm, axis=0)
        if abs(steps_mm[:, 0] @ steps_mm[:, 1]) > 1e-9 * column_mm * row_mm:
            raise FrameError("a map that shears the image leaves no scale by rows and columns")
        return scale.model_copy(update={"row_mm": float(row_mm), "column_mm": float(column_mm)})

    def inverse(self) -> FrameMap2D:
        """The map back."""
        (a, b, tx), (c, d, ty) = self.matrix[:2].tolist()
        linear = np.array([[d, -b], [-c, a]]) / _det(self.matrix)
        matrix = np.eye(3)
        matrix[:2, :2], matrix[:2, 2] = linear, -linear @ [tx, ty]
        return FrameMap2D(matrix, self.target, self.source)

    def then(self, following: FrameMap2D) -> FrameMap2D:
        """First this map, then the other. Raises FrameError where the other does not start where this one leads."""
        if not self.target.meets(following.source):
            raise FrameError(f"a map to frame {self.target} cannot be followed by one from frame {following.source}")
        return FrameMap2D(following.matrix @ self.matrix, self.source, following.target)


def _det(matrix: Floats) -> float:
    return float(matrix[0, 0] * matrix[1, 1] - matrix[0, 1] * matrix[1, 0])


def half_turn(angle_deg: float) -> float:
    """The angle of an undirected line, in [0, 180)."""
    angle = angle_deg % 180.0
    return 0.0 if angle >= 180.0 else angle  # -1e-17 % 180 is 180.0


def identity_map(frame: Frame = ANY, target: Frame | None = None) -> FrameMap2D:
    """The map that changes nothing but, where asked, the frame's name."""
    return FrameMap2D(np.eye(3), frame, target or frame)


def _axes(scale_x: float, scale_y: float, shift_x: float, shift_y: float) -> Floats:
    return np.array([[scale_x, 0, shift_x], [0, scale_y, shift_y], [0, 0, 1]], np.float64)


def crop_map(box_xyxy_px: Sequence[float], source: Frame = ANY) -> FrameMap2D:
    """From an image to a crop of it. The box is in the source frame's pixels, half-open, corners not centres."""
    x0, y0, x1, y1 = (float(v) for v in box_xyxy_px)
    if not (x1 > x0 and y1 > y0):
        raise FrameError(f"a crop needs a box with x0 < x1 and y0 < y1, not {x0:g}, {y0:g}, {x1:g}, {y1:g}")
    return FrameMap2D(_axes(1, 1, -x0, -y0), source, Frame("crop", x1 - x0, y1 - y0))


def resize_map(
    width_px: float, height_px: float, to_width_px: float, to_height_px: float, name: str = "model"
) -> FrameMap2D:
    """From an image to the whole of it at another size, corner to corner: x = 501 of 1000 goes to 250.5 of 500."""
    matrix = _axes(to_width_px / width_px, to_height_px / height_px, 0, 0)
    return FrameMap2D(matrix, Frame("", width_px, height_px), Frame(name, to_width_px, to_height_px))


@dataclass(frozen=True)
class Letterbox:
    """How an image was fitted into another size: content pixels, and the padding left of and above it.

    The content has whole pixels, so its two scales may differ by a rounding; the map has what the pixels have.
    """

    scale_x: float
    scale_y: float
    pad_left_px: int
    pad_top_px: int
    content_width_px: int
    content_height_px: int
    map: FrameMap2D


def letterbox(
    width_px: int, height_px: int, to_width_px: int, to_height_px: int, pixel_aspect: float = 1.0
) -> Letterbox:
    """Fit an image into another size, keeping its proportions, centred (an odd pixel goes right or below).

    pixel_aspect: height of a pixel of the image over its width, in the world; in the other size pixels are square.
    """
    factor = min(to_width_px / width_px, to_height_px / (height_px * pixel_aspect))
    width, height = (max(1, math.floor(side * factor + 0.5)) for side in (width_px, height_px * pixel_aspect))
    left, top = (to_width_px - width) // 2, (to_height_px - height) // 2
    scale_x, scale_y = width / width_px, height / height_px
    frame_map = FrameMap2D(
        _axes(scale_x, scale_y, left, top),
        Frame("", width_px, height_px),
        Frame("model", to_width_px, to_height_px),
    )
    return Letterbox(scale_x, scale_y, left, top, width, height, frame_map)


def letterbox_map(width_px: int, height_px: int, to_width_px: int, to_height_px: int) -> FrameMap2D:
    """The map of ``letterbox``: from the image to the padded size."""
    return letterbox(width_px, height_px, to_width_px, to_height_px).map


def flip_map(width_px: float, height_px: float, axis: Literal["x", "y"]) -> FrameMap2D:
    """Mirror left and right (axis x) or up and down (axis y)."""
    matrix = _axes(-1, 1, width_px, 0) if axis == "x" else _axes(1, -1, 0, height_px)
    return FrameMap2D(matrix, Frame("", width_px, height_px), Frame("", width_px, height_px))


def transpose_map(width_px: float, height_px: float) -> FrameMap2D:
    """Exchange x and y."""
    matrix = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1]], np.float64)
    return FrameMap2D(matrix, Frame("", width_px, height_px), Frame("", height_px, width_px))


def rotate90_map(width_px: float, height_px: float, quarter_turns: int) -> FrameMap2D:
    """Turn by quarter turns clockwise, as seen on a screen (y down)."""
    result = identity_map(Frame("", width_px, height_px))
    for _ in range(quarter_turns % 4):
        width, height = result.target.width or 0.0, result.target.height or 0.0
        result = result.then(transpose_map(width, height)).then(flip_map(height, width, "x"))
    return result


def rotate_map(width_px: float, height_px: float, angle_deg: float) -> FrameMap2D:
    """Turn about the middle, clockwise as seen on a screen (y down), on a canvas that holds the whole turned image."""
    if not math.isfinite(angle_deg):
        raise FrameError(f"an image cannot be turned by {angle_deg} degrees; give a finite angle")
    cosine, sine = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    width = abs(cosine) * width_px + abs(sine) * height_px
    height = abs(sine) * width_px + abs(cosine) * height_px
    linear = np.array([[cosine, -sine], [sine, cosine]])
    matrix = np.eye(3)
    matrix[:2, :2] = linear
    matrix[:2, 2] = np.array([width, height]) / 2 - linear @ (width_px / 2, height_px / 2)
    return FrameMap2D(matrix, Frame("", width_px, height_px), Frame("", width, height))


def normalise_map(width_px: float, height_px: float, to: float = 1.0) -> FrameMap2D:
    """From pixels to 0–to along both sides: 1 is normalised, 1000 for models that say 0–1000, or a number of bins."""
    frame_map = resize_map(width_px, height_px, to, to, name=f"0-{to:g}")
    return FrameMap2D(frame_map.matrix, Frame("", width_px, height_px), frame_map.target)


def quantisation_half_step_px(side_px: float, steps: int) -> float:
    """Largest error, px, of a coordinate rounded to one of ``steps`` steps over a side (0–1000 on 2,048: 1.024)."""
    return side_px / steps / 2


def centres_from_index(index: ArrayLike) -> Floats:
    """Continuous coordinates of the centres of the pixels (or voxels) of these indices: + 0.5."""
    return np.asarray(index, np.float64) + 0.5


def index_from_centres(coords: ArrayLike) -> Floats:
    """Fractional index, in the convention of numpy, nibabel and ITK (0 is the first centre), of coordinates: - 0.5."""
    return np.asarray(coords, np.float64) - 0.5


@dataclass(frozen=True, eq=False)
class FrameMap3D:
    """From continuous voxel coordinates (i, j, k; 0 at the corner of the first voxel) to the world, mm, LPS.

    matrix: (4, 4), acts on column vectors (i, j, k, 1).
    """

    matrix: Floats
    source: Frame = field(default=Frame("voxel"))
    target: Frame = field(default=WORLD)

    def __post_init__(self) -> None:
        matrix = np.array(self.matrix, np.float64)
        if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or np.linalg.matrix_rank(matrix[:3, :3]) < 3:
            raise FrameError("a map of a volume needs a finite, invertible 4×4 matrix")
        matrix.flags.writeable = False
        object.__setattr__(self, "matrix", matrix)

    def points(self, ijk: ArrayLike) -> Floats:
        """Map (3,) or (N, 3) voxel coordinates to mm."""
        return np.asarray(ijk, np.float64) @ self.matrix[:3, :3].T + self.matrix[:3, 3]

    def inverse(self) -> FrameMap3D:
        """From the world to voxels."""
        return FrameMap3D(np.asarray(np.linalg.inv(self.matrix), np.float64), self.target, self.source)

    @property
    def steps_mm(self) -> Floats:
        """(3,): mm from a voxel to the next along i, j and k."""
        return np.asarray(np.linalg.norm(self.matrix[:3, :3], axis=0))


def nifti_map(affine_ras: ArrayLike) -> FrameMap3D:
    """Of a NIfTI affine, which takes voxel *indices* (centres) to RAS: the map from corner-based voxels to LPS."""
    centres = np.asarray(affine_ras, np.float64) @ np.array(
        [[1, 0, 0, -0.5], [0, 1, 0, -0.5], [0, 0, 1, -0.5], [0, 0, 0, 1]]
    )
    return FrameMap3D(np.asarray(np.diag([-1.0, -1.0, 1.0, 1.0]) @ centres, np.float64))


@dataclass(frozen=True, eq=False)
class PlaneMap:
    """From the stored pixels of one slice to the world, mm, LPS. origin_mm: the corner of its first pixel, (3,).

    step_x_mm, step_y_mm: (3,) the way in the world of one pixel to the right, and of one pixel down.
    """

    origin_mm: Floats
    step_x_mm: Floats
    step_y_mm: Floats

    def points(self, xy: ArrayLike) -> Floats:
        """Map (2,) or (N, 2) stored pixels to (3,) or (N, 3) mm, LPS."""
        return np.asarray(xy, np.float64) @ np.stack([self.step_x_mm, self.step_y_mm]) + self.origin_mm

    @property
    def normal(self) -> Floats:
        """(3,): unit vector across the plane, x cross y."""
        normal = np.cross(self.step_x_mm, self.step_y_mm)
        return np.asarray(normal / np.linalg.norm(normal))

    def project(self, xyz_mm: ArrayLike) -> tuple[Floats, Floats]:
        """World points (N, 3) → stored pixels (N, 2) of their feet on the plane, and signed distances (N,) in mm."""
        relative = np.atleast_2d(np.asarray(xyz_mm, np.float64)) - self.origin_mm
        basis = np.stack([self.step_x_mm, self.step_y_mm], axis=1)
        return relative @ np.linalg.pinv(basis).T, relative @ self.normal


def dicom_plane_map(position_mm: ArrayLike, orientation: Sequence[float], row_mm: float, column_mm: float) -> PlaneMap:
    """From ImagePositionPatient (a pixel's *centre*), ImageOrientationPatient and the spacing (PS3.3 C.7.6.2.1.1)."""
    direction_x, direction_y = np.asarray(orientation, np.float64).reshape(2, 3)
    lengths = np.linalg.norm([direction_x, direction_y], axis=1)
    if not (np.abs(lengths - 1) < 1e-3).all() or abs(float(direction_x @ direction_y)) > 1e-3:
        raise FrameError("ImageOrientationPatient is not two perpendicular unit vectors")
    step_x, step_y = direction_x * column_mm, direction_y * row_mm
    return PlaneMap(np.asarray(position_mm, np.float64) - (step_x + step_y) / 2, step_x, step_y)
