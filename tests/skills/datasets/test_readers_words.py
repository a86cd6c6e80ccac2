"""Readers of questions, classes and reports, on small files in the published layouts."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PILImage

from fiducial.skills.datasets.chimed_vl import open_chimed_vl
from fiducial.skills.datasets.iu_xray import open_iu_xray
from fiducial.skills.datasets.kvasir_vqa import open_kvasir_vqa
from fiducial.skills.datasets.m3d_cap import open_m3d_cap
from fiducial.skills.datasets.m3d_vqa import open_m3d_vqa
from fiducial.skills.datasets.medmnist import medmnist_sets, open_medmnist
from fiducial.skills.datasets.objects import asks_of
from fiducial.skills.datasets.path_vqa import open_path_vqa
from fiducial.skills.datasets.peir_gross import open_peir_gross
from fiducial.skills.datasets.sample import Sample
from fiducial.skills.datasets.slake import open_slake
from fiducial.skills.datasets.vqa_rad import open_vqa_rad
from fiducial.tools.errors import InputError


def write_picture(path: Path, width: int = 64, height: int = 48) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    PILImage.new("RGB", (width, height), (90, 90, 90)).save(path)


def said(sample: Sample) -> tuple[str | None, str]:
    ask = sample.asks[0]
    return ask.query.question, getattr(ask.target, "choice", None) or ask.target.text


def test_vqa_rad_is_split_by_image_and_loses_its_mark(tmp_path: Path) -> None:
    row = {"image_name": "a.jpg", "answer_type": "CLOSED", "question_type": "PRES", "image_organ": "CHEST"}
    rows = [
        row | {"qid": 1, "question": "CLOSED Is it midline?", "answer": "CLOSED Yes"},
        row | {"qid": 2, "question": "How many?", "answer": 5, "answer_type": "OPEN"},
        row | {"qid": 3, "question": "Where?", "answer": "left", "image_name": "b.jpg"},
    ]
    (tmp_path / "train.json").write_text(json.dumps(rows))
    (tmp_path / "train.txt").write_text("a.jpg\n")
    first, second = open_vqa_rad(tmp_path, "train")
    assert said(first) == ("Is it midline?", "yes")
    assert first.asks[0].query.options == ("yes", "no")
    assert said(second) == ("How many?", "5")
    assert first.group == second.group == first.image_name == "a.jpg"
    (tmp_path / "train.txt").unlink()
    assert len(list(open_vqa_rad(tmp_path, "all"))) == 3
    with pytest.raises(InputError, match="unknown split 'dev'"):
        list(open_vqa_rad(tmp_path, "dev"))


def test_kvasir_rows_keep_their_complexity_and_source(tmp_path: Path) -> None:
    write_picture(tmp_path / "images" / "cl8.jpg")
    row = {
        "img_id": "cl8", "complexity": 2, "question": "How many polyps and where?", "answer": "One, lower right.",
        "original": [{"q": "How many polyps?", "a": "1"}], "question_class": ["polyp_count"],
    }  # fmt: skip
    (tmp_path / "Kvasir-VQA-x1-train.jsonl").write_text(json.dumps(row) + "\n" + json.dumps(row | {"answer": "Yes."}))
    first, second = open_kvasir_vqa(tmp_path, "train")
    assert said(first) == ("How many polyps and where?", "One, lower right.")
    assert (first.facts["complexity"], first.facts["original"]) == ("2", '[{"q": "How many polyps?", "a": "1"}]')
    assert second.asks[0].query.task == "choose"
    assert first.pixels().shape == (48, 64, 3)
    assert first.id != second.id
    with pytest.raises(InputError, match=r"has no \*test\*\.jsonl"):
        list(open_kvasir_vqa(tmp_path, "test"))


def test_slake_has_both_languages_and_its_organs(tmp_path: Path) -> None:
    write_picture(tmp_path / "imgs" / "xmlab1" / "source.jpg")
    (tmp_path / "imgs" / "xmlab1" / "detection.json").write_text(
        '[{"Liver": [5, 6, 20, 10]}, {"Lung": [50, 6, 0, 10]}]'
    )
    row = {"img_id": 1, "img_name": "xmlab1/source.jpg", "location": "Abdomen", "modality": "CT", "answer_type": "OPEN"}
    rows = [
        row | {"qid": 0, "q_lang": "en", "question": "What modality?", "answer": "CT"},
        row | {"qid": 1, "q_lang": "zh", "question": "图中有肝脏吗？", "answer": "是"},
    ]
    (tmp_path / "validate.json").write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    organs, english, chinese = open_slake(tmp_path, "val")
    assert [(o.label, o.box_xyxy_px) for o in organs.objects] == [("Liver", (5, 6, 25, 16))]
    assert [p.kind for p in organs.problems] == ["empty box"]
    assert (english.asks[0].query.language, said(english)) == ("en", ("What modality?", "CT"))
    assert chinese.asks[0].query.language == "zh"
    assert chinese.asks[0].query.options == ("是", "不是")
    assert len({s.group for s in (organs, english, chinese)}) == 1
    rows[0]["q_lang"] = "fr"
    (tmp_path / "validate.json").write_text(json.dumps(rows))
    with pytest.raises(InputError, match="unknown language 'fr'; there is: en, zh"):
        list(open_slake(tmp_path, "val"))


def test_path_vqa_pickles_and_tables_that_hold_images(tmp_path: Path) -> None:
    write_picture(tmp_path / "images" / "train" / "train_0001.jpg")
    (tmp_path / "qas" / "train").mkdir(parents=True)
    rows = [
        {"answer": "yes", "image": "train_0001", "question": "is it red?"},
        {"answer": "in the liver", "image": "train_0001", "question": "where is it?"},
    ]
    (tmp_path / "qas" / "train" / "train_qa.pkl").write_bytes(pickle.dumps(rows))
    closed, opened = open_path_vqa(tmp_path, "train")
    assert (closed.facts["answer_type"], opened.facts["answer_type"]) == ("CLOSED", "OPEN")
    assert said(opened) == ("where is it?", "in the liver")
    assert closed.pixels().shape == (48, 64, 3)


def test_a_table_that_holds_its_images(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="Parquet is read with pyarrow, which is not installed")
    from pyarrow import parquet

    data = io.BytesIO()
    PILImage.new("RGB", (64, 48)).save(data, "PNG")
    rows = [{"image": {"bytes": data.getvalue(), "path": "a.png"}, "question": "is it red?", "answer": "no"}] * 2
    (tmp_path / "data").mkdir()
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "data" / "test-00000-of-00001.parquet")
    first, second = open_path_vqa(tmp_path, "test")
    assert first.pixels().shape == (48, 64, 3)
    assert first.group == second.group


def write_medmnist(path: Path, labels: list[int], images: np.ndarray) -> None:
    arrays = {"train_images": images, "train_labels": np.array(labels, np.uint8)[:, None]}
    np.savez_compressed(path, **arrays)


def test_medmnist_streams_its_classes(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 28, 28, 3), dtype=np.uint8)
    write_medmnist(tmp_path / "bloodmnist.npz", [6, 0, 7], images)
    write_medmnist(tmp_path / "pneumoniamnist_64.npz", [1], images[:1, :, :, 0])
    found = list(open_medmnist(tmp_path, "train"))
    assert [said(s)[1] for s in found] == ["neutrophil", "basophil", "platelet", "pneumonia"]
    assert found[0].asks[0].query.options == tuple(medmnist_sets()["bloodmnist"]["classes"])
    assert np.array_equal(found[1].pixels(), images[1])
    assert np.array_equal(found[3].pixels()[..., 2], images[0, :, :, 0])
    assert len({s.id for s in found}) == 4
    write_medmnist(tmp_path / "bloodmnist.npz", [8], images[:1])
    with pytest.raises(InputError, match=r"train_labels 0 is \[8\], not one of 8"):
        list(open_medmnist(tmp_path, "train"))


def test_a_broken_medmnist_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no \*mnist\*\.npz"):
        list(open_medmnist(tmp_path, "train"))
    with zipfile.ZipFile(tmp_path / "bloodmnist.npz", "w") as archive:
        archive.writestr("train_images.npy", b"rubbish")
    with pytest.raises(InputError, match=r"bloodmnist\.npz' as MedMNIST"):
        list(open_medmnist(tmp_path, "train"))
    (tmp_path / "bloodmnist.npz").rename(tmp_path / "chestmnist.npz")
    with pytest.raises(InputError, match="unknown subset 'chestmnist'"):
        list(open_medmnist(tmp_path, "train"))


REPORT = """<eCitation><uId id="CXR1"/><MedlineCitation><Article><Abstract>
<AbstractText Label="INDICATION">Positive TB test</AbstractText>
<AbstractText Label="FINDINGS">{}</AbstractText><AbstractText Label="IMPRESSION">{}</AbstractText>
</Abstract></Article></MedlineCitation>
<parentImage id="CXR1_1_IM-0001-3001"/><parentImage id="CXR1_1_IM-0001-4001"/></eCitation>"""


def test_iu_xray_reports_belong_to_the_examination(tmp_path: Path) -> None:
    (tmp_path / "ecgen-radiology").mkdir()
    (tmp_path / "ecgen-radiology" / "1.xml").write_text(REPORT.format("Heart  normal.", "Normal\n chest."))
    (tmp_path / "ecgen-radiology" / "2.xml").write_text(REPORT.replace("CXR1", "CXR2").format("", ""))
    write_picture(tmp_path / "images" / "CXR1_1_IM-0001-3001.png")
    found = list(open_iu_xray(tmp_path, "all"))
    assert [s.group for s in found] == ["CXR1", "CXR1", "CXR2", "CXR2"]
    assert len({s.split for s in found if s.group == "CXR1"}) == 1
    assert found[0].asks[0].target.text == "Findings: Heart normal.\nImpression: Normal chest."
    assert found[0].asks[0].query.question is None
    assert found[0].pixels().shape == (48, 64, 3)
    assert (found[2].asks, [p.kind for p in found[2].problems]) == ((), ["no text"])
    with pytest.raises(InputError, match="has no image 'CXR1_1_IM-0001-4001'"):
        found[1].pixels()
    (tmp_path / "ecgen-radiology" / "3.xml").write_text("<eCitation>")
    with pytest.raises(InputError, match=r"the report '.*3\.xml'"):
        list(open_iu_xray(tmp_path, "all"))


def test_peir_gross_captions(tmp_path: Path) -> None:
    write_picture(tmp_path / "peir_gross_images" / "1.jpg")
    (tmp_path / "train_images.tsv").write_text("1.jpg\tKIDNEY: Infarct\n")
    (sample,) = open_peir_gross(tmp_path, "train")
    assert sample.asks[0].target.text == "KIDNEY: Infarct"
    assert sample.pixels().shape == (48, 64, 3)
    (tmp_path / "train_images.tsv").write_text("1.jpg KIDNEY\n")
    with pytest.raises(InputError, match=r"train_images\.tsv, line 1"):
        list(open_peir_gross(tmp_path, "train"))
    (tmp_path / "train_images.tsv").write_bytes(b"1.jpg\tKIDNEY: \xff\n")
    with pytest.raises(InputError, match="as text in UTF-8"):
        list(open_peir_gross(tmp_path, "train"))


def test_chimed_vl_speaks_chinese(tmp_path: Path) -> None:
    turns = [{"from": "human", "value": "<image>\n这是什么？"}, {"from": "gpt", "value": "胸片"}]
    row = {"id": "PMC1_Fig6_46", "image": "PMC1_Fig6_46.jpg", "conversations": turns * 2}
    path = tmp_path / "ChiMed-VL-Instruction.json"
    path.write_text(json.dumps([row, {"id": "x", "image": "PMC1_Fig7.jpg", "caption": "左肺"}]), encoding="utf-8")
    first, second = open_chimed_vl(tmp_path, "all")
    assert [(a.query.question, a.target.text, a.query.language) for a in first.asks] == [
        ("这是什么？", "胸片", "zh")
    ] * 2
    assert (second.asks[0].query.task, second.asks[0].query.language) == ("report", "zh")
    assert first.group == second.group == "PMC1"
    path.write_text(json.dumps([row | {"conversations": turns[:1]}]))
    with pytest.raises(InputError, match="row 1: the field 'conversations'"):
        list(open_chimed_vl(tmp_path, "all"))


@pytest.fixture
def m3d(tmp_path: Path) -> Path:
    case = tmp_path / "M3D_Cap_npy" / "ct_quizze" / "000007"
    case.mkdir(parents=True)
    volume = np.zeros((1, 32, 20, 24), np.float32)
    volume[0, 16, 5, 9] = 1
    np.save(case / "Axial.npy", volume)
    (case / "text.txt").write_text("A cyst in the liver.\n")
    row = {"image": "M3D_Cap_npy/ct_quizze/000007/Axial.npy", "text": "M3D_Cap_npy/ct_quizze/000007/text.txt"}
    (tmp_path / "M3D_Cap.json").write_text(json.dumps({"train": [row], "validation": [row], "test": []}))
    head = "Image Path,Text,Question Type,Question,Choice A,Choice B,Choice C,Choice D,Answer,Answer Choice\n"
    line = f"{row['image']},{row['text']},3,Which organ?,Liver,Spleen,Kidney,Lung,Liver,A\n"
    (tmp_path / "M3D_VQA_train.csv").write_text(head + line)
    return tmp_path


def test_m3d_reports_and_questions_have_their_volume(m3d: Path) -> None:
    (report,), (question,) = open_m3d_cap(m3d, "val"), open_m3d_vqa(m3d, "train")
    assert report.asks[0].target.text == "A cyst in the liver."
    assert report.asks[0].query.image_count == 32
    assert report.volume().shape == (32, 20, 24)
    assert report.pixels()[5, 9, 0] == 255
    assert question.asks[0].query.options == ("Liver", "Spleen", "Kidney", "Lung")
    assert question.asks[0].target.choice == "Liver"
    assert question.facts["question_type"] == "organ"
    assert report.group == question.group
    assert [ask.query.task for ask in asks_of(report)] == ["report"]


def test_bad_m3d_files_are_one_sentence(m3d: Path) -> None:
    csv = m3d / "M3D_VQA_train.csv"
    csv.write_text(csv.read_text().replace("Liver,A", "Liver,E"))
    with pytest.raises(InputError, match="row 1: the field 'Answer Choice' is 'E'"):
        list(open_m3d_vqa(m3d, "train"))
    (m3d / "M3D_Cap_npy" / "ct_quizze" / "000007" / "text.txt").write_text(" ")
    with pytest.raises(InputError, match=r"text\.txt' is empty"):
        list(open_m3d_cap(m3d, "train"))
    with pytest.raises(InputError, match="no split 'dev'; there is: train, val, test"):
        list(open_m3d_cap(m3d, "dev"))
