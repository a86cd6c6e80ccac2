"""What is taken between landmarks, on the phantoms whose angles, lengths and ratios are exact."""

from __future__ import annotations

import math

import pytest

from fiducial.tools.errors import InputError
from fiducial.tools.landmark_measures import landmark_named, measure_between, named_quantities, quantity_between
from fiducial.tools.measure_box_3d import measure_box_3d
from fiducial.tools.phantoms.cephalogram import make_cephalogram
from fiducial.tools.phantoms.chest import make_chest
from fiducial.tools.phantoms.phantom import Phantom
from fiducial.tools.record import Region, Scale


def landmarks(phantom: Phantom) -> dict[str, Region]:
    """The true landmarks, by the names that they are asked for by."""
    found = {}
    for name, place in phantom.truth.landmarks_xy_px.items():
        key = landmark_named(name)
        given = {"id": f"R{len(found) + 1}", "label": key, "kind": "landmark", "point_xy_px": place}
        found[key] = Region(**given, score=1.0, sigma_px=0.5, skill="landmark")
    return found


@pytest.mark.parametrize("phantom", [make_cephalogram(3, 504), make_chest(3, 256)], ids=["cephalogram", "chest"])
def test_the_phantoms_quantities_come_out(phantom: Phantom) -> None:
    found = landmarks(phantom)
    truths = {q.quantity: q for q in phantom.truth.quantities if q.quantity in named_quantities()}
    assert truths
    for name, truth in truths.items():
        taken = measure_between(truth.quantity, [found[key] for key in named_quantities()[name].of], phantom.scale)
        assert taken.value == pytest.approx(truth.value, rel=1e-6, abs=1e-6), name
        assert taken.unit == truth.unit
        assert 0 < taken.uncertainty < math.inf and taken.interval.low <= taken.value <= taken.interval.high


def test_without_a_scale_lengths_are_in_pixels_and_angles_take_square_pixels() -> None:
    found = landmarks(make_cephalogram(3, 504))
    length = measure_between("sella_nasion", [found[key] for key in ("sella", "nasion")], None)
    assert (length.unit, length.scale_source) == ("px", "none")
    angle = measure_between("sna_angle", [found[key] for key in named_quantities()["sna_angle"].of], None)
    assert angle.unit == "°" and "square" in str(angle.note)


def test_landmarks_that_a_question_names_lead_to_the_quantity_with_a_name() -> None:
    for quantity, known in named_quantities().items():
        assert known.form == "width_ratio" or quantity_between(known.ends) == quantity == quantity_between(
            known.ends[::-1]
        )
    assert quantity_between(("subspinale", "nasion", "supramentale")) == "anb_angle"
    assert quantity_between(named_quantities()["cardiothoracic_ratio"].of) is None  # four points may be two lines
    assert quantity_between(("sella", "menton")) is None


def test_points_that_coincide_give_no_angle() -> None:
    point = Region(id="R1", label="x", kind="landmark", point_xy_px=(1, 1), score=1.0, skill="landmark")
    with pytest.raises(InputError, match="cannot be measured"):
        measure_between("angle", [point] * 3, None)
    with pytest.raises(InputError, match="between 5 landmarks"):
        measure_between("angle", [point] * 5, None)


def test_a_box_in_a_volume_is_measured_where_the_distance_of_slices_is_known() -> None:
    box = (1.0, 2.0, 3.0, 5.0, 4.0, 6.0)
    region = Region(id="R1", label="lesion", kind="box_3d", box_xyzxyz_voxel=box, score=1.0, sigma_px=1, skill="x")
    scale = Scale(row_mm=2.0, column_mm=0.5, slice_mm=3.0, source="acquisition")
    assert measure_box_3d(region, "long_axis", scale).value == pytest.approx(9.0)
    short = measure_box_3d(region, "short_axis", scale)
    assert (short.value, short.uncertainty) == (pytest.approx(2.0), pytest.approx(math.sqrt(2) * 0.5))
    with pytest.raises(InputError, match="distance of the volume's slices"):
        measure_box_3d(region, "long_axis", scale.model_copy(update={"slice_mm": None}))
    with pytest.raises(InputError, match="no area"):
        measure_box_3d(region, "area", scale)
