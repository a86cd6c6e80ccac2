"""Phantoms: seeded synthetic scenes with exact analytic truth, close in look to the real images of their kind.

``SCENES`` maps a scene's name to a function of the seed; importing this package draws nothing and
loads no imaging code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fiducial.tools.phantoms.scene import Scene


def _blood_smear(seed: int) -> Scene:
    from fiducial.tools.phantoms.blood_smear import make_blood_smear

    return make_blood_smear(seed)


def _blood_smear_empty(seed: int) -> Scene:
    from fiducial.tools.phantoms.blood_smear import make_blood_smear

    return make_blood_smear(seed, counts={})


def _fetal_head(seed: int) -> Scene:
    from fiducial.tools.phantoms.fetal_head import make_fetal_head

    return make_fetal_head(seed)


def _fetal_without_head(seed: int) -> Scene:
    from fiducial.tools.phantoms.fetal_head import make_fetal_head

    return make_fetal_head(seed, head=False)


SCENES: dict[str, Callable[[int], Scene]] = {
    "blood_smear": _blood_smear,
    "blood_smear_empty": _blood_smear_empty,
    "fetal_head": _fetal_head,
    "fetal_without_head": _fetal_without_head,
}
