"""What a Chinese text claims, alone and beside English."""

from __future__ import annotations

import pytest

from fiducial.tools.claims import claims

CHINESE = {
    "右肺可见一处肺部阴影。": {("presence", "opacity", None)},
    "双肺可见3处肺部阴影。": {("count", "opacity", 3)},
    "心影大小正常（心胸比0.46）。未见肺部阴影。": {("absence", "opacity", None)},
    "有3个血小板和十二个红细胞。": {("count", "platelet", 3), ("count", "red_cell", 12)},
    "共有二十三个细胞核": {("count", "nucleus", 23)},
    "红细胞数量为 12 个。R1、R2是血小板。": {
        ("count", "red_cell", 12),
        ("presence", "platelet", None),
        ("region", "R1", None),
        ("region", "R2", None),
    },
    "图像中没有白细胞，但有血小板。": {("absence", "white_cell", None), ("presence", "platelet", None)},
    "无明显的息肉、肝脏病灶及白细胞": {("absence", k, None) for k in ("polyp", "liver_lesion", "white_cell")},
    "0个息肉": {("absence", "polyp", None)},
    "息肉未见": {("absence", "polyp", None)},
    "心脏无明显增大": set(),
    "未见心脏增大，可见息肉": {("presence", "polyp", None)},
    "总共检出2：R1位于左侧，没有标出区域。": {
        ("number", None, 2),
        ("region", "R1", None),
        ("absence", "region", None),
    },
    "发现3个细胞核，标为R1至R3。": {("count", "nucleus", 3), *(("region", f"R{n}", None) for n in (1, 2, 3))},
    "可见0.5 mm的息肉": {("presence", "polyp", None)},
}


@pytest.mark.parametrize(("text", "expected"), CHINESE.items())
def test_claims_of_a_chinese_text(text: str, expected: set[tuple[str, str, int | None]]) -> None:
    counted = {subject for kind, subject, _ in expected if kind == "count"}
    implied = {("presence", subject, None) for subject in counted}
    read = {(c.kind, c.subject, c.value) for c in claims(text)}
    assert read == expected | implied


@pytest.mark.parametrize(
    ("text", "absent", "present", "counted"),
    [
        ("双肺未见实变及肺部阴影。", {"opacity"}, set(), {}),
        ("未见胸腔积液、气胸、肺部阴影。", {"opacity"}, set(), {}),
        ("无心脏增大及肺部阴影。", {"opacity"}, set(), {}),
        ("没有发现息肉。", {"polyp"}, set(), {}),
        ("未见有息肉存在。", {"polyp"}, set(), {}),
        ("血小板、白细胞均未见。", {"platelet", "white_cell"}, set(), {}),
        ("没有血小板也没有白细胞。", {"platelet", "white_cell"}, set(), {}),
        ("有胸水无明显肺部阴影。", {"opacity"}, set(), {}),
        ("息肉数量：0。", {"polyp"}, set(), {}),
        ("可见一枚无蒂息肉。", set(), {"polyp"}, {}),
        ("可见一枚大小约5mm的息肉。", set(), {"polyp"}, {"polyp": 1}),
        ("可见两枚约5×3毫米大小的息肉。", set(), {"polyp"}, {"polyp": 2}),
        ("左肺1处肺部阴影，右肺2处肺部阴影。", set(), {"opacity"}, {}),
        ("右上肺肺部阴影3处，肝右叶未见肝脏病灶。", set(), {"opacity"}, {}),
        ("可见一个无强化的肝脏病灶。", set(), {"liver_lesion"}, {"liver_lesion": 1}),
        ("心脏不大，心脏未见增大，心脏体积增大。", set(), set(), {}),
        ("不能除外肝脏病灶。", set(), set(), {}),
        ("未见新增肺部阴影。", set(), set(), {}),
        ("未见明显的红细胞聚集。", set(), set(), {}),
        ("红细胞12个、白细胞1个", set(), {"red_cell", "white_cell"}, {"red_cell": 12, "white_cell": 1}),
        ("白细胞计数为1,200个。", set(), {"white_cell"}, {"white_cell": 1200}),
        ("血小板计数：150×10^9/L。", set(), {"platelet"}, {}),
        ("肝脏病灶大约6毫米。", set(), {"liver_lesion"}, {}),
        ("肝脏病灶：5毫米。", set(), {"liver_lesion"}, {}),
        ("一百二十个红细胞，几十个血小板，见2~3个息肉。", set(), {"red_cell", "platelet", "polyp"}, {}),
        ("第1个息肉，其中一枚息肉，另一个息肉，约20个息肉。", set(), {"polyp"}, {}),
        ("T2脑部病灶呈高信号。", set(), {"brain_lesion"}, {}),
    ],
)
def test_sentences_of_chinese_reports(text: str, absent: set[str], present: set[str], counted: dict[str, int]) -> None:
    found = claims(text)
    assert {c.subject for c in found if c.kind == "absence"} == absent
    assert {c.subject for c in found if c.kind == "presence"} == present
    assert {c.subject: c.value for c in found if c.kind == "count"} == counted


@pytest.mark.parametrize(
    ("text", "counted"),
    [
        ("There are 5 platelets (血小板).", {"platelet": 5}),
        ("One platelet (血小板) is seen.", {"platelet": 1}),
        ("红细胞共12个 (red blood cells)。", {"red_cell": 12}),
        ("有3个血小板。There are 12 red cells. 息肉2枚。", {"platelet": 3, "red_cell": 12, "polyp": 2}),
        ("有3个血小板\nThere are 12 red cells.", {"platelet": 3, "red_cell": 12}),
    ],
)
def test_each_sentence_is_read_in_its_own_language(text: str, counted: dict[str, int]) -> None:
    assert {c.subject: c.value for c in claims(text) if c.kind == "count"} == counted
