"""TIFF, OME-TIFF and ImageJ TIFF: one page, with the microscope's µm per pixel. A resolution in dpi is a print size."""

from __future__ import annotations

import logging
import math
from typing import Any, BinaryIO
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from fiducial.tools.images.decoded import Decoded, DecodeError, Request, require_pixels
from fiducial.tools.images.window import windowed_u8
from fiducial.tools.scale import MM_PER_UNIT

MAX_PAGE_BYTES = 512 << 20
ROWS_AT_ONCE = 256


def decode_tiff(file: BinaryIO, request: Request) -> Decoded:
    """Decode one page. Raises DecodeError for damage, an unknown compression, and a size beyond the limit."""
    import tifffile

    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    try:
        with tifffile.TiffFile(file) as tif:
            count = len(tif.pages)
            number = request.page("page", count)
            page: Any = tif.pages[number]
            require_pixels(int(page.imagewidth), int(page.imagelength))
            if page.dtype is not None and page.nbytes > MAX_PAGE_BYTES:
                size, most = page.nbytes >> 20, MAX_PAGE_BYTES >> 20
                raise DecodeError(f"its {size} MiB of samples are more than the limit of {most} MiB; reduce it first")
            pixels = _pixels(file, page, number)
            decoded = _shown(page, pixels)
            decoded.set_page(number, count)
            _set_scale(decoded, tif, page)
            decoded.format = "OME-TIFF" if tif.is_ome else "ImageJ TIFF" if tif.is_imagej else "TIFF"
    except (DecodeError, MemoryError):
        raise
    except Exception as error:  # tifffile raises what it meets: struct, index, zlib and value errors
        raise DecodeError("the TIFF file is damaged or cut short; export it again") from error
    return decoded


def _pixels(file: BinaryIO, page: Any, frame: int) -> NDArray[Any]:
    """Samples of one page: (h, w) or (h, w, samples). tifffile decodes; Pillow where tifffile lacks the codec."""
    try:
        pixels = np.asarray(page.asarray(maxworkers=1))
    except ValueError as error:
        if "requires the 'imagecodecs'" not in str(error):
            raise
        pixels = _with_pillow(file, page, frame)
    height, width = int(page.imagelength), int(page.imagewidth)
    if pixels.shape[:2] != (height, width) and pixels.shape[-2:] == (height, width):
        pixels = np.moveaxis(pixels.reshape(-1, height, width), 0, -1)  # planar samples, or a stack in one page
    if pixels.shape[:2] != (height, width) or pixels.ndim > 3:
        raise DecodeError(f"its page is an array of shape {pixels.shape}, not a picture; export one plane of it")
    return pixels[:, :, 0] if pixels.ndim == 3 and pixels.shape[2] in (1, 2) else pixels


def _with_pillow(file: BinaryIO, page: Any, frame: int) -> NDArray[Any]:
    from PIL import Image as Pillow

    Pillow.MAX_IMAGE_PIXELS = None
    try:
        file.seek(0)
        image: Any = Pillow.open(file, formats=("TIFF",))
        image.seek(frame)
        if image.mode not in ("1", "L", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "I;16B", "I", "F", "LA"):
            raise OSError(f"mode {image.mode}")
        if image.mode in ("CMYK", "YCbCr"):
            image = image.convert("RGB")
        pixels = np.asarray(image)
    except (OSError, ValueError, SyntaxError) as error:
        raise DecodeError(
            f"no decoder is installed for its compression, {page.compression.name}; run `pip install imagecodecs`"
        ) from error
    if pixels.shape[:2] != (page.imagelength, page.imagewidth):  # Pillow turns upright what asks for it
        raise DecodeError("its compression and its orientation cannot be read together; run `pip install imagecodecs`")
    return pixels


def _shown(page: Any, pixels: NDArray[Any]) -> Decoded:
    """Grey levels or colour to show, and the values of grey pages."""
    if page.photometric.name == "PALETTE" and pixels.ndim == 2 and page.colormap is not None:
        shown = np.moveaxis(page.colormap[:, pixels] >> 8, 0, -1).astype(np.uint8)
        return Decoded("TIFF", np.ascontiguousarray(shown), orientation=_orientation(page))
    if pixels.dtype.kind == "c":
        raise DecodeError("its values are complex numbers; export the magnitude")
    if pixels.ndim == 3:
        return Decoded("TIFF", _colour_u8(page, pixels), orientation=_orientation(page))
    values = pixels.astype(np.float32)
    shown = np.repeat(pixels[:, :, None], 3, axis=2) if pixels.dtype == np.uint8 else windowed_u8(values)
    if page.photometric.name == "MINISWHITE":
        shown = 255 - shown
    return Decoded("TIFF", shown, values, "stored value", orientation=_orientation(page))


