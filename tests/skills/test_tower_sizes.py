"""Sizes of the vision tower that its strides cannot divide are refused before anything is built."""

from __future__ import annotations

import pytest
import torch

from fiducial.skills.families.llava.flips import mean_over_flips
from fiducial.skills.families.llava.tower import Tower, TowerConfig
from fiducial.tools.errors import InputError

SMALL = {"channels": (8, 8, 8, 8, 8), "feature_size": 8, "slots": 4, "grid": (2, 2), "hidden_size": 128}


@pytest.mark.parametrize("size", [(320, 250), (330, 240), (328, 240), (0, 240), (-16, 240), (8, 8)])
def test_sides_that_are_not_multiples_of_16_are_one_sentence(size: tuple[int, int]) -> None:
    with pytest.raises(InputError, match="multiples of 16") as refused:
        TowerConfig(width_px=size[0], height_px=size[1])
    assert "\n" not in str(refused.value)


def test_more_slots_than_places_are_refused() -> None:
    with pytest.raises(InputError, match="4 places, not 5"):
        TowerConfig(width_px=16, height_px=16, slots=5)


@pytest.mark.parametrize("size", [(320, 240), (48, 32), (16, 16)])
def test_multiples_of_16_look_at_an_image_and_its_mirror_image_alike(size: tuple[int, int]) -> None:
    """240 is no multiple of 32, and need not be."""
    width, height = size
    tower = Tower(TowerConfig(width_px=width, height_px=height, **SMALL)).eval()
    image = torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        plain, mirrored = (mean_over_flips(tower, x) for x in (image, image.flip(-1)))
    assert plain.heat.shape == (1, 4, height // 8, width // 8)
    torch.testing.assert_close(mirrored.heat, plain.heat.flip(-1), atol=1e-4, rtol=1e-4)
