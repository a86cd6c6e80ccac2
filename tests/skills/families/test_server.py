"""A server as a model, against a real one on this machine that answers from a list."""

from __future__ import annotations

import base64
import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image as Pillow

from fiducial.skills.base import (
    AnswerArgs,
    ExplainArgs,
    FindArgs,
    LandmarkArgs,
    QuestionArgs,
    ReportArgs,
    SizeArgs,
    SubjectArgs,
)
from fiducial.skills.families.recording import RecordingModel
from fiducial.skills.families.server import MAX_BYTES, ServerModel
from fiducial.skills.load import load_model
from fiducial.tools.errors import InputError, TransientError
from fiducial.tools.record import Answer, Intent, Region

if TYPE_CHECKING:
    from fiducial.tools.images.image import Image

MODELS = {"data": [{"id": "base"}, {"id": "base-count"}]}


class Served(ThreadingHTTPServer):
    """Keeps the requests, and answers chat completions with ``replies`` in turn, the last one again and again."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[dict[str, Any]] = []
        self.headers: list[Any] = []
        self.replies: list[Any] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: Served

    def do_GET(self) -> None:
        self._send(200, json.dumps(MODELS).encode())

    def do_POST(self) -> None:
        self.server.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.server.headers.append(self.headers)
        reply = self.server.replies.pop(0) if len(self.server.replies) > 1 else self.server.replies[0]
        if isinstance(reply, tuple):
            self._send(*reply)
        else:
            self._send(200, json.dumps(reply).encode())

    def _send(self, code: int, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def served() -> Iterator[Served]:
    server = Served()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def reply(text: str | None, *logprobs: float) -> dict[str, Any]:
    """A chat completion."""
    choice: dict[str, Any] = {"message": {"role": "assistant", "content": text}}
    if logprobs:
        choice["logprobs"] = {"content": [{"token": "x", "logprob": value} for value in logprobs]}
    return {"choices": [choice]}


def model(served: Served, names: str = "") -> ServerModel:
    found = load_model(served.url + names)
    assert isinstance(found, ServerModel)
    return found


def test_boxes_come_back_in_stored_pixels_with_the_probability_of_the_text(served: Served, image: Image) -> None:
    served.replies = [reply('[{"bbox_2d": [250, 100, 500, 300], "label": "platelet"}]', np.log(0.5), np.log(0.125))]
    found = model(served).open(image).perform("detect", FindArgs(structure="platelet"))
    assert [r.box_xyxy_px for r in found.regions] == [pytest.approx((40, 12, 80, 36))]
    assert found.confidence == pytest.approx(0.25) and found.parsed
    assert found.regions[0].sigma_px == pytest.approx(0.08 / 3**0.5)
    asked = served.asked[0]
    assert asked["model"] == "base" and asked["temperature"] == 0
    picture, prompt = asked["messages"][0]["content"]
    assert "platelet" in prompt["text"] and "bbox_2d" in prompt["text"]
    sent = Pillow.open(io.BytesIO(base64.b64decode(picture["image_url"]["url"].partition(",")[2])))
    assert np.array_equal(np.asarray(sent), image.rgb_u8)


def test_of_a_crop_too(served: Served, image: Image) -> None:
    served.replies = [reply('[{"point_2d": [500, 500], "label": "platelet"}]')]
    session = model(served).open(image).zoom((40, 20, 120, 100))
    found = session.perform("point", FindArgs(structure="platelet"))
    assert found.regions[0].point_xy_px == pytest.approx((80, 60))
    assert found.confidence == 0.5


def test_a_skill_is_asked_of_the_adapter_that_is_named_for_it(served: Served, image: Image) -> None:
    served.replies = [reply('{"counts": 4, "label": "platelet"}'), reply("yes")]
    session = model(served, "#base,count=base-count").open(image)
    assert session.perform("count", SubjectArgs(structure="platelet")).count == 4
    present = session.perform("answer", AnswerArgs(intent=Intent(task="presence", structure="platelet")))
    assert present.value is True
    assert [asked["model"] for asked in served.asked] == ["base-count", "base"]


def test_an_explanation_cites_the_regions_that_it_names(served: Served, image: Image) -> None:
    served.replies = [reply("R1 is small and pale.")]
    region = Region(id="R1", label="platelet", kind="point", point_xy_px=(10, 10), score=0.9, skill="point")
    args = ExplainArgs(
        intent=Intent(task="count", structure="platelet"),
        answer=Answer(text="There is 1 platelet.", value=1, confidence=0.9),
        regions=[region],
        width_px=160,
        height_px=120,
        attempt=2,
    )
    told = model(served).open(image).perform("explain", args)
    assert told.region_ids == ["R1"]
    assert "R1, platelet, upper left" in served.asked[0]["messages"][0]["content"][1]["text"]
    assert served.asked[0]["seed"] == 2 and served.asked[0]["temperature"] > 0


def test_a_question_is_answered_through_the_whole_chain(served: Served, picture: Path, guide: RecordingModel) -> None:
    from dataclasses import replace

    from fiducial.agent.ask import Asker

    box = '[{"bbox_2d": [31.25, 41.67, 106.25, 141.67], "label": "platelet"}]'
    sure = (-0.01, -0.01)
    served.replies = [reply('{"counts": 1, "label": "platelet"}', *sure), reply(box, *sure), reply("R1 is one.", *sure)]
    asker = Asker(model=replace(model(served), guide=guide))
    record = asker.ask(picture, "How many platelets are there?")
    assert record.answer is not None and record.answer.value == 1
    assert [r.box_xyxy_px for r in record.accepted] == [pytest.approx((5, 5, 17, 17), abs=0.01)]
    assert record.verdict is not None and record.verdict.status == "answered"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((503, b"busy"), TransientError),
        ((401, b"no key"), InputError),
        ((200, b"<html>"), TransientError),
        ((200, b"[1]"), TransientError),
        ((200, b'{"choices": []}'), TransientError),
        ((200, b"[" * 100_000), TransientError),
        ((200, b" " * (MAX_BYTES + 1)), TransientError),
    ],
)
def test_a_server_that_fails_is_told_apart_from_one_that_refuses(
    answer: tuple[int, bytes], error: type[Exception], served: Served, image: Image
) -> None:
    served.replies = [answer]
    with pytest.raises(error, match="the server"):
        model(served).open(image).perform("count", SubjectArgs(structure="platelet"))


def test_a_server_that_refuses_logprobs_is_asked_without(served: Served, image: Image) -> None:
    counted = reply('{"counts": 4, "label": "platelet"}')
    served.replies = [(400, b"logprobs is not supported"), counted]
    session = model(served).open(image)
    assert session.perform("count", SubjectArgs(structure="platelet")).count == 4
    assert session.perform("count", SubjectArgs(structure="platelet")).count == 4
    assert ["logprobs" in asked for asked in served.asked] == [True, False, False]
    served.replies = [(400, b"no such image")]
    with pytest.raises(InputError, match="no such image"):
        model(served).open(image).perform("count", SubjectArgs(structure="platelet"))


def test_a_message_without_text_is_unparsed(served: Served, image: Image) -> None:
    served.replies = [reply(None, float("-inf"), 0.5)]
    counted = model(served).open(image).perform("count", SubjectArgs(structure="platelet"))
    assert counted.count is None and not counted.parsed and counted.confidence == 0.5


def test_the_key_is_sent_and_is_in_no_message(served: Served, image: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIDUCIAL_SERVER_KEY", "opensesame")
    served.replies = [(401, b"wrong key")]
    with pytest.raises(InputError) as refused:
        model(served).open(image).perform("count", SubjectArgs(structure="platelet"))
    assert served.headers[0]["Authorization"] == "Bearer opensesame"
    assert "opensesame" not in str(refused.value)


def test_what_a_server_does_not_have_is_refused_by_name(served: Served, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="base-count"):
        load_model(f"{served.url}#another")
    with pytest.raises(InputError, match="another"):
        load_model(f"{served.url}#base,count=another")
    with pytest.raises(InputError, match="--adapters"):
        load_model(served.url, tmp_path)
    with pytest.raises(InputError, match="cannot be reached"):
        load_model("http://127.0.0.1:9/v1")


def test_what_is_asked_in_free_words(served: Served, image: Image) -> None:
    session = model(served, "#base,answer=base-count").open(image)
    served.replies = [reply("An ultrasound scan.", np.log(0.5))]
    free = session.perform("question", QuestionArgs(question="What is this?"))
    assert (free.value, free.parsed, free.confidence) == ("An ultrasound scan.", True, pytest.approx(0.5))
    assert served.asked[-1]["model"] == "base-count"  # the adapter that answers, where none is named for questions
    served.replies = [reply("It is an MRI.")]
    chosen = session.perform("question", QuestionArgs(question="CT or MRI?", options=["CT", "MRI"]))
    assert chosen.value == "MRI"
    served.replies = [reply("左肺可见阴影。")]
    report = session.perform("report", ReportArgs(language="zh"))
    assert report.report == "左肺可见阴影。"
    assert "报告" in served.asked[-1]["messages"][0]["content"][-1]["text"]


def test_landmarks_are_asked_for_one_by_one(served: Served, image: Image) -> None:
    texts = ['[{"point_2d": [250, 500], "label": "sella"}]', '[{"point_2d": [500, 500], "label": "N"}]']
    served.replies = [reply(text, np.log(0.9)) for text in texts]
    args = LandmarkArgs(structure="", names=["sella", "nasion"])
    found = model(served).open(image).perform("landmark", args)
    assert [(r.label, r.point_xy_px) for r in found.regions] == [("sella", (40, 60)), ("nasion", (80, 60))]
    assert found.parsed


def test_a_stated_size_is_a_claim_in_the_unit_asked_for(served: Served, image: Image) -> None:
    served.replies = [reply("long axis: 12.5 mm")]
    args = SizeArgs(structure="polyp", quantities=["long axis"], unit="mm")
    said = model(served).open(image).perform("size", args)
    assert [(n.name, n.value, n.unit) for n in said.numbers] == [("long axis", 12.5, "mm")]
