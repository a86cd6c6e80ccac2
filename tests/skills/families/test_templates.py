"""Every template fills; a broken data file is refused by name; the pixel size is that of the model's input."""

from __future__ import annotations

import json
from typing import get_args

import pytest

from fiducial.skills.families.dialects import DIALECTS
from fiducial.skills.targets import Language, PromptTask, Query
from fiducial.skills.templates import fill, read_set, template_sets, wordings
from fiducial.tools.errors import InputError
from fiducial.tools.frames import letterbox_map, resize_map
from fiducial.tools.record import Scale

SCALE = Scale(row_mm=0.8, column_mm=0.5, source="acquisition")
FULL = {
    "label": "polyp",
    "question": "Is it red?",
    "options": ("yes", "no"),
    "quantities": ("major axis", "minor axis"),
}


def query(task: PromptTask, language: Language = "en") -> Query:
    return Query(task=task, language=language, unit="mm", scale=SCALE, **FULL)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", sorted(template_sets()))
def test_every_wording_of_every_set_fills(name: str) -> None:
    texts = set()
    for task in get_args(PromptTask):
        for language in get_args(Language):
            for variant in range(len(wordings(name, task, language))):
                text = fill(name, query(task, language), resize_map(512, 512, 1024, 256), variant)
                assert "${" not in text and text.strip() == text
                texts.add(text)
    assert len(texts) >= len(get_args(PromptTask))


@pytest.mark.parametrize("name", sorted(DIALECTS))
def test_every_dialect_is_asked_with_templates_that_are_there(name: str) -> None:
    assert DIALECTS[name].templates in template_sets()


def test_the_papers_prompts_are_as_printed() -> None:
    assert fill("umit", query("detect")) == "Find <|object_ref_start|>polyp<|object_ref_end|> in this image."
    chosen = fill("umit", query("choose"))
    assert chosen == "given the image, choose one option from the 0:yes\n1:no to answer: Is it red?"
    assert fill("gi-vqa", query("explain")) == "<MedVQA_EXPLAIN>Is it red?"
    format_sentence = 'Must output in this json format:[{"point_2d": [x,y], "label": p_lbl},.., {..}].'
    assert fill("point-detect-count", query("point")) == f"Point to polyp. {format_sentence}"
    assert "图像" in fill("umit", query("report", "zh"))


def test_the_pixel_size_is_divided_by_the_model_s_own_resize() -> None:
    sentence = "The pixel size for this image is {} mm (width) x {} mm (height)"
    doubled = fill("medvision", query("measure_size"), resize_map(512, 512, 1024, 256))
    assert sentence.format("0.250", "1.600") in doubled
    # A letterbox keeps the proportions: 512×256 into 1024² is doubled both ways.
    boxed = fill("medvision", query("measure_size"), letterbox_map(512, 256, 1024, 1024))
    assert sentence.format("0.250", "0.400") in boxed


def test_a_pixel_size_is_never_made_up() -> None:
    without = query("measure_size").model_copy(update={"scale": None})
    with pytest.raises(InputError, match="scale"):
        fill("medvision", without, resize_map(512, 512, 1024, 256))
    with pytest.raises(InputError, match="label"):
        fill("umit", Query(task="detect"))


def test_a_file_with_an_unknown_field_task_or_name_is_refused() -> None:
    good = json.loads(template_sets()["umit"].model_dump_json())
    for spoil in (
        {"prompts": {"detect": {"en": ["Find ${structure}."]}}},
        {"prompts": {"detekt": {"en": ["Find ${label}."]}}},
        {"prompts": {"detect": {"fr": ["Trouve ${label}."]}}},
        {"prompts": {"detect": {"en": []}}},
        {"prompts": {"detect": {"en": ["5 $ a ${label}"]}}},
        {"extends": None},
        {"name": "other"},
        {"colour": "red"},
    ):
        with pytest.raises(InputError, match="umit"):
            read_set(json.dumps({**good, **spoil}), "umit")
    with pytest.raises(InputError, match="umit"):
        read_set("{", "umit")
