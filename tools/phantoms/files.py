"""Scenes as real files with real metadata: OME-TIFF, DICOM, NIfTI, PNG with a scale chunk; and their truth."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from fiducial.tools.errors import InputError
from fiducial.tools.phantoms.formats import Png
from fiducial.tools.phantoms.phantom import Phantom, PhantomFile
from fiducial.tools.phantoms.scene import Scene

ULTRASOUND_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.6.1"
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"


def write_scene(
    scene: Scene | Phantom, out_dir: str | Path, format: Literal["native", "png"] = "native", stem: str | None = None
) -> tuple[Path, Path]:
    """Write a scene and its truth into ``out_dir`` (made when missing); returns (image path, truth path).

    format ``native``: a blood smear as OME-TIFF, a fetal head as DICOM ultrasound, others as their own ``image``, with
    the files beside it that the truth names; ``png``: PNG with the text chunk ``fiducial:scale``. A CT series is a
    folder. stem: the file's name without its endings, else the scene's name and seed.
    Raises InputError where the folder or the files cannot be written, and for a volume as PNG.
    """
    folder, stem = Path(out_dir), stem or f"{scene.name}_{scene.seed}"
    if isinstance(scene, Phantom):
        writers: list[tuple[Path, Callable[[Path], None]]]
        files = _phantom_files(scene, format, stem)
        named = {key: name for key, (name, _) in files.items()}
        writers = [(folder / name, file.write) for name, file in files.values()]
    else:
        ending = "png" if format == "png" else {"blood_smear": "ome.tif", "head_ultrasound": "dcm"}[scene.truth.kind]
        named = {"image": f"{stem}.{ending}"}
        writer = {"png": _write_png, "ome.tif": _write_ome_tiff, "dcm": _write_dicom}[ending]
        writers = [(folder / named["image"], lambda path: writer(scene, path))]
    return _write(folder, stem, {**named, **scene.truth_document()}, writers)


def _write(
    folder: Path, stem: str, document: dict[str, Any], writers: list[tuple[Path, Callable[[Path], None]]]
) -> tuple[Path, Path]:
    path = truth_path = folder / f"{stem}.truth.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, write in writers:
            write(path)
        truth_path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}; give a folder you may write to") from None
    return writers[0][0], truth_path


def _phantom_files(scene: Phantom, format: str, stem: str) -> dict[str, tuple[str, PhantomFile]]:
    """File name and writer of the image and of what lies beside it, the image first."""
    image: PhantomFile = scene.image
    if format == "png":
        if "slices" in scene.shape:
            raise InputError(f"a {scene.name} is a volume, which no PNG holds; write it in its native format")
        image = Png(scene.rgb_u8, scene.scale)
    beside = {key: (f"{stem}.{key}.{file.ending}", file) for key, file in scene.beside.items()}
    return {"image": (f"{stem}.{image.ending}".rstrip("."), image), **beside}


def _write_png(scene: Scene, path: Path) -> None:
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    from fiducial.tools.images.raster import SCALE_KEY, scale_text

    height, width = scene.rgb_u8.shape[:2]
    info = PngInfo()
    info.add_text(SCALE_KEY, scale_text(scene.scale, width, height))
    Image.fromarray(scene.rgb_u8).save(path, pnginfo=info, optimize=True)


def _write_ome_tiff(scene: Scene, path: Path) -> None:
    """OME-TIFF (OME schema 2016-06): PhysicalSizeX is the step along x, between columns; PhysicalSizeY between rows."""
    import tifffile

    # tifffile's own UUID holds the clock and the network address of the machine.
    name = uuid.uuid5(uuid.NAMESPACE_OID, f"{scene.name} {scene.seed} {scene.rgb_u8.shape} {scene.scale}")

    tifffile.imwrite(
        path,
        scene.rgb_u8,
        ome=True,
        photometric="rgb",
        compression="zlib",
        predictor=True,
        metadata={
            "axes": "YXS",
            "UUID": name.urn,
            "Name": scene.name,
            "PhysicalSizeX": scene.scale.column_mm * 1e3,
            "PhysicalSizeXUnit": "µm",
            "PhysicalSizeY": scene.scale.row_mm * 1e3,
            "PhysicalSizeYUnit": "µm",
        },
    )


def _write_dicom(scene: Scene, path: Path) -> None:
    """Ultrasound Image (DICOM PS3.3 A.6), one calibrated region (C.8.5.5) with deltas in cm. No dates, no person."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import UID, generate_uid

    height, width = scene.rgb_u8.shape[:2]
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(ULTRASOUND_IMAGE_STORAGE)
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[scene.name, str(scene.seed), "instance"])
    meta.TransferSyntaxUID = UID(EXPLICIT_VR_LITTLE_ENDIAN)
    data = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    data.StudyInstanceUID = generate_uid(entropy_srcs=[scene.name, str(scene.seed), "study"])
    data.SeriesInstanceUID = generate_uid(entropy_srcs=[scene.name, str(scene.seed), "series"])
    data.Modality, data.Manufacturer, data.ImageType = "US", "fiducial phantom", ["ORIGINAL", "PRIMARY"]
    data.PatientName, data.PatientID, data.PatientBirthDate, data.PatientSex = "PHANTOM", "PHANTOM", "", ""
    data.StudyDate = data.StudyTime = data.AccessionNumber = data.StudyID = data.ReferringPhysicianName = ""
    data.SeriesNumber = data.InstanceNumber = 1
    data.BurnedInAnnotation = "NO"
    data.SequenceOfUltrasoundRegions = [_region(scene)]
    data.Rows, data.Columns, data.SamplesPerPixel = height, width, 1
    data.PhotometricInterpretation = "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 8, 8, 7, 0
    pixels = np.ascontiguousarray(scene.rgb_u8[:, :, 0]).tobytes()
    data.PixelData = pixels + b"\0" * (len(pixels) % 2)
    data["PixelData"].VR = "OB"
    data.save_as(path, enforce_file_format=True)


def _region(scene: Scene) -> object:
    """One 2-D tissue region over the whole image; PhysicalDeltaX is the step between columns, in cm per pixel."""
    from pydicom.dataset import Dataset

    height, width = scene.rgb_u8.shape[:2]
    region = Dataset()
    region.RegionSpatialFormat, region.RegionDataType, region.RegionFlags = 1, 1, 0
    region.RegionLocationMinX0, region.RegionLocationMinY0 = 0, 0
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = width - 1, height - 1
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
    region.PhysicalDeltaX, region.PhysicalDeltaY = scene.scale.column_mm / 10, scene.scale.row_mm / 10
    return region
