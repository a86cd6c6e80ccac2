"""How the embedded model performs each skill: prompt, generate, parse, and slots back to stored pixels."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from torch import Tensor

from fiducial.skills.base import (
    AnswerArgs,
    AnswerResult,
    CountResult,
    ExplainArgs,
    ExplainResult,
    FindArgs,
    FindResult,
    SubjectArgs,
    UnderstandArgs,
    UnderstandResult,
)
from fiducial.skills.citations import cited_ids
from fiducial.skills.datasets.language import explain_prompt
from fiducial.skills.families.llava import dialect
from fiducial.skills.families.llava.held import HeldToRecord
from fiducial.skills.landmarks import regions_of_head
from fiducial.tools.contradictions import Truth
from fiducial.tools.errors import InputError
from fiducial.tools.record import Ellipse, Intent, Region

if TYPE_CHECKING:
    from fiducial.skills.families.llava.session import Generated, LlavaSession

UNKNOWN = Intent(task="unknown")


def understand(session: LlavaSession, args: UnderstandArgs) -> UnderstandResult:
    """Question to intent, from language alone."""
    prompt = dialect.understand_prompt(args.question)
    made = session.generate("understand", prompt, with_image=False, allowed=session.model.grammars.intent)
    intent = dialect.parse_intent(made.text)
    parsed = intent is not None
    return UnderstandResult(intent=intent or UNKNOWN, confidence=made.confidence, parsed=parsed, text=made.text)


def answer(session: LlavaSession, args: AnswerArgs) -> AnswerResult:
    """Presence of a structure, or the kind of image."""
    grammars = session.model.grammars
    if args.intent.task == "kind" or args.intent.structure is None:
        made = session.generate("answer", dialect.KIND_PROMPT, allowed=grammars.kind)
        kind = dialect.parse_kind(made.text, session.model.tower.config.kinds)
        return AnswerResult(value=kind, confidence=made.confidence, parsed=kind is not None, text=made.text)
    made = session.generate("answer", dialect.presence_prompt(args.intent.structure), allowed=grammars.presence)
    present = dialect.parse_presence(made.text)
    return AnswerResult(value=present, confidence=made.confidence, parsed=present is not None, text=made.text)


def count(session: LlavaSession, args: SubjectArgs) -> CountResult:
    """How many."""
    prompt = dialect.find_prompt("count", args.structure)
    made = session.generate("count", prompt, allowed=session.model.grammars.count)
    number = dialect.parse_count(made.text)
    return CountResult(count=number, confidence=made.confidence, parsed=number is not None, text=made.text)


@dataclass(frozen=True)
class Found:
    """slots: those named, with their probabilities, best first; made: the text.

    expected: the sum of the probabilities of all slots; none: the probability that no slot is such an object.
    """

    slots: list[tuple[int, float]]
    made: Generated
    parsed: bool
    expected: float
    none: float

    def result(self, regions: list[Region]) -> FindResult:
        """These regions as the skill's result."""
        confidence = sum(p for _, p in self.slots) / len(self.slots) if self.slots else self.none
        return FindResult(
            regions=regions,
            confidence=confidence,
            parsed=self.parsed,
            text=self.made.text,
            expected_count=self.expected,
        )


def label_index(session: LlavaSession, structure: str) -> int:
    """The tower's label of a structure. Raises InputError for one that it does not know."""
    labels = session.model.tower.config.labels
    if structure not in labels:
        raise InputError(f"this model knows no structure '{structure}'; it knows: {', '.join(labels)}")
    return labels.index(structure)


def find(session: LlavaSession, skill: str, args: FindArgs) -> Found:
    """The slots that the decoder names, or with ``exactly_count`` the likeliest so many."""
    used = int((session.proposals.score[0] > 0).sum())
    evidence = session.proposals.label_scores[0, :used, label_index(session, args.structure)].tolist()
    inclusion = session.model.inclusion(args.structure, evidence)
    made = session.generate(skill, dialect.find_prompt(skill, args.structure), decider=inclusion)
    slots = dialect.parse_slots(made.text, used)
    chosen = [] if slots is None else slots
    if args.exactly_count is not None:
        ranked = sorted(inclusion.probability, key=lambda s: (s not in chosen, -inclusion.probability[s]))
        chosen = ranked[: args.exactly_count]
    named = sorted(((s, inclusion.probability[s]) for s in chosen), key=lambda pair: -pair[1])
    every = inclusion.probability.values()
    return Found(named, made, slots is not None, sum(every), math.prod(1 - p for p in every))


