"""A session of the embedded model: one look at the image, adapters that matter, coordinates of the stored image."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image as PILImage

from fiducial.skills.base import (
    AnswerArgs,
    ClassifyArgs,
    ExplainArgs,
    FindArgs,
    QuestionArgs,
    ReportArgs,
    SubjectArgs,
    UnderstandArgs,
)
from fiducial.skills.families.llava import dialect
from fiducial.skills.families.llava.held import HeldToRecord
from fiducial.skills.families.llava.perform import PERFORM
from fiducial.skills.families.llava.prompting import prompt_ids
from fiducial.skills.families.llava.tower import KINDS
from fiducial.skills.training.embedded.tasks import SKILLS
from fiducial.tools.contradictions import Truth
from fiducial.tools.errors import InputError
from fiducial.tools.hooks import registry
from fiducial.tools.images.open_image import open_image
from fiducial.tools.record import Answer, Intent, Region, Scale

if TYPE_CHECKING:
    from fiducial.skills.datasets.sample import Sample
    from fiducial.skills.families.llava.family import LlavaModel

COUNT = Intent(task="count", structure="red_cell")
ARGS: dict[str, Any] = {
    "understand": UnderstandArgs(question="How many red cells are there?"),
    "answer": AnswerArgs(intent=Intent(task="presence", structure="red_cell")),
    "count": SubjectArgs(structure="red_cell"),
    "detect": FindArgs(structure="red_cell"),
    "point": FindArgs(structure="red_cell"),
    "landmark": FindArgs(structure="head"),
    "report": ReportArgs(),
    "classify": ClassifyArgs(options=["a blood smear", "head ultrasound", "blood_smear"]),
    "question": QuestionArgs(question="Is there an effusion?", options=["yes", "no"]),
    "explain": ExplainArgs(
        intent=COUNT, answer=Answer(text="2", value=2, confidence=0.9), regions=[], width_px=640, height_px=480
    ),
}
Picture = Callable[..., Path]


@contextmanager
def looks(model: LlavaModel) -> Iterator[list[int]]:
    """A list that grows by one each time the tower looks at pixels."""
    seen: list[int] = []
    hook = model.tower.register_forward_hook(lambda *_: seen.append(1))
    yield seen
    hook.remove()


def boxes(result: Any) -> np.ndarray:
    return np.array([region.box_xyxy_px for region in result.regions])


def test_every_skill_answers_and_the_image_is_encoded_once(
    tiny_model: LlavaModel, smear: Sample, picture: Picture
) -> None:
    session = tiny_model.open(open_image(picture(smear.pixels())))
    with looks(tiny_model) as seen:
        for skill in ("understand", "explain"):
            session.perform(skill, ARGS[skill])
        assert not seen
        for skill in PERFORM:
            spec = registry().skills[skill]
            result = spec.call(session, ARGS[skill])
            assert isinstance(result, spec.result)
            assert 0 <= result.confidence <= 1
        assert session.domain.kind in KINDS
        assert len(seen) == 1
    assert set(ARGS) == {*SKILLS, "classify"} == set(PERFORM)
    assert sum(session.domain.probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert session.domain.typicality == 1  # nothing was calibrated


def test_the_same_question_gets_the_same_answer_after_other_skills(
    tiny_model: LlavaModel, smear: Sample, picture: Picture
) -> None:
    image = open_image(picture(smear.pixels()))
    first = tiny_model.open(image).perform("detect", ARGS["detect"])
    session = tiny_model.open(image)
    for skill in ("point", "understand", "answer"):
        session.perform(skill, ARGS[skill])
    assert session.perform("detect", ARGS["detect"]) == first


def steps(session: Any, skill: str) -> torch.Tensor:
    made = session.generate(skill, "detect red_cell")
    first: torch.Tensor = made.steps[0]
    return first


def test_each_adapter_speaks_for_itself(tiny_model: LlavaModel, smear: Sample, picture: Picture) -> None:
    session = tiny_model.open(open_image(picture(smear.pixels())))
    with looks(tiny_model) as seen:
        off, swapped = session.with_adapter("detect", None), session.with_adapter("detect", "count")
        own = steps(session, "detect")
        assert (steps(off, "detect") - own).abs().max() > 1e-5
        assert (steps(swapped, "detect") - own).abs().max() > 1e-5
        assert torch.equal(steps(swapped, "detect"), steps(session, "count"))
        assert torch.equal(steps(off, "point"), steps(session, "point"))
        assert torch.equal(steps(session, "detect"), own)
        assert len(seen) == 1


def test_without_an_adapter_it_is_the_base_that_speaks(
    tiny_model: LlavaModel, tiny_base: Path, smear: Sample, picture: Picture
) -> None:
    from fiducial.skills.families.llava.model import embed
    from fiducial.skills.families.llava.processing import pixel_values
    from fiducial.tests.skills.tiny import load_base

    off = tiny_model.open(open_image(picture(smear.pixels()))).with_adapter("detect", None)
    base = load_base(tiny_base)
    ids = torch.tensor([prompt_ids(tiny_model.tokenizer, "detect red_cell", 16)])
    with torch.no_grad():
        tokens = base.model.vision_tower(pixel_values(smear.pixels(), 192, 144)[0]).hidden_states[-1]
        logits = base(inputs_embeds=embed(base, ids, tokens)).logits[0, -1]
    assert torch.allclose(steps(off, "detect"), logits.softmax(-1), atol=1e-5)


@pytest.mark.parametrize("skill", ["detect", "point"])
@pytest.mark.parametrize("count", [0, 1, 3, 5])
def test_exactly_so_many_are_found(
    tiny_model: LlavaModel, smear: Sample, picture: Picture, skill: str, count: int
) -> None:
    session = tiny_model.open(open_image(picture(smear.pixels())))
    assert int((session.proposals.score > 0).sum()) >= 5
    found = session.perform(skill, FindArgs(structure="red_cell", exactly_count=count)).regions
    assert [region.id for region in found] == [f"R{k + 1}" for k in range(count)]
    scores = [region.score for region in found]
    assert scores == sorted(scores, reverse=True)
    assert len({region.box_xyxy_px or region.point_xy_px for region in found}) == count


def test_regions_lie_in_the_image(tiny_model: LlavaModel, smear: Sample, picture: Picture) -> None:
    session = tiny_model.open(open_image(picture(smear.pixels())))
    height, width = smear.pixels().shape[:2]
    found = boxes(session.perform("detect", FindArgs(structure="red_cell", exactly_count=6)))
    assert (found[:, :2] >= 0).all()
    assert (found[:, 2:] <= [width, height]).all()
    assert (found[:, 2:] > found[:, :2]).all()


def test_a_crop_answers_in_coordinates_of_the_whole_image(
    tiny_model: LlavaModel, smear: Sample, picture: Picture
) -> None:
    pixels, (x0, y0, x1, y1) = smear.pixels(), (90, 60, 330, 240)
    args = FindArgs(structure="red_cell", exactly_count=4)
    zoomed = tiny_model.open(open_image(picture(pixels))).zoom((x0, y0, x1, y1))
    alone = tiny_model.open(open_image(picture(np.ascontiguousarray(pixels[y0:y1, x0:x1]), "crop")))
    there, here = (boxes(session.perform("detect", args)) for session in (zoomed, alone))
    here += np.array([x0, y0, x0, y0])
    assert np.clip(there, [x0, y0] * 2, [x1, y1] * 2) == pytest.approx(here, abs=1e-3)
    twice = zoomed.zoom((100, 70, 200, 170))
    again = tiny_model.open(open_image(picture(pixels))).zoom((100, 70, 200, 170))
    assert boxes(twice.perform("detect", args)) == pytest.approx(boxes(again.perform("detect", args)))


@pytest.mark.parametrize("box", [(10, 10, 12, 50), (50, 50, 10, 10), (-50, -50, 4, 4), (1e6, 1e6, 2e6, 2e6)])
def test_a_crop_of_hardly_anything_is_refused(
    tiny_model: LlavaModel, smear: Sample, picture: Picture, box: tuple[float, float, float, float]
) -> None:
    session = tiny_model.open(open_image(picture(smear.pixels())))
    with pytest.raises(InputError, match="too small"):
        session.zoom(box)


def test_a_picture_that_is_stored_turned_is_measured_as_stored(
    tiny_model: LlavaModel, smear: Sample, picture: Picture
) -> None:
    from PIL import Image as PILImage

    pixels = smear.pixels()
    exif = PILImage.Exif()
    exif[0x0112] = 6  # shown a quarter turn clockwise
    turned = open_image(picture(np.ascontiguousarray(np.rot90(pixels)), "turned", exif=exif))
    upright = open_image(picture(pixels))
    assert np.array_equal(turned.rgb_u8, upright.rgb_u8)
    args = FindArgs(structure="red_cell", exactly_count=4)
    shown, stored = (boxes(tiny_model.open(image).perform("detect", args)) for image in (upright, turned))
    width = pixels.shape[1]  # a shown point (x, y) is stored at (y, width - x)
    expected = np.stack([shown[:, 1], width - shown[:, 2], shown[:, 3], width - shown[:, 0]], 1)
    assert stored == pytest.approx(expected, abs=1e-3)
    points = tiny_model.open(turned).perform("point", args).regions
    inside = [(b[:, None] if b.ndim == 1 else b) for b in stored]
    assert len(points) == len(inside) == 4
    assert all(0 <= p.point_xy_px[0] <= pixels.shape[0] and 0 <= p.point_xy_px[1] <= width for p in points)


def test_the_heads_ellipse_comes_back_in_stored_pixels(
    tiny_model: LlavaModel, ultrasound: Sample, picture: Picture
) -> None:
    session = tiny_model.open(open_image(picture(ultrasound.pixels())))
    found = session.perform("landmark", FindArgs(structure="head", exactly_count=1)).regions
    assert [region.kind for region in found] == ["ellipse", *["landmark"] * 4]
    ellipse = found[0].ellipse_px
    back = session.stored_to_input.ellipse(ellipse)
    x, y, major, minor, _ = session.proposals.ellipse[0].tolist()
    assert [*back.center_xy_px, back.semi_major_px, back.semi_minor_px] == pytest.approx([x, y, major, minor], abs=0.01)
    assert [region.point_xy_px for region in found[1:]] == [pytest.approx(p) for p in ellipse.vertices_xy_px]
    assert all(region.parent_id == "R1" and region.sigma_px > 0 for region in found[1:])
    assert session.perform("landmark", FindArgs(structure="red_cell", exactly_count=1)).regions == []


def test_every_question_is_decoded_within_the_grammar(tiny_model: LlavaModel, smear: Sample, picture: Picture) -> None:
    session = tiny_model.open(open_image(picture(smear.pixels())))
    made = session.generate("understand", "understand anything", with_image=False, allowed=tiny_model.grammars.intent)
    assert dialect.parse_intent(made.text) is not None
    result = session.perform("understand", UnderstandArgs(question="How many platelets?"))
    assert dialect.render_intent(result.intent) == " ".join(result.text.split())


def test_later_attempts_to_explain_are_held_to_the_record_and_sample_by_their_number(
    tiny_model: LlavaModel, smear: Sample, picture: Picture
) -> None:
    session = tiny_model.open(open_image(picture(smear.pixels())))
    third, fourth = (ARGS["explain"].model_copy(update={"attempt": n}) for n in (3, 4))
    assert session.perform("explain", third) == session.perform("explain", third)
    assert session.perform("explain", third) != session.perform("explain", fourth)


def test_a_word_against_the_record_is_not_decoded(tiny_model: LlavaModel) -> None:
    tokenizer = tiny_model.tokenizer
    region = Region(id="R1", label="platelet", kind="box", box_xyxy_px=(0, 0, 9, 9), score=1, skill="detect")
    truth = Truth.of_parts(Intent(task="count", structure="platelet"), None, [region], 90, 90)
    said = tokenizer("R1 lies at the", add_special_tokens=False)["input_ids"]
    words = {word: tokenizer(word, add_special_tokens=False)["input_ids"][0] for word in ("top", "left", "upper")}
    scores = torch.full((1, len(tokenizer)), -9.0)
    for score, token in enumerate(words.values(), 1):
        scores[0, token] = -score
    held = HeldToRecord(tokenizer, truth)
    assert int(held(torch.tensor([said]), scores).argmax()) == words["upper"]
    assert int(held(torch.tensor([[*said, words["upper"]]]), scores).argmax()) == words["left"]


def test_an_unknown_skill_and_a_missing_adapter(tiny_model: LlavaModel, smear: Sample, picture: Picture) -> None:
    session = tiny_model.open(open_image(picture(smear.pixels())))
    with pytest.raises(InputError, match="no skill 'segment'; it has: answer"):
        session.perform("segment", ARGS["count"])
    with pytest.raises(InputError, match="fiducial train segment"):
        session.with_adapter("count", "segment").perform("count", ARGS["count"])


@pytest.mark.parametrize("orientation", [1, 6])
def test_pixels_that_are_not_square_are_seen_square(
    tiny_model: LlavaModel, smear: Sample, picture: Picture, orientation: int
) -> None:
    pixels = smear.pixels()
    flat = np.repeat(pixels, 2, axis=0)  # a pixel half as high as wide
    exif = PILImage.Exif()
    exif[0x0112] = orientation
    square = tiny_model.open(open_image(picture(pixels, "square", exif=exif), user_scale(1.0, 1.0)))
    other = tiny_model.open(open_image(picture(flat, "flat", exif=exif), user_scale(0.5, 1.0)))
    (seen, _), (again, _) = square._encoded, other._encoded
    assert torch.allclose(seen.dense.heat, again.dense.heat, atol=0.05)
    corner = square.stored_to_input.points([[30.0, 40.0]])
    assert other.stored_to_input.points([[30.0, 80.0]]) == pytest.approx(corner, abs=0.5)


def user_scale(row_mm: float, column_mm: float) -> Scale:
    return Scale(row_mm=row_mm, column_mm=column_mm, source="user")


@pytest.mark.parametrize("level", [0, 128, 255])
def test_an_image_of_one_colour_is_of_no_kind(tiny_model: LlavaModel, level: int, tmp_path: Path) -> None:
    blank = np.full((60, 80, 3), level, np.uint8)
    blank[10, 10] = max(level, 2) - 2
    PILImage.fromarray(blank).save(tmp_path / "blank.png")
    seen = tiny_model.open(open_image(tmp_path / "blank.png")).domain
    assert (seen.kind, seen.typicality) == ("other", 0.0)
