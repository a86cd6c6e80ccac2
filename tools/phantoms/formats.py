"""What phantoms are written as: PNG, label PNG, OME-TIFF, NIfTI. All are the same bytes for the same phantom."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiducial.tools.record import Scale


@dataclass(frozen=True, eq=False)
class Png:
    """A PNG. pixels: (H, W) or (H, W, 3) uint8, or (H, W) uint16; scale: kept in a text chunk, None for none."""

    pixels: NDArray[np.uint8] | NDArray[np.uint16]
    scale: Scale | None = None
    ending: str = "png"

    def write(self, path: Path) -> None:
        """Write it."""
        from PIL import Image
        from PIL.PngImagePlugin import PngInfo

        from fiducial.tools.images.raster import SCALE_KEY, scale_text

        info = PngInfo()
        if self.scale is not None:
            info.add_text(SCALE_KEY, scale_text(self.scale, self.pixels.shape[1], self.pixels.shape[0]))
        Image.fromarray(self.pixels).save(path, format="PNG", pnginfo=info)


@dataclass(frozen=True, eq=False)
class OmeTiff:
    """An OME-TIFF (schema 2016-06) with µm per pixel. pixels: (H, W, 3) uint8, or (H, W) uint16 of one channel."""

    name: str
    pixels: NDArray[np.uint8] | NDArray[np.uint16]
    scale: Scale
    channel: str | None = None
    ending: str = "ome.tif"

    def write(self, path: Path) -> None:
        """Write it."""
        import tifffile

        colour = self.pixels.ndim == 3
        metadata: dict[str, Any] = {
            "axes": "YXS" if colour else "YX",
            # tifffile's own UUID holds the clock and the network address of the machine.
            "UUID": uuid.uuid5(uuid.NAMESPACE_OID, f"{self.name} {self.pixels.shape} {self.scale}").urn,
            "Name": self.name,
            "PhysicalSizeX": self.scale.column_mm * 1e3,
            "PhysicalSizeXUnit": "µm",
            "PhysicalSizeY": self.scale.row_mm * 1e3,
            "PhysicalSizeYUnit": "µm",
        }
        if self.channel:
            metadata["Channel"] = {"Name": [self.channel]}
        photometric = "rgb" if colour else "minisblack"
        tifffile.imwrite(
            path, self.pixels, ome=True, photometric=photometric, compression="zlib", predictor=True, metadata=metadata
        )


@dataclass(frozen=True, eq=False)
class Nifti:
    """A NIfTI-1 volume in mm. values: (i, j, k) int16 or uint8; affine_ras: (4, 4), a rotation times spacings.

    qform and sform are both set, as scanner coordinates, and agree.
    """

    values: NDArray[Any]
    affine_ras: NDArray[np.float64]
    description: str
    ending: str = "nii.gz"

    def write(self, path: Path) -> None:
        """Write it; the gzip header's clock and file name, which nibabel would write, are left out."""
        import gzip

        import nibabel

        volume: Any = nibabel.Nifti1Image(self.values, self.affine_ras)
        volume.header.set_xyzt_units("mm", "sec")
        volume.header["descrip"] = self.description.encode()[:79]
        volume.set_sform(self.affine_ras, code="scanner")
        volume.set_qform(self.affine_ras, code="scanner")
        with path.open("wb") as file, gzip.GzipFile("", "wb", compresslevel=3, fileobj=file, mtime=0) as packed:
            packed.write(volume.to_bytes())
