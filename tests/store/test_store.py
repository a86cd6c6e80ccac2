"""The store keeps what it is given, from several processes at once, and says in one sentence what ails a file."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fiducial.store import Store
from fiducial.store.rows import record_of
from fiducial.tests.store.records import records, texts
from fiducial.tools.errors import InputError
from fiducial.tools.record import Answer, Check, ImageInfo, Reason, Record, Region, Verdict

IMAGE = ImageInfo(path="smear.tif", sha256="0" * 64, width_px=320, height_px=240)


def a_record(run_id: str, question: str = "How many white cells?", **parts: object) -> Record:
    verdict = Verdict(status="abstained", reasons=(Reason(code="off_domain", detail="a photograph"),))
    return Record(run_id=run_id, question=question, image=IMAGE, verdict=verdict, **parts)


@pytest.fixture(scope="module")
def shared() -> Iterator[Store]:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "runs.db")
        yield store
        store.close()


@settings(deadline=None, max_examples=100)
@given(record=records)
def test_a_record_comes_back_as_it_was_saved(shared: Store, record: Record) -> None:
    document = record.document()
    json.dumps(document, allow_nan=False)
    shared.begin(record.run_id, record.question, record.image)
    shared.save(record)
    assert shared.run(record.run_id) == document
    assert record_of(document).document() == document


@settings(deadline=None, max_examples=60)
@given(text=texts | st.text("\"'*()^:-+ORAND \0", max_size=8))
def test_search_survives_any_text(shared: Store, text: str) -> None:
    assert isinstance(shared.search(text), list)


def test_search_finds_words_of_question_answer_and_reasons(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs.db")
    store.save(a_record("a", answer=Answer(text='There are 3 "large" cells', value=3, confidence=0.9)))
    store.save(a_record("b", question="Is there a head?"))
    assert [row["run_id"] for row in store.search("large")] == ["a"]
    assert [row["run_id"] for row in store.search("head")] == ["b"]
    assert {row["run_id"] for row in store.search("off_domain")} == {"a", "b"}
    assert [row["run_id"] for row in store.search('white "')] == ["a"]
    assert store.search("head white") == []


def test_a_rejected_region_without_finite_coordinates_is_kept(tmp_path: Path) -> None:
    nowhere = (float("nan"), 1.0, float("inf"), 2.0)
    region = Region(
        id="R1",
        label="white cell",
        kind="box",
        box_xyxy_px=nowhere,
        score=0.5,
        skill="detect",
        status="rejected",
        rejected_by="finite",
    )
    store = Store(tmp_path / "runs.db")
    store.save(a_record("a", regions=(region,)))
    kept = store.run("a")["regions"][0]
    assert kept["box_xyxy_px"] == [None, 1.0, None, 2.0]
    assert kept["rejected_by"] == "finite"


def test_a_run_is_listed_from_its_beginning_and_a_repeat_is_harmless(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs.db")
    store.begin("a", "How many?", IMAGE, model="embedded")
    assert [(row["run_id"], row["status"]) for row in store.runs()] == [("a", None)]
    assert store.run("a")["verdict"] is None
    record = a_record("a", checks=(Check(name="finite", outcome="pass", detail="3 of 3"),))
    for _ in range(2):
        store.save(record, adapters={"count": "1" * 64})
        store.begin("a", "How many?", IMAGE)
    assert store.run("a") == record.document()
    assert [row["status"] for row in store.runs()] == ["abstained"]
    assert len(store.search("white")) == 1


def test_a_run_is_found_by_a_unique_prefix(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs.db")
    for run_id in ("abc", "abd", "ab"):
        store.save(a_record(run_id))
    assert store.run("abc")["run_id"] == "abc"
    assert store.run("ab")["run_id"] == "ab"
    with pytest.raises(InputError, match="more than one run begins with 'a'"):
        store.run("a")
    for missing in ("x", "", "%"):
        with pytest.raises(InputError, match="no run"):
            store.run(missing)


def test_the_columns_about_the_image_are_path_hash_size_and_scale(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs.db")
    with sqlite3.connect(store.path) as connection:
        columns = {row[1] for row in connection.execute("PRAGMA table_info(runs)")}
    assert {name for name in columns if name.startswith("image_")} == {
        "image_path",
        "image_sha256",
        "image_width_px",
        "image_height_px",
        "image_scale",
        "image_scale_refused",
        "image_scale_box_xyxy_px",
        "image_file_slice",
        "image_file_slices",
        "image_orientation",
    }


def _write_many(path: Path, writer: int, count: int) -> None:
    store = Store(path)
    for number in range(count):
        run_id = f"{writer}-{number}"
        store.begin(run_id, "How many?", IMAGE)
        store.save(a_record(run_id, checks=(Check(name="finite", outcome="pass", detail=run_id),)))


def test_processes_that_open_and_write_at_once_lose_nothing(tmp_path: Path) -> None:
    path, writers, count = tmp_path / "runs.db", 6, 20
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_write_many, args=(path, writer, count)) for writer in range(writers)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * writers
    store = Store(path)
    assert {row["run_id"] for row in store.runs(limit=1000)} == {
        f"{w}-{n}" for w in range(writers) for n in range(count)
    }
    assert all(store.run(f"{w}-{count - 1}")["checks"] for w in range(writers))


def _write_for_ever(path: Path) -> None:
    for writer in range(10**6):
        _write_many(path, writer, 50)


def _finished(path: Path) -> list[str]:
    return [row["run_id"] for row in Store(path).runs(limit=10**6) if row["status"] and row["run_id"] != "after"]


def test_a_killed_writer_leaves_a_store_that_others_read_and_write(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    Store(path).close()
    for _ in range(3):
        process = multiprocessing.get_context("spawn").Process(target=_write_for_ever, args=(path,))
        process.start()
        before = len(_finished(path))  # begun is not enough: on a slow machine the kill comes before the first is saved
        while len(_finished(path)) <= before and process.is_alive():
            time.sleep(0.01)
        assert process.is_alive()
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
        store, finished = Store(path), _finished(path)
        assert len(finished) > before
        assert all(len(store.run(run_id)["checks"]) == 1 for run_id in finished)
        store.save(a_record("after"))
        assert store.run("after")["run_id"] == "after"


def test_what_is_not_a_store_is_one_sentence(tmp_path: Path) -> None:
    text = tmp_path / "notes.db"
    text.write_text("not a database " * 100, encoding="utf-8")
    for path in (text, tmp_path, tmp_path / "missing" / "runs.db"):
        with pytest.raises(InputError, match="cannot be used as a store") as raised:
            Store(path)
        assert "\n" not in str(raised.value)
    with pytest.raises(InputError, match="there is no store at"):
        Store(tmp_path / "none.db", create=False)
    assert not (tmp_path / "none.db").exists()


def test_a_damaged_store_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    store = Store(path)
    for number in range(50):
        store.save(a_record(f"{number}"))
    store.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    with pytest.raises(InputError, match="cannot be used as a store"):
        Store(path).runs()


def test_a_store_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    Store(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE _sqlite_migrations SET name = '9999_later' WHERE name LIKE '0001%'")
    with pytest.raises(InputError, match="newer fiducial"):
        Store(path)


def test_a_store_of_the_first_schema_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    store = Store(path)
    store.save(a_record("old"))
    store.close()
    with sqlite3.connect(path) as connection:
        connection.execute("ALTER TABLE runs DROP COLUMN image_scale_box_xyxy_px")
        connection.execute("DELETE FROM _sqlite_migrations WHERE name = '0002_scale_box'")
    assert Store(path).run("old") == a_record("old").document()
