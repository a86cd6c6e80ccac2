"""Views: pixels, frame, scale and place in the world go together through every step, and through a PNG."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo
from pydicom.sequence import Sequence

from fiducial.tests.tools.dicom_files import new_dicom, region, saved, series
from fiducial.tools.frames import FrameError
from fiducial.tools.images.image import Image
from fiducial.tools.images.open_image import open_image
from fiducial.tools.images.view import View, view

CT = Path(__file__).resolve().parents[3] / "shared/data/ct/dicom"


@pytest.fixture(scope="module")
def coronal(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """A slice that is shown upside down, anisotropic and oblique."""
    folder = tmp_path_factory.mktemp("series")
    series(folder)
    return open_image(folder, plane="coronal", index=3)


fractions = st.floats(0, 0.4)
steps = st.one_of(
    st.tuples(st.just("crop"), fractions, fractions, fractions, fractions),
    st.tuples(st.just("resize"), st.integers(1, 40), st.integers(1, 40)),
    st.tuples(st.just("letterbox"), st.integers(4, 40), st.integers(4, 40)),
    st.tuples(st.just("turn"), st.integers(-3, 4)),
    st.tuples(st.just("flip"), st.sampled_from("xy")),
)


def stepped(seen: View, step: tuple[object, ...]) -> View:
    name, *arguments = step
    if name == "crop":
        width, height = seen.size_px
        left, top, right, bottom = (float(v) for v in arguments)  # type: ignore[arg-type]
        return seen.crop((left * width, top * height, (1 - right) * width, (1 - bottom) * height))
    changed: View = getattr(seen, str(name))(*arguments)
    return changed


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    chain=st.lists(steps, max_size=5),
    ends=st.lists(st.tuples(st.floats(0, 9), st.floats(0, 5)), min_size=2, max_size=2),
)
def test_scale_and_place_survive_every_chain_and_a_png(
    coronal: Image, tmp_path: Path, chain: list[tuple[object, ...]], ends: list[tuple[float, float]]
) -> None:
    seen = view(coronal)
    for step in chain:
        seen = stepped(seen, step)
    assert seen.size_px == (seen.rgb_u8.shape[1], seen.rgb_u8.shape[0])
    assert seen.scale is not None and seen.world is not None
    assert coronal.stored_to_world is not None and coronal.info.scale is not None
    here, places = seen.from_stored.points(ends), coronal.stored_to_world.points(ends)
    assert seen.world.points(here) == pytest.approx(places, abs=1e-9)
    mm = (here[1] - here[0]) * (seen.scale.column_mm, seen.scale.row_mm)
    assert np.hypot(*mm) == pytest.approx(float(np.linalg.norm(places[1] - places[0])), abs=1e-6)
    seen.save(tmp_path / "view.png")
    again = open_image(tmp_path / "view.png")
    assert again.info.scale == seen.scale
    assert again.stored_to_world is not None
    assert again.stored_to_world.points(here) == pytest.approx(places, abs=1e-9)
    assert np.array_equal(again.rgb_u8, seen.rgb_u8)


def test_values_move_with_the_pixels(coronal: Image) -> None:
    assert coronal.values is not None
    whole = view(coronal)
    seen = whole.turn(1).flip("y").crop((1, 2, 5, 8)).turn(2)
    for x, y in ((0, 0), (2, 1), (8, 4)):
        to = np.floor(seen.from_stored.points((x + 0.5, y + 0.5))).astype(int)
        if (to >= 0).all() and (to < seen.size_px).all():
            assert seen.values is not None
            assert seen.values[to[1], to[0]] == coronal.values[y, x]
    boxed = whole.letterbox(32, 32)
    assert boxed.values is not None
    assert np.isnan(boxed.values[0]).all() != np.isnan(boxed.values[:, 0]).all()
    with pytest.raises(FrameError):
        whole.crop((20, 0, 30, 5))


def test_a_turn_by_any_angle_keeps_lengths_of_square_pixels_only(coronal: Image, tmp_path: Path) -> None:
    assert view(coronal).rotate(20).scale is None
    assert view(coronal).rotate(20).world is not None
    square = open_image(
        saved(new_dicom(np.eye(40, dtype=np.uint16) * 900, "CT", PixelSpacing=[0.5, 0.5]), tmp_path / "a")
    )
    turned = view(square).rotate(45)  # the diagonal of the pixels now runs straight down
    assert turned.scale is not None
    assert turned.scale.row_mm == pytest.approx(0.5)
    rows, columns = np.nonzero(turned.rgb_u8[:, :, 0])
    assert np.ptp(columns) <= 2
    assert np.ptp(rows) * turned.scale.row_mm == pytest.approx(40 * 0.5 * np.sqrt(2), abs=1.5)


def test_the_box_that_a_scale_holds_in_moves_and_is_lost_outside(tmp_path: Path) -> None:
    rgb = np.zeros((50, 100, 3), np.uint8)
    regions = Sequence([region((3, 3), (0.02, 0.01), (20, 10, 79, 39))])
    image = open_image(saved(new_dicom(rgb, "US", SequenceOfUltrasoundRegions=regions), tmp_path / "a.dcm"))
    part = view(image).crop((50, 0, 100, 50)).resize(100, 100)
    assert part.scale_box_xyxy_px == (0, 20, 60, 80)
    part.save(tmp_path / "part.png")
    again = open_image(tmp_path / "part.png")
    assert again.scale_box_xyxy_px == (0, 20, 60, 80)
    assert again.info.scale == part.scale
    beside = view(image).crop((0, 0, 20, 50))
    assert beside.scale is None
    assert beside.scale_box_xyxy_px is None
    square = Sequence([region((3, 3), (0.02, 0.02), (20, 10, 79, 39))])
    whole = view(open_image(saved(new_dicom(rgb, "US", SequenceOfUltrasoundRegions=square), tmp_path / "b.dcm")))
    assert whole.turn(1).scale_box_xyxy_px == (10, 20, 40, 80)
    assert whole.rotate(90).scale_box_xyxy_px is not None
    assert whole.rotate(30).scale is None  # the box around the turned region holds pixels from outside of it


def test_a_place_that_contradicts_the_scale_is_refused(coronal: Image, tmp_path: Path) -> None:
    view(coronal).save(tmp_path / "a.png")
    with Pillow.open(tmp_path / "a.png") as picture:
        text, chunk = picture.info["fiducial:scale"], PngInfo()
        kept = json.loads(text)
        kept["scale"]["row_mm"] = 2.0
        chunk.add_text("fiducial:scale", json.dumps(kept))
        picture.save(tmp_path / "b.png", pnginfo=chunk)
    info = open_image(tmp_path / "b.png").info
    assert info.scale is None
    assert "contradict" in (info.scale_refused or "")


@pytest.mark.skipif(not CT.exists(), reason="needs ../shared/data/ct/dicom beside the repository")
def test_a_length_on_the_liver_is_read_back_from_a_crop_and_a_resize(tmp_path: Path) -> None:
    liver = open_image(CT / "liver.dcm", index=1)
    assert liver.values is not None and liver.info.scale is not None
    rows, columns = np.nonzero(liver.values)
    box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    stored = np.hypot((box[2] - box[0]) * liver.info.scale.column_mm, (box[3] - box[1]) * liver.info.scale.row_mm)
    view(liver).crop((box[0] - 10, box[1] - 10, box[2] + 10, box[3] + 10)).save(tmp_path / "crop.png")
    view(liver).resize(1024, 1024).save(tmp_path / "resize.png")
    for name, tolerance in (("crop.png", 1e-9), ("resize.png", 5e-3)):  # a resize moves edges by parts of a pixel
        again = open_image(tmp_path / name)
        assert again.info.scale is not None
        rows, columns = np.nonzero(again.rgb_u8[:, :, 0] > 127)
        sides = np.array([np.ptp(columns) + 1, np.ptp(rows) + 1]) * (
            again.info.scale.column_mm,
            again.info.scale.row_mm,
        )
        assert np.hypot(*sides) == pytest.approx(stored, rel=tolerance)
        assert again.stored_to_world is not None
