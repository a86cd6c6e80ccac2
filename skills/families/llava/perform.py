"""How the embedded model performs each skill: prompt, generate, parse, and slots back to stored pixels."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel
from torch import Tensor

from fiducial.skills.base import (
    AnswerArgs,
    AnswerResult,
    ClassifyArgs,
    ClassifyResult,
    CountResult,
    ExplainArgs,
    ExplainResult,
    FindArgs,
    FindResult,
    LandmarkArgs,
    QuestionArgs,
    QuestionResult,
    ReportArgs,
    ReportResult,
    SubjectArgs,
    UnderstandArgs,
    UnderstandResult,
)
from fiducial.skills.citations import cited_ids
from fiducial.skills.datasets.language import explain_prompt, report_text
from fiducial.skills.families.llava import dialect
from fiducial.skills.families.llava.grammar import Grammar
from fiducial.skills.families.llava.held import HeldToRecord
from fiducial.skills.families.llava.prompting import unread_words, words_of
from fiducial.skills.landmarks import regions_of_head
from fiducial.tools.contradictions import Truth
from fiducial.tools.errors import InputError
from fiducial.tools.landmark_measures import above_normal, named_quantities
from fiducial.tools.record import Ellipse, Intent, Language, Quantity, Region
from fiducial.tools.words import domain_of

if TYPE_CHECKING:
    from fiducial.skills.families.llava.session import Generated, LlavaSession

UNKNOWN = Intent(task="unknown")
LANGUAGES: tuple[Language, ...] = ("en", "zh")
EXPLAINED = ("presence", "count", "location", "size", "compare", "kind")  # tasks
MARK_SIGMA = 0.25  # error of a landmark over the spread of its map, from held-out phantoms
REPORTED = "chest_xray"
RATIO: Quantity = "cardiothoracic_ratio"


def understand(session: LlavaSession, args: UnderstandArgs) -> UnderstandResult:
    """Question to intent, from language alone. Of words that the model cannot read it says which; of half, nothing."""
    prompt = dialect.understand_prompt(args.question)
    unread, every = unread_words(session.model.tokenizer, args.question), len(words_of(args.question))
    if 2 * len(unread) >= every > 0:
        return UnderstandResult(intent=UNKNOWN, confidence=1.0, parsed=True, text="", unread=unread)
    made = session.generate("understand", prompt, with_image=False, allowed=session.model.grammars.intent)
    intent = dialect.parse_intent(made.text)
    parsed = intent is not None
    return UnderstandResult(
        intent=intent or UNKNOWN, confidence=made.confidence, parsed=parsed, text=made.text, unread=unread
    )


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
    """The slots that the decoder names of a structure, or with ``exactly_count`` the likeliest so many."""
    used = int((session.proposals.score[0] > 0).sum())
    evidence = session.proposals.label_scores[0, :used, label_index(session, args.structure)].tolist()
    return find_slots(session, skill, args.structure, evidence, args.exactly_count)


def find_slots(
    session: LlavaSession, skill: str, what: str, evidence: list[float], exactly_count: int | None = None
) -> Found:
    """The slots that the decoder names. evidence: the tower's score of each slot in use."""
    used = len(evidence)
    inclusion = session.model.inclusion(what, evidence)
    made = session.generate(skill, dialect.find_prompt(skill, what), decider=inclusion)
    slots = dialect.parse_slots(made.text, used)
    chosen = [] if slots is None else slots
    if exactly_count is not None:
        ranked = sorted(inclusion.probability, key=lambda s: (s not in chosen, -inclusion.probability[s]))
        chosen = ranked[:exactly_count]
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
    """The head's ellipse and the ends of its axes; or the landmarks asked for by name."""
    names = args.names if isinstance(args, LandmarkArgs) else []
    if names or args.structure not in session.model.tower.config.labels:
        return named_landmarks(session, names)
    found = find(session, "landmark", args)
    regions: list[Region] = []
    if found.slots and args.structure == "head":
        ellipse, spread = stored_ellipse(session, session.proposals.ellipse[0])
        sigma_px = session.model.calibration.head_sigma * math.sqrt(ellipse.semi_major_px * ellipse.semi_minor_px)
        regions = regions_of_head(ellipse, found.slots[0][1], sigma_px=max(sigma_px, spread))
    return found.result(regions)


def named_landmarks(session: LlavaSession, names: Sequence[str]) -> FindResult:
    """The landmarks of a kind of image: those of the names that are asked for, or all of this image's kind."""
    config, proposals = session.model.tower.config, session.proposals
    seen, of_kind = session.domain.kind, config.landmarks_of_kind
    kind = next((kind for kind in (seen, *of_kind) if {*names} & {*of_kind.get(kind, ())}), seen)
    own = of_kind.get(kind, ())
    if not own:
        raise InputError(f"this model knows no landmarks of {kind.replace('_', ' ')}; ask for others")
    used = int((proposals.score[0] > 0).sum())
    labels = proposals.label_scores[0, :used].argmax(-1).tolist()
    columns = {config.names.index(name): name for name in own}
    evidence = [float(proposals.score[0, k]) if label in columns else 0.0 for k, label in enumerate(labels)]
    found = find_slots(session, "landmark", kind, evidence)
    named = [(columns[labels[slot]], p) for slot, p in found.slots if labels[slot] in columns]
    wanted = [(name, p) for name, p in named if not names or name in names]
    return found.result([landmark_region(session, n, name, p) for n, (name, p) in enumerate(wanted, 1)])


