"""The stored values of one DICOM frame, decompressed where a decoder is installed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiducial.tools.images.decoded import DecodeError
from fiducial.tools.images.dicom_scale import whole

JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"


def frame_pixels(dataset: Any, frame: int) -> NDArray[Any]:
    """Stored values of one frame: (h, w), or (h, w, 3) in RGB. Raises DecodeError for damage or a missing decoder."""
    from pydicom.pixels import pixel_array

    syntax = dataset.file_meta.get("TransferSyntaxUID") if hasattr(dataset, "file_meta") else None
    if syntax is None:  # a bare data set: the reader has found out byte order and explicitness
        from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

        dataset.ensure_file_meta()
        syntax = ImplicitVRLittleEndian if dataset.original_encoding[0] else ExplicitVRLittleEndian
        dataset.file_meta.TransferSyntaxUID = syntax
    if not syntax.is_transfer_syntax and not syntax.is_private:
        raise DecodeError("its transfer syntax is none that DICOM knows; export it again")
    if dataset.get("BitsAllocated") == 1 and not syntax.is_encapsulated:
        return _bits(dataset, frame)
    try:
        return np.asarray(pixel_array(dataset, index=frame))
    except MemoryError:
        raise
    except (RuntimeError, NotImplementedError) as error:
        missing = "missing dependencies" in str(error)
        why = "no decoder is installed for" if missing else "the file is damaged, or no installed decoder can read"
        extra = _extra(dataset, syntax)
        raise DecodeError(f"{why} its compression, {syntax.name}; run `pip install 'fiducial[{extra}]'`") from error
    except Exception as error:
        raise DecodeError("its pixel data are damaged or cut short; export it again") from error


def _extra(dataset: Any, syntax: Any) -> str:
    """The optional part of this package that decodes a transfer syntax: JPEG of 12 bits has only a decoder under GPL.

    PS3.5 A.4.1: process 2 and 4 is of 8 or 12 bits; GDCM and Pillow refuse the latter.
    """
    twelve = str(syntax) == JPEG_EXTENDED and whole(dataset, "BitsStored", 8) > 8
    return "dicom-gpl" if twelve else "dicom"


def _bits(dataset: Any, frame: int) -> NDArray[np.uint8]:
    """One frame of single bits (PS3.5 8.1.1): frames follow each other without padding, the lowest bit first.

    Our own, for pydicom 3.0.2 fails where a frame does not begin at a byte (7×9 pixels, say).
    """
    rows, columns = whole(dataset, "Rows"), whole(dataset, "Columns")
    start = frame * rows * columns
    stop = start + rows * columns
    data = np.frombuffer(dataset.PixelData, np.uint8)
    if stop > data.size * 8 or int(dataset.get("SamplesPerPixel") or 1) != 1:
        raise DecodeError("its pixel data are damaged or cut short; export it again")
    bits = np.unpackbits(data[start // 8 : (stop + 7) // 8], bitorder="little")
    return np.ascontiguousarray(bits[start % 8 : start % 8 + rows * columns].reshape(rows, columns))
