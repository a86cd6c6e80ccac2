"""The eight EXIF orientations, as an array operation and a map, so that pixels and coordinates cannot drift apart."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiducial.tools.frames import Frame, FrameMap2D, flip_map, identity_map, transpose_map

# EXIF 2.32, tag 0x0112: whether to exchange x and y, then to mirror x, then to mirror y.
STEPS = {
    1: (False, False, False),
    2: (False, True, False),
    3: (False, True, True),
    4: (False, False, True),
    5: (True, False, False),
    6: (True, True, False),
    7: (True, True, True),
    8: (True, False, True),
}
NAMES = {
    1: "as stored",
    2: "mirrored",
    3: "turned 180°",
    4: "mirrored, turned 180°",
    5: "transposed",
    6: "turned 90° clockwise",
    7: "transposed, turned 180°",
    8: "turned 90° anticlockwise",
}


def oriented(array: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Stored pixels (h, w, …) as displayed."""
    exchange, mirror_x, mirror_y = STEPS[orientation]
    result = np.swapaxes(array, 0, 1) if exchange else array
    result = result[:, ::-1] if mirror_x else result
    return np.ascontiguousarray(result[::-1] if mirror_y else result)


def orientation_map(width_px: int, height_px: int, orientation: int) -> FrameMap2D:
    """From stored pixels to displayed pixels."""
    exchange, mirror_x, mirror_y = STEPS[orientation]
    result = identity_map(Frame("", width_px, height_px))
    if exchange:
        result = result.then(transpose_map(width_px, height_px))
        width_px, height_px = height_px, width_px
    if mirror_x:
        result = result.then(flip_map(width_px, height_px, "x"))
    if mirror_y:
        result = result.then(flip_map(width_px, height_px, "y"))
    return FrameMap2D(
        result.matrix,
        Frame("stored", result.source.width, result.source.height),
        Frame("display", result.target.width, result.target.height),
    )
