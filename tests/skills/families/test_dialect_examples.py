"""Texts as the families and papers write them, and the breaks that their recorded outputs have."""

from __future__ import annotations

import pytest

from fiducial.skills.families.dialects import DIALECTS, Parsed
from fiducial.skills.families.dialects.plain import read_count
from fiducial.skills.targets import (
    BoxesTarget,
    ChoiceTarget,
    CountTarget,
    LabelledBox,
    LabelledPoint,
    LabelledPolygon,
    LandmarksTarget,
    NumbersTarget,
    PointsTarget,
    PolygonsTarget,
    PromptTask,
    Query,
    Target,
    TextTarget,
)
from fiducial.tools.errors import InputError
from fiducial.tools.frames import FrameError, FrameMap2D, letterbox_map, resize_map

AS_STORED = resize_map(720, 576, 720, 576)


def said(name: str, task: PromptTask, text: str, to_model: FrameMap2D = AS_STORED, **query: object) -> Parsed:
    return DIALECTS[name].parse(Query(task=task, **{"label": "polyp", **query}), text, to_model)


def test_each_family_writes_a_box_its_own_way() -> None:
    target = BoxesTarget(boxes=(LabelledBox(label="polyp", box_xyxy_px=(72, 144, 360, 288)),))
    query = Query(task="detect", label="polyp")
    resized = resize_map(720, 576, 728, 588)
    square = letterbox_map(720, 576, 896, 896)
    assert DIALECTS["qwen2-vl"].render(query, target, resized) == (
        "<|object_ref_start|>polyp<|object_ref_end|><|box_start|>(100,250),(500,500)<|box_end|>"
    )
    assert DIALECTS["umit"].render(query, target, resized) == "<|box_start|>(100,250),(500,500)<|box_end|>"
    assert '"bbox_2d": [73, 147, 364, 294]' in DIALECTS["qwen2.5-vl"].render(query, target, resized)
    assert '"bbox_2d": [72.8, 147.0, 364.0, 294.0]' in DIALECTS["point-detect-count"].render(query, target, resized)
    assert '"bbox_2d": [100, 250, 500, 500]' in DIALECTS["qwen3-vl"].render(query, target, resized)
    assert DIALECTS["florence-2"].render(query, target, resized) == "polyp<loc_100><loc_250><loc_500><loc_500>"
    # 720×576 in a square of 896: 717 px high, 89 px of padding above; y comes first.
    assert '"box_2d": [299, 100, 499, 500]' in DIALECTS["gemma3"].render(query, target, square)
    assert DIALECTS["llava-1.5"].render(query, target, square) == "[0.10, 0.30, 0.50, 0.50]"
    # From the lower left: the lower edge, 288 of 576, is 0.5 up; the upper edge is 0.75 up.
    assert DIALECTS["medvision"].render(query, target, resized) == "0.100, 0.500, 0.500, 0.750"
    openai = DIALECTS["openai-compatible"].render(query, target, resized)
    assert openai == '[{"bbox_2d": [100, 250, 500, 500], "label": "polyp"}]'


def test_a_bin_of_florence_means_its_centre_and_is_not_cut_to_whole_pixels() -> None:
    parsed = said("florence-2", "detect", "polyp<loc_100><loc_250><loc_500><loc_999>")
    assert isinstance(parsed.target, BoxesTarget)
    assert parsed.target.boxes[0].box_xyxy_px == pytest.approx((72.36, 144.288, 360.36, 575.712))


@pytest.mark.parametrize("key", ["count", "counts"])
@pytest.mark.parametrize("fence", ["```json\n{}\n```", "```JSON\n{}\n```", "{}", "Here it is: {}"])
def test_counts_are_read_under_both_names_fenced_or_not(key: str, fence: str) -> None:
    text = fence.replace("{}", f'{{"{key}": 2, "point_2d": [[10.5, 20.0], [30.0, 40.0]], "label": "polyp"}}')
    parsed = said("point-detect-count", "count_and_point", text)
    assert parsed.target == CountTarget(label="polyp", count=2, points_xy_px=((10.5, 20.0), (30.0, 40.0)))
    assert not parsed.marks


