"""DICOM through the worker: the traps with the files that pydicom and nibabel bring, ultrasound regions, and bombs."""

from __future__ import annotations

import math
import zlib
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest
from pydicom.datadict import tag_for_keyword
from pydicom.encaps import encapsulate
from pydicom.pixels import get_decoder
from pydicom.sequence import Sequence
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEG2000Lossless, JPEGExtended12Bit, JPEGLSNearLossless

from fiducial.tests.tools.dicom_files import group, new_dicom, region, saved
from fiducial.tools.errors import InputError
from fiducial.tools.images.decoder import Limits, decoder
from fiducial.tools.images.open_image import open_image
from fiducial.tools.scale import length_unit, mm_from_px, parse_scale

FILES = Path(pydicom.__file__).parent / "data" / "test_files"
NIBABEL = Path(nibabel.__file__).parent / "tests" / "data"


GREY = np.arange(200, dtype=np.uint16).reshape(10, 20)


def test_trap_1_pixel_spacing_is_row_then_column() -> None:
    image = open_image(FILES / "dicomdirtests/98892001/CT2N/6293")
    scale = image.info.scale
    assert scale is not None
    assert (scale.row_mm, scale.column_mm, scale.source) == (0.545455, 0.596847, "acquisition")
    assert math.hypot(*mm_from_px(scale, (100, 0))) == pytest.approx(59.6847, abs=5e-5)


def test_trap_2_a_radiograph_measures_at_the_detector() -> None:
    scale = open_image(FILES / "dicomdirtests/77654033/CR1/6154").info.scale
    assert scale is not None
    assert math.hypot(*mm_from_px(scale, (500, 0))) == pytest.approx(50.0)
    assert length_unit(scale) == "mm at the detector"


@pytest.mark.parametrize(
    ("elements", "source", "row_mm"),
    [
        ({"PixelSpacing": [0.2, 0.2], "ImagerPixelSpacing": [0.2, 0.2]}, "detector", 0.2),
        ({"PixelSpacing": [0.15, 0.15], "ImagerPixelSpacing": [0.2, 0.2]}, "calibrated", 0.15),
        ({"PixelSpacing": [0.15, 0.15], "PixelSpacingCalibrationType": "FIDUCIAL"}, "calibrated", 0.15),
        ({"PixelSpacing": [0.15, 0.15]}, "detector", 0.15),
    ],
)
def test_only_a_calibration_brings_a_radiograph_s_mm_into_the_patient(
    tmp_path: Path, elements: dict[str, Any], source: str, row_mm: float
) -> None:
    scale = open_image(saved(new_dicom(GREY, "DX", **elements), tmp_path / "a.dcm")).info.scale
    assert scale is not None
    assert (scale.source, scale.row_mm) == (source, row_mm)


def test_trap_11_an_oriented_plane() -> None:
    plane = open_image(FILES / "dicomdirtests/98892001/CT2N/6293").stored_to_world
    assert plane is not None
    assert plane.points((10.5, 0.5)) == pytest.approx((0, 259.03153, 50), abs=1e-5)
    assert plane.points((0.5, 10.5)) == pytest.approx((0, 265, 44.54545), abs=1e-5)
    assert plane.points((0.5, 0.5)) == pytest.approx((0, 265, 50))


def test_trap_12_the_slice_step_is_not_the_slice_thickness() -> None:
    scale = open_image(NIBABEL / "0.dcm").info.scale
    assert scale is not None
    assert scale.slice_mm == 3.0


def test_trap_13_hu_and_inversion(tmp_path: Path) -> None:
    image = open_image(FILES / "CT_small.dcm")
    assert image.values is not None
    assert pydicom.dcmread(FILES / "CT_small.dcm").pixel_array[64, 64] == 1928
    assert image.values[64, 64] == 904
    assert image.values_unit == "HU"
    window = {"WindowCenter": 100, "WindowWidth": 200}
    plain = open_image(saved(new_dicom(GREY, "CR", **window), tmp_path / "a.dcm"))
    inverted = new_dicom(GREY, "CR", PhotometricInterpretation="MONOCHROME1", **window)
    assert np.array_equal(open_image(saved(inverted, tmp_path / "b.dcm")).rgb_u8, 255 - plain.rgb_u8)
    assert plain.rgb_u8[0, 0, 0] == 0
    assert plain.rgb_u8[-1, -1, 0] == 255


