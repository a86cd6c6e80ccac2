"""The fifteen traps of medical image geometry: each has a test named after it, and what those leave unsaid is here.

1 PixelSpacing is row, then column. 2 A radiograph measures at the detector. 3 Angles and 4 axes in anisotropic pixels.
5 Corners, not centres. 6 DICOM SR coordinates. 7 A resize, in corners and in indices. 8 A letterbox. 9 Quantisation.
10 NIfTI's left and right. 11 Oriented planes. 12 Step and thickness of slices. 13 Inversion and rescaling. 14 What has
no scale. 15 What is not a number, not a box, not a polygon; angles beyond 90°.
"""

from __future__ import annotations

import re
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
import shapely
from PIL import Image as Pillow

from fiducial.tools.checks.sizes import inside_scale_region
from fiducial.tools.frames import nifti_map
from fiducial.tools.geometry.boxes import box_areas
from fiducial.tools.geometry.masks import mask_recist_axes
from fiducial.tools.geometry.polygons import is_simple, polygon_area
from fiducial.tools.images.open_image import open_image
from fiducial.tools.measure import measure
from fiducial.tools.record import Record, Region

DICOM = Path(str(pydicom.data.get_testdata_file("CT_small.dcm"))).parent
NIBABEL = Path(nibabel.__file__).parent / "tests" / "data"


def test_each_of_the_fifteen_has_a_test_of_its_own_name() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    assert {int(number) for number in re.findall(r"^def test_trap_(\d+)_", text, re.MULTILINE)} == set(range(1, 16))


def segment(x0: float, y0: float, x1: float, y1: float) -> Region:
    return Region(id="R1", label="thing", kind="box", box_xyxy_px=(x0, y0, x1, y1), score=1, skill="user")


def test_trap_1_a_hundred_pixels_across_are_measured() -> None:
    scale = open_image(DICOM / "dicomdirtests/98892001/CT2N/6293").info.scale
    assert measure(segment(10, 10, 110, 11), "long_axis", scale).value == pytest.approx(59.6847, abs=5e-8)
    assert measure(segment(10, 10, 11, 110), "long_axis", scale).value == pytest.approx(54.5455, abs=5e-8)


def test_trap_2_five_hundred_pixels_are_fifty_mm_at_the_detector() -> None:
    scale = open_image(DICOM / "dicomdirtests/77654033/CR1/6154").info.scale
    found = measure(segment(10, 10, 510, 20), "long_axis", scale)
    assert found.value == pytest.approx(50.0, abs=1e-9)
    assert found.unit == "mm at the detector"


def test_trap_5_the_long_axis_of_recist_is_no_moment() -> None:
    mask = np.zeros((60, 60), bool)
    mask[5:15, 10:50] = True
    assert mask_recist_axes(mask) == pytest.approx((41.231056, 2 * 10 * 41.231056 / 40 / 2), abs=5e-4)


def test_trap_10_canonicalising_flips_left_and_right() -> None:
    image = nibabel.load(NIBABEL / "anatomical.nii")
    canonical = nibabel.as_closest_canonical(image)
    assert nibabel.aff2axcodes(canonical.affine) == ("R", "A", "S")
    assert np.array_equal(np.asarray(canonical.dataobj), np.asarray(image.dataobj)[::-1])
    last = image.shape[0] - 0.5
    assert nifti_map(canonical.affine).points((last, 0.5, 0.5)).tolist() == [-32, 40, -16]  # the same place


def test_trap_12_the_file_s_thickness_is_another_number() -> None:
    assert float(pydicom.dcmread(NIBABEL / "0.dcm").SliceThickness) == 2.5


def test_trap_13_pillow_saturates_what_is_windowed_here(tmp_path: Path) -> None:
    values = np.linspace(1000, 5000, 800, dtype=np.uint16).reshape(20, 40)
    Pillow.fromarray(values).save(tmp_path / "a.png")
    assert (np.asarray(Pillow.open(tmp_path / "a.png").convert("L")) == 255).all()
    assert len(np.unique(open_image(tmp_path / "a.png").rgb_u8)) > 200


def test_trap_14_a_measurement_outside_the_ultrasound_region_is_refused() -> None:
    image = open_image(DICOM / "examples_palette.dcm").info
    for x0, outcome in ((121.0, "pass"), (100.0, "fail")):
        region = segment(x0, 100, x0 + 80, 140)
        taken = measure(region, "long_axis", image.scale)
        assert taken.value == pytest.approx(80 * 0.262288, abs=1e-4)
        record = Record(run_id="r", question="q", image=image, regions=(region,), measurements=(taken,))
        found = inside_scale_region(record)
        assert found is not None
        assert (found.check.outcome, bool(found.rejected_region_ids)) == (outcome, outcome == "fail")


def test_trap_15_what_others_let_pass() -> None:
    assert not np.less(np.nan, 0.5)
    assert shapely.box(1, 1, 0, 0).area == 1
    assert box_areas([(1, 1, 0, 0)]).tolist() == [0]
    bow_tie = [(0, 0), (1, 1), (1, 0), (0, 1)]
    assert shapely.Polygon(bow_tie).area == polygon_area(bow_tie) == 0
    assert not is_simple(bow_tie)
