"""The built-ins of this room, registered through the same hooks as an outside plugin."""

from __future__ import annotations

from fiducial.tools.hooks import CheckSpec, ToolSpec, hookimpl


@hookimpl
def fiducial_tools() -> list[ToolSpec]:
    """The tools of this room."""
    from fiducial.tools.geometry.landmark_tools import TOOLS as landmark_tools
    from fiducial.tools.geometry.tools import TOOLS as geometry_tools
    from fiducial.tools.images.info import image_info

    return [image_info, *geometry_tools, *landmark_tools]


@hookimpl
def fiducial_checks() -> list[CheckSpec]:
    """The checks of this room, in the order in which they run within their stage."""
    from fiducial.tools.checks import claims, coordinates, duplicates, landmarks, relations, sizes
    from fiducial.tools.contradictions import CHECKS as EXPLANATION

    of_regions = [*coordinates.CHECKS, *duplicates.CHECKS, *landmarks.CHECKS, *relations.CHECKS]
    return [*of_regions, *claims.CHECKS, *EXPLANATION, *sizes.CHECKS]