def test_the_window_function_of_the_standard(tmp_path: Path) -> None:
    """PS3.3 C.11.2.1.2.1: window centre 2048, width 4096 takes 0 to black, 4095 to white."""
    values = np.array([[0, 2048, 4095, 9999]], np.uint16)
    image = open_image(saved(new_dicom(values, "CT", WindowCenter=2048, WindowWidth=4096), tmp_path / "a.dcm"))
    assert image.rgb_u8[0, :, 0].tolist() == [0, 128, 255, 255]


def test_trap_14_an_ultrasound_region_holds_inside_only() -> None:
    image = open_image(FILES / "examples_palette.dcm")
    assert (image.info.width_px, image.info.height_px) == (800, 350)
    assert image.scale_box_xyxy_px == image.info.scale_box_xyxy_px == (120, 60, 800, 350)
    scale = image.info.scale
    assert scale is not None
    assert scale.row_mm == pytest.approx(0.262288, abs=5e-7)
    assert scale.source == "ultrasound_region"
    assert image.rgb_u8.max() > 100


def test_trap_14_an_axis_in_seconds_has_no_length(tmp_path: Path) -> None:
    rgb = np.zeros((10, 20, 3), np.uint8)
    regions = Sequence([region((4, 3), (0.01, 0.02), (0, 0, 19, 9))])
    path = saved(new_dicom(rgb, "US", SequenceOfUltrasoundRegions=regions), tmp_path / "a.dcm")
    info = open_image(path).info
    assert info.scale is None
    assert "seconds" in (info.scale_refused or "")
    both = Sequence([*regions, region((3, 3), (0.02, 0.01), (2, 3, 9, 7))])
    image = open_image(saved(new_dicom(rgb, "US", SequenceOfUltrasoundRegions=both), tmp_path / "b.dcm"))
    assert image.info.scale is not None
    assert (image.info.scale.row_mm, image.info.scale.column_mm) == pytest.approx((0.1, 0.2))
    assert image.scale_box_xyxy_px == (2, 3, 10, 8)
    assert open_image(tmp_path / "b.dcm", parse_scale("1 mm/px")).scale_box_xyxy_px is None


@pytest.mark.parametrize(("delta_cm", "refused"), [((0.02, 0.01), False), ((0.04, 0.02), True)])
def test_ultrasound_regions_that_overlap_agree_or_give_no_scale(
    tmp_path: Path, delta_cm: tuple[float, float], refused: bool
) -> None:
    """A zoomed inset inside the calibrated region has another scale than what surrounds it."""
    regions = Sequence([region((3, 3), (0.02, 0.01), (0, 0, 19, 9)), region((3, 3), delta_cm, (12, 2, 18, 7))])
    rgb = np.zeros((10, 20, 3), np.uint8)
    info = open_image(saved(new_dicom(rgb, "US", SequenceOfUltrasoundRegions=regions), tmp_path / "a.dcm")).info
    assert (info.scale is None) == refused
    assert ("overlap" in (info.scale_refused or "")) == refused


@pytest.mark.parametrize("spacing", [[0, 0.5], [-1, 1], ["nan", 1]])
def test_a_spacing_that_is_none_is_refused(tmp_path: Path, spacing: list[Any]) -> None:
    ds = new_dicom(GREY, "CT")
    ds.add_new(0x00280030, "UN", "\\".join(str(v) for v in spacing).encode())
    info = open_image(saved(ds, tmp_path / "a.dcm")).info
    assert info.scale is None
    assert "PixelSpacing" in (info.scale_refused or "")


