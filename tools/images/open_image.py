"""Open any image file: by its content, with its frames and scale, or with one sentence that says why not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fiducial.tools.errors import InputError
from fiducial.tools.frames import PlaneMap
from fiducial.tools.images.decoded import MAX_FILE_BYTES, DecodeError, Request
from fiducial.tools.images.decoder import DEFAULT_LIMITS, Limits, decoder
from fiducial.tools.images.image import Image
from fiducial.tools.images.orientation import NAMES, orientation_map, oriented
from fiducial.tools.record import FileSlice, ImageInfo, Scale


def open_image(
    path: str | Path,
    scale: Scale | None = None,
    *,
    frame: int | None = None,
    plane: str | None = None,
    index: int | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Image:
    """Open a PNG, JPEG, BMP, GIF, WebP, TIFF, OME-TIFF, DICOM, NIfTI or NRRD file, or a folder with a DICOM series.

    scale: what the user states; it replaces the file's own and has source ``user``.
    frame: which frame of a multi-frame file, as stored, which page, or which of a fourth axis (then with a plane and
    an index); by default the first, and of frames that are the slices of one volume the volume. plane (axial,
    coronal, sagittal) and index: which slice of a volume; plane None is the plane of its acquisition, axial where that
    is not known; index None is the middle slice. In a file whose frames are no volume, index counts the frames.
    Raises InputError with one sentence for a path or file that cannot be used.
    """
    _require_readable(Path(path))
    if plane is not None and plane not in ("axial", "coronal", "sagittal"):
        raise InputError(f"unknown plane {plane!r}; choose axial, coronal or sagittal")
    try:
        header, arrays = decoder(limits).ask(Request(str(Path(path).absolute()), frame, plane, index))
    except DecodeError as error:
        raise InputError(f"cannot read '{path}': {error}") from None
    return _image(str(path), header, arrays, scale)


def _require_readable(path: Path) -> None:
    try:
        if not path.exists():
            raise InputError(f"cannot read '{path}': there is no such file; check the path")
        if path.is_dir():  # perhaps a DICOM series; the worker looks into it
            return
        if not path.is_file():
            raise InputError(f"cannot read '{path}': it is not a regular file; give an image file")
        size = path.stat().st_size
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"cannot read '{path}': {reason}; check the path") from None
    if size == 0:
        raise InputError(f"cannot read '{path}': the file is empty; copy or export it again")
    if size > MAX_FILE_BYTES:
        raise InputError(f"cannot read '{path}': its {size / 2**30:.1f} GiB are over the limit of 1 GiB; export a part")


def _image(path: str, header: dict[str, Any], arrays: dict[str, Any], user: Scale | None) -> Image:
    """Assemble the image from what the worker sent."""
    shown = arrays["shown_u8"]
    height, width = shown.shape[:2]
    scale = Scale.model_validate(header["scale"]) if header["scale"] else None
    box = header["scale_box_xyxy_px"]
    world = PlaneMap(*(np.array(v, np.float64) for v in header["world_mm"])) if header["world_mm"] else None
    if user is not None:  # the file's position in the patient rests on the spacing that the user has overruled
        scale, box, world = user.model_copy(update={"source": "user"}), None, None
    info = ImageInfo(
        path=path,
        sha256=header["sha256"],
        width_px=width,
        height_px=height,
        scale=scale,
        scale_refused=None if scale else header["scale_refused"],
        scale_box_xyxy_px=tuple(box) if box else None,
        file_slice=_file_slice(header),
        orientation=header["orientation"],
    )
    rgb = oriented(shown, header["orientation"])
    rgb.flags.writeable = False
    return Image(
        info=info,
        rgb_u8=rgb,
        stored_to_display=orientation_map(width, height, header["orientation"]),
        values=arrays.get("values"),
        values_unit=header["values_unit"],
        format=header["format"],
        modality=header["modality"],
        orientation=NAMES[header["orientation"]],
        stored_to_world=world,
        slice_count=header["slice_count"],
        slice_index=header["slice_index"],
        frame=header["frame"],
        frame_count=header["frame_count"],
        plane=header["plane"],
        slice_step_mm=np.array(header["across_mm"], np.float64) if world and header["across_mm"] else None,
        notes=tuple(header["notes"]),
    )


def _file_slice(header: dict[str, Any]) -> FileSlice | None:
    """Which part of the file this is; None of a file with one image. A frame as stored has no plane of a volume."""
    index, count, frame = header["slice_index"], header["slice_count"], header["frame"]
    if max(count, header["frame_count"]) < 2:
        return None
    if header["paged"]:
        return FileSlice(index=index, count=count)
    return FileSlice(plane=header["plane"], index=index, count=count, frame=frame)


def reopen(info: ImageInfo) -> Image:
    """The image of a record again: the same slice or frame, at the scale that was stated then. Raises InputError."""
    scale, part = info.scale, info.file_slice
    stated = scale if scale is not None and scale.source == "user" else None
    if part is None:
        return open_image(info.path, stated)
    if part.plane is None:
        return open_image(info.path, stated, frame=part.index)
    return open_image(info.path, stated, frame=part.frame, plane=part.plane, index=part.index)