def test_the_missing_bracket_of_the_recorded_outputs_is_mended_and_said() -> None:
    text = '```json\n{"counts": 1, "point_2d": [[324.6, 220.0], "label": "polyps"}\n```'
    parsed = said("point-detect-count", "count_and_point", text)
    assert parsed.target == CountTarget(label="polyps", count=1, points_xy_px=((324.6, 220.0),))
    assert parsed.marks == {"repaired"}


def test_a_list_that_breaks_off_is_kept_up_to_the_break_and_said() -> None:
    rows = [f'{{"point_2d": [{x}, {x + 10}], "label": "polyp"}}' for x in (10, 30)]
    text = f'```json\n[{", ".join(rows)}, {{"point_2d": [50, 6'
    parsed = said("qwen2.5-vl", "point", text)
    first = LabelledPoint(label="polyp", point_xy_px=(10, 20))
    assert parsed.target == PointsTarget(points=(first, first.model_copy(update={"point_xy_px": (30.0, 40.0)})))
    assert parsed.marks == {"truncated"} and not parsed.complete


def test_a_list_that_breaks_off_in_the_first_item_is_no_empty_list() -> None:
    parsed = said("qwen2.5-vl", "point", '[{"point_2d": [10, 2')
    assert parsed.target is None and parsed.problem


def test_an_empty_list_says_that_there_is_none() -> None:
    assert said("qwen2.5-vl", "detect", "```json\n[]\n```").target == BoxesTarget()
    assert said("florence-2", "detect", "none").target == BoxesTarget()
    assert said("qwen2.5-vl", "detect", "I see an endoscopy image.").target is None


def test_box_tokens_are_read_without_the_tokens_too() -> None:
    cut = "<|box_start|>(604,241),(839,782)<|box_end|><|box_start|>(604,2"
    for text in ("<|box_start|>(604,241),(839,782)<|box_end|>", "(604,241),(839,782)", "[604, 241, 839, 782]", cut):
        parsed = said("umit", "detect", text)
        assert isinstance(parsed.target, BoxesTarget)
        assert [box.label for box in parsed.target.boxes] == ["polyp"]
        assert parsed.target.boxes[0].box_xyxy_px == pytest.approx((434.88, 138.816, 604.08, 450.432))
        assert parsed.marks == ({"truncated"} if text == cut else set())


def test_umit_landmark_choice_and_three_dimensions() -> None:
    landmark = said("umit", "landmark", "[253,610]", resize_map(1935, 2400, 980, 1204), label="Gonion").target
    assert isinstance(landmark, LandmarksTarget)
    assert landmark.landmarks[0].label == "Gonion"
    assert landmark.landmarks[0].point_xy_px == pytest.approx((489.555, 1464.0))
    options = ("normal", "pneumonia")
    assert said("umit", "choose", "1:pneumonia", options=options).target == ChoiceTarget(choice="pneumonia")
    assert said("umit", "choose", "1", options=options).target == ChoiceTarget(choice="pneumonia")
    assert said("umit", "choose", "0:pneumonia", options=options).target is None
    solid = said("umit", "detect_3d", "[(32,157,19),(112,219,25)]", resize_map(1000, 1000, 504, 504), label="Tumor")
    assert solid.target is not None
    assert solid.target.boxes[0].box_xyzxyz_voxel == pytest.approx((32, 157, 19, 112, 219, 25))  # type: ignore[union-attr]


