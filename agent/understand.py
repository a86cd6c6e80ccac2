"""The first nodes: what is asked, and whether the image is one that the skills know."""

from __future__ import annotations

from collections.abc import Callable

from fiducial.agent import phrases
from fiducial.agent.reading import OfLandmarks, free_question, of_known_landmarks, read
from fiducial.agent.run import Run
from fiducial.skills.base import DomainEvidence, UnderstandArgs, UnderstandResult, evidence_of
from fiducial.tools.landmark_measures import landmark_words, landmarks_in, named_quantities
from fiducial.tools.record import Answer, Intent, Quantity, Understanding
from fiducial.tools.structures import DOMAIN_NAMES, UNSKILLED, structures
from fiducial.tools.words import language_of

DEFAULT_QUANTITIES: dict[str, tuple[Quantity, ...]] = {
    "blood_smear": ("long_axis",),
    "head_ultrasound": ("head_circumference", "biparietal_diameter", "occipitofrontal_diameter"),
}


# What a task cannot do without, beyond the skills that every base has.
NEEDS = {"report": "report", "segment": "segment", "question": "question"}
# What a base that answers in free words is asked of an image of any kind.
OF_ANY_IMAGE = ("question", "report", "angle", "distance")
# Kinds of question that the rules of wording know and the built-in skills do not: there the wording is trusted.
BY_WORDING = ("report", "angle", "distance", "segment")
# What a model that answers free questions about some kinds of image is not asked in their place.
NOT_FREE = ("kind", "question", *BY_WORDING)


def understand(run: Run) -> str:
    """Type the question; abstain where it is not understood, or about something that the skills do not know.

    Landmarks that are all named need no model to be understood. A base that answers in free words is asked what is not
    understood, as the wording has it.
    """
    named = of_known_landmarks(run.record.question)
    if (settled := _by_wording(run, named)) is not None:
        return _as_worded(run, settled)
    result: UnderstandResult = run.skill("understand", UnderstandArgs(question=run.record.question))
    intent = _with_landmarks(result.intent.model_copy(update={"language": language_of(run.record.question)}))
    problem = _not_understood(run, result) or _about_landmarks(run, intent, named)
    unread = problem or _unknown_structures(intent)
    if unread and (freely := _in_free_words(run, intent)) is not None:
        return _as_worded(run, freely)
    if problem:
        run.put(understanding=Understanding(intent=intent, confidence=result.confidence))
        run.check("question_understood", "fail", problem)
        return run.abstain("not_understood", f"{problem}; {phrases.can_be_asked(run.context.structures)}")
    if unknown := _unknown_structures(intent):
        run.put(understanding=Understanding(intent=intent, confidence=result.confidence))
        run.check("structure_known", "fail", unknown)
        return run.abstain("unknown_structure", f"{unknown}; {phrases.can_be_asked(run.context.structures)}")
    quantities = _quantities(intent)
    if refused := _refused_quantity(intent, quantities):
        run.put(understanding=Understanding(intent=intent, confidence=result.confidence))
        run.check("quantity_known", "fail", refused)
        return run.abstain("unknown_quantity", refused)
    scope = "image" if intent.task in ("kind", "report") else "local"
    other = intent.other_structure if intent.task == "compare" else None  # nothing else looks at a second structure
    asked = quantities[0] if quantities and intent.task != "location" else None
    if intent.landmarks:
        asked = intent.quantity
    update = {"quantity": asked, "scope": scope, "other_structure": other}
    intent = intent.model_copy(update=update)
    run.put(understanding=Understanding(intent=intent, confidence=result.confidence))
    run.note(quantities=quantities)
    run.check("question_understood", "pass", f"{phrases.about(intent)}, confidence {result.confidence:.2f}")
    if result.unread:
        why = f"the model cannot read {phrases.listing(result.unread)} in the question: it may ask for something else"
        run.check("question_read", "warn", why)
        run.downgrade("words_unread", why)
    run.run_checks("understand")
    return "look"


def _by_wording(run: Run, named: OfLandmarks | None) -> Intent | None:
    """What the wording alone settles, or None. Of more than landmarks a base that answers in free words is asked so."""
    if named is not None and named.whole and not (run.free and phrases.names_all(named.intent)):
        return named.intent
    if not run.free:
        return None
    worded = free_question(run.record.question) if named else read(run.record.question)
    return worded if named or worded.task in BY_WORDING else None


