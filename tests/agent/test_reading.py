"""What a question asks, by its wording."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fiducial.agent.reading import of_known_landmarks, read
from fiducial.tools.landmark_measures import form_of, landmark_keys, landmark_named, landmark_words, named_quantities
from fiducial.tools.record import Intent

YES_NO = {"options": ("yes", "no")}
S_N_A = ("sella", "nasion", "subspinale")
READ: dict[str, dict[str, Any]] = {
    "What is the modality of this image?": {},
    "Which organ is abnormal?": {},
    "Is there a crescent in this image?": {"structure": "crescent", **YES_NO},
    "Are there any cavities in this chest x-ray?": {"structure": "cavity", **YES_NO},
    "Does this scan show free fluid?": {"structure": "free fluid", **YES_NO},
    "Was contrast given?": YES_NO,
    "Is this a CT or an MRI?": {"options": ("CT", "MRI")},
    "Is the callus benign or malignant?": {"options": ("benign", "malignant")},
    "Is it in the left lung or the right lung?": {"options": ("left lung", "right lung")},
    "Is it red, blue or green?": {"options": ("red", "blue", "green")},
    "How many crescents are there?": {"task": "count", "structure": "crescent"},
    "How many instruments are visible in this image?": {"task": "count", "structure": "instrument"},
    "Where is the callus located?": {"task": "location", "structure": "callus"},
    "Segment the crescent.": {"task": "segment", "structure": "crescent"},
    "How large is the callus?": {"task": "size", "structure": "callus", "quantity": "long_axis"},
    "What is the area of the crescent?": {"task": "size", "structure": "crescent", "quantity": "area"},
    "Describe this image": {"task": "report", "scope": "image"},
    "Please write a short report": {"task": "report", "scope": "image"},
    "What is the SNA angle?": {"task": "angle", "quantity": "sna_angle", "landmarks": S_N_A},
    "What is the angle at N between S and A?": {"task": "angle", "quantity": "sna_angle", "landmarks": S_N_A},
    "How far is the sella from the nasion?": {"task": "distance", "quantity": "sella_nasion", "landmarks": S_N_A[:2]},
    "How far is it from S to N?": {"task": "distance", "quantity": "sella_nasion", "landmarks": S_N_A[:2]},
    "Where are the ANS and PNS?": {"task": "location", "landmarks": ("anterior nasal spine", "posterior nasal spine")},
    "distance between porion and Or in mm on this ceph": {
        "task": "distance", "quantity": "distance", "landmarks": ("porion", "orbitale")
    },
    "有多少个血小板？": {"task": "count", "structure": "platelet", "language": "zh"},
    "这是CT还是MRI？": {"options": ("CT", "MRI"), "language": "zh"},
    "心影增大了吗？": {"options": ("是", "否"), "language": "zh"},
    "请写一份报告": {"task": "report", "scope": "image", "language": "zh"},
    "蝶鞍点到鼻根点的距离是多少？": {
        "task": "distance", "quantity": "sella_nasion", "landmarks": S_N_A[:2], "language": "zh"
    },
}  # fmt: skip


@pytest.mark.parametrize(("question", "expected"), READ.items(), ids=list(READ))
def test_wordings(question: str, expected: dict[str, Any]) -> None:
    assert read(question) == Intent(**{"task": "question", **expected})


def test_only_landmarks_that_are_all_known_are_read_without_a_model() -> None:
    found = of_known_landmarks("Where is the nasion?")
    assert found and found.intent == read("Where is the nasion?")
    for question in ("Where is the nucleus?", "distance between sella and the liver", "What is the SNA angle?",
                     "Is the distance from sella to nasion normal?", "Where are sella and the red cells?",
                     "How far is Pog from Pog?", "Locate S or N"):  # fmt: skip
        assert of_known_landmarks(question) is None, question


WHOLE = {
    "Where are A and B?": ("subspinale", "supramentale"),
    "Where is A point?": ("subspinale",),
    "Please tell me where the pogonion is": ("pogonion",),
    "On this ceph, what is the distance between A point and B point in mm?": ("subspinale", "supramentale"),
    "How many millimetres is it from porion to orbitale?": ("porion", "orbitale"),
    "Po-Or distance": ("porion", "orbitale"),
    "Angle between the lines S–N and N–A": ("sella", "nasion", "nasion", "subspinale"),
    "Is the nasion visible?": ("nasion",),
    "请问颏前点在哪里？": ("pogonion",),
    "测量耳点到眶点的距离": ("porion", "orbitale"),
    "S点到N点的距离是多少毫米": ("sella", "nasion"),
    "把颏前点标出来": ("pogonion",),
}
MORE = (
    "vertical distance between N and Me", "twice the distance between S and N",
    "which film shows the distance between S and N",
    "Is 80 mm a normal distance between S and N?", "Do not tell me the distance between S and N",
    "蝶鞍点到鼻根点的距离比耳点到眶点的距离长吗？", "耳点到眶点的距离正常吗？", "颏前点的位置正常吗？",
    "蝶鞍点、鼻根点和颏前点的夹角大于80度吗？",
)  # fmt: skip


def test_a_question_that_says_more_of_landmarks_is_told_apart() -> None:
    for question, landmarks in WHOLE.items():
        found = of_known_landmarks(question)
        assert found and found.whole and found.intent.landmarks == landmarks, question
    for question in MORE:
        found = of_known_landmarks(question)
        assert found and not found.whole, question


def test_what_has_a_name_keeps_it() -> None:
    names = {
        "angle at nasion between A and B": "anb_angle", "angle between point B, nasion and point A": "anb_angle",
        "angle at N between A and S": "sna_angle", "How far is it from N to S?": "sella_nasion",
        "How far apart are the left border of the heart and the right border of the heart?": "heart_width",
        "angle between sella, nasion and pogonion": "angle",
    }  # fmt: skip
    for question, quantity in names.items():
        found = of_known_landmarks(question)
        assert found and found.intent.quantity == quantity, question


WORDS = ["is", "the", "or", "angle", "at", "between", "A", ",", "？", "有", "的", "吗", "角", "how", "many", "of"]


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=120) | st.lists(st.sampled_from(WORDS)))
def test_any_text_is_read_as_something(text: str | list[str]) -> None:
    question = text if isinstance(text, str) else " ".join(text)
    intent = read(question)
    assert intent.task != "unknown"
    assert len(set(intent.options)) == len(intent.options) != 1
    assert all(intent.landmarks) and (intent.structure is None or intent.structure.strip())


def test_names_of_landmarks_lead_back_to_them() -> None:
    for key in landmark_keys():
        assert {landmark_named(landmark_words(key, "en")), landmark_named(landmark_words(key, "zh"))} == {key}
    for quantity, known in named_quantities().items():
        assert form_of(quantity, len(known.of)) == known.form
