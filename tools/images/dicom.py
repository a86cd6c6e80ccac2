"""DICOM: one frame, with modality values (HU), the window that the file asks for, and its scale."""

from __future__ import annotations

import warnings
import zlib
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from fiducial.tools.images.decoded import Decoded, DecodeError, Request, require_pixels
from fiducial.tools.images.dicom_pixels import frame_pixels
from fiducial.tools.images.dicom_scale import frame_value, modality_of, set_scale, whole
from fiducial.tools.images.window import windowed_u8

if TYPE_CHECKING:
    from fiducial.tools.images.dicom_stack import Stack

MAX_FRAMES = 5000
MAX_UNFOLDED_BYTES = 256 << 20
DEFLATED = b"1.2.840.10008.1.2.1.99"
PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


def read_dataset(file: BinaryIO, stop_before_pixels: bool = False) -> Any:
    """The data set of a file. Raises DecodeError for damage."""
    import pydicom

    _require_bounded(file)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return pydicom.dcmread(file, force=True, stop_before_pixels=stop_before_pixels)
    except MemoryError:
        raise
    except Exception as error:
        raise DecodeError("the DICOM file is damaged or cut short; export it again") from error


def _require_bounded(file: BinaryIO) -> None:
    """Refuse a deflated data set (PS3.5 A.5) that unfolds beyond the limit, before pydicom unfolds it in one piece.

    Where the length of the file's meta information is not as it should be, the worker's memory limit is what is left.
    """
    head = file.read(2048)
    file.seek(0)
    if DEFLATED not in head or head[128:138] != b"DICM\2\0\0\0UL":
        return
    unpacker, size = zlib.decompressobj(-zlib.MAX_WBITS), 0
    file.seek(144 + int.from_bytes(head[140:144], "little"))
    try:
        while chunk := unpacker.unconsumed_tail or file.read(1 << 20):
            size += len(unpacker.decompress(chunk, 1 << 24))
            if size > MAX_UNFOLDED_BYTES:
                raise DecodeError(f"it unfolds to more than {MAX_UNFOLDED_BYTES >> 20} MiB; export it uncompressed")
    except zlib.error:
        pass  # pydicom says what is wrong with it
    file.seek(0)


def decode_dicom(file: BinaryIO, request: Request) -> Decoded:
    """Decode one frame, or one slice where the frames are a volume.

    Raises DecodeError for a file without pixels, damage, or a compression that has no decoder.
    """
    dataset = read_dataset(file)
    try:
        return _decode(dataset, request)
    except (DecodeError, MemoryError):
        raise
    except Exception as error:  # pydicom reads a value when it is asked for, and raises what it meets there
        raise DecodeError("a field of its header is damaged; export it again") from error


def _decode(dataset: Any, request: Request) -> Decoded:
    require_image(dataset)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dataset.get("Modality") == "SEG":
            from fiducial.tools.images.dicom_seg import decode_seg

            return decode_seg(dataset, request)
        count = whole(dataset, "NumberOfFrames", 1)
        request.require_frames(count)
        if request.frame is None and (count > 1 or request.plane is not None):
            from fiducial.tools.images.dicom_stack import cut_stack

            stack, why_not = _frames_as_volume(dataset, count)
            if stack is not None:
                decoded = cut_stack(stack, request.plane, request.index)
                decoded.frame, decoded.frame_count, decoded.paged = None, count, False
                return decoded
            if request.plane is not None:
                raise DecodeError(f"it cannot be cut in the {request.plane} plane: {why_not}")
        elif request.plane is not None or (request.frame is not None and request.index is not None):
            raise DecodeError("a frame is an image of its own, as stored; give either it or a plane and a slice")
        return decode_dataset(dataset, request.page("frame", count))


def require_image(dataset: Any) -> None:
    """Refuse a data set without an image, before anything is decoded."""
    if "Rows" not in dataset or not any(keyword in dataset for keyword in PIXELS):
        kind = modality_of(dataset) or "DICOM"
        raise DecodeError(f"the {kind} file has no image in it; give a DICOM file with pixel data")
    require_pixels(whole(dataset, "Columns"), whole(dataset, "Rows"))


def decode_dataset(dataset: Any, frame: int) -> Decoded:
    """One frame of a data set, as it is stored. Raises DecodeError."""
    require_image(dataset)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        decoded = _shown(dataset, frame_pixels(dataset, frame), frame)
        decoded.modality = modality_of(dataset) or None
        decoded.set_page(frame, whole(dataset, "NumberOfFrames", 1))
        set_scale(decoded, dataset, frame)
    return decoded


def decode_values(dataset: Any, frame: int) -> NDArray[np.float32] | None:
    """Only the values of a frame, (h, w), without what is shown of them; None for colour. Raises DecodeError."""
    require_image(dataset)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pixels = frame_pixels(dataset, frame)
        return _modality_values(dataset, pixels, frame) if pixels.ndim == 2 else None


def stack_of(dataset: Any) -> Stack:
    """The slices of one file, frames or labels of a segmentation, in order. Raises DecodeError if they are none."""
    require_image(dataset)
    if dataset.get("Modality") == "SEG":
        from fiducial.tools.images.dicom_seg import seg_stack

        return seg_stack(dataset)
    stack, why_not = _frames_as_volume(dataset, whole(dataset, "NumberOfFrames", 1))
    if stack is None:
        raise DecodeError(why_not)
    return stack


