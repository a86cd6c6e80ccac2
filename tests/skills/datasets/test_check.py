"""What ``fiducial data check`` counts, finds and says."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from fiducial import cli
from fiducial.skills.datasets.check import check_dataset
from fiducial.skills.datasets.objects import located_ask
from fiducial.skills.datasets.questions import question_ask
from fiducial.skills.datasets.sample import Object, Problem, Sample
from fiducial.tools.errors import InputError
from fiducial.tools.hooks import DatasetSpec
from fiducial.tools.metrics.size_classes import size_class


def flat(value: int) -> np.ndarray:
    return np.full((100, 200, 3), value, np.uint8)


def unreadable() -> np.ndarray:
    raise InputError("cannot read 'gone.png': it is not there; copy it again")


WIDE, TINY, HALF = Object("tool", (0, 0, 200, 100)), Object("polyp", (0, 0, 10, 99)), Object("polyp", (0, 0, 40, 40))
OUTSIDE = Object("polyp", (150, 0, 450, 50))
EMPTY = Problem("empty box", "a.xml: empty")
ABSENT = located_ask((), "cyst", "count")
RED, RED_AGAIN = question_ask("Is it  red?", "yes"), question_ask("is it red?", "no")
CHINESE = question_ask("这是什么？", "胸片", language="zh")
SETS: dict[str, list[Sample]] = {
    "train": [
        Sample("a", "p1", "other", partial(flat, 1), (TINY, HALF), problems=(EMPTY,)),
        Sample("b", "p2", "other", partial(flat, 2), (WIDE, OUTSIDE), asks=(ABSENT,)),
        Sample("c", "p2", "other", partial(flat, 2)),
        Sample("d", "p3", "other", unreadable, asks=(RED, RED_AGAIN)),
    ],
    "val": [
        Sample("e", "p1", "other", partial(flat, 3), asks=(CHINESE,), synthetic=True),
        Sample("f", "p4", "other", partial(flat, 1), asks=(question_ask("Is it red?", "yes"),)),
    ],
}


def read(root: Path | None, split: str) -> Iterator[Sample]:
    if split not in SETS:
        raise InputError(f"no {split}.txt")
    yield from SETS[split]


MADE = DatasetSpec("made", "A set made for this test", read)


def test_the_report_counts_what_is_there() -> None:
    report = check_dataset(MADE, None)
    assert (report.samples, report.images, report.groups) == (
        {"train": 4, "val": 2}, {"train": 2, "val": 2}, {"train": 3, "val": 2},
    )  # fmt: skip
    assert report.not_read == {"test": "no test.txt"}
    polyp, tool = report.classes["polyp"], report.classes["tool"]
    assert (polyp.objects, polyp.samples, tool.objects) == (3, 2, 1)
    assert polyp.sizes == {"<5 %": 1, "5-10 %": 1, ">10 %": 1}
    assert report.problems == {"empty box": 1, "absurd box": 1, "whole image": 1}
    assert (report.unreadable, report.unreadable_examples[0][:11]) == (1, "cannot read")
    assert report.duplicates == 1
    assert report.duplicate_examples == ["b, c"]
    assert report.languages["zh"] == 1
    assert report.answers == {"yes": 2, "no": 1}
    assert report.repeated_questions == 1
    assert report.synthetic == 1
    assert report.question_characters is not None
    assert (report.question_characters.least, report.question_characters.most) == (5, 11)
    assert report.negatives == pytest.approx(1 / 16)  # five questions for each of three label-image pairs, and one more


def test_the_report_finds_leaks_by_image_and_by_group() -> None:
    leaks = {leak.what: leak for leak in check_dataset(MADE, None).leaks}
    assert leaks["image"].examples == ["a, f"]
    assert leaks["group"].examples == ["p1"]
    assert all(leak.splits == ("train", "val") and leak.count == 1 for leak in leaks.values())
    assert check_dataset(MADE, None, ["train"]).leaks == []


def test_a_limit_holds_and_a_bad_file_is_no_missing_split(tmp_path: Path) -> None:
    assert check_dataset(MADE, None, limit=1).samples == {"train": 1, "val": 1}
    with pytest.raises(InputError, match="nothing of made can be read"):
        check_dataset(MADE, None, ["test"])

    def breaks(root: Path | None, split: str) -> Iterator[Sample]:
        yield SETS["val"][0]
        raise InputError("row 2 is bad")

    with pytest.raises(InputError, match="row 2 is bad"):
        check_dataset(DatasetSpec("made", "A set", breaks), None)


def test_the_bounds_of_the_size_classes() -> None:
    assert [size_class(v) for v in (0, 0.0499, 0.05, 0.0999, 0.1, 1)] == [
        "<5 %", "<5 %", "5-10 %", "5-10 %", ">10 %", ">10 %",
    ]  # fmt: skip


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def fiducial(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.delenv("FIDUCIAL_DATA", raising=False)

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["fiducial", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            cli.main()
        return int(exit_.value.code or 0), *capsys.readouterr()

    return run


def test_the_command_prints_text_or_json(fiducial: Run, data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, _ = fiducial("data", "check", "bccd", data_folder / "bccd", "--split", "val", "--limit", "20")
    assert code == 0
    assert "class white_cell" in out
    assert "leaks between splits: none" in out
    monkeypatch.setenv("FIDUCIAL_DATA", str(data_folder))
    code, out, _ = fiducial("data", "check", "vqa_rad", "--json", "--limit", "30")
    report = json.loads(out)
    assert report["samples"] == {"train": 30, "val": 30}
    assert "test.txt is missing" in report["not_read"]["test"]
    code, out, _ = fiducial("data", "check", "phantoms", "--split", "val", "--limit", "1", "--json")
    assert json.loads(out)["with_scale"] == 1


def test_a_set_that_is_not_there_is_one_sentence(fiducial: Run, tmp_path: Path) -> None:
    for arguments, word in (
        (("nothing", tmp_path), "nothing"), (("bccd",), "FIDUCIAL_DATA"), (("bccd", tmp_path / "none"), "none"),
        (("bccd", tmp_path), "train.txt"), (("phantoms", "--split", "dev"), "dev"),
    ):  # fmt: skip
        code, out, err = fiducial("data", "check", *arguments)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert word in err
