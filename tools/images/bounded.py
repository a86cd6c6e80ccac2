"""A file that is never asked for more bytes than it has left, so that a length field that lies allocates nothing."""

from __future__ import annotations

import io
import os


class BoundedReader(io.BufferedReader):
    """A buffered binary file whose ``read`` allocates no more than the file still holds."""

    def __init__(self, path: str) -> None:
        super().__init__(io.FileIO(path, "rb"))
        self._size = os.fstat(self.fileno()).st_size

    def read(self, size: int | None = -1, /) -> bytes:
        """As of any file; a size beyond the end reads to the end."""
        if size is not None and size > 0:
            size = max(0, min(size, self._size - self.tell()))
        return super().read(size)
