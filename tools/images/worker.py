"""The decoding process: reads one request a line, answers with a JSON header and raw arrays. Run by ``decoder.py``.

Files come from strangers, and no decoder is free of loops and bombs; here they meet a limit on memory and on time
instead of the user's process. One process serves many images, so that only the first pays for its start.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import struct
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

from fiducial.tools.images.bounded import BoundedReader
from fiducial.tools.images.decoded import Decoded, DecodeError, Request
from fiducial.tools.images.dicom_head import is_dicom


def limit_memory(limit_bytes: int) -> None:
    """Bound the address space of this process, and leave no core file."""
    try:
        import resource
    except ImportError:  # not a POSIX system: the time limit is left
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(ValueError, OSError):  # macOS does not know this limit
        resource.setrlimit(resource.RLIMIT_AS, (limit_bytes, limit_bytes))


def limit_time(cpu_seconds: float) -> None:
    """End this process after so much processor time; 0 takes the limit away. The parent's own limit is on the clock."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, cpu_seconds)


def decode(file: BinaryIO, request: Request) -> Decoded:
    """Decode by content. Raises DecodeError."""
    head = file.read(1024)
    file.seek(0)
    if is_dicom(head):
        from fiducial.tools.images.dicom import decode_dicom

        return decode_dicom(file, request)
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        from fiducial.tools.images.tiff import decode_tiff

        return decode_tiff(file, request)
    if head[344:348] in (b"n+1\0", b"ni1\0") or head[4:8] in (b"n+2\0", b"ni2\0") or head[:2] == b"\x1f\x8b":
        from fiducial.tools.images.nifti import decode_nifti

        return decode_nifti(file, request, gzipped=head[:2] == b"\x1f\x8b")
    if head.startswith(b"NRRD000"):
        from fiducial.tools.images.nrrd import decode_nrrd

        return decode_nrrd(file, request)
    if head.startswith((b"\x89PNG", b"\xff\xd8\xff", b"BM", b"GIF8")) or head[8:12] == b"WEBP":
        from fiducial.tools.images.raster import decode_raster

        return decode_raster(file, request)
    if head[:4] in (b"\x5c\1\0\0", b"\0\0\1\x5c"):  # sizeof_hdr, 348, without a name of the format behind it
        raise DecodeError("it is an Analyze header, which does not tell left from right; convert it to NIfTI")
    raise DecodeError("it is not an image this program knows; give a PNG, JPEG, TIFF, DICOM, NIfTI or NRRD file")


def answer(request: Request) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and arrays for one request; an unusable file gives ``{"error": …}``."""
    if os.path.isdir(request.path):  # noqa: PTH112 (the path may not be one that pathlib normalises)
        return _answer(lambda: _series(request))
    try:
        file = BoundedReader(request.path)
    except OSError as error:
        return {"error": f"{error.strerror}; check the path and its permissions"}, {}
    with file:
        return _answer(lambda: _single(file, request))


def _single(file: BoundedReader, request: Request) -> tuple[Decoded, str]:
    sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    file.seek(0)
    return decode(file, request), sha256


def _series(request: Request) -> tuple[Decoded, str]:
    from fiducial.tools.images.dicom_series import decode_series

    return decode_series(request.path, request)


def _answer(work: Callable[[], tuple[Decoded, str]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a decoder made, or the one sentence of what went wrong in it."""
    try:
        decoded, sha256 = work()
        header, arrays = decoded.parts()
        return {**header, "sha256": sha256}, arrays
    except DecodeError as error:
        text = "".join(c if c.isprintable() else " " for c in str(error))  # a header's words may stand in it
        return {"error": " ".join(text.split())}, {}
    except MemoryError:
        return {"error": "decoding it takes more memory than is allowed; reduce it first", "exhausted": True}, {}
    except Exception as error:  # a stranger's file may raise anything; the user gets one sentence
        return {"error": f"the file is damaged or not supported ({type(error).__name__}); export it again"}, {}


def main() -> None:
    """Serve requests from stdin until it closes. One that takes too much processor time ends the process (SIGPROF)."""
    limit_bytes, seconds = int(sys.argv[1]), float(sys.argv[2])
    channel = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a decoder prints must not enter the channel
    limit_memory(limit_bytes)
    for line in sys.stdin:
        limit_time(seconds)
        header, arrays = answer(Request(**json.loads(line)))
        header["arrays"] = {name: [str(a.dtype), list(a.shape)] for name, a in arrays.items()}
        data = json.dumps(header).encode()
        channel.write(struct.pack("<Q", len(data)) + data)
        for array in arrays.values():
            channel.write(memoryview(array).cast("B"))
        channel.flush()
        limit_time(0)
        if header.get("exhausted"):
            return


if __name__ == "__main__":
    main()
