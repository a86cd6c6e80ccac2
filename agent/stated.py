"""Numbers that a model states by itself: asked for, held against the geometry, and never passed on as a measurement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from fiducial.agent import phrases
from fiducial.agent.run import Run, StepFailedError
from fiducial.agent.state import Stated
from fiducial.skills.base import SizeArgs, SizeResult
from fiducial.tools.errors import InputError
from fiducial.tools.record import Measurement, Quantity

# Of a stated unit and a measured one: how many of the measured make one of the stated.
FACTORS = {
    ("mm", "mm"): 1.0, ("cm", "mm"): 10.0, ("mm", "µm"): 1000.0, ("cm", "µm"): 10_000.0, ("px", "px"): 1.0,
    ("mm", "mm at the detector"): 1.0, ("cm", "mm at the detector"): 10.0, ("deg", "°"): 1.0, ("1", "1"): 1.0,
    ("mm²", "mm²"): 1.0, ("px²", "px²"): 1.0, ("mm²", "µm²"): 1e6,
}  # fmt: skip


def stated(
    run: Run,
    structure: str,
    quantities: Sequence[Quantity],
    of: Literal["size", "distance", "angle"] = "size",
    landmarks: Sequence[str] = (),
) -> list[Stated]:
    """What the model says that these are; empty where it does not say, which a check then tells."""
    if "size" not in run.context.skills:
        return []
    unit: Literal["mm", "px", "deg", "1"] = "mm" if run.record.image.scale else "px"
    if of == "angle":
        unit = "deg"
    elif quantities[0] in ("cardiothoracic_ratio", "cephalic_index"):
        unit = "1"
    args = SizeArgs(
        structure=structure,
        of=of,
        quantities=[phrases.quantity(q, run.language) for q in quantities],
        unit=unit,
        landmarks=list(landmarks),
        language=run.language,
    )
    try:
        result: SizeResult = run.skill("size", args)
    except (InputError, StepFailedError) as error:
        run.check("size_claim", "warn", f"the model could not be asked for a number of its own: {error}")
        return []
    if not result.parsed:
        run.check("size_claim", "warn", "no number could be read from what the model states")
        return []
    return [Stated(name=q, value=n.value, unit=n.unit) for q, n in zip(quantities, result.numbers, strict=False)]


def hold(run: Run, numbers: Sequence[Stated], measured: Sequence[Measurement]) -> None:
    """Compare each stated number with the measurements of its quantity: the geometry stands, the claim is told."""
    for number in numbers:
        own = [m for m in measured if m.quantity == number.name]
        factor = next((f for m in own if (f := FACTORS.get((number.unit, m.unit)))), None)
        name, said = phrases.quantity(number.name), f"{number.value:g} {number.unit}".removesuffix(" 1")  # type: ignore[arg-type]
        if not own or factor is None:
            run.check("size_claim", "warn", f"{name}: {said} is stated, and nothing was measured to compare it with")
            continue
        value, nearest = number.value * factor, min(own, key=lambda m: abs(m.value - number.value * factor))
        relative = run.policy.size_claim_relative * abs(nearest.value)
        allowed = max(2 * nearest.uncertainty, run.policy.angle_claim_deg if nearest.unit == "°" else relative)
        near = abs(value - nearest.value) <= allowed
        detail = f"{name}: {said} is stated, {phrases.with_unit(nearest)} is measured"
        run.check("size_claim", "pass" if near else "fail", detail)
        if not near:
            run.downgrade("size_claim_contradicted", f"{detail}; the answer is the measurement")
