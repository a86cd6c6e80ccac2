"""Readers of boxes, masks, points and landmarks, on small files in the published layouts."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PILImage

from fiducial.skills.datasets.cephalograms import ANOMALIES, LANDMARKS, open_cephalograms
from fiducial.skills.datasets.chat import read_chat
from fiducial.skills.datasets.coco import open_coco
from fiducial.skills.datasets.mask_folder import mask_boxes, open_mask_folder
from fiducial.skills.datasets.medmultipoints import open_medmultipoints, open_medmultipoints_chat
from fiducial.skills.datasets.objects import asks_of
from fiducial.skills.datasets.rsna import open_rsna
from fiducial.skills.datasets.sample import Sample
from fiducial.skills.datasets.voc import open_voc, read_voc
from fiducial.tools.errors import InputError


def write_picture(path: Path, width: int = 64, height: int = 48, value: int = 90) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    PILImage.new("RGB", (width, height), (value, value, value)).save(path)


def boxes(sample: Sample) -> list[tuple]:
    return [(o.label, *o.box_xyxy_px) for o in sample.objects]


def kinds(sample: Sample) -> list[str]:
    return [problem.kind for problem in sample.problems]


def tasks(sample: Sample) -> list[str]:
    return [ask.query.task for ask in asks_of(sample)]


VOC = """<annotation><size><width>64</width><height>48</height><depth>3</depth></size>{}</annotation>"""
VOC_BOX = (
    "<object><name>{}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"
)


def write_voc(root: Path, *rows: tuple) -> Path:
    (root / "Annotations").mkdir(parents=True, exist_ok=True)
    (root / "ImageSets" / "Main").mkdir(parents=True, exist_ok=True)
    (root / "ImageSets" / "Main" / "train.txt").write_text("a 1\n")
    write_picture(root / "JPEGImages" / "a.png")
    path = root / "Annotations" / "a.xml"
    path.write_text(VOC.format("".join(VOC_BOX.format(*row) for row in rows)))
    return path


def test_voc_boxes_are_counted_from_one_and_unsound_ones_reported(tmp_path: Path) -> None:
    write_voc(
        tmp_path, ("polyp", 1, 1, 10, 20), ("polyp", 30, 30, 20, 40), ("polyp", 5, 5, 5, 5), ("polyp", 900, 5, 990, 40),
        ("polyp", 50, 40, 70, 48),
    )  # fmt: skip
    (sample,) = open_voc(tmp_path, "train")
    assert boxes(sample) == [("polyp", 0, 0, 10, 20), ("polyp", 49, 39, 64, 48)]
    assert kinds(sample) == ["empty box", "empty box", "absurd box", "clipped box"]
    assert sample.pixels().shape == (48, 64, 3)
    assert sample.group == "a"


def test_voc_files_that_cannot_be_read_are_one_sentence(tmp_path: Path) -> None:
    path = write_voc(tmp_path, ("polyp", "x", 1, 10, 20))
    with pytest.raises(InputError, match=r"a\.xml: bndbox/xmin is 'x'"):
        read_voc(path)
    path.write_text("<annotation>")
    with pytest.raises(InputError, match=r"a\.xml' as VOC"):
        read_voc(path)
    write_voc(tmp_path, ("tool", 1, 1, 10, 20))
    with pytest.raises(InputError, match="the name 'tool'; there is: polyp"):
        read_voc(path, {"polyp": "polyp"})
    with pytest.raises(InputError, match=r"val\.txt is missing"):
        next(open_voc(tmp_path, "val"))


def write_coco(root: Path, annotations: list[dict]) -> None:
    write_picture(root / "val" / "a.png")
    document = {
        "images": [
            {"id": 9, "file_name": "a.png", "width": 64, "height": 48},
            {"id": 4, "file_name": "b.png", "width": 64, "height": 48},
        ],
        "categories": [{"id": 2, "name": "polyp"}],
        "annotations": [
            {"id": i, "image_id": 9, "category_id": 2, "iscrowd": 0, **a} for i, a in enumerate(annotations)
        ],
    }
    (root / "annotations").mkdir(exist_ok=True)
    (root / "annotations" / "instances_val.json").write_text(json.dumps(document))


def test_coco_boxes_are_continuous_and_outlines_kept(tmp_path: Path) -> None:
    outline = [10.5, 20, 40.5, 20, 40.5, 40]
    write_coco(
        tmp_path,
        [{"bbox": [10.5, 20, 30, 20], "segmentation": [outline, [1, 1, 2, 2]]}, {"bbox": [0, 0, 0, 5]},
         {"bbox": [0, 0, 9, 9], "iscrowd": 1, "segmentation": {"counts": [1], "size": [48, 64]}}],
    )  # fmt: skip
    first, second = open_coco(tmp_path, "val")
    assert boxes(first) == [("polyp", 10.5, 20, 40.5, 40)]
    assert first.objects[0].polygon_xy_px == ((10.5, 20), (40.5, 20), (40.5, 40))
    assert kinds(first) == ["empty box", "crowd"]
    assert tasks(first) == ["point", "detect", "count", "count_and_point", "count_and_box", "segment"]
    assert first.pixels().shape == (48, 64, 3)
    assert boxes(second) == []
    with pytest.raises(InputError, match=r"names the image 'b\.png'"):
        second.pixels()


@pytest.mark.parametrize(
    ("annotation", "words"),
    [({"bbox": [1, 2, 3]}, "'bbox'"), ({"bbox": [1, 2, 3, "x"]}, "'bbox'"), ({}, "'bbox'"),
     ({"bbox": [1, 2, 3, 4], "image_id": 5}, "image_id")],
)  # fmt: skip
def test_a_bad_coco_annotation_is_one_sentence(tmp_path: Path, annotation: dict, words: str) -> None:
    write_coco(tmp_path, [{"bbox": [1, 2, 3, 4]}, annotation])
    with pytest.raises(InputError, match=r"instances_val\.json, annotations 2") as caught:
        list(open_coco(tmp_path, "val"))
    assert words in str(caught.value)


def write_mask(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    PILImage.fromarray(values).save(path)


def test_masks_of_one_value_of_instances_and_of_classes(tmp_path: Path) -> None:
    two = np.zeros((48, 64), np.uint8)
    two[5:10, 6:16] = two[20:40, 30:33] = 255
    touching = np.zeros((48, 64), np.uint16)
    touching[5:10, 6:16], touching[10:15, 6:16], touching[30:40, 40:50] = 1, 2, 700
    for name, values in (("a", two), ("b", touching)):
        write_picture(tmp_path / "images" / f"{name}.jpg")
        write_mask(tmp_path / "masks" / f"{name}.png", values)
    (tmp_path / "val.txt").write_text("a.jpg\nb.jpg\n")
    first, second = open_mask_folder(tmp_path, "val")
    assert boxes(first) == [("object", 6, 5, 16, 10), ("object", 30, 20, 33, 40)]
    assert boxes(second) == [("object", 6, 5, 16, 10), ("object", 6, 10, 16, 15), ("object", 40, 30, 50, 40)]
    assert np.ptp(second.objects[2].polygon_xy_px, axis=0) == pytest.approx([10, 10])
    (tmp_path / "classes.json").write_text('{"1": "polyp", "2": "tool"}')
    _, second = open_mask_folder(tmp_path, "val")
    assert boxes(second) == [("polyp", 6, 5, 16, 10), ("tool", 6, 10, 16, 15)]
    with pytest.raises(InputError, match=r"train\.txt is missing"):
        list(open_mask_folder(tmp_path, "train"))


def test_a_mask_with_soft_edges_is_its_objects_and_one_of_grey_objects_is_those() -> None:
    y, x = np.mgrid[:96, :128] + 0.5
    soft = np.clip((20 - np.hypot(x - 40.3, y - 50.8)) + 0.5, 0, 1) + np.clip(8.5 - np.hypot(x - 100, y - 20), 0, 1)
    found = list(mask_boxes(np.round(soft * 255).astype(np.int64), None))
    assert [box.box_xyxy_px for box in found] == [
        pytest.approx((92, 12, 108, 28), abs=1),
        pytest.approx((20.3, 30.8, 60.3, 70.8), abs=1),
    ]
    grey = np.zeros((96, 128), np.int64)
    for i, value in enumerate((60, 120, 180, 255)):
        grey[10:20, 10 + 20 * i : 18 + 20 * i] = value
    grey[40:90, 10:120] = 255
    assert len(list(mask_boxes(grey, None))) == 4
    assert len(list(mask_boxes(np.arange(24).reshape(4, 6).repeat(4, 0).repeat(4, 1) * 11, None))) == 23


def test_a_colour_mask_or_a_missing_one_is_one_sentence(tmp_path: Path) -> None:
    write_picture(tmp_path / "images" / "a.png")
    with pytest.raises(InputError, match="has no images/ and"):
        list(open_mask_folder(tmp_path, "all"))
    (tmp_path / "masks").mkdir()
    with pytest.raises(InputError, match=r"no mask 'a\.png'"):
        list(open_mask_folder(tmp_path, "all"))
    colour = np.zeros((48, 64, 3), np.uint8)
    colour[..., 0] = 9
    write_mask(tmp_path / "masks" / "a.png", colour)
    with pytest.raises(InputError, match=r"a\.png' is in colour"):
        list(open_mask_folder(tmp_path, "all"))


RECORD = {
    "image": "a.png", "image_sha256": "9f" * 32, "img_size": [64, 48], "points": [[15.0, 20.0]],
    "bbox": [[10, 15, 20, 25]], "count": 1, "label": "polyp",
    "collection_method": "bounding box", "classification": "x", "organ": "Lower GI",
}  # fmt: skip


def test_medmultipoints_records_give_five_questions(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png")
    rows = [
        RECORD,
        RECORD | {"count": 2, "label": "tool"},
        RECORD | {"points": [], "bbox": [], "count": 0, "label": "no"},
    ]
    (tmp_path / "records.jsonl").write_text("\n".join(map(json.dumps, rows)))
    good, odd, none = open_medmultipoints(tmp_path, "all")
    assert tasks(good) == ["point", "count", "count_and_point", "detect", "count_and_box"]
    assert good.asks[0].target.points[0].point_xy_px == (15, 20)
    assert good.asks[4].target.boxes_xyxy_px == ((10, 15, 20, 25),)
    assert good.group == odd.group == "9f" * 32
    assert tasks(odd) == []
    assert kinds(odd) == ["mismatch", "mismatch"]
    assert tasks(none) == ["point", "count", "count_and_point", "detect", "count_and_box"]
    assert none.asks[2].target.count == 0
    assert good.pixels().shape == (48, 64, 3)
    (tmp_path / "records.jsonl").write_text(json.dumps(RECORD | {"count": None}))
    with pytest.raises(InputError, match=r"records\.jsonl, row 1: the field 'count'"):
        list(open_medmultipoints(tmp_path, "all"))


def test_medmultipoints_as_published_holds_its_images(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="Arrow files are read with pyarrow, which is not installed")
    data = io.BytesIO()
    PILImage.new("RGB", (64, 48)).save(data, "PNG")
    table = pyarrow.Table.from_pylist([RECORD | {"image": {"bytes": data.getvalue(), "path": None}}] * 2)
    for shard in range(2):
        name = f"kvasir-points_datasets_script-train-0000{shard}-of-00002.arrow"
        with pyarrow.ipc.new_stream(tmp_path / name, table.schema) as to:
            to.write_table(table)
    first, *others = open_medmultipoints(tmp_path, "all")
    assert len(others) == 3
    assert first.pixels().shape == (48, 64, 3)
    assert tasks(first)[0] == "point"


def chat_line(task: str, answer: str, image: str = "a.png") -> str:
    user = {"role": "user", "content": "<image> Where? Must output …", "task": task, "source": "kvasir"}
    assistant = {"role": "assistant", "content": answer}
    return json.dumps({"messages": [user, assistant], "images": [image]})


def test_chat_lines_become_typed_targets(tmp_path: Path) -> None:
    write_picture(tmp_path / "images" / "a.png")
    lines = [
        chat_line("pointing", '```json\n[{"point_2d": [3.5, 4], "label": "polyp"}]\n```'),
        chat_line("bounding", '```JSON\n[{"bbox_2d": [1, 2, 30, 40], "label": "polyp"}]\n```'),
        chat_line("counting", '{"counts": 2, "label": "polyp"}'),
        chat_line("cnt_and_point", '```json\n{"count": 1, "point_2d": [[3, 4]], "label": "polyp"}\n```'),
        chat_line("count_and_box", '{"counts": 0, "bbox_2d": [], "label": "polyp"}'),
        chat_line("cnt_and_point", '{"counts": 1, "point_2d": [[3, 4], "label": "polyp"}'),
        chat_line("bounding", '[{"bbox_2d": [30, 2, 1, 40], "label": "polyp"}]'),
        chat_line("bounding", '[{"bbox_2d": [300, 200, 400, 300], "label": "polyp"}]'),
        chat_line("vqa", "One polyp."),
    ]
    (tmp_path / "multi-task-test.jsonl").write_text("\n".join(lines))
    found = list(open_medmultipoints_chat(tmp_path, "test"))
    assert [tasks(s) for s in found] == [
        ["point"], ["detect"], ["count"], ["count_and_point"], ["count_and_box"], [], [], [], ["answer"],
    ]  # fmt: skip
    assert [kinds(s) for s in found[5:8]] == [["unreadable target"], ["empty box"], ["absurd box"]]
    assert found[3].asks[0].target.points_xy_px == ((3, 4),)
    assert found[4].asks[0].target.boxes_xyxy_px == ()
    assert {s.group for s in found} == {"a.png"}
    (tmp_path / "b.jsonl").write_text('{"messages": []}')
    with pytest.raises(InputError, match=r"b\.jsonl, row 1: the field 'images'"):
        list(read_chat(tmp_path / "b.jsonl", tmp_path, "test"))


def test_rsna_rows_are_joined_by_patient(tmp_path: Path) -> None:
    (tmp_path / "stage_2_train_labels.csv").write_text(
        "patientId,x,y,width,height,Target\np1,264.0,152.0,213.0,379.0,1\np2,,,,,0\np1,562.0,152.0,256.0,453.0,1\n"
    )
    first, second = sorted(open_rsna(tmp_path, "all"), key=lambda s: s.id)
    assert boxes(first) == [("pneumonia_opacity", 264, 152, 477, 531), ("pneumonia_opacity", 562, 152, 818, 605)]
    assert first.asks[0].target.choice == "yes"
    assert second.asks[0].target.choice == "no"
    assert {ask.query.task for ask in second.asks} >= {"detect", "count", "point"}
    assert all(ask.query.task == "choose" or not ask.target.model_dump().get("boxes") for ask in second.asks)
    (tmp_path / "stage_2_train_labels.csv").write_text("patientId,x,y,width,height,Target\np1,,,,,1\n")
    with pytest.raises(InputError, match=r"row 1: the field 'Target' is '1'"):
        list(open_rsna(tmp_path, "all"))


def write_cephalogram(root: Path, reader: str, shift: int) -> Path:
    path = root / "AnnotationsByMD" / reader / "001.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    points = [f"{100 + 10 * i + (shift if i else 0)},{200 + 20 * i}" for i in range(len(LANDMARKS))]
    path.write_text("\n".join(points + ["1"] * len(ANOMALIES)) + "\n")
    return path


def test_cephalograms_are_the_mean_of_two_readers(tmp_path: Path) -> None:
    (tmp_path / "RawImage" / "TrainingData").mkdir(parents=True)
    (tmp_path / "RawImage" / "TrainingData" / "001.bmp").touch()
    write_cephalogram(tmp_path, "400_senior", 0)
    path = write_cephalogram(tmp_path, "400_junior", 4)
    (sample,) = open_cephalograms(tmp_path, "train")
    assert len(sample.asks) == 19
    assert sample.asks[0].target.landmarks[0].point_xy_px == (100.5, 200.5)
    assert sample.asks[1].target.landmarks[0].point_xy_px == (112.5, 220.5)
    assert sample.asks[1].query.label == "nasion"
    assert float(sample.facts["readers_apart_mm"]) == pytest.approx(0.4 * 18 / 19, abs=1e-3)
    assert sample.scale.row_mm == 0.1
    write_cephalogram(tmp_path, "400_junior", 104)
    (sample,) = open_cephalograms(tmp_path, "train")
    assert (len(sample.asks), kinds(sample)) == (1, ["mismatch"] * 18)
    path.write_text("1,2\n")
    with pytest.raises(InputError, match=r"001\.txt' has no 19 lines"):
        list(open_cephalograms(tmp_path, "train"))
