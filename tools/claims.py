"""What an explanation claims, read from its text, and where that contradicts the record.

A small reader of plain English, not a parser: numbers (also in words), region ids and ranges of ids, structures,
positions of ids, what most of them do, absence, the kind of the image. It is strict: a number that stands for nothing
in the record is a contradiction. An omission is none.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Literal

from fiducial.tools.hooks import CheckOutcome, CheckSpec
from fiducial.tools.positions import PLACE_WORDS, half_shares, is_spread, place_of
from fiducial.tools.record import Check, Record, Region
from fiducial.tools.structures import DOMAIN_NAMES, members, structures

NUMBER_WORDS = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
]
PLACE_PHRASES = {
    "upper left": ("in the upper left", "in the upper left part", "at the upper left"),
    "top": ("at the top", "near the top"),
    "upper right": ("in the upper right", "in the upper right part", "at the upper right"),
    "left": ("on the left", "at the left"),
    "centre": ("in the centre", "near the centre"),
    "right": ("on the right", "at the right"),
    "lower left": ("in the lower left", "in the lower left part", "at the lower left"),
    "bottom": ("at the bottom", "near the bottom"),
    "lower right": ("in the lower right", "in the lower right part", "at the lower right"),
}
_SYNONYMS = {
    "red_cell": ("red cell", "erythrocyte"),
    "white_cell": ("white cell", "leukocyte", "leucocyte"),
    "platelet": ("thrombocyte",),
    "blood_cell": ("cell",),
    "head": ("foetal head", "head", "skull"),
}
_KINDS = {
    "head_ultrasound": ("fetal head ultrasound", "head ultrasound", "ultrasound", "sonogram"),
    "blood_smear": ("blood smear", "blood film", "micrograph", "smear"),
}
_ADJECTIVES = "separate individual marked visible single different other"
_LONGEST_RANGE = 500

ClaimKind = Literal[
    "count",
    "number",
    "region",
    "label",
    "place",
    "distribution",
    "presence",
    "absence",
    "listed",
    "image_kind",
    "not_kind",
]


@dataclass(frozen=True)
class Claim:
    """One claim. subject: a structure, a region id, or ``region`` for regions in general; value: what is said of it."""

    kind: ClaimKind
    subject: str | None = None
    value: int | str | None = None


@dataclass(frozen=True)
class _Event:
    """Something of note in a sentence: its type, value, and the text since the event before it."""

    type: str
    value: str
    gap: str


@cache
def _reader() -> tuple[re.Pattern[str], dict[str, str]]:
    """The pattern of everything of note, and the structure of each name."""
    named: dict[str, str] = {}
    for key, entry in structures().items():
        for name in (entry.name, entry.plural, *_SYNONYMS.get(key, ())):
            named[name] = key
            named[name if name.endswith("s") else name + "s"] = key
    for domain, names in _KINDS.items():
        named |= dict.fromkeys(names, domain)
    kinds = [name for names in _KINDS.values() for name in names]
    types = {
        "range": r"R\d+\s*(?:to|through|-|–|—)\s*R\d+",
        "id": r"R\d+",
        "kind": _any(kinds),
        "structure": _any([name for name in named if name not in kinds]),
        "regions": r"regions?",
        "half": r"(?:left|right|upper|lower|top|bottom) half",
        "place": r"(?:upper|lower|top|bottom)[ -](?:left|right)|top|bottom|left|right|centre|center|middle",
        "most": r"most|majority|mostly|mainly",
        "spread": r"spread|scattered|distributed",
        "negation": r"no|none|nothing|neither|nor|not|never|without|absent",
        "partly": r"first|last|among|such as|example|with gaps",
        "number": rf"\d+|both|{'|'.join(NUMBER_WORDS)}",
    }
    pattern = "|".join(rf"(?P<{name}>\b(?:{expression})\b)" for name, expression in types.items())
    return re.compile(pattern, re.IGNORECASE), named


def _any(names: list[str]) -> str:
    return "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))


def _events(sentence: str) -> list[_Event]:
    events, end = [], 0
    for match in _reader()[0].finditer(sentence):
        events.append(_Event(str(match.lastgroup), match.group().lower(), sentence[end : match.start()].lower()))
        end = match.end()
    return events


def _integer(text: str) -> int:
    if text == "both":
        return 2
    return NUMBER_WORDS.index(text) if text in NUMBER_WORDS else int(text)


def _ids(text: str) -> list[str]:
    """The ids of an id or a range of them."""
    ends = [int(digits) for digits in re.findall(r"\d+", text)]
    if len(ends) == 2 and 0 <= ends[1] - ends[0] <= _LONGEST_RANGE:
        return [f"R{i}" for i in range(ends[0], ends[1] + 1)]
    return [f"R{i}" for i in ends]


def _place(text: str) -> str:
    """The place word of the table that a place or half in a text means."""
    words = text.replace("-", " ").replace("center", "centre").replace("middle", "centre")
    if " " in words:
        words = words.replace("top", "upper").replace("bottom", "lower")
    return words


class _Sentence:
    """Reads one sentence's events in order. subject: the structure spoken of last, also in a sentence before."""

    def __init__(self, events: list[_Event], subject: str | None) -> None:
        self.events, self.subject = events, subject
        self.out: list[Claim] = []
        types = [e.type for e in events]
        self.negated = any(e.value in ("none", "nothing", "neither", "absent", "not") for e in events)
        named = [i for i, t in enumerate(types) if t == "structure"]
        cited = [i for i, t in enumerate(types) if t in ("id", "range")]
        self.forward = bool(named and cited and cited[0] < named[0])  # "R1 is a platelet", not "one platelet, R1"
        self.partly = "partly" in types
        self.pending: list[str] = []
        self.closed, self.most, self.waiting = False, False, ""
        self.current: str | None = None
        self.attached: dict[str, set[str]] = {}
        self.counted: set[str] = set()
        self.ranged: set[str] = set()

    def read(self) -> list[Claim]:
        for i, event in enumerate(self.events):
            before = self.events[i - 1] if i else None
            match event.type:
                case "id" | "range":
                    self._cite(event)
                case "structure" | "regions":
                    self._name(i)
                case "kind":
                    denied = self.negated or (before is not None and before.type == "negation")
                    self.out.append(Claim("not_kind" if denied else "image_kind", None, _reader()[1][event.value]))
                case "place" | "half":
                    self._locate(event)
                case "most":
                    self.most = True
                case "spread":
                    self.out.append(Claim("distribution", self.current or self.subject, "spread"))
                case "number":
                    self._count(i)
        self._close()
        return self.out

    def _cite(self, event: _Event) -> None:
        ids = _ids(event.value)
        self.out += [Claim("region", name) for name in ids]
        self.pending = ids if self.closed or set(":;") & set(event.gap) else self.pending + ids
        self.closed, self.most = False, False
        if self.waiting:
            self.out += [Claim("place", name, self.waiting) for name in ids]
            self.waiting = ""
        if self.current and not self.forward:
            self.out += [Claim("label", name, self.current) for name in ids]
            self.attached.setdefault(self.current, set()).update(ids)
            if event.type == "range":
                self.ranged.add(self.current)

    def _name(self, i: int) -> None:
        event, before = self.events[i], self.events[i - 1] if i else None
        key = "region" if event.type == "regions" else _reader()[1][event.value]
        denied = before is not None and before.type == "negation" and len(event.gap.split()) <= 1
        if denied or self.negated:
            self.out.append(Claim("absence", key))
            return
        if key == "region":
            return
        self.out.append(Claim("presence", key))
        if self.forward and self.current is None:
            self.out += [Claim("label", name, key) for name in self.pending]
        self.current = self.subject = key

    def _locate(self, event: _Event) -> None:
        place = _place(event.value)
        if self.most or event.type == "half":
            self.out.append(Claim("distribution", self.current or self.subject, f"most {place.split()[0]}"))
            self.most = False
        elif self.pending:
            self.out += [Claim("place", name, place) for name in self.pending]
            self.closed = True
        else:
            self.waiting = place

    def _count(self, i: int) -> None:
        event = self.events[i]
        after = self.events[i + 1] if i + 1 < len(self.events) else None
        if after is not None and after.type in ("structure", "regions") and _adjacent(after.gap):
            key = "region" if after.type == "regions" else _reader()[1][after.value]
            self.out.append(Claim("count", key, _integer(event.value)))
            self.counted.add(key)
        elif event.value != "one":
            self.out.append(Claim("number", None, _integer(event.value)))

    def _close(self) -> None:
        """A structure that was counted or given a range, with ids in the same sentence, has those ids and no others."""
        if not self.partly:
            for key in (self.counted | self.ranged) & self.attached.keys():
                self.out.append(Claim("listed", key, len(self.attached[key])))


