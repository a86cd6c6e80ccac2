"""What an adapter was measured to know: its answers beside those of a guess, by type of question.

An adapter carries it in its manifest. A model that guesses the commonest answer, or answers alike whatever the image
shows, has a fair accuracy all the same; an answer of a type that does not stand out from both is to be withheld.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Annotated, Literal, NamedTuple, get_args

from pydantic import BaseModel, ConfigDict, Field

QuestionType = Literal["yes_no", "choice", "open"]
TYPE_NAMES: dict[QuestionType, str] = {"yes_no": "yes-or-no", "choice": "either-or", "open": "open"}
YES_NO = ({"yes", "no"}, {"是", "否"}, {"是", "不是"})

LEAST_IMAGES = 10  # of a few that are all right a bootstrap draws nothing else, and its interval has no width

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


def question_type(options: Sequence[str]) -> QuestionType:
    """The type of a question, by the answers that its wording leaves."""
    if not options:
        return "open"
    return "yes_no" if {option.strip().casefold() for option in options} in YES_NO else "choice"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Score(_Part):
    """Accuracy over one type of question.

    low, high: 95 % interval, by image; majority: of the commonest answer of the images trained on; blank: of the same
    model on a picture that shows nothing.
    """

    questions: Annotated[int, Field(ge=1)]
    images: Annotated[int, Field(ge=1)]
    accuracy: Share
    low: Share
    high: Share
    majority: Share
    blank: Share

    @property
    def better_than_guessing(self) -> bool:
        """Whether even the lower end of the interval is above both guesses, over more than a few images."""
        return self.images >= LEAST_IMAGES and self.low > max(self.majority, self.blank)

    def __str__(self) -> str:
        return (
            f"{self.accuracy:.2f} right (95 % interval {self.low:.2f} to {self.high:.2f} over {self.images} images);"
            f" the commonest answer {self.majority:.2f}, the same model on a blank image {self.blank:.2f}"
        )


class Evidence(_Part):
    """What answers are worth. method: how it was measured; kinds: of image; languages: of the questions."""

    method: str
    kinds: tuple[str, ...]
    languages: tuple[str, ...] = ("en",)
    types: dict[QuestionType, Score] = Field(default_factory=dict)

    def against(self, options: Sequence[str], language: str) -> str | None:
        """Why an answer to a question with these options is no better than a guess, in one sentence; None if it is."""
        if language not in self.languages:
            known = " or ".join(self.languages)
            return f"answers were measured in the language {known} alone, so that nothing speaks for one in {language}"
        kind = question_type(options)
        score = self.types.get(kind)
        if score is None:
            return f"answers to {TYPE_NAMES[kind]} questions were not measured, so that nothing speaks for this one"
        if score.better_than_guessing:
            return None
        if score.images < LEAST_IMAGES:
            return f"answers to {TYPE_NAMES[kind]} questions were measured on too few images to tell: {score}"
        return f"answers to {TYPE_NAMES[kind]} questions were no better than guessing: {score}"

    def told(self, options: Sequence[str]) -> str:
        """The score of the type of a question with these options, in words."""
        kind = question_type(options)
        return f"answers to {TYPE_NAMES[kind]} questions: {self.types.get(kind, 'not measured')}"


class Trial(NamedTuple):
    """One question on an image that the answering model was not trained on: who had it right."""

    image: str
    type: QuestionType
    right: bool
    majority: bool
    blank: bool


def commonest(answers: Iterable[str]) -> str | None:
    """The answer that is given most often, in its words; the first of several."""
    from fiducial.tools.metrics.answers import words_of_answer

    counts = Counter(" ".join(words_of_answer(answer)) for answer in answers)
    return counts.most_common(1)[0][0] if counts else None


def scored(trials: Sequence[Trial]) -> dict[QuestionType, Score]:
    """The score of each type that there are trials of."""
    from fiducial.tools.metrics.means import group_interval, mean

    found: dict[QuestionType, Score] = {}
    for kind in get_args(QuestionType):
        own = [trial for trial in trials if trial.type == kind]
        if not own:
            continue
        images = [trial.image for trial in own]
        low, high = group_interval([float(trial.right) for trial in own], images)
        found[kind] = Score(
            questions=len(own),
            images=len({*images}),
            accuracy=mean([trial.right for trial in own]),
            low=low,
            high=high,
            majority=mean([trial.majority for trial in own]),
            blank=mean([trial.blank for trial in own]),
        )
    return found
