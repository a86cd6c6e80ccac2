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
    raise NotImplementedError
