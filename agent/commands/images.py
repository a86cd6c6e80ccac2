"""``fiducial image``: what an image file is."""

from __future__ import annotations

from typing import Annotated

import typer

from fiducial.agent.commands.terminal import (
    AsJson,
    Frame,
    Plane,
    Scale,
    Slice,
    command_group,
    json_text,
    require_text,
    stdout_for_results,
)

image_app = command_group("Image files.")


@image_app.command("info")
def image_info(
    file: Annotated[str, typer.Argument(help="An image file, or a folder with a DICOM series.")],
    scale: Scale = None,
    plane: Plane = None,
    index: Slice = None,
    frame: Frame = None,
    as_json: AsJson = False,
) -> None:
    """Tell what a file is: format, size, orientation, scale and where that is known from."""
    from fiducial.tools.hooks import registry

    require_text(file, "the image's path")
    with stdout_for_results():
        arguments = {"path": file, "scale": scale, "plane": plane, "slice_index": index, "frame": frame}
        result = registry().get("tools", "image_info").call(arguments)
    if as_json:
        print(result.model_dump_json())
        return
    for name, value in result.model_dump(mode="json", exclude_none=True).items():
        print(f"{name}: {value if isinstance(value, str) else json_text(value)}")