def _adjacent(gap: str) -> bool:
    """Whether a number belongs to the noun behind this gap."""
    return all(word in _ADJECTIVES.split() for word in gap.split())


def claims(text: str) -> tuple[Claim, ...]:
    """Every claim of a text, in order."""
    out: list[Claim] = []
    subject: str | None = None
    for sentence in re.split(r"[.!?]+(?:\s|$)", text):
        reading = _Sentence(_events(sentence), subject)
        out += reading.read()
        subject = reading.subject
    return tuple(out)


@dataclass(frozen=True)
class _Truth:
    """What the record says that an explanation may be about."""

    record: Record
    regions: dict[str, Region]
    asked: frozenset[str]

    def of(self, key: str | None) -> list[Region]:
        """Accepted regions of a structure (of any: None or ``region``) that are not parts of another."""
        labels = set(members(key)) if key in structures() else None
        return [r for r in self.regions.values() if r.parent_id is None and (labels is None or r.label in labels)]

    def known_numbers(self) -> set[int]:
        """The numbers that a text may give without saying of what."""
        value = self.record.answer.value if self.record.answer else None
        keys = [key for key in structures() if self.asked & set(members(key))]
        numbers = {len(self.of(None)), *(len(self.of(key)) for key in keys)}
        return numbers | ({value} if isinstance(value, int) and not isinstance(value, bool) else set())


