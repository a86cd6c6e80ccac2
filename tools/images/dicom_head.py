"""How a DICOM file is known by its first bytes. Apart, so that a worker that only sees PNG need not load the rest."""

from __future__ import annotations

BARE_STARTS = (
    b"\2\0\0\0",
    b"\2\0\2\0",
    b"\x08\0\0\0",
    b"\x08\0\5\0",
    b"\x08\0\x08\0",
    b"\0\x08\0\x08",
    b"\0\x08\0\5",
)


def is_dicom(head: bytes) -> bool:
    """Whether a file with these first bytes is DICOM: with the preamble (PS3.10 7.1), or a bare data set.

    A bare one starts with group 0002 or 0008, little or big endian.
    """
    return head[128:132] == b"DICM" or (len(head) > 8 and head.startswith(BARE_STARTS))
