"""Unusable input and arguments: each must give exit code 2, one sentence on stderr, nothing on stdout, no traceback.

Each case is a process of its own, as a person would start it. One sentence counts as such if it is one line.
"""

from __future__ import annotations

import os
import struct
import subprocess
import tempfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fiducial.benchmarks.common import COMMAND, parser, picture, progress, samples, table, write

QUESTION = "How many white blood cells are there?"
LIMIT_S = 120


def huge_png(path: Path, side_px: int = 30_000) -> Path:
    """A small valid file that claims to be side × side pixels: a decompression bomb."""

    def chunk(tag: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + tag + body + struct.pack(">I", zlib.crc32(tag + body))

    header = struct.pack(">IIBBBBB", side_px, side_px, 8, 0, 0, 0, 0)
    packer, rows = zlib.compressobj(1), []
    for _ in range(side_px // 1000):
        rows.append(packer.compress(bytes((side_px + 1) * 1000)))
    body = b"".join(rows) + packer.flush()
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b""))
    return path


def csv_cases(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Lists of questions that cannot be used."""
    texts = {
        "list without its columns": "picture,text\na.png,why\n",
        "empty list": "",
        "list with a header only": "image,question\n",
        "list that is not text": "\x00\xff\x00\xff",
    }
    for i, (name, text) in enumerate(texts.items()):
        path = folder / f"list{i}.csv"
        path.write_bytes(text.encode("latin-1"))
        yield name, ["ask", "--from", str(path), "--jsonl"]
    yield "list that is missing", ["ask", "--from", str(folder / "none.csv"), "--jsonl"]


def file_cases(folder: Path, good: Path) -> Iterator[tuple[str, list[str]]]:
    """Images that cannot be used."""
    contents = {
        "truncated.jpg": good.read_bytes()[: good.stat().st_size // 3],
        "empty.png": b"",
        "text.png": b"this is no image\n",
        "noise.dcm": np.random.default_rng(0).bytes(4096),
        "truncated.nii.gz": b"\x1f\x8b\x08\x00",
        "document.pdf": b"%PDF-1.4\n%%EOF\n",
        "program.xyz": b"\x7fELF" + bytes(100),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
        yield name, ["ask", str(folder / name), QUESTION]
    yield "huge.png (30,000 px a side)", ["ask", str(huge_png(folder / "huge.png")), QUESTION]
    yield "missing file", ["ask", str(folder / "missing.png"), QUESTION]
    yield "folder", ["ask", str(folder), QUESTION]
    if os.geteuid():
        locked = folder / "locked.png"
        locked.write_bytes(good.read_bytes())
        locked.chmod(0)
        yield "file without permission", ["ask", str(locked), QUESTION]


def argument_cases(folder: Path, good: Path) -> Iterator[tuple[str, list[str]]]:
    """Arguments that cannot be used, with a good image."""
    ask = ["ask", str(good), QUESTION]
    for scale in ("abc", "0 mm/px", "-1 mm/px", "nan mm/px", "0.1 furlong/px", "1e999 mm/px", ""):
        yield f"scale '{scale}'", [*ask, "--scale", scale]
    yield "unknown base", [*ask, "--base", "no-such-base"]
    yield "base that is an empty folder", [*ask, "--base", str(_made(folder / "empty_base"))]
    yield "adapters that are missing", [*ask, "--adapters", str(folder / "no_adapters")]
    yield "store that is a folder", [*ask, "--store", str(_made(folder / "store"))]
    yield "store that is no database", [*ask, "--store", str(good)]
    yield "overlay in a missing folder", [*ask, "--overlay", str(folder / "nowhere" / "o.png")]
    yield "empty question", ["ask", str(good), ""]
    yield "no question", ["ask", str(good)]
    yield "unknown option", [*ask, "--colour"]
    yield "unknown command", ["answer", str(good), QUESTION]


def _made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


def judge(name: str, arguments: list[str], folder: Path) -> dict[str, Any]:
    """Run one case and say what is wrong with how it ended."""
    start = time.perf_counter()
    try:
        done = subprocess.run(
            [*COMMAND, *arguments], capture_output=True, text=True, timeout=LIMIT_S, check=False, cwd=folder
        )
    except subprocess.TimeoutExpired:
        return {"case": name, "ok": False, "faults": [f"no end in {LIMIT_S} s"], "exit": None, "message": ""}
    message = done.stderr.strip()
    faults = [] if done.returncode == 2 else [f"exit {done.returncode}"]
    if "Traceback" in done.stderr or "Traceback" in done.stdout:
        faults.append("traceback")
    if not message:
        faults.append("no message")
    elif len(message.splitlines()) > 1:
        faults.append(f"{len(message.splitlines())} lines on stderr")
    if done.stdout.strip():
        faults.append("output on stdout")
    seconds = round(time.perf_counter() - start, 2)
    shown = message.replace(str(folder), "…")[-300:]
    return {"case": name, "ok": not faults, "faults": faults, "exit": done.returncode, "s": seconds, "message": shown}


def main() -> None:
    """Run every case, print, write."""
    args = parser(__doc__).parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # A copy: one of the cases offers it to be written to.
        good = folder / "good.jpg"
        good.write_bytes(picture(args.data, "bccd", samples(args.data, "bccd", "val", 1)[0].id).read_bytes())
        cases = [*file_cases(folder, good), *argument_cases(folder, good), *csv_cases(folder)][: args.limit]
        rows = [judge(case, arguments, folder) for case, arguments in progress(cases, "bad input")]
    columns = ("case", "faults", "message")
    print(table(("case", "faults", "message"), ([r[c] if r[c] != [] else "none" for c in columns] for r in rows)))
    good_ones = sum(r["ok"] for r in rows)
    print(f"\n{good_ones} of {len(rows)} end as they should")
    write(args.out, {"cases": len(rows), "ok": good_ones, "rows": rows})


if __name__ == "__main__":
    main()
