"""Phantoms: seeded synthetic scenes with exact analytic truth, close in look to the real images of their kind.

``SCENES`` maps a scene's name to a function of the seed; importing this package draws nothing and
loads no imaging code. A new scene is one file with a maker, and one row here.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fiducial.tools.phantoms.phantom import Phantom
    from fiducial.tools.phantoms.scene import Scene

# name: module, maker, the arguments that make it this scene
_MAKERS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "blood_smear": ("blood_smear", "make_blood_smear", {}),
    "blood_smear_empty": ("blood_smear", "make_blood_smear", {"counts": {}}),
    "fetal_head": ("fetal_head", "make_fetal_head", {}),
    "fetal_without_head": ("fetal_head", "make_fetal_head", {"head": False}),
    "nuclei": ("nuclei", "make_nuclei", {}),
    "nuclei_he": ("nuclei", "make_nuclei", {"stain": "he"}),
    "nuclei_unscaled": ("nuclei", "make_nuclei", {"scaled": False}),
    "polyp": ("polyp", "make_polyp", {}),
    "ct_lesion": ("ct_lesion", "make_ct_lesion", {}),
    "lesion_3d": ("lesion_3d", "make_lesion_3d", {}),
    "cephalogram": ("cephalogram", "make_cephalogram", {}),
    "chest": ("chest", "make_chest", {}),
    "chest_clear": ("chest", "make_chest", {"opacity": False}),
}


def _scene(module: str, maker: str, arguments: dict[str, Any]) -> Callable[[int], Scene | Phantom]:
    def draw(seed: int) -> Scene | Phantom:
        made: Scene | Phantom = getattr(import_module(f"{__name__}.{module}"), maker)(seed, **arguments)
        return made

    return draw


SCENES: dict[str, Callable[[int], Scene | Phantom]] = {name: _scene(*row) for name, row in _MAKERS.items()}
