"""The parent's handle on the decoding process: start it, ask it, and end it when it takes too long."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import signal
import struct
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from fiducial.tools.images.decoded import DecodeError, Request


@dataclass(frozen=True)
class Limits:
    """What decoding one file may cost: seconds of processor time, and bytes of the worker's address space.

    On the clock it may take four times as long, for a busy machine, and 30 s for the start of the worker.
    """

    seconds: float = 15.0
    memory_bytes: int = 2 << 30


DEFAULT_LIMITS = Limits()
MAX_HEADER_BYTES = 1 << 20


class Decoder:
    """One worker process, started when first needed and again after it has died."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self.limits = limits
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def start(self) -> None:
        """Start the worker now, so that the first image does not wait for it. Does nothing if it runs."""
        with self._lock:
            self._running()

    def ask(self, request: Request) -> tuple[dict[str, Any], dict[str, Any]]:
        """Header and read-only arrays. Raises DecodeError for an unusable file, also one that takes too long."""
        with self._lock:
            process = self._running()
            deadline = time.monotonic() + 4 * self.limits.seconds + 30
            try:
                assert process.stdin is not None
                process.stdin.write(json.dumps(asdict(request)).encode() + b"\n")
                process.stdin.flush()
                header, arrays = self._reply(process, deadline)
            except (TimeoutError, EOFError, BrokenPipeError, ValueError) as error:
                killed = self._end() == -getattr(signal, "SIGPROF", 0)
                late = killed or isinstance(error, TimeoutError)
                why = f"decoding it takes longer than {self.limits.seconds:g} s" if late else "the decoder failed on it"
                raise DecodeError(f"{why}; the file may be damaged, export it again") from None
            except BaseException:  # an interrupt between two reads would leave half a reply for the next image
                self._end()
                raise
            if header.get("exhausted"):
                self._end()
        if "error" in header:
            raise DecodeError(header["error"])
        return header, arrays

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            command = [sys.executable, "-P", "-m", "fiducial.tools.images.worker"]
            command += [str(self.limits.memory_bytes), str(self.limits.seconds)]
            # Threads of a numeric library would each reserve address space, which the memory limit counts.
            single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, **single},
            )
        return self._process

    def _reply(self, process: subprocess.Popen[bytes], deadline: float) -> tuple[dict[str, Any], dict[str, Any]]:
        (size,) = struct.unpack("<Q", _read(process, 8, deadline))
        if size > MAX_HEADER_BYTES:
            raise ValueError("header too long")
        header: dict[str, Any] = json.loads(bytes(_read(process, size, deadline)))
        arrays = {}
        for name, (dtype, shape) in header.pop("arrays").items():
            kind = np.dtype({"uint8": np.uint8, "float32": np.float32}[dtype])
            data = _read(process, int(np.prod(shape, dtype=np.int64)) * kind.itemsize, deadline)
            arrays[name] = np.frombuffer(data, kind).reshape(shape)
            arrays[name].flags.writeable = False
        return header, arrays

    def _end(self) -> int | None:
        """End the worker; its exit status, negative for the signal that ended it, or None if there was none."""
        status = None
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):  # one that is dying already has its own status
                self._process.wait(0.05)
            self._process.kill()
            status = self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None:
                    with contextlib.suppress(OSError):
                        stream.close()
            self._process = None
        return status

    def close(self) -> None:
        """End the worker."""
        with self._lock:
            self._end()


def _read(process: subprocess.Popen[bytes], size: int, deadline: float) -> bytearray:
    """Exactly so many bytes of the worker's reply. Raises TimeoutError, or EOFError when the worker has died."""
    assert process.stdout is not None
    channel, data, got = process.stdout.fileno(), bytearray(size), 0
    view = memoryview(data)
    while got < size:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([channel], [], [], left)[0]:
            raise TimeoutError
        count = os.readv(channel, [view[got : got + (1 << 20)]])
        if count == 0:
            raise EOFError
        got += count
    return data


_decoders: dict[tuple[int, Limits], Decoder] = {}


def decoder(limits: Limits = DEFAULT_LIMITS) -> Decoder:
    """The warm decoder of this process for these limits (a forked child gets its own)."""
    key = (os.getpid(), limits)
    if key not in _decoders:
        _decoders[key] = Decoder(limits)
        atexit.register(_decoders[key].close)
    return _decoders[key]