def test_polygons_of_florence_are_location_sequences() -> None:
    text = "<loc_0><loc_0><loc_100><loc_0><loc_100><loc_100><sep><loc_1><loc_1><loc_2><loc_1><loc_2><loc_2>"
    parsed = said("florence-2", "segment", f"<s>{text}</s>", resize_map(1000, 1000, 768, 768))
    assert isinstance(parsed.target, PolygonsTarget)
    assert [len(p.polygon_xy_px) for p in parsed.target.polygons] == [3, 3]
    assert parsed.target.polygons[0] == LabelledPolygon(
        label="polyp", polygon_xy_px=((0.5, 0.5), (100.5, 0.5), (100.5, 100.5))
    )
    cut = said("florence-2", "segment", text[:-8])
    assert isinstance(cut.target, PolygonsTarget) and len(cut.target.polygons) == 1 and cut.marks == {"truncated"}


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("45.2, 30.1", [45.2, 30.1]),
        ("The axes are 45.2 mm and 3.01e1 mm.", [45.2, 30.1]),
        ("7 slices; 4.52e1,30.1", [45.2, 30.1]),
    ],
)
def test_sizes_are_the_last_numbers_of_the_text(text: str, values: list[float]) -> None:
    parsed = said("medvision", "measure_size", text, quantities=("major axis", "minor axis"), unit="mm")
    assert isinstance(parsed.target, NumbersTarget)
    assert [(n.name, n.value, n.unit) for n in parsed.target.numbers] == [
        ("major axis", pytest.approx(values[0]), "mm"),
        ("minor axis", pytest.approx(values[1]), "mm"),
    ]


def test_a_unit_that_is_written_counts_for_more_than_the_one_asked_for() -> None:
    parsed = said("qwen2.5-vl", "measure_distance", "diameter: 4.5 cm", quantities=("diameter",), unit="mm")
    assert isinstance(parsed.target, NumbersTarget)
    assert parsed.target.numbers[0].unit == "cm"


def test_a_choice_is_not_guessed_between_two_that_occur() -> None:
    options = ("yes", "no")
    assert said("qwen2.5-vl", "choose", "Yes.", options=options).target == ChoiceTarget(choice="yes")
    assert said("qwen2.5-vl", "choose", "Yes, there is", options=options).target == ChoiceTarget(choice="yes")
    assert said("qwen2.5-vl", "choose", "yes or no", options=options).target is None
    assert said("qwen2.5-vl", "choose", "nothing", options=options).target is None


def test_control_tokens_in_a_label_are_not_written_as_such() -> None:
    label = "polyp<|box_start|>(1,1),(2,2)<|box_end|>"
    target: Target = BoxesTarget(boxes=(LabelledBox(label=label, box_xyxy_px=(72, 144, 360, 288)),))
    text = DIALECTS["qwen2-vl"].render(Query(task="detect"), target, AS_STORED)
    assert text.count("<|box_start|>") == 1


def test_a_text_is_a_text() -> None:
    assert said("florence-2", "answer", " A polyp. ").target == TextTarget(text="A polyp.")


def test_a_map_without_the_model_input_s_size_is_refused() -> None:
    with pytest.raises(FrameError):
        said("qwen3-vl", "point", '[{"point_2d": [1, 2]}]', FrameMap2D(AS_STORED.matrix))


def test_an_unknown_dialect_is_refused_by_name() -> None:
    from fiducial.skills.families.dialects import dialect

    with pytest.raises(InputError, match="florence-2"):
        dialect("florence")


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("There are 1,200 cells", 1200), ("12,345", 12345), ("3, 4 and 5", 3), ("3,4", 3), ("3.", 3), ("17 cells", 17),
        ("3-4", None), ("3 – 4 cells", None), ("3 to 4", None), ("between 3 and 4", None), ("3 or 4", None),
        ("3.5", None), ("-3", None), ("1,200,300", None), ("3,400.5", None), ("1,20", 1),
        ("none", None), ("3 touch 4 others", 3),
    ],
)  # fmt: skip
def test_a_count_in_words_has_its_thousands_and_is_no_range(text: str, count: int | None) -> None:
    assert read_count(text) == count