def _colour_u8(page: Any, pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """RGB to show, (h, w, 3); inks (CMYK) as light, what is transparent on white. Raises DecodeError for CIELAB.

    Samples of more than 8 bits are shown over the least of 8, 10, 12, 14 or 16 bits that holds them all, from 0, so
    that hues stay.
    """
    if page.photometric.name in ("CIELAB", "ICCLAB", "ITULAB"):
        raise DecodeError("its colours are CIELAB; export it as RGB")
    inks = page.photometric.name == "SEPARATED" and pixels.shape[2] >= 4
    clear = not inks and pixels.shape[2] == 4 and 2 in [int(kind) for kind in page.extrasamples]  # unassociated alpha
    if pixels.dtype == np.uint8 and not inks and not clear:
        return np.ascontiguousarray(pixels[:, :, :3])
    tops = (1, 255) if pixels.dtype.kind == "f" else (255, 1023, 4095, 16383, 65535)
    most = float(np.nanmax(pixels))
    top = next((top for top in tops if most <= top), most)
    shown = np.empty((*pixels.shape[:2], 3), np.uint8)
    for y in range(0, len(pixels), ROWS_AT_ONCE):  # floats of a whole picture would take six times its memory
        share = np.clip(np.nan_to_num(pixels[y : y + ROWS_AT_ONCE].astype(np.float32)) / top, 0, 1)
        colour = share[:, :, :3]
        if inks:
            colour = (1 - colour) * (1 - share[:, :, 3:4])
        elif clear:
            colour = 1 - (1 - colour) * share[:, :, 3:4]
        shown[y : y + ROWS_AT_ONCE] = colour * 255 + 0.5
    return shown


def _orientation(page: Any) -> int:
    tag = page.tags.get(274)
    return int(tag.value) if tag is not None and tag.value in range(1, 9) else 1


def _set_scale(decoded: Decoded, tif: Any, page: Any) -> None:
    """Of the OME metadata, else of ImageJ's; else the reason why there is none."""
    if tif.is_ome:
        row, column, reason = _ome_spacing(tif.ome_metadata or "", page)
    elif tif.is_imagej:
        row, column, reason = _imagej_spacing(tif.imagej_metadata or {}, page)
    else:
        has_dpi = 282 in page.tags and page.tags.get(296) is not None and int(page.tags[296].value) in (2, 3)
        dpi = " (its resolution in dots per inch or cm is a print size)" if has_dpi else ""
        decoded.scale_refused = f"a plain TIFF file carries no physical scale{dpi}"
        return
    if all(math.isfinite(v) and v > 0 for v in (row, column)):
        decoded.scale = {"row_mm": row, "column_mm": column, "source": "microscope"}
    else:
        decoded.scale_refused = reason


def _ome_spacing(xml: str, page: Any) -> tuple[float, float, str]:
    """Row and column in mm from PhysicalSizeY and PhysicalSizeX (OME-XML 2016-06; the default unit is µm), or NaN."""
    try:
        root = ElementTree.fromstring(xml)
    except ElementTree.ParseError:
        return math.nan, math.nan, "the OME metadata are not valid XML"
    pixels = next((node for node in root.iter() if node.tag.rpartition("}")[2] == "Pixels"), None)
    if pixels is None or not {"PhysicalSizeX", "PhysicalSizeY"} <= pixels.attrib.keys():
        return math.nan, math.nan, "the OME metadata have no PhysicalSizeX and PhysicalSizeY"
    if (pixels.get("SizeX"), pixels.get("SizeY")) != (str(page.imagewidth), str(page.imagelength)):
        return math.nan, math.nan, "the OME metadata are of another image size than this page"
    spacing = []
    for axis in "YX":
        unit = pixels.get(f"PhysicalSize{axis}Unit", "µm")
        if unit not in MM_PER_UNIT:
            return math.nan, math.nan, f"the OME metadata give the pixel size in {unit!r}, which is not a length"
        try:
            spacing.append(float(pixels.get(f"PhysicalSize{axis}", "nan")) * MM_PER_UNIT[unit])
        except ValueError:
            spacing.append(math.nan)
    return spacing[0], spacing[1], "the OME metadata's pixel size is not a positive number"


def _imagej_spacing(metadata: dict[str, Any], page: Any) -> tuple[float, float, str]:
    """Row and column in mm from ImageJ's unit and the resolution tags (pixels a unit), or NaN.

    inch and cm are what ImageJ writes for a file that came with a dpi, so they are taken for a print size.
    """
    unit = str(metadata.get("unit", "")).replace("\\u00B5", "µ")
    if unit in ("inch", "cm"):
        return math.nan, math.nan, f"ImageJ's unit is {unit}, which stands for a print resolution"
    if unit not in MM_PER_UNIT:
        return (
            math.nan,
            math.nan,
            f"ImageJ's unit is {unit!r}, which is not a length" if unit else "ImageJ gives no unit",
        )
    spacing = []
    for tag in (283, 282):
        try:
            numerator, denominator = page.tags[tag].value
            spacing.append(denominator / numerator * MM_PER_UNIT[unit])
        except (KeyError, TypeError, ValueError, ZeroDivisionError):
            spacing.append(math.nan)
    return spacing[0], spacing[1], "ImageJ's resolution is missing or not positive"
