"""The judges of the fuzz benchmark see what they are there for: a sound image held against headers that are not its."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fiducial.benchmarks.fuzz_files import nrrd_seeds
from fiducial.benchmarks.fuzz_judges import contradiction, series_contradiction
from fiducial.benchmarks.fuzz_series import Slices, _axes, _moved, _written, sound_series
from fiducial.tools.images.open_image import open_image


def written(slices: Slices) -> dict[str, bytes]:
    return {f"{n}.dcm": _written(item) for n, item in enumerate(slices)}


def test_a_sound_series_is_not_faulted_and_each_contradiction_is(tmp_path: Path) -> None:
    for name, data in written(sound_series()).items():
        (tmp_path / name).write_bytes(data)
    image, across = open_image(tmp_path), open_image(tmp_path, plane="coronal")
    assert series_contradiction(written(sound_series()), image, across) is None
    turned, spaced, gap, shifted, twice, elsewhere, other = (sound_series() for _ in range(7))
    turned[2].ImageOrientationPatient = turned[2].ImageOrientationPatient[3:] + turned[2].ImageOrientationPatient[:3]
    spaced[1].PixelSpacing = ["0.5", "0.7"]
    _moved(gap[6], _axes(gap[6])[2] * 2.5)
    _moved(shifted[5], _axes(shifted[5])[0])
    _moved(twice[5], _axes(twice[5])[2] * -2.5)
    for item in elsewhere:
        _moved(item, np.ones(3))
    other[0].FrameOfReferenceUID = "1.2.3"
    cases = {
        "different ImageOrientationPatient": turned, "different PixelSpacing": spaced, "not evenly spaced": gap,
        "on a line": shifted, "same position": twice, "mm from where": elsewhere, "different FrameOf": other,
    }  # fmt: skip
    for words, slices in cases.items():
        assert words in str(series_contradiction(written(slices), image, across)), words
    assert "without a word" in str(series_contradiction({**written(sound_series()), "a.txt": b""}, image, across))


def test_an_nrrd_header_is_held_against_the_slice(tmp_path: Path) -> None:
    seeds = dict(nrrd_seeds())
    if not seeds:
        pytest.skip("needs the extra nrrd")
    (tmp_path / "a.nrrd").write_bytes(seeds["raw"])
    image = open_image(tmp_path / "a.nrrd")
    assert contradiction(seeds["raw"], image) is None
    for old, new, words in (
        (b"space origin: (1", b"space origin: (1.2", "voxels from the origin"),
        (b"(0.5,", b"(0.6,", "steps"),
        (b"left-posterior-superior", b"scanner-xyz", "in the space"),
    ):
        assert seeds["raw"].count(old) >= 1
        assert words in str(contradiction(seeds["raw"].replace(old, new, 1), image)), words