def test_frames_of_a_multi_frame_file() -> None:
    first, last = (open_image(FILES / "examples_ybr_color.dcm", frame=f) for f in (0, 29))
    assert first.slice_count == 30
    assert not np.array_equal(first.rgb_u8, last.rgb_u8)
    with pytest.raises(InputError, match="no frame 30"):
        open_image(FILES / "examples_ybr_color.dcm", frame=30)


def test_functional_groups_hold_spacing_and_rescale(tmp_path: Path) -> None:
    ds = new_dicom(np.stack([GREY, GREY + 1]).reshape(20, 20), "CT", NumberOfFrames=2)
    ds.Rows = 10

    shared = group("PixelMeasuresSequence", PixelSpacing=[0.5, 0.25], SpacingBetweenSlices=2)
    per_frame = [group("PixelValueTransformationSequence", RescaleSlope=1, RescaleIntercept=b) for b in (-1000, -900)]
    ds.SharedFunctionalGroupsSequence = Sequence([shared])
    ds.PerFrameFunctionalGroupsSequence = Sequence(per_frame)
    image = open_image(saved(ds, tmp_path / "a.dcm"), frame=1)
    assert image.info.scale is not None
    assert (image.info.scale.row_mm, image.info.scale.column_mm, image.info.scale.slice_mm) == (0.5, 0.25, 2)
    assert image.values is not None
    assert image.values[0, 0] == 1 - 900


def test_real_ct_slices_and_their_segmentation() -> None:
    folder = Path(__file__).resolve().parents[3] / "shared/data/ct/dicom"
    if not folder.exists():
        pytest.skip("needs ../shared/data/ct/dicom beside the repository")
    slices = [open_image(folder / f"0{n}.dcm") for n in (1, 2, 3)]
    assert all(s.values_unit == "HU" and s.stored_to_world is not None for s in slices)
    for n, opened in enumerate(slices, start=1):
        assert opened.stored_to_world is not None
        position = pydicom.dcmread(folder / f"0{n}.dcm").ImagePositionPatient
        assert opened.stored_to_world.points((0.5, 0.5)) == pytest.approx([float(v) for v in position])
    mask = open_image(folder / "liver.dcm", index=1)
    assert mask.info.scale is not None
    assert mask.info.scale.row_mm == pytest.approx(0.8105, abs=5e-5)
    assert mask.stored_to_world is not None


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("rtplan.dcm", "no image in it"),
        ("reportsi.dcm", "no image in it"),
        ("MR_truncated.dcm", "cut short"),
        ("JPEGLSNearLossless_08.dcm", "run `pip install 'fiducial[dicom]'`"),
        ("JPGExtended.dcm", "run `pip install 'fiducial[dicom-gpl]'`"),
        ("dicomdirtests/DICOMDIR", "no image in it"),
    ],
)
def test_dicom_files_without_a_usable_image(name: str, words: str) -> None:
    if name.startswith("JPEGLS") and get_decoder(JPEGLSNearLossless).is_available:
        pytest.skip("a decoder of JPEG-LS is installed")
    if name.startswith("JPGExt") and "pylibjpeg" in get_decoder(JPEGExtended12Bit).available_plugins:
        pytest.skip("a decoder of JPEG of 12 bits is installed")
    with pytest.raises(InputError) as error:
        open_image(FILES / name)
    assert words in str(error.value)
    assert name in str(error.value)
    assert "\n" not in str(error.value)


def test_a_damaged_length_brings_no_names_into_the_sentence(tmp_path: Path) -> None:
    data = (FILES / "MR_small.dcm").read_bytes()
    at = data.index(b"\x08\0\x60\0CS\2\0")
    (tmp_path / "a.dcm").write_bytes(data[: at + 6] + (1500).to_bytes(2, "little") + data[at + 8 :])
    with pytest.raises(InputError) as error:
        open_image(tmp_path / "a.dcm")
    assert "the DICOM file has no image in it" in str(error.value)
    assert "CompressedSamples" not in str(error.value)


