"""How likely the outer border of the skull crosses each ray at each offset: a small filter fitted to annotated heads.

The weights in ``skull_edge.json`` are three layers of convolution, 2,241 numbers, as the grey-level profiles of active
shape models are (Cootes et al., Comput Vis Image Und 61:38, 1995) but over neighbouring rays too;
``skills/training/embedded/skull_edge.py`` makes such weights; those shipped are of its first, uncommitted version,
fitted to the examinations of ``hc18`` train whose number four does not divide.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@cache
def _layers() -> list[tuple[Floats, Floats]]:
    """Weights (out, in, rays, samples) and biases (out,) of each layer."""
    rows = json.loads(files("fiducial.tools.segment").joinpath("skull_edge.json").read_text(encoding="utf-8"))
    return [(np.array(row["weight"]), np.array(row["bias"])) for row in rows]


def edge_log_probability(band_features: Floats) -> Floats:
    """(RAYS, SAMPLES) log probability over the samples of each ray that the border crosses it there.

    band_features: (2, RAYS, SAMPLES). Rays wrap around; samples are continued with the last one.
    """
    layers = _layers()
    x = band_features
    for depth, (weight, bias) in enumerate(layers):
        rays, samples = weight.shape[2] // 2, weight.shape[3] // 2
        x = np.pad(x, ((0, 0), (rays, rays), (0, 0)), mode="wrap")
        x = np.pad(x, ((0, 0), (0, 0), (samples, samples)), mode="edge")
        windows = np.lib.stride_tricks.sliding_window_view(x, weight.shape[2:], axis=(1, 2))
        x = np.tensordot(weight, windows, axes=([1, 2, 3], [0, 3, 4])) + bias[:, None, None]
        if depth < len(layers) - 1:
            x = np.maximum(x, 0.0)
    logits = x[0] - x[0].max(axis=1, keepdims=True)
    return np.asarray(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)))
