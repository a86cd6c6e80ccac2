"""Lazy pixels: a file's path is checked when a sample is made, and decoded when its pixels are asked for."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image as PILImage
from PIL import UnidentifiedImageError

from fiducial.tools.errors import InputError

EIGHT_BIT = {"1", "L", "P", "LA", "PA", "RGB", "RGBA", "CMYK", "YCbCr"}
RASTERS = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp"}
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".dcm")


def inside(root: Path, name: str, where: str) -> Path:
    """The file that a row names, below root. Raises InputError for a name that leads out of the set."""
    path = root / name
    if not path.resolve().is_relative_to(root.resolve()):
        raise InputError(f"{where}: '{name}' leads out of the data set's folder; name files below {root}")
    return path


def _decoded(image: PILImage.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB"))


def read_picture(path: Path) -> np.ndarray:
    """(H, W, 3) uint8 of the *stored* pixels, so that annotations fit: EXIF does not turn them.

    16-bit, DICOM and other files go through ``open_image``, which windows them.
    """
    try:
        if path.suffix.lower() in RASTERS:
            with PILImage.open(path) as image:
                if image.mode in EIGHT_BIT:
                    return _decoded(image)
    except (OSError, UnidentifiedImageError, PILImage.DecompressionBombError, SyntaxError) as error:
        raise InputError(f"cannot read '{path}': {error}; copy the image again from the data set") from None
    from fiducial.tools.images.open_image import open_image

    return open_image(path).stored_rgb_u8


def read_bytes_picture(data: bytes, where: str) -> np.ndarray:
    """(H, W, 3) uint8 of an image that a table holds as bytes."""
    try:
        with PILImage.open(io.BytesIO(data)) as image:
            return _decoded(image)
    except (OSError, UnidentifiedImageError, PILImage.DecompressionBombError, SyntaxError) as error:
        raise InputError(f"{where}: the image's bytes are not readable ({error}); export the table again") from None


def picture(root: Path, name: str, where: str) -> Callable[[], np.ndarray]:
    """The lazy pixels of the file that a row names."""
    return partial(read_picture, inside(root, name, where))


def picture_size(path: Path) -> tuple[int, int] | None:
    """Width and height in pixels from the header of a raster file; None where that is not so cheap."""
    if path.suffix.lower() not in RASTERS:
        return None
    try:
        with PILImage.open(path) as image:
            return image.size
    except (OSError, UnidentifiedImageError, PILImage.DecompressionBombError, SyntaxError) as error:
        raise InputError(f"cannot read '{path}': {error}; copy the image again from the data set") from None


def find_picture(folder: Path, stem: str) -> Path:
    """The image file of a name without its suffix. Raises InputError naming the folder."""
    for suffix in IMAGE_SUFFIXES:
        path = folder / f"{stem}{suffix}"
        if path.is_file():
            return path
    raise InputError(f"{folder} has no image '{stem}' ({', '.join(IMAGE_SUFFIXES)}); copy the image folder again")


def read_named(folder: Path, stem: str) -> np.ndarray:
    """The pixels of the image file of a name without its suffix, (H, W, 3) uint8."""
    return read_picture(find_picture(folder, stem))


def grey_rgb(plane: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 of one plane of numbers, stretched over its own range."""
    low, high = float(np.min(plane)), float(np.max(plane))
    scaled = (plane.astype(np.float32) - low) * (255.0 / (high - low) if high > low else 0.0)
    return np.repeat(np.round(scaled).astype(np.uint8)[..., None], 3, axis=2)


def middle_slice(volume: Callable[[], np.ndarray]) -> Callable[[], np.ndarray]:
    """The lazy picture of the middle slice of a lazy volume (slices, H, W)."""

    def pixels() -> np.ndarray:
        array = volume()
        return grey_rgb(array[len(array) // 2])

    return pixels


def read_npy_volume(path: Path) -> np.ndarray:
    """(slices, H, W) of a numpy file that holds that, or one channel of it. Raises InputError; no pickled arrays."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"cannot read '{path}': {error}; copy the volume again from the data set") from None
    if array.ndim == 4 and len(array) == 1:
        array = array[0]
    if array.ndim != 3:
        raise InputError(f"'{path}' has the shape {array.shape}, not (1, slices, height, width); copy it again")
    return np.asarray(array, np.float32)