def test_a_deflated_bomb_meets_the_memory_limit(tmp_path: Path) -> None:
    ds = new_dicom(GREY, "CT")
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    data = saved(ds, tmp_path / "small.dcm").read_bytes()
    meta = pydicom.filereader.read_file_meta_info(tmp_path / "small.dcm")
    length = 132 + 12 + meta.FileMetaInformationGroupLength
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(4 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)  # complete in itself, so it repeats
    bomb = tmp_path / "bomb.dcm"
    bomb.write_bytes(data[:length] + 150 * block + packer.flush())
    assert bomb.stat().st_size < 1 << 20
    with pytest.raises(InputError) as error:
        open_image(bomb, limits=Limits(memory_bytes=500 << 20))
    assert "unfolds to more than 256 MiB" in str(error.value)


def test_a_zero_length_jpeg_2000_box_does_not_hang(tmp_path: Path) -> None:
    """pydicom 3.0.2 walks the boxes of a JP2 file by their length, and a length of 0 leaves it where it is."""
    ds = new_dicom(GREY, "CT")
    box = (
        b"\x00\x00\x00\x0cjP  \r\n\x87\n"
        + b"\x00\x00\x00\x14ftypjp2 \0\0\0\0jp2 "
        + b"\x00\x00\x00\x00free"
        + bytes(64)
    )
    ds.file_meta.TransferSyntaxUID = JPEG2000Lossless
    ds.PixelData = encapsulate([box])
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    path = saved(ds, tmp_path / "loop.dcm")
    with pytest.raises(InputError) as error:
        open_image(path, limits=Limits(seconds=1))
    assert str(path) in str(error.value)


def test_mutated_dicom_gives_an_image_or_one_sentence(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    data, path = (FILES / "MR_small.dcm").read_bytes(), tmp_path / "a.dcm"
    for _ in range(40):
        broken = bytearray(data)
        for at in rng.integers(132, 1800, 4):
            broken[at] = int(rng.integers(0, 256))
        path.write_bytes(broken)
        try:
            assert open_image(path).rgb_u8.dtype == np.uint8
        except InputError as problem:
            assert "\n" not in str(problem)


def test_a_length_that_lies_allocates_nothing(tmp_path: Path) -> None:
    """An element of 4 GB in a file of 40 kB: read to the file's end, not allocated and not a dead worker."""
    data = bytearray((FILES / "CT_small.dcm").read_bytes())
    at = data.find(b"\xe0\x7f\x10\x00OW")
    data[at + 8 : at + 12] = b"\xf0\xff\xff\xff"
    path = tmp_path / "a.dcm"
    path.write_bytes(data)
    worker = decoder()
    open_image(FILES / "CT_small.dcm")
    process = worker._process
    assert np.array_equal(open_image(path).rgb_u8, open_image(FILES / "CT_small.dcm").rgb_u8)
    assert worker._process is process


@pytest.mark.parametrize(
    ("keyword", "value", "words"),
    [
        ("NumberOfFrames", "-3", "NumberOfFrames is not a whole number"),
        ("RescaleSlope", "nan", "RescaleSlope is not a finite number"),
        ("PhotometricInterpretation", "PALETTE COLOR", "palette is missing"),
    ],
)
def test_fields_that_cannot_be_used_are_named(tmp_path: Path, keyword: str, value: str, words: str) -> None:
    ds = new_dicom(GREY, "CT")
    tag = tag_for_keyword(keyword)
    assert tag is not None
    ds.add_new(tag, "UN", value.encode() + b" " * (len(value) % 2))
    with pytest.raises(InputError, match=words):
        open_image(saved(ds, tmp_path / "a.dcm"))


def test_a_value_representation_that_does_not_exist_is_named_with_its_field(tmp_path: Path) -> None:
    path = saved(new_dicom(GREY, "CT", NumberOfFrames=1), tmp_path / "a.dcm")
    data = path.read_bytes()
    assert data.count(b"\x28\x00\x08\x00IS") == 1
    path.write_bytes(data.replace(b"\x28\x00\x08\x00IS", b"\x28\x00\x08\x00QQ"))
    with pytest.raises(InputError, match=r"NumberOfFrames has a VR that DICOM does not have; export the file again"):
        open_image(path)