def landmark_region(session: LlavaSession, number: int, name: str, score: float) -> Region:
    """A landmark where the tower places it, in stored pixels."""
    marks, index = session.marks, session.model.tower.config.landmarks.index(name)
    back = session.stored_to_input.inverse()
    x, y = (float(v) for v in back.points(marks.xy_px[0, index].double().numpy()[None])[0])
    zoom = math.sqrt(abs(float(np.linalg.det(back.linear))))
    sigma_px = MARK_SIGMA * float(marks.spread_px[0, index]) * zoom
    return Region(
        id=f"R{number}", label=name, kind="landmark", point_xy_px=(x, y), score=score, sigma_px=sigma_px,
        skill="landmark",
    )  # fmt: skip


def classify(session: LlavaSession, args: ClassifyArgs) -> ClassifyResult:
    """Which of some kinds of image, named by key or in words of either language; by the tower's own probabilities."""
    keys = {option: kind_named(option, session.model.tower.config.kinds) for option in args.options}
    seen = session.domain.probabilities
    probabilities = {option: seen[key] for option, key in keys.items() if key is not None}
    total = sum(probabilities.values())
    if not total > 0:
        return ClassifyResult(choice=None, confidence=0.0, parsed=False, text="")
    probabilities = {option: p / total for option, p in probabilities.items()}
    choice = max(probabilities, key=lambda option: probabilities[option])
    text = str(keys[choice])
    return ClassifyResult(
        choice=choice, confidence=probabilities[choice], probabilities=probabilities, parsed=True, text=text
    )


def kind_named(words: str, kinds: Sequence[str]) -> str | None:
    """The kind of image that words name: its key, or its name in a language."""
    said = words.strip().casefold()
    for kind in kinds:
        if said in (kind, kind.replace("_", " "), *(domain_of(kind, spoken).casefold() for spoken in LANGUAGES)):
            return kind
    return None


def report(session: LlavaSession, args: ReportArgs) -> ReportResult:
    """A short report of a chest film: opacities and their side as the decoder reads them, the heart as measured."""
    if session.domain.kind != REPORTED:
        return ReportResult(report="", confidence=0.0, parsed=False, text="")
    made = session.generate("report", dialect.REPORT_PROMPT, allowed=session.model.grammars.report)
    said = dialect.parse_report(made.text)
    if said is None:
        return ReportResult(report="", confidence=made.confidence, parsed=False, text=made.text)
    opacity, heart = said
    ratio = heart_ratio(session)
    if ratio is not None:
        heart = dialect.HEARTS[bool(above_normal(RATIO, ratio))]
    text = report_text(opacity, heart, ratio, args.language)
    # Of the line's six words two are decided; the heart's is settled by the ratio.
    return ReportResult(report=text, confidence=made.confidence, parsed=True, text=made.text)


def question(session: LlavaSession, args: QuestionArgs) -> QuestionResult:
    """One of the options, or of the answers that are known, by each word's probability among those that go on with one.

    Free text for an open question where no answers are known.
    """
    lines = {dialect.render_words(option): option for option in args.options or session.model.answers}
    allowed = Grammar(session.model.tokenizer, lines).allowed if lines else None
    made = session.generate("question", dialect.question_prompt(args.question), allowed=allowed)
    value = lines.get(made.text) if lines else made.text or None
    confidence = made.confidence if lines else made.confidence ** (1 / max(len(made.probabilities), 1))
    return QuestionResult(value=value, confidence=confidence, parsed=value is not None, text=made.text)


def heart_ratio(session: LlavaSession) -> float | None:
    """The width of the heart over that of the thorax between the landmarks; None where they are not placed in order."""
    names, marks, between = session.model.tower.config.landmarks, session.marks, named_quantities()[RATIO].of
    if not {*between} <= {*names}:
        return None
    right, left, far_right, far_left = (float(marks.xy_px[0, names.index(name), 0]) for name in between)
    ratio = (left - right) / (far_left - far_right) if far_left > far_right else -1.0
    return ratio if 0 < ratio < 1 else None


def explain(session: LlavaSession, args: ExplainArgs) -> ExplainResult:
    """Text that cites regions, from the record so far: freely at first, later held to it, then also sampled.

    Raises InputError for a task that it has not learned to explain: it would tell of something else.
    """
    if args.intent.task not in EXPLAINED or args.intent.landmarks:
        raise InputError("this model explains nothing that is taken between landmarks, and no free answers")
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
    "classify": classify,
    "report": report,
    "question": question,
}
