"""Angles, distances and ratios between named landmarks: found, measured in the world, and the claim held to that."""

from __future__ import annotations

from functools import partial
from typing import Literal

from fiducial.agent import phrases
from fiducial.agent.ladder import sift
from fiducial.agent.run import Run, StepFailedError
from fiducial.agent.stated import hold, stated
from fiducial.skills.base import FindResult, LandmarkArgs
from fiducial.tools.errors import InputError
from fiducial.tools.landmark_measures import landmark_words, measure_between
from fiducial.tools.record import Answer


def point_out(run: Run) -> str:
    """Find the landmarks; where they are, is told at once, of those found. Measured is between all of them or not."""
    intent = run.intent
    names = [landmark_words(key, intent.language) if run.free else key for key in intent.landmarks]
    keys = dict(zip(names, intent.landmarks, strict=True))
    args = LandmarkArgs(structure=intent.structure or "", names=list(keys), language=intent.language)
    try:
        result: FindResult = run.skill("landmark", args)
    except InputError as error:  # a model that knows no such landmarks, or none of this kind of image
        return run.abstain("landmark_not_found", str(error))
    wanted = [r.model_copy(update={"label": keys.get(r.label, r.label)}) for r in result.regions]
    run.add_regions(sift(run, intent.structure or "", [r for r in wanted if r.label in intent.landmarks]))
    found = {r.label for r in run.record.accepted}
    missing = [key for key in intent.landmarks if key not in found]
    if missing and not (found and phrases.names_all(intent)):
        names = [landmark_words(key, intent.language) for key in dict.fromkeys(missing)]
        told = "any that are known" if phrases.names_all(intent) else ", ".join(names)
        run.check("landmarks_found", "fail", f"not found: {told}")
        why = f"these landmarks could not be pointed at: {told}"
        if intent.task != "location" or not found:
            return run.abstain("landmark_not_found", why)
        run.downgrade("landmark_not_found", why)
    else:
        run.check("landmarks_found", "pass", f"{len(found)} landmarks")
    run.run_checks("ground", answered=False)
    if intent.task == "location":
        asked = sorted(run.found(), key=lambda region: intent.landmarks.index(region.label))
        text = phrases.landmarks(asked, run.record.image, intent.language)
        run.put(answer=Answer(text=text, value=len(asked), confidence=result.confidence))
        return "explain"
    text = phrases.between(intent, run.found(), intent.language)
    run.put(answer=Answer(text=text, value=None, confidence=result.confidence))
    return "explain"


def measure_landmarks(run: Run) -> None:
    """Measure between the landmarks that no check has rejected, and hold to it what the model states."""
    intent = run.intent
    by_label = {r.label: r for r in run.record.accepted if r.kind == "landmark"}
    quantity = intent.quantity or ("angle" if intent.task == "angle" else "distance")
    if missing := [key for key in intent.landmarks if key not in by_label]:
        told = ", ".join(landmark_words(key, intent.language) for key in missing)
        run.abstain("landmark_not_found", f"these landmarks were rejected: {told}; see the checks")
        return
    points = [by_label[key] for key in intent.landmarks]
    try:
        taken = run.call("measure_between", "tool", partial(measure_between, quantity, points, run.record.image.scale))
    except (InputError, StepFailedError) as error:
        run.abstain("not_measurable", str(error))
        return
    run.put(measurements=(taken,))
    text = phrases.measured(taken, intent.landmarks, intent.language)
    run.put(answer=run.answer.model_copy(update={"text": text, "value": taken.value}))
    if taken.unit == "px":
        why = run.record.image.scale_refused or "the image carries none"
        run.check("scale_known", "warn", f"there is no physical scale ({why}); lengths are in px")
        run.downgrade("no_scale", f"there is no physical scale ({why}); lengths are in px; give one with --scale")
    run.run_checks("measure")
    of: Literal["distance", "angle"] = "angle" if taken.unit == "°" else "distance"
    words = [landmark_words(key, intent.language) for key in intent.landmarks]
    hold(run, stated(run, "", (quantity,), of=of, landmarks=words), [taken])
