"""The outline that is measured: a cell's box refined to a polygon, the head's ellipse refined to its edge."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from fiducial.agent.run import Run, StepFailedError
from fiducial.tools.record import Region
from fiducial.tools.structures import structures

if TYPE_CHECKING:
    from fiducial.tools.segment.segment_in_box import Segment


def outline(run: Run, region: Region) -> Region:
    """The region to measure: a refined outline entered as a part of ``region``, or the region itself.

    The region as found stays what the answer rests on; its outline names it as its parent. An outline that bled out of
    its box is entered as rejected, and is not to be measured.
    """
    try:
        refined, clear = _refined(run, region)
    except StepFailedError as error:
        run.check("outline_refined", "warn", f"{region.id} is measured as found: {error}")
        return region
    if not clear:
        run.check("outline_refined", "warn", f"{region.id} is measured as found: no clear edge")
    return run.add_regions([refined])[0] if refined else region


def _held_to_box(run: Run, region: Region, segment: Segment) -> Region:
    """The outline as a region, rejected where it strayed from the box that it was found in."""
    found = segment.region(region)
    if segment.held:
        run.check(
            "outline_in_box", "warn", f"{region.id}: its outline bled out of its box, and was drawn within it anew"
        )
    if not segment.strayed:
        return found
    out = f"leaves its box by {segment.beyond:.0%} of the side, and only {segment.clear:.0%} of its edge is clear"
    run.check("outline_in_box", "fail", f"{region.id}: its outline {out}; it is not measured")
    run.downgrade("outline_left_box", f"{region.id} is not measured, for its outline {out}")
    return found.model_copy(update={"status": "rejected", "rejected_by": "outline_in_box"})


def _refined(run: Run, region: Region) -> tuple[Region | None, bool]:
    """A finer outline of a region, None where its kind has none, and whether there was a clear edge to refine it to."""
    rgb_u8 = run.context.image.stored_rgb_u8
    if region.box_xyxy_px is not None and region.label not in structures():
        run.check("outline_refined", "warn", f"{region.id} is measured as the box it is: its kind of edge is not known")
        return None, True
    if region.box_xyxy_px is not None:
        from fiducial.tools.segment.segment_in_box import segment_in_box

        cut = partial(segment_in_box, rgb_u8, region.box_xyxy_px, region.label)
        segment = run.call("segment_in_box", "tool", cut)
        if segment and segment.doubtful:
            seen = f"only {segment.clear:.0%} of its edge is clear, and its size rests on that"
            run.check("outline_refined", "warn", f"{region.id}: {seen}")
        return (_held_to_box(run, region, segment), True) if segment else (None, False)
    if region.ellipse_px is not None:
        from fiducial.tools.segment.refine_ellipse import refine_ellipse

        refined = run.call("refine_ellipse", "tool", partial(refine_ellipse, rgb_u8, region.ellipse_px))
        update: dict[str, Any] = {"id": f"{region.id}.outline", "parent_id": region.id, "skill": "refine_ellipse"}
        update |= {"ellipse_px": refined.ellipse_px, "sigma_px": refined.sigma_px}
        return region.model_copy(update=update), not refined.refused
    return None, True
