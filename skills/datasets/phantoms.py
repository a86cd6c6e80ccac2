"""The package's own phantoms as a data set: exact truth, any number of images, also ones that lack a structure."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from fiducial.skills.datasets.sample import Object, Sample
from fiducial.tools.phantoms.blood_smear import make_blood_smear
from fiducial.tools.phantoms.fetal_head import make_fetal_head
from fiducial.tools.phantoms.scene import Scene

FIRST_SEED = {"train": 1_000_000, "val": 2_000_000}  # far from the small seeds that people type
MIN_VISIBLE_FRACTION = 0.33


@lru_cache(maxsize=2)
def _scene(seed: int) -> Scene:
    if seed % 2:
        return make_blood_smear(seed)
    return make_fetal_head(seed, head=seed % 10 != 0)


def _pixels(seed: int) -> np.ndarray:
    return _scene(seed).rgb_u8


def sample_of(seed: int) -> Sample:
    """One phantom: odd seeds are blood smears, even ones fetal ultrasound, a fifth of those without a head."""
    scene = _scene(seed)
    objects = tuple(
        Object(o.label, o.box_xyxy_px, o.ellipse_px)
        for o in scene.truth.objects
        if o.visible_fraction >= MIN_VISIBLE_FRACTION
    )
    name = f"{scene.name}-{seed}"
    return Sample(name, name, scene.truth.kind, partial(_pixels, seed), objects, scene.scale, real=False)


def open_phantoms(root: Path | None, split: str, count: int = 400) -> Iterator[Sample]:
    """Stream ``count`` phantoms; they are drawn, so root is not looked at."""
    del root
    for seed in range(FIRST_SEED[split], FIRST_SEED[split] + count):
        yield sample_of(seed)
