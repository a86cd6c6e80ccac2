"""Pictures and TIFF through the worker: orientation, depth, scale and its refusals, and unusable input."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

from fiducial.tools.errors import InputError
from fiducial.tools.images.decoder import Decoder, Limits, decoder
from fiducial.tools.images.info import image_info
from fiducial.tools.images.open_image import open_image, reopen
from fiducial.tools.images.orientation import orientation_map, oriented
from fiducial.tools.images.save import save_png
from fiducial.tools.record import FileSlice, Scale
from fiducial.tools.scale import parse_scale

RNG = np.random.default_rng(3)
GREY = RNG.integers(0, 256, (20, 40), np.uint8)


def one_sentence(error: pytest.ExceptionInfo[InputError], path: Path) -> str:
    message = str(error.value)
    assert str(path) in message
    assert "\n" not in message
    assert "Traceback" not in message
    assert "; " in message  # what is wrong; the mend
    return message


def test_a_grey_png(tmp_path: Path) -> None:
    path = tmp_path / "a.jpeg"  # by content, not by extension
    Pillow.fromarray(GREY).save(path, format="PNG")
    image = open_image(path)
    assert (image.format, image.info.width_px, image.info.height_px) == ("PNG", 40, 20)
    assert np.array_equal(image.rgb_u8, np.repeat(GREY[:, :, None], 3, axis=2))
    assert image.values is not None
    assert np.array_equal(image.values, GREY)
    assert image.info.scale is None
    assert not image.rgb_u8.flags.writeable
    assert "40×20" in repr(image)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pixels_and_map_turn_together(orientation: int) -> None:
    shown = oriented(GREY, orientation)
    frame_map = orientation_map(40, 20, orientation)
    for x, y in ((0, 0), (39, 0), (7, 4), (12, 19)):
        to_x, to_y = frame_map.points((x + 0.5, y + 0.5)) - 0.5
        assert shown[round(to_y), round(to_x)] == GREY[y, x]


def test_trap_14_exif_orientation_6(tmp_path: Path) -> None:
    path = tmp_path / "turned.jpg"
    exif = Pillow.Exif()
    exif[0x0112] = 6
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[:8, :8] = 255
    Pillow.fromarray(pixels).save(path, exif=exif, quality=95)
    image = open_image(path)
    assert (image.info.width_px, image.info.height_px) == (40, 20)
    assert image.rgb_u8.shape == (40, 20, 3)
    assert (image.stored_to_display.points((7.5, 4.5)) - 0.5).tolist() == [15, 7]
    assert image.rgb_u8[4, 15].min() > 200  # the white corner is at the upper right now
    assert image.rgb_u8[4, 4].max() < 50


def test_trap_14_dpi_is_a_print_size(tmp_path: Path) -> None:
    path = tmp_path / "dpi.png"
    Pillow.fromarray(GREY).save(path, dpi=(300, 300))
    info = open_image(path).info
    assert info.scale is None
    assert info.scale_refused is not None
    assert "print size" in info.scale_refused


def test_trap_13_sixteen_bits_are_windowed_not_saturated(tmp_path: Path) -> None:
    values = np.linspace(1000, 5000, 800, dtype=np.uint16).reshape(20, 40)
    for name in ("a.png", "a.tif"):
        if name.endswith("png"):
            Pillow.fromarray(values).save(tmp_path / name)
        else:
            tifffile.imwrite(tmp_path / name, values)
        image = open_image(tmp_path / name)
        assert image.values is not None
        assert np.array_equal(image.values, values)
        assert 120 < float(image.rgb_u8.mean()) < 135
        assert len(np.unique(image.rgb_u8)) > 200


def test_a_user_s_scale_overrides_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    save_png(path, GREY, Scale(row_mm=2, column_mm=3, source="calibrated"))
    assert open_image(path).info.scale == Scale(row_mm=2, column_mm=3, source="calibrated")
    assert open_image(path, parse_scale("0.1 mm/px")).info.scale == Scale(row_mm=0.1, column_mm=0.1, source="user")


def test_our_scale_in_a_png_is_void_after_a_resize_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    save_png(path, GREY, Scale(row_mm=2, column_mm=3, source="calibrated"))
    with Pillow.open(path) as picture:
        from PIL.PngImagePlugin import PngInfo

        text = PngInfo()
        text.add_text("fiducial:scale", picture.info["fiducial:scale"])
        picture.resize((20, 10)).save(path, pnginfo=text)
    info = open_image(path).info
    assert info.scale is None
    assert "resized" in (info.scale_refused or "")


@pytest.mark.parametrize("text", ["{", "[]", '{"scale": {"row_mm": NaN}, "width_px": 40, "height_px": 20}', "1" * 5000])
def test_a_forged_scale_text_is_refused(tmp_path: Path, text: str) -> None:
    from PIL.PngImagePlugin import PngInfo

    chunk = PngInfo()
    chunk.add_text("fiducial:scale", text)
    Pillow.fromarray(GREY).save(tmp_path / "a.png", pnginfo=chunk)
    info = open_image(tmp_path / "a.png").info
    assert info.scale is None
    assert "is not a scale" in (info.scale_refused or "")


@pytest.mark.parametrize(("size", "unit", "mm"), [(0.5, "µm", 0.0005), (500, "nm", 0.0005), (0.5, "mm", 0.5)])
def test_ome_tiff_pixel_size(tmp_path: Path, size: float, unit: str, mm: float) -> None:
    metadata = {"PhysicalSizeX": size, "PhysicalSizeXUnit": unit, "PhysicalSizeY": 2 * size, "PhysicalSizeYUnit": unit}
    tifffile.imwrite(tmp_path / "a.ome.tif", GREY, metadata={"axes": "YX", **metadata})
    image = open_image(tmp_path / "a.ome.tif")
    assert image.format == "OME-TIFF"
    assert image.info.scale is not None
    assert (image.info.scale.row_mm, image.info.scale.column_mm) == pytest.approx((2 * mm, mm))
    assert image.info.scale.source == "microscope"


def test_ome_tiff_in_pixels_has_no_scale(tmp_path: Path) -> None:
    metadata = {"PhysicalSizeX": 1, "PhysicalSizeXUnit": "pixel", "PhysicalSizeY": 1, "PhysicalSizeYUnit": "pixel"}
    tifffile.imwrite(tmp_path / "a.ome.tif", GREY, metadata={"axes": "YX", **metadata})
    info = open_image(tmp_path / "a.ome.tif").info
    assert info.scale is None
    assert "'pixel'" in (info.scale_refused or "")


def test_imagej_micron_and_inch(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", GREY, imagej=True, resolution=(4, 2), metadata={"unit": "um"})
    scale = open_image(tmp_path / "a.tif").info.scale
    assert scale is not None
    assert (scale.row_mm, scale.column_mm) == pytest.approx((0.0005, 0.00025))
    tifffile.imwrite(tmp_path / "b.tif", GREY, imagej=True, resolution=(300, 300), metadata={"unit": "inch"})
    info = open_image(tmp_path / "b.tif").info
    assert info.scale is None
    assert "print" in (info.scale_refused or "")


def test_a_plain_tiff_resolution_is_a_print_size(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", GREY, resolution=(300, 300), resolutionunit="INCH", metadata=None)
    assert "print size" in (open_image(tmp_path / "a.tif").info.scale_refused or "")


def test_a_lzw_tiff_and_a_second_page(tmp_path: Path) -> None:
    Pillow.fromarray(GREY).save(tmp_path / "a.tif", compression="tiff_lzw")
    assert np.array_equal(open_image(tmp_path / "a.tif").rgb_u8[:, :, 0], GREY)
    tifffile.imwrite(tmp_path / "b.tif", np.stack([GREY, 255 - GREY]), photometric="minisblack")
    second = open_image(tmp_path / "b.tif", frame=1)
    assert np.array_equal(second.rgb_u8[:, :, 0], 255 - GREY)
    assert (second.slice_index, second.slice_count) == (1, 2)
    assert (second.frame, second.frame_count) == (1, 2)
    assert second.info.file_slice == FileSlice(index=1, count=2)
    assert np.array_equal(reopen(second.info).rgb_u8, second.rgb_u8)
    with pytest.raises(InputError, match="no page 2"):
        open_image(tmp_path / "b.tif", frame=2)
    with pytest.raises(InputError, match="give one of them"):
        open_image(tmp_path / "b.tif", frame=1, index=1)


def test_a_picture_has_no_frames_planes_and_slices(tmp_path: Path) -> None:
    Pillow.fromarray(GREY).save(tmp_path / "a.png")
    tifffile.imwrite(tmp_path / "a.tif", GREY)
    for path in (tmp_path / "a.png", tmp_path / "a.tif"):
        assert (open_image(path).frame, open_image(path).frame_count) == (None, 1)
        for part, words in (
            ({"frame": 0}, "leave the frame out"),
            ({"plane": "axial"}, "leave the plane out"),
            ({"index": 1}, "only the one that is numbered 0"),
        ):
            with pytest.raises(InputError, match=words):
                open_image(path, **part)  # type: ignore[arg-type]


def test_colours_of_a_tiff_keep_their_hue(tmp_path: Path) -> None:
    red = np.zeros((6, 8, 3), np.uint8)
    red[..., 0], red[:, :4, 1] = 200, 100
    Pillow.fromarray(red).convert("CMYK").save(tmp_path / "inks.tif")
    tifffile.imwrite(tmp_path / "deep.tif", red.astype(np.uint16) * 257, photometric="rgb")
    tifffile.imwrite(tmp_path / "twelve.tif", (red.astype(int) * 4095 // 255).astype(np.uint16), photometric="rgb")
    tifffile.imwrite(tmp_path / "float.tif", (red / 255).astype(np.float32), photometric="rgb")
    for name in ("inks", "deep", "twelve", "float"):
        assert np.abs(open_image(tmp_path / f"{name}.tif").rgb_u8.astype(int) - red).max() <= 1, name
    seen = np.dstack([red, np.full((6, 8), 0, np.uint8)])
    tifffile.imwrite(tmp_path / "clear.tif", seen, photometric="rgb", extrasamples=["unassalpha"])
    assert (open_image(tmp_path / "clear.tif").rgb_u8 == 255).all()
    Pillow.fromarray(red).convert("LAB").save(tmp_path / "lab.tif")
    with pytest.raises(InputError, match="CIELAB; export it as RGB"):
        open_image(tmp_path / "lab.tif")


def test_white_is_zero_is_inverted_for_display(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", GREY, photometric="miniswhite")
    assert np.array_equal(open_image(tmp_path / "a.tif").rgb_u8[:, :, 0], 255 - GREY)


def test_unusable_paths(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("not an image at all")
    (tmp_path / "zip.gz").write_bytes(b"\x1f\x8b\x08\0 broken")
    os.mkfifo(tmp_path / "pipe")
    expected = {
        "missing.png": "no such file",
        "empty.png": "empty",
        "text.png": "not an image",
        "zip.gz": "damaged",
        "pipe": "not a regular file",
        ".": "folder",
        "a" * 300: "check the path",
    }
    for name, words in expected.items():
        path = tmp_path / name
        with pytest.raises(InputError) as error:
            open_image(path)
        assert words in one_sentence(error, path)
    with pytest.raises(InputError):
        open_image(str(tmp_path / "nul\0byte"))


def as_bytes(format_name: str) -> bytes:
    buffer = io.BytesIO()
    if format_name == "TIFF":
        tifffile.imwrite(buffer, GREY, compression="zlib")
    else:
        Pillow.fromarray(GREY).save(buffer, format=format_name)
    return buffer.getvalue()


@pytest.mark.parametrize("format_name", ["PNG", "JPEG", "TIFF", "BMP"])
def test_truncated_and_mutated_files_give_an_image_or_one_sentence(tmp_path: Path, format_name: str) -> None:
    data, path = as_bytes(format_name), tmp_path / "a.bin"
    path.write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(InputError) as error:
        open_image(path)
    one_sentence(error, path)
    for _ in range(40):
        broken = bytearray(data)
        for at in RNG.integers(0, len(data), 3):
            broken[at] = int(RNG.integers(0, 256))
        path.write_bytes(broken)
        try:
            assert open_image(path).rgb_u8.dtype == np.uint8
        except InputError as problem:
            assert "Traceback" not in str(problem)


def png_claiming(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    )


def test_pictures_that_claim_too_many_pixels(tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    path.write_bytes(png_claiming(100_000, 100_000))
    with pytest.raises(InputError) as error:
        open_image(path)
    assert "more than the limit" in one_sentence(error, path)
    tifffile.imwrite(tmp_path / "bomb.tif", GREY, compression="zlib")
    with tifffile.TiffFile(tmp_path / "bomb.tif", mode="r+") as tif:
        for tag in (256, 257):
            tif.pages[0].tags[tag].overwrite(30000)
    with pytest.raises(InputError) as error:
        open_image(tmp_path / "bomb.tif")
    assert "more than the limit" in one_sentence(error, tmp_path / "bomb.tif")


def test_a_warm_worker_serves_many_and_a_dead_one_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Pillow.fromarray(GREY).save(path)
    first = open_image(path)
    process = decoder()._process
    assert process is not None
    assert np.array_equal(open_image(path).rgb_u8, first.rgb_u8)
    assert decoder()._process is process  # the same worker
    process.kill()
    process.wait()
    assert np.array_equal(open_image(path).rgb_u8, first.rgb_u8)


def test_a_loop_and_a_hunger_for_memory_end_in_one_sentence(tmp_path: Path) -> None:
    import nibabel

    volume = tmp_path / "zeros.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.zeros((700, 700, 400), np.uint8), np.eye(4)), volume)
    with pytest.raises(InputError) as error:
        open_image(volume, plane="sagittal", limits=Limits(seconds=0.3))
    assert "longer than 0.3 s" in one_sentence(error, volume)
    small = Decoder(Limits(memory_bytes=1))  # cannot even start: the parent must say so, not hang
    from fiducial.tools.images.decoded import DecodeError, Request

    with pytest.raises(DecodeError):
        small.ask(Request(str(volume)))
    small.close()


def test_the_tool_gives_json(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    save_png(path, GREY, Scale(row_mm=2, column_mm=3, source="calibrated"))
    data = image_info.call({"path": str(path)}).model_dump(mode="json")
    assert (data["width_px"], data["height_px"], data["scale"]["column_mm"]) == (40, 20, 3)
    assert image_info.call({"path": str(path), "scale": "1 mm/px"}).model_dump()["scale"]["source"] == "user"
    with pytest.raises(InputError):
        image_info.call({"path": str(path), "scale": ""})


def test_a_page_of_deep_samples_is_refused_before_it_unfolds(tmp_path: Path) -> None:
    path = tmp_path / "deep.tif"
    tifffile.imwrite(path, np.zeros((8, 8, 4), np.uint32), photometric="rgb", compression="zlib")
    with tifffile.TiffFile(path, mode="r+") as tif:
        for tag in (256, 257, 278):
            tif.pages[0].tags[tag].overwrite(7500)
    with pytest.raises(InputError) as error:
        open_image(path)
    assert "858 MiB of samples" in one_sentence(error, path)
