"""Mutated files and bombs through the public open function: an image or one sentence, in time and in memory.

    python -m fiducial.benchmarks.fuzz --dicom 5000 --nifti 3000 --tiff 3000 --png 3000 --out fuzz.json

A *traceback* is any exception but InputError; *unforeseen* counts sentences of the worker's last resort, which names an
exception; *stopped* counts files that met the limit on time or memory, or ended the worker; a *hang* is an answer that
comes after the limit. *silent* counts images whose header contradicts itself, or holds no number, where neither the
scale nor the place in the world was withheld and no note was made; so says ``fuzz_judges.py``, which reads headers on
its own. A *series* is a folder; of each, the middle slice is opened and one across the slices.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from fiducial.benchmarks.common import progress, table
from fiducial.benchmarks.fuzz_files import FORMATS, bombs, mutants
from fiducial.benchmarks.fuzz_judges import contradiction, series_contradiction
from fiducial.benchmarks.fuzz_series import series_mutants
from fiducial.tools.errors import InputError
from fiducial.tools.images.decoder import DEFAULT_LIMITS, Limits, decoder
from fiducial.tools.images.image import Image
from fiducial.tools.images.open_image import open_image

COUNTS = {"dicom": 5000, "nifti": 3000, "tiff": 3000, "png": 3000, "nrrd": 1000, "series": 1000}
COLUMNS = ("files", "images", "refused", "unforeseen", "stopped", "tracebacks", "hangs", "silent", "ms", "peak MiB")


def outcome(path: Path, limits: Limits) -> tuple[str, str, Image | None]:
    """How opening one file ended, with the message."""
    start = time.perf_counter()
    image = None
    try:
        image = open_image(path, limits=limits)
        kind, message = "images", ""
    except InputError as error:
        message = str(error).replace(str(path), "FILE")
        stopped = any(word in message for word in ("takes longer", "more memory", "decoder failed"))
        kind = "stopped" if stopped else "unforeseen" if "not supported (" in message else "refused"
        if "\n" in message or "Traceback" in message:
            kind = "tracebacks"
    except Exception as error:
        kind, message = "tracebacks", f"{type(error).__name__}: {error}"
    if time.perf_counter() - start > 4 * limits.seconds + 30:
        kind = "hangs"
    return kind, message, image


def run(name: str, count: int, seed: int, limits: Limits, keep: Path | None) -> dict[str, Any]:
    """All mutants of a format: counts, and what is to be mended."""
    counts: Counter[str] = Counter()
    bad: list[dict[str, str]] = []
    peak, spent = 0, 0.0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        made = series_mutants(count, seed) if name == "series" else mutants(name, count, seed)
        for number, (title, data) in enumerate(progress(made, name)):
            _write(path, data)
            start = time.perf_counter()
            kind, message, image = outcome(path, limits)
            spent += time.perf_counter() - start
            counts[kind] += 1
            peak = max(peak, _peak_kib(limits))
            silent = _judged(path, data, image, limits) if image is not None else None
            counts["silent"] += silent is not None
            if silent or kind in ("unforeseen", "stopped", "tracebacks", "hangs"):
                bad.append({"number": str(number), "mutation": title, "kind": "silent" if silent else kind})
                bad[-1]["message"] = silent or message
                if keep is not None:
                    _write(keep / f"{name}_{number}", data)
    ms = round(1000 * spent / max(1, count), 2)
    return {"files": count, **{c: counts[c] for c in COLUMNS[1:8]}, "ms": ms, "peak MiB": peak // 1024, "bad": bad}


def _write(path: Path, data: bytes | dict[str, bytes]) -> None:
    """A file, or a folder of files by name."""
    if isinstance(data, bytes):
        path.write_bytes(data)
        return
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    for name, part in data.items():
        (path / name).write_bytes(part)


def _judged(path: Path, data: bytes | dict[str, bytes], image: Image, limits: Limits) -> str | None:
    """What an opened image says nothing of, although its header, or the slices of its folder, contradict themselves."""
    if isinstance(data, bytes):
        return contradiction(data, image)
    others = (plane for plane in ("axial", "coronal") if plane != image.plane)
    try:
        across = open_image(path, plane=next(others), limits=limits)
    except InputError:
        across = None
    return series_contradiction(data, image, across)


def _peak_kib(limits: Limits) -> int:
    """Peak resident memory of the decoding process so far, KiB; of one that has ended, that of all that ended."""
    process = decoder(limits)._process
    if process is None or process.poll() is not None:
        return int(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def run_bombs(limits: Limits) -> list[dict[str, Any]]:
    """Each bomb with a decoder of its own: how it ended, seconds, peak memory."""
    rows = []
    for title, data in bombs():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "bomb"
            path.write_bytes(data)
            decoder(limits).close()
            before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
            start = time.perf_counter()
            kind, message, _ = outcome(path, limits)
            seconds = round(time.perf_counter() - start, 1)
            peak = _peak_kib(limits)
            decoder(limits).close()
            own = peak if peak > before else min(peak, before)
            row = {"bomb": title, "file MiB": round(len(data) / 2**20, 2), "end": kind, "s": seconds}
            rows.append({**row, "peak MiB": own // 1024, "message": message.partition(": ")[2] or message})
    return rows


def main() -> None:
    """Run, print, write. The exit code is 1 if a bar is missed."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, count in COUNTS.items():
        made.add_argument(f"--{name}", type=int, default=count, help=f"how many mutated files (default {count})")
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--out", type=Path, help="write the figures and what failed to this JSON file")
    made.add_argument("--keep", type=Path, help="keep the files that failed in this folder")
    args = made.parse_args()
    if args.keep is not None:
        args.keep.mkdir(parents=True, exist_ok=True)
    names = (*FORMATS, "series")
    results = {name: run(name, getattr(args, name), args.seed, DEFAULT_LIMITS, args.keep) for name in names}
    print(table(("format", *COLUMNS), ([name, *(row[c] for c in COLUMNS)] for name, row in results.items())))
    rows = run_bombs(DEFAULT_LIMITS)
    columns = ("bomb", "file MiB", "end", "s", "peak MiB", "message")
    print(table(columns, ([row[c] for c in columns] for row in rows)))
    limit_mib = DEFAULT_LIMITS.memory_bytes >> 20
    missed = sum(row[c] for row in results.values() for c in ("tracebacks", "hangs", "silent"))
    missed += sum(row["peak MiB"] > limit_mib for row in [*results.values(), *rows])
    missed += sum(row["end"] not in ("refused", "stopped", "images") for row in rows)
    print(f"\nbars missed: {missed} (0 tracebacks, hangs and silent contradictions; peak under {limit_mib} MiB)")
    if args.out is not None:
        args.out.write_text(json.dumps({"seed": args.seed, "formats": results, "bombs": rows}, indent=1))
    raise SystemExit(1 if missed else 0)


if __name__ == "__main__":
    main()
