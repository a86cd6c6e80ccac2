"""Where the claims of an explanation contradict the record, also while it is still being written.

It is strict: a number that stands for nothing in the record is a contradiction. An omission is none.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import get_args

from fiducial.tools.claims import Claim, ClaimKind, claims
from fiducial.tools.hooks import CheckOutcome, CheckSpec
from fiducial.tools.positions import PLACE_WORDS, half_shares, is_spread, place_of
from fiducial.tools.record import Answer, Check, Intent, Record, Region
from fiducial.tools.structures import DOMAIN_NAMES, members, structures


@dataclass(frozen=True)
class Truth:
    """What a record says that an explanation may be about.

    found: its regions, also rejected ones; asked: the elementary structures that the question is about.
    """

    answer: Answer | None
    found: tuple[Region, ...]
    asked: frozenset[str]
    width_px: int
    height_px: int
    orientation: int = 1

    @classmethod
    def of_record(cls, record: Record) -> Truth:
        """The truth of a whole record."""
        intent = record.understanding.intent if record.understanding else None
        image = record.image
        shown = image.width_px, image.height_px, image.orientation
        return cls.of_parts(intent, record.answer, record.regions, *shown)

    @classmethod
    def of_parts(
        cls,
        intent: Intent | None,
        answer: Answer | None,
        regions: Sequence[Region],
        width_px: int,
        height_px: int,
        orientation: int = 1,
    ) -> Truth:
        """The truth of what a record holds before it is explained."""
        asked = {m for key in (intent.structure, intent.other_structure) if key for m in members(key)} if intent else ()
        labels = {r.label for r in regions if r.status == "accepted" and r.label in structures()}
        return cls(answer, tuple(regions), frozenset(asked or labels), width_px, height_px, orientation)

    @property
    def shown(self) -> tuple[int, int, int]:
        """What words for places depend on: width, height, orientation."""
        return self.width_px, self.height_px, self.orientation

    @cached_property
    def regions(self) -> dict[str, Region]:
        """The accepted regions by id."""
        return {r.id: r for r in self.found if r.status == "accepted"}

    def of(self, key: str | None) -> list[Region]:
        """Accepted regions of a structure (of any: None or ``region``) that are not parts of another."""
        labels = set(members(key)) if key in structures() else None
        return [r for r in self.regions.values() if r.parent_id is None and (labels is None or r.label in labels)]

    def known_numbers(self) -> set[int]:
        """The numbers that a text may give without saying of what."""
        value = self.answer.value if self.answer else None
        keys = [key for key in structures() if self.asked & set(members(key))]
        numbers = {len(self.of(None)), *(len(self.of(key)) for key in keys)}
        return numbers | ({value} if isinstance(value, int) and not isinstance(value, bool) else set())


def contradictions(text: str, truth: Truth, kinds: Container[ClaimKind] = get_args(ClaimKind)) -> list[str]:
    """Each claim of the text (of these kinds) that the truth does not bear out, in words; empty if the two agree."""
    problems = (_problem(claim, truth) for claim in claims(text) if claim.kind in kinds)
    return list(dict.fromkeys(problem for problem in problems if problem))


# What a text that is not at its end may be held to; of a list of ids, say, the rest is still to come.
SETTLED_AT_ONCE: frozenset[ClaimKind] = frozenset({"number", "count", "region", "label", "place", "distribution"})


def may_go_on(text: str, truth: Truth) -> bool:
    """Whether a text that is being written contradicts nothing so far."""
    ending = text.rsplit(maxsplit=1)[-1:]
    tails = ("left", "right", "half") if ending and ending[0].lower() in ("upper", "lower") else ("",)
    return any(not contradictions(f"{text} {tail}", truth, SETTLED_AT_ONCE) for tail in tails)


def _problem(claim: Claim, truth: Truth) -> str | None:
    return _READERS.get(claim.kind, _structure_problem)(claim, truth)


def _number_problem(claim: Claim, truth: Truth) -> str | None:
    known = truth.known_numbers()
    return None if claim.value in known else f"says {claim.value}; the record has {', '.join(map(str, sorted(known)))}"


def _structure_problem(claim: Claim, truth: Truth) -> str | None:
    """Counts, listings of ids, presence and absence of a structure (or of regions in general)."""
    subject, found = claim.subject, len(truth.of(claim.subject))
    name = structures()[subject].plural if subject in structures() else "regions"
    if subject in structures() and not truth.asked & set(members(str(subject))):
        return f"speaks of {name}, which the record is not about"
    if claim.kind in ("count", "listed"):
        return None if claim.value == found else f"gives {claim.value} {name}; the record has {found}"
    claimed, answer = claim.kind == "presence", truth.answer
    if not claimed and not found and answer is not None and answer.value is True:
        return f"says that there are no {name}; the answer is yes"
    said = f"says that there are {'' if claimed else 'no '}{name}"
    return None if claimed == bool(found) else f"{said}; the record has {found}"


def _region_problem(claim: Claim, truth: Truth) -> str | None:
    region = truth.regions.get(str(claim.subject))
    if region is None:
        rejected = any(r.id == claim.subject for r in truth.found)
        return f"cites {claim.subject}, which {'was rejected' if rejected else 'the record does not have'}"
    if claim.kind == "label":
        own = next((r.label for r in truth.found if r.id == region.parent_id), region.label)
        if not {region.label, own} & set(members(str(claim.value))):
            return (
                f"calls {region.id} a {structures()[str(claim.value)].name}; it is a {region.label.replace('_', ' ')}"
            )
    if claim.kind == "place":
        place = place_of(region, *truth.shown)
        if claim.value in PLACE_WORDS and claim.value != place:
            return f"places {region.id} at the {claim.value}; it is at the {place}"
    return None


def _distribution_problem(claim: Claim, truth: Truth) -> str | None:
    regions = truth.of(claim.subject)
    if claim.value == "spread":
        return None if is_spread(regions, *truth.shown) else "calls the regions spread; they are not"
    half = {"top": "upper", "bottom": "lower"}.get(word := str(claim.value).removeprefix("most "), word)
    share = half_shares(regions, *truth.shown).get(half, 0.0)
    return None if share > 0.5 else f"says that most are in the {half} half; {share:.0%} are"


def _kind_problem(claim: Claim, truth: Truth) -> str | None:
    answer = truth.answer
    domains = {structures()[key].domain for key in truth.asked}
    own = {str(answer.value)} if answer is not None and answer.scope == "image" else domains
    holds = claim.value in own
    if holds == (claim.kind == "image_kind"):
        return None
    said = "calls the image" if claim.kind == "image_kind" else "says that the image is not"
    return f"{said} a {DOMAIN_NAMES[str(claim.value)]}, against the record"


_READERS: dict[str, Callable[[Claim, Truth], str | None]] = {
    **dict.fromkeys(("region", "label", "place"), _region_problem),
    **dict.fromkeys(("image_kind", "not_kind"), _kind_problem),
    "number": _number_problem,
    "distribution": _distribution_problem,
}


def explanation_agrees(record: Record) -> CheckOutcome | None:
    """Every claim of the explanation (numbers, regions, kinds, positions, absence) agrees with the record."""
    if record.explanation is None:
        return None
    problems = contradictions(record.explanation.text, Truth.of_record(record))
    detail = "; ".join(problems) if problems else f"{len(claims(record.explanation.text))} claims agree with the record"
    return CheckOutcome(Check(name="explanation_agrees", outcome="fail" if problems else "pass", detail=detail))


CHECKS = [CheckSpec("explanation_agrees", str(explanation_agrees.__doc__), "explain", explanation_agrees)]