def _frames_as_volume(dataset: Any, count: int) -> tuple[Stack | None, str]:
    """The frames put in order by their positions, or the reason why they are no volume."""
    from fiducial.tools.images.dicom_stack import make_stack, stack_slice

    if count > MAX_FRAMES:
        return None, f"its {count} frames are too many; leave the plane out"
    decode, values = partial(decode_dataset, dataset), partial(decode_values, dataset)
    try:
        frames = [stack_slice(dataset, n, f"frame {n}", partial(decode, n), partial(values, n)) for n in range(count)]
        return make_stack(frames), ""
    except DecodeError as error:
        return None, str(error)


def _shown(dataset: Any, pixels: NDArray[Any], frame: int) -> Decoded:
    """Grey levels or colour to show, and the values."""
    photometric = str(dataset.get("PhotometricInterpretation", "MONOCHROME2"))
    if photometric == "PALETTE COLOR":
        from pydicom.pixels import apply_color_lut

        try:
            pixels = apply_color_lut(pixels, dataset)
        except (ValueError, TypeError, AttributeError, IndexError, KeyError) as error:
            raise DecodeError("its colour palette is missing or damaged; export it again") from error
    if pixels.ndim == 3:
        top = float(np.iinfo(pixels.dtype).max) if pixels.dtype.kind in "ui" else float(pixels.max() or 1)
        bits = whole(dataset, "BitsStored", 8)
        top = top if photometric == "PALETTE COLOR" else float(2**bits - 1)
        colour = pixels if top == 255 else np.clip(pixels / top * 255 + 0.5, 0, 255)
        return Decoded("DICOM", np.ascontiguousarray(colour[:, :, :3]).astype(np.uint8))
    values = _modality_values(dataset, pixels, frame)
    shown, window = _grey(dataset, pixels, values, frame)
    if photometric == "MONOCHROME1":  # PS3.3 C.7.6.3.1.2: the lowest value is white
        shown, window = 255 - shown, (*window[:3], True)
    return Decoded("DICOM", shown, values, _unit(dataset, frame), window=window)


def _modality_values(dataset: Any, pixels: NDArray[Any], frame: int) -> NDArray[np.float32]:
    """Values after the modality transform (PS3.3 C.11.1): HU for CT."""
    if dataset.get("ModalityLUTSequence"):
        from pydicom.pixels import apply_modality_lut

        return np.asarray(apply_modality_lut(pixels, dataset), np.float32)
    factor, offset = (_rescale(dataset, frame, name, d) for name, d in (("Slope", 1.0), ("Intercept", 0.0)))
    return pixels.astype(np.float32) * np.float32(factor) + np.float32(offset)


def _rescale(dataset: Any, frame: int, name: str, default: float) -> float:
    value = frame_value(dataset, frame, f"Rescale{name}")
    number = default if value is None else _first(value)
    if number is None:
        raise DecodeError(f"its Rescale{name} is not a finite number; export it again")
    return number


def _unit(dataset: Any, frame: int) -> str:
    """RescaleType where the file has one; HU for CT, for which that is the default (PS3.3 C.8.2.1); else stored."""
    named = frame_value(dataset, frame, "RescaleType") or dataset.get("Units")
    if named and named != "US":  # US: unspecified
        return str(named)
    return "HU" if dataset.get("Modality") == "CT" and frame_value(dataset, frame, "RescaleSlope") else "stored value"


Window = tuple[float | None, float | None, str, bool]


def _grey(
    dataset: Any, pixels: NDArray[Any], values: NDArray[np.float32], frame: int
) -> tuple[NDArray[np.uint8], Window]:
    """Through the file's first window or VOI table; without one, over the values that are not padding."""
    center, width = (_first(frame_value(dataset, frame, f"Window{name}")) for name in ("Center", "Width"))
    if center is None and dataset.get("VOILUTSequence"):
        from pydicom.pixels import apply_voi

        table = np.asarray(apply_voi(values.astype(np.int32), dataset), np.float32)
        bits = int(dataset.VOILUTSequence[0].LUTDescriptor[2])
        shown = windowed_u8(table, (2**bits - 1) / 2, 2**bits - 1, "LINEAR_EXACT")
        return shown, (None, None, "LINEAR", False)
    function = str(frame_value(dataset, frame, "VOILUTFunction") or "LINEAR")
    padding = dataset.get("PixelPaddingValue")
    if center is None and isinstance(padding, int) and (pixels == padding).any() and (pixels != padding).any():
        inside = values[pixels != padding]
        low, high = (float(v) for v in np.percentile(inside, [0.1, 99.9]))
        center, width, function = (low + high) / 2, max(high - low, 1e-6), "LINEAR_EXACT"
    return windowed_u8(values, center, width, function), (center, width, function, False)


def _first(value: Any) -> float | None:
    """The first of one or several numbers; None if there is none."""
    try:
        first = float(value[0] if not isinstance(value, (str, float, int)) and hasattr(value, "__len__") else value)
    except (TypeError, ValueError, IndexError):
        return None
    return first if np.isfinite(first) else None
