"""The tool ``segment_promptable``: a mask of what lies in a box or at points, by a SAM or MedSAM that the user has."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from fiducial.tools.errors import InputError
from fiducial.tools.geometry.arguments import PX, Result
from fiducial.tools.hooks import tool
from fiducial.tools.record import BoxXYXY, Plane, PointXY, Region, Scale


class Segmented(Result):
    """Result of ``segment_promptable``."""

    region: Region = Field(
        description="Smooth outline of the mask's largest part, for measure_region",
        json_schema_extra={"unit": "px; score 1"},
    )
    mask_box_xyxy_px: BoxXYXY = Field(description="Box of the whole mask, half-open", json_schema_extra=PX)
    mask_area_px: int = Field(description="Number of the whole mask's pixels, parts and holes as they are")
    scale: Scale | None = Field(
        description="The image's scale, for measure_region; null where it has none", json_schema_extra={"unit": "mm"}
    )


@tool
def segment_promptable(
    path: Annotated[str, Field(description="Path of an image file or series folder")],
    weights: Annotated[str, Field(description="Folder with the config.json and model.safetensors of SAM or MedSAM")],
    box_xyxy_px: Annotated[
        BoxXYXY | None, Field(description="Box around it, stored pixels; null where points tell", json_schema_extra=PX)
    ] = None,
    points_xy_px: Annotated[
        tuple[PointXY, ...], Field(description="Points that all lie on it, stored pixels", json_schema_extra=PX)
    ] = (),
    label: Annotated[str, Field(min_length=1, description="What it is, for the region's label")] = "segment",
    plane: Annotated[
        Plane | None, Field(description="Which plane of a volume to cut; null for the plane of its acquisition")
    ] = None,
    slice_index: Annotated[
        int | None, Field(ge=0, description="Which slice of a volume, from 0; null for the middle one")
    ] = None,
) -> Segmented:
    """Outline what lies in a box or at points with SAM or MedSAM, from a folder of weights; nothing is downloaded."""
    from fiducial.skills.segmenters.sam import load_sam
    from fiducial.tools.geometry.masks import mask_box, smooth_outline
    from fiducial.tools.images.open_image import open_image

    image = open_image(path, plane=plane, index=slice_index)
    found = load_sam(Path(weights)).segment(image.stored_rgb_u8, box_xyxy_px, points_xy_px)
    outline, box = smooth_outline(found.mask), mask_box(found.mask)
    if outline is None or box is None:
        raise InputError("the segmenter finds nothing at this prompt; give a box that fits the object, or points on it")
    region = Region(
        id="R1",
        label=label,
        kind="polygon",
        polygon_xy_px=tuple((float(x), float(y)) for x, y in outline),
        score=max(0.0, found.score),
        skill="segment_promptable",
    )
    return Segmented(region=region, mask_box_xyxy_px=box, mask_area_px=int(found.mask.sum()), scale=image.info.scale)
