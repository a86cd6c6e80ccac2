"""Rows: streamed out of every kind of file, and one sentence for a bad one."""

from __future__ import annotations

import gzip
import json
import os
import pickle
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fiducial.skills.datasets.pictures import inside, read_picture
from fiducial.skills.datasets.rows import Row, find_file, read_rows
from fiducial.tools.errors import InputError

ROWS = [{"a": 'x, "y"', "n": i, "deep": {"list": [1, [2], {"k": "]}"}]}} for i in range(5000)]
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
documents = st.dictionaries(
    st.text(), st.recursive(scalars, lambda v: st.lists(v, max_size=3), max_leaves=4), max_size=4
)


@pytest.mark.parametrize("indent", [None, 1])
def test_one_large_json_list_is_read_row_by_row(tmp_path: Path, indent: int | None) -> None:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(ROWS, indent=indent))
    assert path.stat().st_size > 2**17  # longer than what is read at once
    rows = read_rows(path)
    assert next(rows).fields == ROWS[0]
    assert [row.fields for row in rows] == ROWS[1:]


@settings(max_examples=50)
@given(rows=st.lists(documents, max_size=4), lines=st.booleans())
def test_any_rows_come_back(tmp_path_factory: pytest.TempPathFactory, rows: list[dict], lines: bool) -> None:
    path = tmp_path_factory.mktemp("rows") / "rows.json.gz"
    text = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows) if lines else json.dumps(rows)
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write(text)
    assert [row.fields for row in read_rows(path)] == rows


def test_tables_and_pickles_of_plain_rows(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('\ufeffname,text\nx,"one, two"\n', encoding="utf-8")
    (tmp_path / "a.tsv").write_text("name\ttext\nx\tone, two\n")
    (tmp_path / "a.pkl").write_bytes(pickle.dumps([{"name": "x", "text": "one, two"}]))
    for suffix in ("csv", "tsv", "pkl"):
        assert [row.fields for row in read_rows(tmp_path / f"a.{suffix}")] == [{"name": "x", "text": "one, two"}]


def test_a_pickle_that_names_code_is_refused_and_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple:
            return (os.mkdir, (str(tmp_path / "ran"),))

    (tmp_path / "a.pkl").write_bytes(pickle.dumps([{"name": Trap()}]))
    with pytest.raises(InputError, match=r"a\.pkl is not readable.*mkdir"):
        list(read_rows(tmp_path / "a.pkl"))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.json", '[{"a": 1}, {"a": ', "after row 1"),
        ("a.json", '[{"a": NaN}]', "NaN"),
        ("a.json", "[1]", "row 1 is no object"),
        ("a.jsonl", '{"a": 1}\n{"a"}\n', "after row 1"),
        ("a.csv", 'a,b\n"x,1\n', "csv"),
        ("a.pkl", "rubbish", "pkl"),
        ("a.xml", "<a/>", "no table"),
        ("a.json.gz", "not gzipped", "a.json.gz"),
    ],
)
def test_a_bad_file_is_one_sentence_that_names_it(tmp_path: Path, name: str, content: str, words: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError) as caught:
        list(read_rows(tmp_path / name))
    assert name in str(caught.value)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_bad_field_is_one_sentence_that_names_it() -> None:
    row = Row("t.json, row 3", {"text": ["x"], "nan": float("nan"), "true": True, "boxes": [[1, 2, 3]], "word": "x"})
    for read in (
        lambda: row.text("none"), lambda: row.text("text"), lambda: row.number("nan"), lambda: row.number("true"),
        lambda: row.number("word"), lambda: row.rows("boxes", 4), lambda: row.rows("word", 4),
    ):  # fmt: skip
        with pytest.raises(InputError, match=r"t\.json, row 3: the field '(none|text|nan|true|boxes|word)'"):
            read()
    assert row.text("none", "default") == "default"
    assert Row("", {"n": 4}).text("n") == "4"
    assert Row("", {"points": [{"x": 1, "y": 2.5}]}).rows("points", 2) == [(1.0, 2.5)]


def test_a_name_that_leads_out_of_the_set_is_refused(tmp_path: Path) -> None:
    assert inside(tmp_path, "a/b.png", "row 1") == tmp_path / "a/b.png"
    for name in ("../b.png", "/etc/passwd", "a/../../b.png"):
        with pytest.raises(InputError, match="leads out"):
            inside(tmp_path, name, "row 1")
    with pytest.raises(InputError, match=r"has no \*\.csv"):
        find_file(tmp_path, "*.csv")


def test_a_picture_is_read_as_it_is_stored_for_annotations_are_of_that(tmp_path: Path) -> None:
    Image.new("L", (40, 20)).save(tmp_path / "a.tif", tiffinfo={274: 6})  # asks to be shown upright, 20 × 40
    assert read_picture(tmp_path / "a.tif").shape == (20, 40, 3)
