"""What the controller may do when a check fails, and its thresholds: all of it data.

Each failure has a code; each code has a ladder, a tuple of rungs that are tried in order and at most once, and the
code with which the run abstains when none of them has helped. Thresholds come from ``calibration.json`` beside the
model where it has one (its object ``policy``), else from the defaults here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from fiducial.skills.stack import VOLUME_SLICES
from fiducial.tools.errors import InputError
from fiducial.tools.hooks import first_problem
from fiducial.tools.record import Part

Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Method = Literal["constrained", "other_skill", "zoom", "classical"]
Failure = Literal["count_mismatch", "presence_without_region", "absence_with_regions"]
DowngradeStatus = Literal["partial", "abstained"]
Finder = Literal["detect", "landmark"]


class Rung(Part):
    """One step of a ladder. method: how another reading is made.

    constrained: the finder again, decoding held to the number claimed; other_skill: regions from ``skill``; zoom: the
    finder on crops, each ``width, height`` as a fraction of the image at a fractional ``x, y``; classical: segmentation
    without a model.
    """

    method: Method
    skill: str | None = None
    crops_fraction: tuple[tuple[float, float, float, float], ...] = ()


QUADRANTS = ((0.0, 0.0, 0.6, 0.6), (0.4, 0.0, 0.6, 0.6), (0.0, 0.4, 0.6, 0.6), (0.4, 0.4, 0.6, 0.6))
CELL_RUNGS = (
    Rung(method="constrained"),
    Rung(method="other_skill", skill="point"),
    Rung(method="zoom", crops_fraction=QUADRANTS),
    Rung(method="classical"),
)
HEAD_RUNGS: tuple[Rung, ...] = (Rung(method="zoom", crops_fraction=((0.1, 0.1, 0.8, 0.8),)),)
FINDERS: dict[str, Finder] = {"blood_smear": "detect", "head_ultrasound": "landmark"}
Ladders = dict[Failure, dict[Finder, tuple[Rung, ...]]]
LADDERS: Ladders = {
    "count_mismatch": {"detect": CELL_RUNGS, "landmark": HEAD_RUNGS},
    "presence_without_region": {"detect": CELL_RUNGS[:3], "landmark": HEAD_RUNGS},
    "absence_with_regions": {"detect": CELL_RUNGS[1:3], "landmark": HEAD_RUNGS},
}


class Policy(Part):
    """Thresholds (probabilities unless said otherwise), bounds and ladders of the controller.

    question_confidence: below it an answer in free words, or a report, is withheld; withhold_guesses: whether one is
    withheld where such answers were measured to be no better than a guess; size_claim_relative and
    angle_claim_deg: how far a number that the model states may be from the one measured; volume_slices: how many of a
    volume's slices a model is shown. unconfirmed_by_decoding: structures whose count is not confirmed by decoding held
    to it; counted_by_expectation: those whose number is told best by the sum of all candidates' probabilities, on
    images kept back from training.
    """

    understand_confidence: Fraction = 0.5
    typicality: Fraction = 0.02
    answer_confidence: Fraction = 0.5
    kind_confidence: Fraction = 0.6
    region_floor: Fraction = 0.3
    region_floor_of: dict[str, Fraction] = Field(default_factory=dict)
    region_confident: Fraction = 0.6
    unconfirmed_by_decoding: frozenset[str] = frozenset()
    counted_by_expectation: frozenset[str] = frozenset()
    count_difference: Annotated[int, Field(ge=0)] = 1
    count_difference_relative: Fraction = 0.15
    count_agreement_relative: Fraction = 0.25
    count_agreement_of: dict[str, Fraction] = Field(default_factory=dict)
    same_place_iou: Fraction = 0.5
    question_confidence: Fraction = 0.4
    withhold_guesses: bool = True
    size_claim_relative: Fraction = 0.2
    angle_claim_deg: Annotated[float, Field(ge=0, le=180, allow_inf_nan=False)] = 3.0
    volume_slices: Annotated[int, Field(ge=1, le=256)] = VOLUME_SLICES
    explain_attempts: Annotated[int, Field(ge=1, le=9)] = 3
    transient_attempts: Annotated[int, Field(ge=1, le=9)] = 3
    finders: dict[str, Finder] = Field(default_factory=FINDERS.copy)
    ladders: Ladders = Field(default_factory=LADDERS.copy)

    abstaining_checks: frozenset[str] = frozenset({"count_matches_regions", "presence_has_region", "absence_has_none"})

    def veto(self, check: str, detail: str) -> tuple[str, str, DowngradeStatus]:
        """What a failed check that rejects no region does to the verdict: code, detail, status."""
        return check, detail, "abstained" if check in self.abstaining_checks else "partial"

    def floor(self, structure: str) -> float:
        """The score below which a region of this structure is rejected."""
        return self.region_floor_of.get(structure, self.region_floor)

    def agree(self, structure: str, claimed: int, expected: int) -> bool:
        """Whether a count claimed bears out a number that is itself an average over uncertain candidates.

        They may differ as much as on nine in ten of the images kept back from training.
        """
        relative = self.count_agreement_of.get(structure, self.count_agreement_relative)
        allowed = max(self.count_difference, relative * max(claimed, expected))
        return claimed == expected or (min(claimed, expected) > 0 and abs(claimed - expected) <= allowed)

    def close(self, claimed: int, found: int) -> bool:
        """Whether two counts, neither of them zero, are near enough for a partial answer."""
        allowed = max(self.count_difference, self.count_difference_relative * max(claimed, found))
        return min(claimed, found) > 0 and abs(claimed - found) <= allowed


def load_policy(folder: Path | None) -> Policy:
    """The policy with the thresholds of ``folder/calibration.json`` where there is one.

    Raises InputError naming the file and field for one that does not validate.
    """
    path = None if folder is None else folder / "calibration.json"
    if path is None or not path.is_file():
        return Policy()
    try:
        data: Any = json.loads(path.read_text(encoding="utf-8"))
        return Policy.model_validate(data.get("policy", {}))
    except ValidationError as error:
        raise InputError(f"{path}: policy.{first_problem(error)}") from None
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: not a calibration ({error}); mend or remove it") from None
