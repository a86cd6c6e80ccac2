"""``fiducial phantom``: synthetic images with exact truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fiducial.agent.commands.terminal import command_group
from fiducial.tools.errors import InputError
from fiducial.tools.phantoms import SCENES

phantom_app = command_group("Synthetic images with exact truth.")


@phantom_app.command("make")
def phantom_make(
    scene: Annotated[str, typer.Argument(help=f"What to draw: {', '.join(SCENES)}.")],
    seed: Annotated[int, typer.Option(min=0, help="The seed of the first.")] = 0,
    out: Annotated[Path, typer.Option(help="The folder to write to.")] = Path(),
    count: Annotated[int, typer.Option(min=1, help="How many, with successive seeds.")] = 1,
) -> None:
    """Draw a scene: an image or volume with its scale in the file, and its truth as JSON. Prints both paths."""
    if scene not in SCENES:
        raise InputError(f"unknown scene '{scene}'; there is: {', '.join(sorted(SCENES))}")
    from fiducial.tools.phantoms.files import write_scene

    for number in range(seed, seed + count):
        for path in write_scene(SCENES[scene](number), out):
            print(path)


@phantom_app.command("sheet")
def phantom_sheet(
    file: Annotated[Path, typer.Argument(help="The PNG to write.")],
    seed: Annotated[int, typer.Option(min=0, help="The seed of every scene.")] = 0,
) -> None:
    """Draw every scene, small, side by side in one PNG. Prints its path."""
    from fiducial.tools.phantoms.sheet import write_sheet

    print(write_sheet(file, seed))
