"""The parity check of a dialect that names proposals: what it cannot name, it cannot be taught."""

from __future__ import annotations

from collections.abc import Sequence

from fiducial.skills.training.embedded.examples import Encoded


def proposal_parity(images: Sequence[Encoded]) -> dict[str, float]:
    """Of each structure, for a manifest: how many targets, the share with a proposal, and the mean IoU of those.

    A target has a proposal where one overlaps it with an IoU of at least ``examples.MATCH_IOU``, one to one.
    """
    found: dict[str, float] = {}
    for label in sorted({label for image in images for label, count in image.counts.items() if count}):
        targets = sum(image.counts.get(label, 0) for image in images)
        ious = [iou for image in images for iou in image.ious.get(label, ())]
        named = sum(len(image.slots.get(label, ())) for image in images)
        found |= {f"parity.{label}.targets": targets, f"parity.{label}.share_with_proposal": named / targets}
        if ious:
            found[f"parity.{label}.mean_iou"] = sum(ious) / len(ious)
    return {name: round(value, 6) for name, value in found.items()}
