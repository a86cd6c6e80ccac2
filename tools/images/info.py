"""The tool ``image_info``: what a file is, its size, orientation and scale, or why there is no scale."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from fiducial.tools.frames import Floats
from fiducial.tools.hooks import tool
from fiducial.tools.record import BoxXYXY, Plane, Scale

Vector = tuple[float, float, float]


class ImageInfoResult(BaseModel):
    """Result of ``image_info``."""

    model_config = ConfigDict(extra="forbid")

    path: str = Field(description="The file, as given")
    sha256: str = Field(description="Hash of the file's bytes")
    format: str = Field(description="What the file is, by its content")
    modality: str | None = Field(description="DICOM modality (CT, MR, US, CR, …); null for other files")
    width_px: int = Field(description="Columns of the stored pixels; all coordinates are stored pixels")
    height_px: int = Field(description="Rows of the stored pixels")
    display_width_px: int = Field(description="Width as displayed, after the turn that the file asks for")
    display_height_px: int = Field(description="Height as displayed")
    orientation: str = Field(description="The turn from stored to displayed pixels")
    scale: Scale | None = Field(
        description="Distance of neighbouring rows and columns in mm, and where it is known from"
    )
    scale_refused: str | None = Field(description="Why there is no scale")
    scale_box_xyxy_px: BoxXYXY | None = Field(description="The scale holds only inside this box; null for everywhere")
    values_unit: str | None = Field(description="Unit of the stored values (HU for CT); null for colour")
    plane: Plane | None = Field(description="The anatomical plane nearest to the slice; null where that is unknown")
    slice_count: int = Field(description="Number of frames, pages or slices along the chosen plane")
    slice_index: int = Field(description="Which of them this is, from 0")
    frame: int | None = Field(
        description="Which frame, page or volume of a fourth axis this is, from 0; null where the frames are one volume"
    )
    frame_count: int = Field(description="How many frames, pages or volumes of a fourth axis the file holds")
    has_world: bool = Field(description="Whether the file gives a position in the patient (mm, LPS)")
    origin_mm: Vector | None = Field(description="World position (x, y, z; mm, LPS) of the corner of the first pixel")
    step_x_mm: Vector | None = Field(description="The way in the world of one stored pixel to the right")
    step_y_mm: Vector | None = Field(description="The way in the world of one stored pixel down")
    slice_step_mm: Vector | None = Field(description="The way in the world to the next slice")
    notes: list[str] = Field(description="What else was found that a reader should know")


@tool
def image_info(
    path: Annotated[
        str, Field(description="Path of an image file (PNG, JPEG, TIFF, DICOM, NIfTI, NRRD) or series folder")
    ],
    scale: Annotated[
        str | None,
        Field(description="Scale to use instead of the file's own, such as \"0.1 mm/px\"; null for the file's"),
    ] = None,
    frame: Annotated[
        int | None,
        Field(ge=0, description="Which frame as stored, page or volume of a fourth axis, from 0; null for the first"),
    ] = None,
    plane: Annotated[
        Plane | None, Field(description="Which plane of a volume to cut; null for the plane of its acquisition")
    ] = None,
    slice_index: Annotated[
        int | None, Field(ge=0, description="Which slice of a volume, from 0; null for the middle one")
    ] = None,
) -> ImageInfoResult:
    """Tell what an image file is: format, size, orientation, physical scale and its source, or why it has no scale."""
    from fiducial.tools.images.open_image import open_image
    from fiducial.tools.scale import parse_scale

    image = open_image(
        path, parse_scale(scale) if scale is not None else None, frame=frame, plane=plane, index=slice_index
    )
    (height, width), world = image.rgb_u8.shape[:2], image.stored_to_world
    return ImageInfoResult(
        **image.info.model_dump(include=set(ImageInfoResult.model_fields) - {"orientation"}),
        format=image.format,
        modality=image.modality,
        display_width_px=width,
        display_height_px=height,
        orientation=image.orientation,
        values_unit=image.values_unit,
        plane=image.plane,
        slice_count=image.slice_count,
        slice_index=image.slice_index,
        frame=image.frame,
        frame_count=image.frame_count,
        has_world=world is not None,
        origin_mm=_vector(None if world is None else world.origin_mm),
        step_x_mm=_vector(None if world is None else world.step_x_mm),
        step_y_mm=_vector(None if world is None else world.step_y_mm),
        slice_step_mm=_vector(image.slice_step_mm),
        notes=list(image.notes),
    )


def _vector(xyz: Floats | None) -> Vector | None:
    return None if xyz is None else (float(xyz[0]), float(xyz[1]), float(xyz[2]))