def _in_free_words(run: Run, intent: Intent) -> Intent | None:
    """What a model that answers in free words is asked in the place of what was not understood; None of another."""
    worded = read(run.record.question) if run.free else None
    if worded is None and _asks_freely(run, intent, seen_as_a_whole):
        return free_question(run.record.question)
    return worded


def _asks_freely(run: Run, intent: Intent, look_at: Callable[[Run], DomainEvidence]) -> bool:
    """Whether to put the question in free words, to a model that answers such questions about this kind of image."""
    kinds, known = run.context.question_kinds, evidence_of(run.context.model, "question")
    if not kinds or intent.task in NOT_FREE or (known and intent.language not in known.languages):
        return False
    return look_at(run).kind in kinds


def seen_as_a_whole(run: Run) -> DomainEvidence:
    """What the model makes of the image as a whole."""
    return run.call("look", "skill", lambda: run.context.session.domain)


def _as_worded(run: Run, intent: Intent) -> str:
    """The reading by the rules of wording, which are exact; what they leave open is a free question."""
    quantities = _quantities(intent)
    if _refused_quantity(intent, quantities):
        quantities = _defaults(str(intent.structure))
    if quantities and intent.task != "location":
        intent = intent.model_copy(update={"quantity": quantities[0]})
    run.put(understanding=Understanding(intent=intent, confidence=1.0))
    run.note(quantities=quantities)
    run.check("question_understood", "pass", f"{phrases.about(intent)}, by its wording")
    run.run_checks("understand")
    return "look"


def _with_landmarks(intent: Intent) -> Intent:
    """An angle or distance that has a name of its own, with the landmarks that it is taken between."""
    known = named_quantities().get(intent.quantity) if intent.quantity else None
    if intent.task not in ("angle", "distance") or known is None or intent.landmarks:
        return intent
    return intent.model_copy(update={"landmarks": known.of})


def _about_landmarks(run: Run, intent: Intent, named: OfLandmarks | None) -> str | None:
    """Why landmarks that a question names are not what it was taken to ask about, or None.

    What is taken between landmarks needs two of them; what its wording says more than that, the model may overlook.
    """
    mentioned = landmarks_in(run.record.question)
    if named is None and (not mentioned or (len(mentioned) > 1 and mentioned <= {*intent.landmarks})):
        return None
    about = mentioned or {*(named.intent.landmarks if named else ())}
    names = phrases.listing([landmark_words(key) for key in sorted(about)])
    return f"what is asked of {names} is not understood; ask where they are, or for a distance or an angle between them"


def _not_understood(run: Run, result: UnderstandResult) -> str | None:
    """Why a question counts as not understood, or None."""
    if result.unread and (run.free or result.intent.task == "unknown"):
        return f"the model cannot read {phrases.listing(result.unread)} in the question; put it in other words"
    if not result.parsed:
        return "the question could not be put into a form that is known"
    if result.intent.task == "unknown":
        return "the question asks for something that none of the skills does"
    if NEEDS.get(result.intent.task, "understand") not in run.context.skills:
        return f"the question asks for {phrases.about(result.intent)}, and the base has no skill for that"
    least = run.policy.understand_confidence
    if not result.confidence >= least:
        sure = f"the confidence {result.confidence:.2f} is below {least:g}"
        return f"the question may mean {phrases.about(result.intent)}, but {sure}"
    return None


def _unknown_structures(intent: Intent) -> str | None:
    """Which structure is missing or unknown, or None. The kind of an image needs none, nor do landmarks."""
    if intent.task in ("angle", "distance") and not intent.landmarks:
        return "the question names no landmarks that are known"
    if intent.task in ("kind", "report", "question", "angle", "distance"):
        return None
    asked = [intent.structure] + ([intent.other_structure] if intent.task == "compare" else [])
    if unknown := [key for key in asked if key is not None and key not in structures()]:
        return f"nothing is known of {' and '.join(unknown)}"
    if None in asked:
        return "the question names no structure that is known" + (" to compare with" if asked[0] else "")
    return None


def _quantities(intent: Intent) -> tuple[Quantity, ...]:
    """What to measure: the quantity asked for, else the structure's defaults; nothing for counts and places.

    A place that is asked for by rank needs what the rank goes by.
    """
    if intent.task == "location" and intent.selector != "each" and intent.structure is not None:
        return _defaults(intent.structure)[:1]
    if intent.task not in ("size", "compare") or intent.structure is None:
        return ()
    if intent.task == "compare" and intent.quantity in (None, "count"):
        return ("count",)
    if intent.quantity is not None and intent.quantity != "count":
        return (intent.quantity,)
    return _defaults(intent.structure)


