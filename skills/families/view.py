"""The pixels that a model is shown: the displayed image or a crop of it, and the map there from stored pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fiducial.skills.stack import Stack
from fiducial.skills.targets import Query
from fiducial.tools.errors import InputError
from fiducial.tools.frames import FrameMap2D, crop_map
from fiducial.tools.images.image import Image

LEAST_PX = 8


@dataclass(frozen=True, eq=False)
class Window:
    """rgb_u8: (H, W, 3) uint8; window_xyxy_px: the part of the displayed image, whole pixels; None for all of it."""

    rgb_u8: np.ndarray
    stored_to_view: FrameMap2D
    window_xyxy_px: tuple[int, int, int, int] | None


def view_of(
    image: Image, window_xyxy_px: Sequence[float] | None, stored_box_xyxy_px: Sequence[float] | None = None
) -> Window:
    """All of the displayed image, a window of it in displayed pixels, or the window of a box in stored pixels."""
    if stored_box_xyxy_px is not None:
        window_xyxy_px = image.stored_to_display.box_xyxy(stored_box_xyxy_px)
    if window_xyxy_px is None:
        return Window(image.rgb_u8, image.stored_to_display, None)
    height, width = image.rgb_u8.shape[:2]
    a, b, c, d = (round(v) for v in window_xyxy_px)
    x0, y0, x1, y1 = max(0, a), max(0, b), min(width, c), min(height, d)
    if x1 - x0 < LEAST_PX or y1 - y0 < LEAST_PX:
        raise InputError(f"a crop of {x1 - x0}×{y1 - y0} px is too small; use at least {LEAST_PX}×{LEAST_PX}")
    window = (x0, y0, x1, y1)
    return Window(image.rgb_u8[y0:y1, x0:x1], image.stored_to_display.then(crop_map(window)), window)


def shown(view: Window, stack: Stack | None) -> list[np.ndarray]:
    """The pictures that a model is given: the view, or every slice of a stack, in order, as displayed."""
    return [view.rgb_u8] if stack is None else [image.rgb_u8 for image in stack.slices]


def told_slices(query: Query, stack: Stack | None) -> Query:
    """The query with which slices of how many it is about, where it is about a stack."""
    if stack is None:
        return query
    told = {"image_count": len(stack.slices), "slices": stack.indices, "slice_count": stack.count}
    return query.model_copy(update=told)
