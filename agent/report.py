"""Holding a report against what is found: counts, presences, absences and sizes of the structures that are known."""

from __future__ import annotations

import re
from functools import partial

from fiducial.agent.free import look_for
from fiducial.agent.run import Run, StepFailedError
from fiducial.tools.checks.sizes import STATED, UNITS
from fiducial.tools.claims import ClaimKind, claims
from fiducial.tools.contradictions import Truth, contradictions
from fiducial.tools.errors import InputError
from fiducial.tools.record import Region
from fiducial.tools.structures import members, structures

HELD: frozenset[ClaimKind] = frozenset({"count", "presence", "absence"})
SENTENCE = re.compile(r"(?<=[.!?。！？])\s*(?!\d)")


def ground_report(run: Run) -> str:
    """Look for every known structure that the report speaks of, and hold its sentences to what is found."""
    text = run.answer.text
    spoken_of = _spoken_of(text)
    if not spoken_of:
        run.check("report_agrees", "warn", "the report speaks of no structure that could be looked for")
        return "explain"
    look_for(run, *spoken_of)
    image = run.record.image
    truth = Truth(None, run.record.regions, frozenset(spoken_of), image.width_px, image.height_px, image.orientation)
    problems = [*contradictions(text, truth, HELD), *_sizes(run, text)]
    if problems:
        run.check("report_agrees", "fail", "; ".join(problems))
        run.downgrade("report_contradicted", "; ".join(problems))
    else:
        held = sum(claim.kind in HELD for claim in claims(text))
        run.check("report_agrees", "pass", f"{held} statements about known structures agree with what was found")
    return "explain"


def _spoken_of(text: str) -> list[str]:
    """The elementary structures that a text makes statements about, each once."""
    named = [str(claim.subject) for claim in claims(text) if claim.kind in HELD and claim.subject in structures()]
    return list(dict.fromkeys(member for key in named for member in members(key)))


def _sizes(run: Run, text: str) -> list[str]:
    """Lengths that a sentence states of the one structure it speaks of, and that no axis of what was found has."""
    problems = []
    for sentence in SENTENCE.split(text):
        about = _spoken_of(sentence)
        if len(about) != 1 or not (regions := run.found(about[0])):
            continue
        lengths = [length for region in regions for length in _axes_mm(run, region)]
        for match in STATED.finditer(sentence):
            dimension, factor = UNITS[match["unit"]]
            stated = float(match["number"]) * factor
            within = run.policy.size_claim_relative
            if dimension == "mm" and lengths and not any(abs(stated - v) <= within * v for v in lengths):
                measured = ", ".join(f"{v:.3g}" for v in sorted(lengths)[:6])
                problems.append(f"states {match[0]} of {structures()[about[0]].plural}; measured are {measured} mm")
    return problems


def _axes_mm(run: Run, region: Region) -> list[float]:
    from fiducial.tools.measure import measure

    scale = run.record.image.scale
    if scale is None or scale.source == "detector":
        return []
    try:
        axes = [run.call("measure", "tool", partial(measure, region, q, scale)) for q in ("long_axis", "short_axis")]
    except (InputError, StepFailedError):
        return []
    return [m.value for m in axes]