def _defaults(structure: str) -> tuple[Quantity, ...]:
    """What is measured of a structure where nothing is named; the long axis of one that no table knows."""
    known = structures().get(structure)
    if known is None:
        return ("long_axis",)
    return DEFAULT_QUANTITIES.get(known.domain) or known.quantities[:1] or ("long_axis",)


def _refused_quantity(intent: Intent, quantities: tuple[Quantity, ...]) -> str | None:
    """Why a quantity cannot be taken of a structure, or None."""
    if not quantities:
        return None  # the kind of an image is told whatever structure was named beside it, a known one or not
    asked = (intent.structure, intent.other_structure if intent.task == "compare" else None)
    for structure in (structures()[key] for key in asked if key in structures()):
        for quantity in quantities:
            if quantity != "count" and quantity not in structure.quantities:
                known = ", ".join(phrases.quantity(q) for q in structure.quantities)
                return f"the {phrases.quantity(quantity)} is not measured on a {structure.name}; there is: {known}"
    return None


def look(run: Run) -> str:
    """Compare the image with what the model was trained for, and the structure's kind of image with this one's."""
    of_any = run.intent.task in OF_ANY_IMAGE or bool(run.intent.landmarks)
    if run.free and (of_any or run.intent.structure not in (None, *structures())):
        run.check("image_domain", "warn", "not judged: which kinds of image the base knows is not known")
        return "answer"
    evidence = seen_as_a_whole(run)
    least, kind = run.policy.typicality, phrases.domain(evidence.kind)
    detail = f"most like {kind}, typicality {evidence.typicality:.3f} (least {least:g})"
    if evidence.kind in UNSKILLED and _asks_freely(run, run.intent, lambda _: evidence):
        _as_worded(run, free_question(run.record.question))
    nothing_known = evidence.kind in UNSKILLED and run.intent.task not in ("kind", "question")
    if evidence.kind == "other" or nothing_known or not evidence.typicality >= least:
        if run.free:  # what the guide does not know, the base may; its answer is held to what it points at
            run.check("image_domain", "warn", f"{detail}; the base is asked all the same")
            if run.intent.task == "kind":
                understood = run.intent.model_copy(update={"task": "question"})
                run.put(understanding=Understanding(intent=understood, confidence=1.0))
            return "answer"
        run.check("image_domain", "fail", detail)
        known = phrases.listing([phrases.domain(kind) for kind in _known_kinds(run, evidence)]).replace(" and ", " or ")
        return run.abstain("off_domain", f"this image does not look like {known}, which are what the skills know")
    run.check("image_domain", "pass", detail)
    intent = run.intent
    if intent.structure is None or intent.task == "kind":
        return "answer"
    asked = [intent.structure] + ([intent.other_structure] if intent.other_structure else [])
    foreign = [key for key in asked if evidence.kind not in structures()[key].domains]
    if not foreign:
        return "answer"
    return _foreign(run, foreign[0], evidence)


def _known_kinds(run: Run, evidence: DomainEvidence) -> list[str]:
    """The kinds of image that the skills know something of: by their structures, or as the model itself tells them."""
    own = {*evidence.probabilities} & {*DOMAIN_NAMES} if evidence.own else set()
    return sorted({d for key in run.context.structures for d in structures()[key].domains} | own - UNSKILLED)


def _foreign(run: Run, structure: str, evidence: DomainEvidence) -> str:
    """Something that images of this kind do not show: none of it, or nothing to measure.

    Where another model than the one asked took the image for that, it may be mistaken, and the base is asked.
    """
    spoken, kind = run.language, evidence.kind
    shown = f"this is {phrases.domain(kind)}, and {phrases.name(structure)} do not occur in it"
    if run.free or not evidence.own:
        run.check("structure_in_domain", "warn", f"by its looks, {shown}; the base is asked all the same")
        return "answer"
    run.check("structure_in_domain", "warn", shown)
    task = run.intent.task
    if task in ("size", "compare"):
        return run.abstain("structure_absent", shown)
    names = {"kind": phrases.domain(kind, spoken), "name": phrases.name(structure, language=spoken)}
    why = phrases.say("foreign", spoken, **names)
    text = phrases.say("foreign_none", spoken, why=why)
    sure = float(evidence.probabilities.get(kind, evidence.typicality))
    run.put(answer=Answer(text=text, value=False if task == "presence" else 0, confidence=sure))
    return "explain"
