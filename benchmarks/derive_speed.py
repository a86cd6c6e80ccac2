"""``fiducial data derive`` on a drawn volume of 512×512×100 with 40 labels: volumes a minute, ratio to regionprops.

The alternative is the plain loop: scikit-image's ``regionprops`` on every slice of the three planes, its box, area,
centre and axes. Both start from the labels in memory; the second figure of ours includes reading the .nii.gz file.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fiducial.benchmarks.common import table
from fiducial.tools.derive.derive import derive, planes_of, slice_rows
from fiducial.tools.derive.label_volume import LabelVolume, read_labels
from fiducial.tools.frames import nifti_map

AFFINE = np.diag([-0.8, -0.8, 2.5, 1.0])


def drawn(shape: tuple[int, int, int], labels: int, seed: int = 0) -> np.ndarray:
    """Ellipsoids the size of organs, a later one over an earlier."""
    rng = np.random.default_rng(seed)
    volume = np.zeros(shape, np.uint8)
    for number in range(1, labels + 1):
        radius = np.array(shape) * rng.uniform(0.04, 0.12, 3)
        centre = rng.uniform(radius, np.array(shape) - radius)
        low = np.maximum(0, np.floor(centre - radius)).astype(int)
        part = tuple(slice(a, b) for a, b in zip(low, np.ceil(centre + radius).astype(int), strict=True))
        grid = np.ogrid[part]
        inside = sum(((g - c) / r) ** 2 for g, c, r in zip(grid, centre, radius, strict=True)) <= 1
        volume[part][inside[tuple(slice(0, side) for side in volume[part].shape)]] = number
    return volume


def by_regionprops(labels: np.ndarray) -> int:
    """The plain loop; returns the number of rows."""
    from skimage.measure import regionprops

    rows = 0
    for axis in range(3):
        for index in range(labels.shape[axis]):
            for region in regionprops(np.take(labels, index, axis=axis)):
                _ = region.bbox, region.area, region.centroid, region.axis_major_length, region.axis_minor_length
                rows += 1
    return rows


def ours(volume: LabelVolume, recist: bool) -> int:
    """All fits and rows; returns their number."""
    planes = planes_of(volume.labels.shape, volume.voxels)
    return sum(1 for fits in derive(volume, recist=recist) for _ in slice_rows(fits, planes))


def main() -> None:
    """Draw, time, print. Processor time, for the machine may be busy."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--shape", type=int, nargs=3, default=(512, 512, 100))
    made.add_argument("--labels", type=int, default=40)
    args = made.parse_args()
    import nibabel

    labels = drawn(tuple(args.shape), args.labels)
    volume = LabelVolume(labels, nifti_map(AFFINE))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "labels.nii.gz"
        image = nibabel.Nifti1Image(labels, AFFINE)
        image.header.set_xyzt_units("mm")
        nibabel.save(image, path)
        start = time.perf_counter()
        read_labels(path)
        reading = time.perf_counter() - start
    rows, seconds = {}, {}
    works: dict[str, Callable[[], int]] = {
        "derive": lambda: ours(volume, recist=False),
        "derive with RECIST axes": lambda: ours(volume, recist=True),
        "regionprops a slice": lambda: by_regionprops(labels),
    }
    for name, work in works.items():
        start = time.process_time()
        rows[name] = work()
        seconds[name] = time.process_time() - start
    assert len(set(rows.values())) == 1
    alternative = seconds["regionprops a slice"]
    print(f"{'×'.join(map(str, args.shape))}, {args.labels} labels, {rows['derive']} rows; reading {reading:.1f} s")
    lines = [(n, s, 60 / s, 60 / (s + reading), alternative / s) for n, s in seconds.items()]
    print(table(("", "s", "volumes a minute", "with reading", "× regionprops"), lines))


if __name__ == "__main__":
    main()
