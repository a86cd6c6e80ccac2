"""The landmarks that the built-in skills know: the ends of a head's two axes."""

from __future__ import annotations

from fiducial.tools.record import Ellipse, Region

HEAD_LANDMARKS = ("occipitofrontal end 1", "occipitofrontal end 2", "biparietal end 1", "biparietal end 2")


def regions_of_head(ellipse: Ellipse, score: float, taken: int = 0, sigma_px: float | None = None) -> list[Region]:
    """The head's ellipse as region R(taken + 1), and the ends of its axes as landmarks that name it as parent."""
    head = Region(
        id=f"R{taken + 1}",
        label="head",
        kind="ellipse",
        ellipse_px=ellipse,
        score=score,
        sigma_px=sigma_px,
        skill="landmark",
    )
    ends = [
        Region(
            id=f"R{taken + 2 + k}",
            label=name,
            kind="landmark",
            point_xy_px=point,
            score=score,
            sigma_px=sigma_px,
            skill="landmark",
            parent_id=head.id,
        )
        for k, (name, point) in enumerate(zip(HEAD_LANDMARKS, ellipse.vertices_xy_px, strict=True))
    ]
    return [head, *ends]
