"""Mutated files and bombs through the public open function: an image or one sentence, in time and in memory.

    python -m fiducial.benchmarks.fuzz --dicom 5000 --nifti 3000 --tiff 3000 --png 3000 --out fuzz.json

A *traceback* is any exception but InputError; *unforeseen* counts sentences of the worker's last resort, which names an
exception; *stopped* counts files that met the limit on time or memory, or ended the worker; a *hang* is an answer that
comes after the limit. *silent* counts images whose header contradicts itself, or holds no number, where neither the
scale nor the place in the world was withheld and no note was made. The judges here read headers on their own.
"""

from __future__ import annotations

import argparse
import json
import resource
import struct
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from fiducial.benchmarks.common import progress, table
from fiducial.benchmarks.fuzz_files import FORMATS, bombs, mutants
from fiducial.tools.errors import InputError
from fiducial.tools.images.decoder import DEFAULT_LIMITS, Limits, decoder
from fiducial.tools.images.image import Image
from fiducial.tools.images.open_image import open_image

COUNTS = {"dicom": 5000, "nifti": 3000, "tiff": 3000, "png": 3000, "nrrd": 1000}
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


def contradiction(data: bytes, image: Image) -> str | None:
    """What of the header contradicts itself although the image says nothing of it; None if nothing does."""
    if image.format == "NIfTI" and data[344:348] == b"n+1\0":
        return _nifti_contradiction(data, image)
    if image.format.startswith("DICOM"):
        return _dicom_contradiction(data, image)
    scale = image.info.scale
    values = [scale.row_mm, scale.column_mm] if scale else []
    return None if all(np.isfinite(v) and v > 0 for v in values) else "a scale that is no positive number"


def _nifti_contradiction(data: bytes, image: Image) -> str | None:
    order = "<" if struct.unpack_from("<h", data, 40)[0] in range(1, 8) else ">"
    pixdim = np.array(struct.unpack_from(f"{order}8f", data, 76), np.float64)
    qform_code, sform_code = struct.unpack_from(f"{order}2h", data, 252)
    sform = np.array(struct.unpack_from(f"{order}12f", data, 280), np.float64).reshape(3, 4)
    said = any("contradicts itself" in note or "place the volume differently" in note for note in image.notes)
    if sform_code > 0 and image.info.scale is not None:
        steps = np.linalg.norm(sform[:, :3], axis=0)
        dims = min(3, struct.unpack_from(f"{order}h", data, 40)[0])
        if not np.allclose(steps[:dims], pixdim[1 : 1 + dims], rtol=0.01):
            return f"pixdim {pixdim[1:4]} and affine {steps} with a scale"
    if sform_code > 0 and qform_code > 0 and image.stored_to_world is not None and not said:
        qform = _qform(data, order, pixdim)
        corners = np.array([(i, j, k, 1) for i in (0, 8) for j in (0, 7) for k in (0, 6)], np.float64)
        apart = np.linalg.norm(corners @ (qform - sform).T, axis=1).max()
        if not apart < 1.0:
            return f"sform and qform are {apart:.3g} mm apart"
    return None


def _qform(data: bytes, order: str, pixdim: Any) -> Any:
    """(3, 4), from the quaternion, nifti1.h method 2."""
    b, c, d, *offset = struct.unpack_from(f"{order}6f", data, 256)
    a = np.sqrt(max(0.0, 1 - b * b - c * c - d * d))
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    zooms = pixdim[1:4] * [1, 1, -1 if pixdim[0] < 0 else 1]
    return np.column_stack([rotation * zooms, offset])


def _dicom_contradiction(data: bytes, image: Image) -> str | None:
    import io
    import warnings

    import pydicom

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        head = pydicom.dcmread(io.BytesIO(data), force=True, stop_before_pixels=True)
        if image.stored_to_world is not None and "ImageOrientationPatient" in head:
            x, y = np.array([float(v) for v in head.ImageOrientationPatient], np.float64).reshape(2, 3)
            if not (abs(x @ x - 1) < 0.01 and abs(y @ y - 1) < 0.01 and abs(x @ y) < 0.01):
                return "an orientation that is not two perpendicular unit vectors, with a place in the world"
        scale = image.info.scale
        if scale is not None and "PixelSpacing" in head and scale.source == "acquisition":
            row, column = (float(v) for v in head.PixelSpacing)
            if not (np.isclose(scale.row_mm, row) and np.isclose(scale.column_mm, column)):
                return "a scale that is not PixelSpacing"
    return None


def run(name: str, count: int, seed: int, limits: Limits, keep: Path | None) -> dict[str, Any]:
    """All mutants of a format: counts, and what is to be mended."""
    counts: Counter[str] = Counter()
    bad: list[dict[str, str]] = []
    peak, spent = 0, 0.0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        for number, (title, data) in enumerate(progress(mutants(name, count, seed), name)):
            path.write_bytes(data)
            start = time.perf_counter()
            kind, message, image = outcome(path, limits)
            spent += time.perf_counter() - start
            counts[kind] += 1
            peak = max(peak, _peak_kib(limits))
            silent = contradiction(data, image) if image is not None else None
            counts["silent"] += silent is not None
            if silent or kind in ("unforeseen", "stopped", "tracebacks", "hangs"):
                bad.append({"number": str(number), "mutation": title, "kind": "silent" if silent else kind})
                bad[-1]["message"] = silent or message
                if keep is not None:
                    (keep / f"{name}_{number}").write_bytes(data)
    ms = round(1000 * spent / max(1, count), 2)
    return {"files": count, **{c: counts[c] for c in COLUMNS[1:8]}, "ms": ms, "peak MiB": peak // 1024, "bad": bad}


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
    results = {name: run(name, getattr(args, name), args.seed, DEFAULT_LIMITS, args.keep) for name in FORMATS}
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
