"""The outline that is measured: a cell's box refined to a polygon, the head's ellipse refined to its edge."""

from __future__ import annotations

from fiducial.agent.run import Run, StepFailedError
from fiducial.tools.record import Region


def outline(run: Run, region: Region) -> Region:
    """The region to measure: a refined outline entered as a part of ``region``, or the region itself.

    The region as found stays what the answer rests on; its outline names it as its parent.
    """
    try:
        refined = _refined(run, region)
    except StepFailedError as error:
        run.check("outline_refined", "warn", f"{region.id} is measured as found: {error}")
        return region
    if refined is None:
        run.check("outline_refined", "warn", f"{region.id} is measured as found: no clear edge")
        return region
    return run.add_regions([refined])[0]


def _refined(run: Run, region: Region) -> Region | None:
    """A finer outline of a region, or None where its kind has none or the edge is not clear."""
    rgb_u8 = run.context.image.rgb_u8
    if region.box_xyxy_px is not None:

        def segmented() -> Region | None:
            from fiducial.tools.segment.segment_in_box import segment_in_box

            return segment_in_box(rgb_u8, region.box_xyxy_px, region.label)

        return run.call("segment_in_box", "tool", segmented)
    if region.ellipse_px is not None:

        def edged() -> Region | None:
            from fiducial.tools.segment.refine_ellipse import refine_ellipse

            return refine_ellipse(rgb_u8, region.ellipse_px)

        return run.call("refine_ellipse", "tool", edged)
    return None
