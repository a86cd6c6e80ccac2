"""Scale: what a user may type, and what unit a length may carry."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fiducial.tools.errors import InputError
from fiducial.tools.record import Scale
from fiducial.tools.scale import area_unit, length_unit, mm_from_px, parse_scale, per_mm, px_from_mm


@pytest.mark.parametrize(
    ("text", "row_mm", "column_mm"),
    [
        ("0.1 mm/px", 0.1, 0.1),
        ("row 0.2, column 0.1 mm/px", 0.2, 0.1),
        ("Row 0.2 , Column 0.1 mm per pixel", 0.2, 0.1),
        ("0.25 µm/px", 0.00025, 0.00025),
        ("0.25 μm/px", 0.00025, 0.00025),
        ("0.25um/px", 0.00025, 0.00025),
        ("250 nm/px", 0.00025, 0.00025),
        ("1e-2 cm/pixel", 0.1, 0.1),
        (" .5 mm / px ", 0.5, 0.5),
    ],
)
def test_a_scale_as_a_user_types_it(text: str, row_mm: float, column_mm: float) -> None:
    scale = parse_scale(text)
    assert (scale.row_mm, scale.column_mm) == pytest.approx((row_mm, column_mm))
    assert scale.source == "user"


@pytest.mark.parametrize(
    "text",
    [
        *("abc", "", "0 mm/px", "-1 mm/px", "nan mm/px", "inf mm/px", "-inf mm/px", "1e999 mm/px", "0.1", "mm/px"),
        *(
            "0.1 mm",
            "0.1 px/mm",
            "0.1 furlong/px",
            "row 0.1 mm/px",
            "row 0, column 1 mm/px",
            "0.1 mm/px 0.2",
            "1e-400 mm/px",
        ),
        *("row 0.2, column nan mm/px", "0,1 mm/px", "٠.١ mm/px x", "0.1 dpi"),
    ],
)
def test_a_scale_that_is_none_gets_one_sentence(text: str) -> None:
    with pytest.raises(InputError) as error:
        parse_scale(text)
    message = str(error.value)
    assert repr(text) in message
    assert "\n" not in message
    assert "mm/px" in message or "use mm" in message


@given(st.text(max_size=40))
def test_no_text_breaks_the_parser(text: str) -> None:
    try:
        scale = parse_scale(text)
    except InputError:
        return
    assert scale.row_mm > 0


@given(st.floats(1e-6, 1e3))
def test_a_scale_reads_back_exactly(value: float) -> None:
    assert parse_scale(f"{value!r} mm/px").row_mm == value


def test_the_unit_follows_the_source() -> None:
    def scale(source: str) -> Scale:
        return Scale.model_validate({"row_mm": 0.1, "column_mm": 0.1, "source": source})

    assert length_unit(None) == "px"
    assert area_unit(None) == "px²"
    assert length_unit(scale("detector")) == "mm at the detector"
    assert area_unit(scale("detector")) == "mm² at the detector"
    assert length_unit(scale("microscope")) == "µm"
    assert length_unit(scale("user")) == "mm"
    assert area_unit(scale("user"), microscopic=True) == "µm²"
    assert (per_mm("µm"), per_mm("µm²"), per_mm("mm")) == (1e3, 1e6, 1)
    with pytest.raises(ValueError, match="px"):
        per_mm("px")


def test_trap_1_the_row_spacing_goes_with_y() -> None:
    scale = Scale(row_mm=0.545455, column_mm=0.596847, source="acquisition")
    assert mm_from_px(scale, [(100, 0), (0, 100)]) == pytest.approx(np.array([(59.6847, 0), (0, 54.5455)]))
    assert px_from_mm(scale, mm_from_px(scale, (3, 4))) == pytest.approx((3, 4))
