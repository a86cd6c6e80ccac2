"""The units in which a family writes coordinates: which frame, how fine, and where in a step a number stands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fiducial.tools.frames import FrameError, FrameMap2D, flip_map, normalise_map


@dataclass(frozen=True)
class Grid:
    """extent: coordinates run from 0 to this along both sides of the model's input; None for its own pixels.

    decimals: digits after the point. bins: whole numbers that name a bin, whose centre is meant (Florence-2); else
    a number means itself. origin_lower_left: y runs up from the lower edge (MedVision).
    """

    extent: float | None
    decimals: int = 0
    bins: bool = False
    origin_lower_left: bool = False

    def units(self, to_model: FrameMap2D) -> FrameMap2D:
        """From stored pixels to the text's units, through the model's own resize. FrameError where its size is open."""
        width, height = to_model.target.width, to_model.target.height
        if width is None or height is None:
            raise FrameError("a dialect needs a map to a model input of known width and height")
        result = to_model
        if self.extent is not None:
            result = result.then(normalise_map(width, height, self.extent))
            width = height = self.extent
        return result.then(flip_map(width, height, "y")) if self.origin_lower_left else result

    def text(self, value: float) -> str:
        """A coordinate in the text's units, as written."""
        if self.bins:
            whole = (value + 1e-9) // 1  # what the maps' rounding leaves just below a bin's edge is on it
            return str(int(min(max(whole, 0), (self.extent or 1) - 1)))
        written = f"{value:.{self.decimals}f}"
        return written[1:] if float(written) == 0 and written.startswith("-") else written

    def value(self, written: float) -> float:
        """The coordinate that a written number means, in the text's units."""
        return written + 0.5 if self.bins else written

    @property
    def half_step(self) -> float:
        """Half of one quantisation step, in the text's units."""
        return 0.5 if self.bins else 0.5 * 10.0**-self.decimals

    def half_step_px(self, to_model: FrameMap2D) -> tuple[float, float]:
        """Half of one quantisation step along x and y, in stored pixels."""
        back = np.abs(self.units(to_model).inverse().linear)
        x, y = (back @ np.full(2, self.half_step)).tolist()
        return x, y
