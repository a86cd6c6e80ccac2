"""What a person types: one document on stdout, one sentence on stderr, and the exit code."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from fiducial import cli
from fiducial.store import Store
from fiducial.tests.agent.recordings import Recorded, boxes, counted, draw_picture, explained, grid, intent
from fiducial.tools.record import ImageInfo, Reason, Record, Verdict

COUNTED = {
    "understand": intent("count", "platelet"),
    "count": counted(3),
    "detect": boxes(*grid(3)),
    "explain": explained("These are seen."),
}
NOT_UNDERSTOOD = COUNTED | {"understand": intent("unknown", sure=0.9)}


class Outcome(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def document(self) -> dict:
        return json.loads(self.out)


Fiducial = Callable[..., Outcome]


@pytest.fixture
def fiducial(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Fiducial:
    monkeypatch.delenv("FIDUCIAL_STORE", raising=False)
    monkeypatch.delenv("FIDUCIAL_DEBUG", raising=False)

    def run(*arguments: str | Path) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["fiducial", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            cli.main()
        return Outcome(int(exit_.value.code or 0), *capsys.readouterr())

    return run


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    return draw_picture(tmp_path / "picture.png")


@pytest.fixture
def counting(tmp_path: Path, picture: Path) -> Path:
    return Recorded(tmp_path, picture).write(COUNTED)


def assert_one_sentence(outcome: Outcome, *words: str) -> None:
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("fiducial: ")
    assert outcome.err.count("\n") == 1
    assert all(word in outcome.err for word in words), outcome.err


def test_json_is_one_document_and_the_exit_code_is_the_verdicts(
    fiducial: Fiducial, picture: Path, counting: Path, tmp_path: Path
) -> None:
    done = fiducial("ask", picture, "How many platelets?", "--json", "--base", counting)
    assert done.code == 0
    assert done.document["answer"]["value"] == 3
    assert done.document["verdict"]["status"] == "answered"
    abstaining = Recorded(tmp_path, picture).write(NOT_UNDERSTOOD)
    done = fiducial("ask", picture, "Who are you?", "--json", "--base", abstaining)
    assert (done.code, done.document["verdict"]["status"]) == (3, "abstained")


def test_a_person_reads_the_answer_and_finds_the_overlay(
    fiducial: Fiducial, picture: Path, counting: Path, tmp_path: Path
) -> None:
    overlay = tmp_path / "seen.png"
    done = fiducial("ask", picture, "How many platelets?", "--overlay", overlay, "--base", counting)
    assert done.code == 0
    assert "There are 3 platelets." in done.out
    assert str(overlay) in done.out
    assert overlay.read_bytes().startswith(b"\x89PNG")


def test_a_list_is_asked_in_order_and_a_failed_row_is_a_line(
    fiducial: Fiducial, picture: Path, counting: Path, tmp_path: Path
) -> None:
    questions = tmp_path / "list.csv"
    questions.write_text(
        "\ufeffimage,question,scale\r\n"
        f'{picture.name},"How many platelets, please?",\r\n'
        "missing.png,How many platelets?,\r\n"
        f"{picture.name},How many platelets?,abc\r\n"
        f"{picture.name},,\r\n"
        f"{picture.name},How many, platelets,0.1 mm/px\r\n"
        f"{picture},How many platelets?,0.1 mm/px\r\n",
        encoding="utf-8",
    )
    done = fiducial("ask", "--from", questions, "--jsonl", "--base", counting)
    lines = [json.loads(line) for line in done.out.splitlines()]
    assert done.code == 2
    assert ["error" in line for line in lines] == [False, True, True, True, True, False]
    assert [line["row"] for line in lines if "error" in line] == [2, 3, 4, 5]
    assert "missing.png" in lines[1]["error"]
    assert lines[0]["question"] == "How many platelets, please?"
    assert lines[5]["image"]["scale"]["source"] == "user"
    assert "6/6" in done.err


def test_what_is_kept_is_listed_shown_and_found(
    fiducial: Fiducial, picture: Path, counting: Path, tmp_path: Path
) -> None:
    store = tmp_path / "runs.db"
    asked = fiducial("ask", picture, "How many platelets?", "--json", "--base", counting, "--store", store).document
    run_id = asked["run_id"]
    listed = fiducial("runs", "list", "--store", store)
    assert run_id in listed.out
    assert "answered" in listed.out
    assert fiducial("runs", "show", run_id[:8], "--store", store, "--json").document == asked
    assert "There are 3 platelets." in fiducial("runs", "show", run_id, "--store", store).out
    assert run_id in fiducial("runs", "search", 'platelets "', "--store", store).out
    assert fiducial("runs", "search", "kidney", "--store", store).out == ""


def test_a_run_that_was_cut_off_is_listed_as_unfinished(fiducial: Fiducial, tmp_path: Path) -> None:
    store = tmp_path / "runs.db"
    image = ImageInfo(path="smear.tif", sha256="0" * 64, width_px=320, height_px=240)
    Store(store).begin("abc", "How many?", image)
    assert "unfinished" in fiducial("runs", "list", "--store", store).out
    verdict = Verdict(status="abstained", reasons=(Reason(code="off_domain", detail="a photograph"),))
    Store(store).save(Record(run_id="abc", question="How many?", image=image, verdict=verdict))
    assert "a photograph" in fiducial("runs", "show", "abc", "--store", store).out


def test_unusable_input_is_one_sentence(fiducial: Fiducial, picture: Path, counting: Path, tmp_path: Path) -> None:
    empty, text = tmp_path / "empty.png", tmp_path / "notes.png"
    empty.write_bytes(b"")
    text.write_text("not an image", encoding="utf-8")
    ask = ("ask", picture, "How many platelets?", "--base", counting)
    assert_one_sentence(fiducial("ask"), "IMAGE")
    assert_one_sentence(fiducial("ask", picture), "question")
    assert_one_sentence(fiducial("ask", tmp_path / "none.png", "How many?"), "none.png")
    assert_one_sentence(fiducial("ask", empty, "How many?"), "empty")
    assert_one_sentence(fiducial("ask", text, "How many?"), "notes.png")
    assert_one_sentence(fiducial("ask", picture, " "), "question")
    assert_one_sentence(fiducial("ask", picture, "How \udcff many?"), "UTF-8")
    assert_one_sentence(fiducial(*ask, "--scale", "abc"), "abc")
    assert_one_sentence(fiducial(*ask[:-1], tmp_path / "no_base"), "no_base")
    assert_one_sentence(fiducial(*ask, "--overlay", tmp_path / "none" / "seen.png"), "seen.png")
    assert_one_sentence(fiducial(*ask, "--store", text), "notes.png")
    assert_one_sentence(fiducial(*ask, "--from", tmp_path / "list.csv"), "--from")


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "image"),
        (b"picture,question\na.png,How many?\n", "image"),
        (b"image,question\n", "no row"),
        (b"image,question\n\xff\xfe,How many?\n", "UTF-8"),
        (b'image,question\n"a.png,How many?\n', "CSV"),
        (None, "no such file"),
    ],
)
def test_an_unusable_list_is_one_sentence(fiducial: Fiducial, tmp_path: Path, content: bytes | None, word: str) -> None:
    questions = tmp_path / "list.csv"
    if content is not None:
        questions.write_bytes(content)
    outcome = fiducial("ask", "--from", questions, "--jsonl")
    assert_one_sentence(outcome, "list.csv")
    assert word in outcome.err.lower() or word in outcome.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("ask", "--bogus"), ("--bogus", "fiducial ask --help")),
        (("nothing",), ("nothing", "fiducial --help")),
        (("runs", "list", "--limit", "0"), ("--limit", "1")),
        (("runs", "list", "--limit", "many"), ("--limit", "integer")),
        (("phantom", "make"), ("scene",)),
        (("ask", "a.png", "How many?", "and more"), ("and more",)),
        (("ask", "--scale"), ("--scale",)),
    ],
)
def test_wrong_options_are_one_sentence(fiducial: Fiducial, arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    outcome = fiducial(*arguments)
    assert_one_sentence(outcome)
    assert all(word in outcome.err.lower() for word in words), outcome.err


@pytest.mark.parametrize("arguments", [(), ("runs",)])
def test_no_command_shows_the_help(fiducial: Fiducial, arguments: tuple[str, ...]) -> None:
    outcome = fiducial(*arguments)
    assert (outcome.code, "Commands" in outcome.out + outcome.err) == (2, True)


def test_a_defect_of_ours_is_one_sentence_and_a_traceback_only_on_request(
    fiducial: Fiducial, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fiducial.agent.present", None)  # An installation that has lost a file.
    outcome = fiducial("ask", picture, "How many?")
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (1, "", 1)
    assert "defect" in outcome.err
    assert "FIDUCIAL_DEBUG=1" in outcome.err
    monkeypatch.setenv("FIDUCIAL_DEBUG", "1")
    monkeypatch.setattr(sys, "argv", ["fiducial", "ask", str(picture), "How many?"])
    with pytest.raises(ImportError):
        cli.main()


def test_tools_are_listed_described_and_called(fiducial: Fiducial, picture: Path) -> None:
    assert "image_info" in fiducial("tools", "list").out
    schema = fiducial("tools", "schema", "image_info").document
    assert "path" in schema["parameters"]["properties"]
    result = fiducial("tools", "call", "image_info", json.dumps({"path": str(picture)})).document
    assert (result["width_px"], result["height_px"]) == (160, 120)
    assert fiducial("image", "info", picture, "--json").document == result
    assert "width_px: 160" in fiducial("image", "info", picture).out
    assert_one_sentence(fiducial("tools", "schema", "nothing"), "nothing", "image_info")
    for arguments in ("{", "[1]", '{"path": NaN}', "[" * 100_000, '{"path": 1}', '{"way": "a"}'):
        assert_one_sentence(fiducial("tools", "call", "image_info", arguments))


@pytest.mark.parametrize("group", sorted(cli.GROUPS))
def test_every_kind_of_plugin_is_listed_with_its_description(fiducial: Fiducial, group: str) -> None:
    outcome = fiducial(group, "list")
    assert outcome.code == 0
    assert all(len(line.split()) > 2 for line in outcome.out.splitlines())


def test_phantoms_are_made_with_their_truth(fiducial: Fiducial, tmp_path: Path) -> None:
    outcome = fiducial("phantom", "make", "blood_smear", "--seed", "5", "--out", tmp_path)
    image, truth = (Path(line) for line in outcome.out.splitlines())
    assert json.loads(truth.read_text(encoding="utf-8"))["seed"] == 5
    assert fiducial("image", "info", image, "--json").document["scale"]["source"] == "microscope"
    assert_one_sentence(fiducial("phantom", "make", "kidney"), "kidney", "fetal_head")


def test_adapters_are_listed_from_their_manifests(fiducial: Fiducial, tmp_path: Path) -> None:
    (tmp_path / "count").mkdir()
    manifest = {"base": "embedded", "skill": "count", "family": "llava", "dialect": "grid/1", "base_sha256": "0" * 64}
    (tmp_path / "count" / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    assert fiducial("adapters", "list", "--adapters", tmp_path).out.split() == ["count", "embedded"]
    shown = fiducial("adapters", "show", "count", "--adapters", tmp_path).document
    assert {name: shown.get(name, shown["skills"][0]) for name in manifest} == manifest
    assert_one_sentence(fiducial("adapters", "show", "detect", "--adapters", tmp_path), "detect", "count")
    (tmp_path / "count" / "manifest.json").write_text("[", encoding="utf-8")
    assert_one_sentence(fiducial("adapters", "list", "--adapters", tmp_path), "manifest.json")


def test_the_reference_is_what_the_program_says(fiducial: Fiducial) -> None:
    written = Path(__file__).parents[1] / "docs" / "cli.md"
    assert fiducial("docs").out == written.read_text(encoding="utf-8"), "run make docs"