def contradictions(text: str, record: Record) -> list[str]:
    """Each claim of the text that the record does not bear out, in words; empty if the two agree."""
    intent = record.understanding.intent if record.understanding else None
    asked = {m for key in (intent.structure, intent.other_structure) if key for m in members(key)} if intent else set()
    accepted = {r.id: r for r in record.accepted}
    labels = {r.label for r in accepted.values() if r.label in structures()}
    truth = _Truth(record, accepted, frozenset(asked or labels))
    problems = (_problem(claim, truth) for claim in claims(text))
    return list(dict.fromkeys(problem for problem in problems if problem))


def _problem(claim: Claim, truth: _Truth) -> str | None:
    return _READERS.get(claim.kind, _structure_problem)(claim, truth)


def _number_problem(claim: Claim, truth: _Truth) -> str | None:
    known = truth.known_numbers()
    return None if claim.value in known else f"says {claim.value}; the record has {', '.join(map(str, sorted(known)))}"


def _structure_problem(claim: Claim, truth: _Truth) -> str | None:
    """Counts, listings of ids, presence and absence of a structure (or of regions in general)."""
    subject, found = claim.subject, len(truth.of(claim.subject))
    name = structures()[subject].plural if subject in structures() else "regions"
    if subject in structures() and not truth.asked & set(members(str(subject))):
        return f"speaks of {name}, which the record is not about"
    if claim.kind in ("count", "listed"):
        return None if claim.value == found else f"gives {claim.value} {name}; the record has {found}"
    claimed, answer = claim.kind == "presence", truth.record.answer
    if not claimed and not found and answer is not None and answer.value is True:
        return f"says that there are no {name}; the answer is yes"
    said = f"says that there are {'' if claimed else 'no '}{name}"
    return None if claimed == bool(found) else f"{said}; the record has {found}"


def _region_problem(claim: Claim, truth: _Truth) -> str | None:
    region = truth.regions.get(str(claim.subject))
    if region is None:
        rejected = any(r.id == claim.subject for r in truth.record.regions)
        return f"cites {claim.subject}, which {'was rejected' if rejected else 'the record does not have'}"
    if claim.kind == "label":
        own = next((r.label for r in truth.record.regions if r.id == region.parent_id), region.label)
        if not {region.label, own} & set(members(str(claim.value))):
            return (
                f"calls {region.id} a {structures()[str(claim.value)].name}; it is a {region.label.replace('_', ' ')}"
            )
    if claim.kind == "place":
        place = place_of(region, truth.record.image.width_px, truth.record.image.height_px)
        if claim.value in PLACE_WORDS and claim.value != place:
            return f"places {region.id} at the {claim.value}; it is at the {place}"
    return None


def _distribution_problem(claim: Claim, truth: _Truth) -> str | None:
    regions, image = truth.of(claim.subject), truth.record.image
    if claim.value == "spread":
        return None if is_spread(regions, image.width_px, image.height_px) else "calls the regions spread; they are not"
    half = {"top": "upper", "bottom": "lower"}.get(word := str(claim.value).removeprefix("most "), word)
    share = half_shares(regions, image.width_px, image.height_px).get(half, 0.0)
    return None if share > 0.5 else f"says that most are in the {half} half; {share:.0%} are"


def _kind_problem(claim: Claim, truth: _Truth) -> str | None:
    answer = truth.record.answer
    domains = {structures()[key].domain for key in truth.asked}
    own = {str(answer.value)} if answer is not None and answer.scope == "image" else domains
    holds = claim.value in own
    if holds == (claim.kind == "image_kind"):
        return None
    said = "calls the image" if claim.kind == "image_kind" else "says that the image is not"
    return f"{said} a {DOMAIN_NAMES[str(claim.value)]}, against the record"


_READERS: dict[str, Callable[[Claim, _Truth], str | None]] = {
    **dict.fromkeys(("region", "label", "place"), _region_problem),
    **dict.fromkeys(("image_kind", "not_kind"), _kind_problem),
    "number": _number_problem,
    "distribution": _distribution_problem,
}


def explanation_agrees(record: Record) -> CheckOutcome | None:
    """Every claim of the explanation (numbers, regions, kinds, positions, absence) agrees with the record."""
    if record.explanation is None:
        return None
    problems = contradictions(record.explanation.text, record)
    detail = "; ".join(problems) if problems else f"{len(claims(record.explanation.text))} claims agree with the record"
    return CheckOutcome(Check(name="explanation_agrees", outcome="fail" if problems else "pass", detail=detail))


CHECKS = [CheckSpec("explanation_agrees", str(explanation_agrees.__doc__), "explain", explanation_agrees)]