def detect(session: LlavaSession, args: FindArgs) -> FindResult:
    """Boxes."""
    found = find(session, "detect", args)
    boxes = session.stored_to_input.inverse().boxes_xyxy(session.proposals.box_xyxy_px[0].double().numpy())
    regions = [
        Region(
            id=f"R{i + 1}",
            label=args.structure,
            kind="box",
            box_xyxy_px=clipped(session, boxes[slot]),
            score=p,
            sigma_px=box_sigma_px(boxes[slot]),
            skill="detect",
        )
        for i, (slot, p) in enumerate(found.slots)
    ]
    return found.result(regions)


def point(session: LlavaSession, args: FindArgs) -> FindResult:
    """Points: the centres of the regions named."""
    found = find(session, "point", args)
    boxes = session.stored_to_input.inverse().boxes_xyxy(session.proposals.box_xyxy_px[0].double().numpy())
    regions = []
    for i, (slot, p) in enumerate(found.slots):
        x0, y0, x1, y1 = clipped(session, boxes[slot])
        regions.append(
            Region(
                id=f"R{i + 1}",
                label=args.structure,
                kind="point",
                point_xy_px=((x0 + x1) / 2, (y0 + y1) / 2),
                score=p,
                sigma_px=box_sigma_px(boxes[slot]),
                skill="point",
            )
        )
    return found.result(regions)


def landmark(session: LlavaSession, args: FindArgs) -> FindResult:
    """The head's ellipse and the ends of its axes."""
    found = find(session, "landmark", args)
    regions: list[Region] = []
    if found.slots and args.structure == "head":
        ellipse, spread = stored_ellipse(session, session.proposals.ellipse[0])
        sigma_px = session.model.calibration.head_sigma * math.sqrt(ellipse.semi_major_px * ellipse.semi_minor_px)
        regions = regions_of_head(ellipse, found.slots[0][1], sigma_px=max(sigma_px, spread))
    return found.result(regions)


def explain(session: LlavaSession, args: ExplainArgs) -> ExplainResult:
    """Text that cites regions, from the record so far: freely at first, later held to it, then also sampled."""
    told = args.intent, args.answer, args.regions, args.width_px, args.height_px, args.orientation
    prompt, truth = explain_prompt(*told), Truth.of_parts(*told)
    held = HeldToRecord(session.model.tokenizer, truth) if args.attempt > 1 else None
    seed = args.attempt if args.attempt > 2 else None
    made = session.generate("explain", prompt, with_image=False, decider=held, seed=seed)
    confidence = sum(made.probabilities) / max(len(made.probabilities), 1)
    return ExplainResult(text=made.text, region_ids=cited_ids(made.text), confidence=confidence)


def clipped(session: LlavaSession, box: Any) -> tuple[float, float, float, float]:
    """A box cut at the image's edge: proposals reach a little over it where a cell is cut by it."""
    width, height = session.image.info.width_px, session.image.info.height_px
    x0, x1 = (min(max(float(x), 0.0), width) for x in (box[0], box[2]))
    y0, y1 = (min(max(float(y), 0.0), height) for y in (box[1], box[3]))
    return x0, y0, x1, y1


def box_sigma_px(box: Any) -> float:
    """One standard deviation of a box edge: 4 % of its mean side, from the mean IoU of 0.85 on held-out smears."""
    return 0.04 * 0.5 * float((box[2] - box[0]) + (box[3] - box[1]))


def stored_ellipse(session: LlavaSession, row: Tensor) -> tuple[Ellipse, float]:
    """The head's ellipse in stored pixels, and the spread of the cells that voted for it, in stored pixels."""
    x, y, major, minor, angle = row.tolist()
    ellipse = Ellipse(
        center_xy_px=(x, y), semi_major_px=major, semi_minor_px=minor, angle_deg=math.degrees(angle) % 180
    )
    stored = session.stored_to_input.inverse().ellipse(ellipse)
    spread = float(session.proposals.ellipse_spread[0]) * math.sqrt(stored.semi_major_px * stored.semi_minor_px)
    return stored, spread


PERFORM: dict[str, Callable[[LlavaSession, Any], BaseModel]] = {
    "understand": understand,
    "answer": answer,
    "count": count,
    "detect": detect,
    "point": point,
    "landmark": landmark,
    "explain": explain,
}
