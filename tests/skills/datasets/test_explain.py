"""Explanations that a language-model server writes: what it is sent, what is kept, and that it stays marked."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PILImage

from fiducial import cli
from fiducial.skills.datasets.explain import questions_of, with_explanations, write_explanations
from fiducial.skills.datasets.questions import question_ask
from fiducial.skills.datasets.sample import Object, Sample
from fiducial.skills.families.server import load
from fiducial.tools.errors import InputError, TransientError

TEXT = "A small raised area stands out in the lower right."


class Server(HTTPServer):
    """Speaks the little of the interface that is needed, and keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.asked: list[dict[str, Any]] = []
        self.replies: list[tuple[int, Any]] = []  # used up one by one, before TEXT


class Answer(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: Any) -> None:
        pass

    def reply(self, code: int, document: Any) -> None:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self.reply(200, {"data": [{"id": "gemma"}]} if self.path == "/v1/models" else {})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(body)
        done = {"choices": [{"message": {"role": "assistant", "content": TEXT}}]}
        self.reply(*(self.server.replies.pop(0) if self.server.replies else (200, done)))


def said(text: str) -> tuple[int, Any]:
    return 200, {"choices": [{"message": {"content": text}}]}


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def address(server: Server) -> str:
    return f"http://127.0.0.1:{server.server_port}/v1#gemma"


def flat() -> np.ndarray:
    return np.zeros((100, 200, 3), np.uint8)


LOCATED = Sample(
    "a", "p1", "other", flat, (Object("polyp", (150, 70, 170, 90)),), facts={"organ": "Lower GI"}, split="train"
)
ASKED = Sample(
    "b", "p2", "other", flat, asks=(question_ask("图中有肝脏吗？", "是", language="zh"), question_ask("Where?", "left"))
)


def test_the_writer_is_given_facts_and_what_it_writes_is_marked(server: Server, tmp_path: Path) -> None:
    out = tmp_path / "explained.jsonl"
    done = write_explanations([LOCATED, ASKED], load(address(server)), out)
    assert (done.written, done.kept, done.refused) == (3, 0, 0)
    facts = [body["messages"][-1]["content"] for body in server.asked]
    assert facts[0].splitlines() == [
        "Question: How many are visible: polyp?",
        "Answer: 1",
        "Seen: polyp, lower right, <5 % of the image",
        "organ: Lower GI",
    ]
    assert facts[1] == "问题: 图中有肝脏吗？\n回答: 是"
    assert all(body["messages"][0]["role"] == "system" and body["model"] == "gemma" for body in server.asked)
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert all(row["synthetic"] is True and row["writer"] == "server:gemma" and row["prompt"] for row in rows)
    assert [(row["id"], row["number"], row["language"]) for row in rows] == [
        ("a", 0, "en"),
        ("b", 0, "zh"),
        ("b", 1, "en"),
    ]


def test_written_explanations_come_back_as_synthetic_samples(server: Server, tmp_path: Path) -> None:
    out = tmp_path / "explained.jsonl"
    write_explanations([LOCATED], load(address(server)), out)
    (sample,) = with_explanations([ASKED, LOCATED], out)
    assert sample.synthetic
    assert sample.objects == ()
    assert (sample.id, sample.image_name, sample.group, sample.split) == ("a#explained", "a", "p1", "train")
    assert (sample.asks[0].query.task, sample.asks[0].target.text) == ("explain", TEXT)
    assert sample.asks[0].query.question == "How many are visible: polyp?"
    out.write_text(out.read_text().replace("true", "false"))
    with pytest.raises(InputError, match=r"explained\.jsonl, row 1: the field 'synthetic'"):
        list(with_explanations([LOCATED], out))


def test_a_repeated_run_goes_on_where_it_was_cut_off(server: Server, tmp_path: Path) -> None:
    out, writer = tmp_path / "explained.jsonl", load(address(server))
    assert write_explanations([LOCATED, ASKED], writer, out, limit=1).written == 1
    with out.open("a") as file:
        file.write('{"synthetic": true, "id": "b", "num')
    done = write_explanations([LOCATED, ASKED], writer, out)
    assert (done.written, done.kept) == (2, 1)
    assert len(out.read_text(encoding="utf-8").splitlines()) == len(server.asked) == 3
    assert write_explanations([LOCATED, ASKED], writer, out).kept == 3
    assert len(server.asked) == 3


def test_a_failing_server_is_asked_again_within_a_bound(server: Server, tmp_path: Path) -> None:
    out, writer = tmp_path / "explained.jsonl", load(address(server))
    server.replies = [(503, {}), (200, {"choices": []})]
    assert write_explanations([LOCATED], writer, out, pause_s=0).written == 1
    assert len(server.asked) == 3
    server.replies = [(503, {})] * 3
    with pytest.raises(TransientError, match="503"):
        write_explanations([ASKED], writer, out, pause_s=0)
    server.replies = [(404, {})]
    with pytest.raises(InputError, match="404"):
        write_explanations([ASKED], writer, out, pause_s=0)
    assert len(out.read_text().splitlines()) == 1


@pytest.mark.parametrize("text", ["", "<|im_start|>assistant", "```json\n{}\n```", "x" * 2000])
def test_a_text_that_would_spoil_training_is_refused(server: Server, tmp_path: Path, text: str) -> None:
    server.replies = [said(text)]
    done = write_explanations([LOCATED], load(address(server)), tmp_path / "e.jsonl")
    assert (done.written, done.refused) == (0, 1)
    assert (tmp_path / "e.jsonl").read_text() == ""
    with pytest.raises(InputError, match="holds no explanation"):
        list(with_explanations([LOCATED], tmp_path / "e.jsonl"))


def test_questions_without_an_answer_in_words_are_not_explained() -> None:
    assert list(questions_of(Sample("a", "a", "other", flat))) == []
    assert [q.answer for q in questions_of(ASKED)] == ["是", "left"]


def test_the_command(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "set" / "images").mkdir(parents=True)
    PILImage.new("RGB", (20, 20)).save(tmp_path / "set" / "images" / "x.jpg")
    row = {"qid": 1, "image_name": "x.jpg", "question": "Is it midline?", "answer": "yes", "answer_type": "CLOSED"}
    (tmp_path / "set" / "train.json").write_text(json.dumps([row]))
    (tmp_path / "set" / "train.txt").write_text("x.jpg\n")

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["fiducial", "data", "explain", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            cli.main()
        return int(exit_.value.code or 0), *capsys.readouterr()

    set_, out = ("vqa_rad", tmp_path / "set"), tmp_path / "out.jsonl"
    code, printed, _ = run(*set_, "--base", address(server), "--out", out)
    assert code == 0
    assert "1 written, 0 there before; all of them synthetic" in printed
    for arguments, word in (
        (("--base", "gemma", "--out", out), "gemma"),
        (("--base", address(server), "--out", tmp_path / "none" / "a"), "none"),
        (("--base", "http://127.0.0.1:9/v1", "--out", out), "cannot be reached"),
    ):
        code, printed, err = run(*set_, *arguments)
        assert (code, printed, err.count("\n")) == (2, "", 1)
        assert word in err
