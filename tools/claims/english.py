"""What an English text claims.

A small reader of plain sentences, not a parser: numbers (also in words), region ids and ranges of ids, structures,
positions of ids, what most of them do, absence, the kind of the image. A number or a denial that one part of an organ
has ("one opacity in the right lung") is no claim about the whole; that it lies there, after a comma, is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from fiducial.tools.claims.claim import Claim
from fiducial.tools.structures import structures

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
    "nuclei_fluorescence": ("fluorescence micrograph", "fluorescence image"),
    "nuclei_he": ("stained tissue section", "tissue section"),
    "colonoscopy": ("colonoscopy frame", "colonoscopy"),
    "abdomen_ct": ("ct slice of the abdomen", "abdominal ct"),
    "head_mr": ("mr slice of the head", "mr of the head"),
    "cephalogram": ("lateral cephalogram", "cephalogram"),
    "chest_xray": ("frontal chest x-ray", "chest x-ray", "chest film"),
    "radiology": ("radiology image",),
}
_SIDE = "left|right|upper|middle|lower"
_ADJECTIVES = "separate individual marked visible single different other"
_LONGEST_RANGE = 500
_DENIALS = ("none", "nothing", "neither", "absent", "not")  # of a whole clause
_TURN = re.compile(r"\b(?:but|however|whereas|while|although|though|except)\b")


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
        "part": rf"(?:(?:in|within|of) the )?(?:{_SIDE})(?: \w+)? (?:lung|lobe|hemithorax|hemisphere|zone|base|apex)",
        "half": r"(?:left|right|upper|lower|top|bottom) half",
        "place": r"(?:upper|lower|top|bottom)[ -](?:left|right)|top|bottom|left|right|centre|center|middle",
        "most": r"most|majority|mostly|mainly",
        "spread": r"spread|scattered|distributed",
        "negation": r"no|none|nothing|neither|nor|not|never|without|absent",
        "partly": r"first|last|among|such as|example|with gaps",
        "number": rf"\d{{1,3}}(?:,\d{{3}})+(?![,.]?\d)|\d+(?:\.\d+)?|both|{'|'.join(NUMBER_WORDS)}",
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


def _number(text: str) -> float:
    """A whole number, also in words or with thousands separators, as an int; one with decimals as a float."""
    if text == "both":
        return 2
    if text in NUMBER_WORDS:
        return NUMBER_WORDS.index(text)
    return float(text) if "." in text else int(text.replace(",", ""))


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


def _negated(events: list[_Event]) -> list[bool]:
    """Of each event whether its clause is denied as a whole; "but" and the like begin a new clause.

    A denial that names nothing in its own clause ("…, but none was found") is of the clause before.
    """
    clauses: list[list[_Event]] = [[]]
    for event in events:
        if clauses[-1] and _TURN.search(event.gap):
            clauses.append([])
        clauses[-1].append(event)
    denied = [any(e.value in _DENIALS for e in clause) for clause in clauses]
    for k in range(len(clauses) - 1, 0, -1):
        if denied[k] and not any(e.type in ("structure", "regions", "kind") for e in clauses[k]):
            denied[k - 1] = True
    return [said for said, clause in zip(denied, clauses, strict=True) for _ in clause]


class _Sentence:
    """Reads one sentence's events in order. subject: the structure spoken of last, also in a sentence before."""

    def __init__(self, events: list[_Event], subject: str | None) -> None:
        self.events, self.subject = events, subject
        self.out: list[Claim] = []
        types = [e.type for e in events]
        self.negated = _negated(events)
        self.denied: set[int] = set()
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
                    denied = self.negated[i] or (before is not None and before.type == "negation")
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
        denied = denied and not _TURN.search(event.gap)
        if denied or self.negated[i] or (i - 1 in self.denied and self._listed_with_or(i)):
            self.denied.add(i)
            self.out += [] if self._of_a_part(i) else [Claim("absence", key)]
            return
        if key == "region":
            return
        self.out.append(Claim("presence", key))
        if self.forward and self.current is None:
            self.out += [Claim("label", name, key) for name in self.pending]
        self.current = self.subject = key

    def _listed_with_or(self, i: int) -> bool:
        """Whether a name is joined to the one before by "or", or by a comma in a list that an "or" ends."""
        for event in self.events[i:]:
            if event.type not in ("structure", "regions"):
                return False
            words = event.gap.replace(",", " ").split()
            if words in (["or"], ["or", "any"], ["or", "other"]):
                return True
            if words:
                return False
        return False

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
            if self._of_a_part(i, i + 1):
                return
            key = "region" if after.type == "regions" else _reader()[1][after.value]
            self.out.append(Claim("count", key, _number(event.value)))
            self.counted.add(key)
        elif event.value != "one" and not self._of_a_part(i):
            self.out.append(Claim("number", None, _number(event.value)))

    def _of_a_part(self, first: int, last: int | None = None) -> bool:
        """Whether what the events from the first to the last say is of the part of an organ that is named beside it."""
        before = first > 0 and self.events[first - 1].type == "part"
        after = self.events[(first if last is None else last) + 1 :][:1]
        return before or any(event.type == "part" and not event.gap.strip() for event in after)

    def _close(self) -> None:
        """A structure that was counted or given a range, with ids in the same sentence, has those ids and no others."""
        if not self.partly:
            for key in (self.counted | self.ranged) & self.attached.keys():
                self.out.append(Claim("listed", key, len(self.attached[key])))


def _adjacent(gap: str) -> bool:
    """Whether a number belongs to the noun behind this gap."""
    return all(word in _ADJECTIVES.split() for word in gap.split())


def read_english(text: str) -> list[Claim]:
    """Every claim of an English text, in order."""
    out: list[Claim] = []
    subject: str | None = None
    for sentence in re.split(r"[.!?]+(?:\s|$)", text):
        reading = _Sentence(_events(sentence), subject)
        out += reading.read()
        subject = reading.subject
    return out
