"""What an adapter was measured to know: its answers beside those of a guess, by type of question.

An adapter carries it in its manifest. A model that guesses the commonest answer, or answers alike whatever the image
shows, or any of two answers, has a fair accuracy all the same; an answer of a type that does not stand out from each
of these is to be withheld.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Annotated, Literal, NamedTuple, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from fiducial.tools.structures import DOMAIN_NAMES

QuestionType = Literal["yes_no", "choice", "open"]
TYPE_NAMES: dict[QuestionType, str] = {"yes_no": "yes-or-no", "choice": "either-or", "open": "open"}
YES_NO = ({"yes", "no"}, {"是", "否"}, {"是", "不是"})

LEAST_IMAGES = 10  # of a few that are all right a bootstrap draws nothing else, and its interval has no width

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Difference = Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)]


def question_type(options: Sequence[str]) -> QuestionType:
    """The type of a question, by the answers that its wording leaves."""
    if not options:
        return "open"
    return "yes_no" if {option.strip().casefold() for option in options} in YES_NO else "choice"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Guess(_Part):
    """A way of guessing, on the same questions. right: its accuracy; low, high: what the model's is above it.

    The interval is that of the difference, question by question, drawn by image: both may be right of the same ones.
    """

    right: Share
    low: Difference
    high: Difference


class Score(_Part):
    """Accuracy over one type of question.

    low, high: 95 % interval, by image; majority: of the commonest answer of the images trained on; blank: of the same
    model on a picture that shows nothing; chance: of any of the answers that the wording leaves, None where it leaves
    all.
    """

    questions: Annotated[int, Field(ge=1)]
    images: Annotated[int, Field(ge=1)]
    accuracy: Share
    low: Share
    high: Share
    majority: Guess
    blank: Guess
    chance: Guess | None

    @property
    def guesses(self) -> dict[str, Guess]:
        """Each way of guessing, by its name in words."""
        found = {"the commonest answer": self.majority, "the same model on a blank image": self.blank}
        return found | ({"chance": self.chance} if self.chance else {})

    @property
    def better_than_guessing(self) -> bool:
        """Whether even the lower end of what it is above each guess is above 0, over more than a few images."""
        return self.images >= LEAST_IMAGES and all(guess.low > 0 for guess in self.guesses.values())

    def __str__(self) -> str:
        own = f"{self.accuracy:.2f} right (95 % interval {self.low:.2f} to {self.high:.2f} over {self.images} images)"
        above = (
            f"{name} {guess.right:.2f}, a difference of {self.accuracy - guess.right:+.2f}"
            f" ({guess.low:+.2f} to {guess.high:+.2f})"
            for name, guess in self.guesses.items()
        )
        return "; ".join((own, *above))


class Evidence(_Part):
    """What answers are worth. method: how it was measured; kinds: of image; languages: of the questions."""

    method: str
    kinds: tuple[str, ...]
    languages: tuple[str, ...] = ("en",)
    types: dict[QuestionType, Score] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _chance_where_the_answers_are_few(self) -> Self:
        for kind, score in self.types.items():
            if (score.chance is None) != (kind == "open"):
                raise ValueError(
                    f"types.{kind}.chance: give it for questions that leave a few answers, null for open ones"
                )
        return self

    def against(self, options: Sequence[str], language: str, image_kind: str | None = None) -> str | None:
        """Why an answer to a question with these options is no better than a guess, in one sentence; None if it is.

        image_kind: of the image that it is about, ``other`` for none that is known; None where nothing tells it.
        """
        if image_kind is not None and image_kind not in self.kinds:
            measured = " or ".join(DOMAIN_NAMES.get(kind, kind) for kind in self.kinds)
            shown = "none that is known" if image_kind == "other" else DOMAIN_NAMES.get(image_kind, image_kind)
            return f"answers were not measured on such images: this is most like {shown}, measured was: {measured}"
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
    """One question on an image that the answering model was not trained on: who had it right.

    options: how many answers its wording leaves, 0 for all.
    """

    image: str
    type: QuestionType
    right: bool
    majority: bool
    blank: bool
    options: int


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
        images, right = [trial.image for trial in own], [float(trial.right) for trial in own]
        low, high = group_interval(right, images)
        found[kind] = Score(
            questions=len(own),
            images=len({*images}),
            accuracy=mean(right),
            low=low,
            high=high,
            majority=_guess(right, [float(trial.majority) for trial in own], images),
            blank=_guess(right, [float(trial.blank) for trial in own], images),
            chance=None if kind == "open" else _guess(right, [by_chance(trial.options) for trial in own], images),
        )
    return found


def by_chance(options: int) -> float:
    """How often one of so many answers is right by chance; 0 where the wording leaves all (0)."""
    return 1 / options if options else 0.0


def _guess(right: Sequence[float], guessed: Sequence[float], images: Sequence[str]) -> Guess:
    from fiducial.tools.metrics.means import mean, paired_interval

    low, high = paired_interval(right, guessed, images)
    return Guess(right=mean(guessed), low=low, high=high)
