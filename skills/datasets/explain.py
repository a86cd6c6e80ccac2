"""Explanations of a set's answers, written by a language model from the set's metadata, kept apart and marked.

The GI-VQA paper (arXiv 2511.04384, section 2.1) wrote its explanations so, with few-shot prompts that ask for plain
words, and found that they lack variety. What is written here says that it is synthetic, who wrote it and from which
prompt; it goes to a file of its own, one JSON object a line, and never into the set:

    {"synthetic": true, "id": "7", "number": 0, "image": "synpic28602.jpg", "group": "synpic28602.jpg",
     "split": "train", "language": "en", "question": "Is the trachea midline?", "answer": "yes",
     "explanation": "The dark band of the …", "writer": "server:gemma-3-27b-it", "prompt": "5e0c…"}
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from fiducial.skills.datasets.objects import asks_of, words_of
from fiducial.skills.datasets.questions import language_of
from fiducial.skills.datasets.rows import read_rows
from fiducial.skills.datasets.sample import Ask, Sample
from fiducial.skills.families.server import ServerModel
from fiducial.skills.targets import ChoiceTarget, CountTarget, Language, Query, TextTarget
from fiducial.tools.errors import InputError, TransientError
from fiducial.tools.metrics.size_classes import size_class
from fiducial.tools.positions import place_of
from fiducial.tools.record import Region

ATTEMPTS = 3
MAX_CHARACTERS = 1500
CONTROL = ("<|", "|>", "<image>", "```")  # a text with one of these would be read as something else in training


class Question(NamedTuple):
    """One question of a sample in words, with its answer in words. number: which of the sample's, from 0."""

    number: int
    language: Language
    question: str
    answer: str


@cache
def _prompts() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(files(__package__).joinpath("explain.json").read_text(encoding="utf-8"))
    return document


def prompt_version() -> str:
    """Identifies the prompt that texts were written from: the beginning of its hash."""
    return hashlib.sha256(json.dumps(_prompts(), sort_keys=True).encode()).hexdigest()[:12]


def questions_of(sample: Sample) -> Iterator[Question]:
    """What can be explained: questions in words, and how many of each structure there are."""
    number = 0
    for query, target in asks_of(sample, ["choose", "answer", "count"]):
        words = _prompts()["words"][query.language]
        question = query.question or words["count"].format(label=query.label or "")
        if isinstance(target, ChoiceTarget | TextTarget | CountTarget):
            answer = (
                getattr(target, "choice", None) or getattr(target, "text", None) or str(getattr(target, "count", ""))
            )
            yield Question(number, query.language, question, answer)
            number += 1


def facts_of(sample: Sample, question: Question) -> str:
    """The lines that the writer is given: question, answer, what is annotated and where, and the set's own facts."""
    words = _prompts()["words"][question.language]
    lines = [f"{words['question']}: {question.question}", f"{words['answer']}: {question.answer}"]
    if sample.objects:
        height, width = sample.pixels().shape[:2]
        for item in sample.objects[:20]:
            x0, y0, x1, y1 = item.box_xyxy_px
            region = Region(
                id="R1", label=item.label, kind="box", box_xyxy_px=item.box_xyxy_px, score=1.0, skill="annotation"
            )
            share = size_class((x1 - x0) * (y1 - y0) / (width * height))
            place = place_of(region, width, height)
            lines.append(f"{words['seen']}: {words_of(item.label)}, {place}, {share} of the image")
    return "\n".join([*lines, *(f"{name}: {value}" for name, value in sample.facts.items() if value)])


def messages(sample: Sample, question: Question) -> list[dict[str, str]]:
    """The conversation that asks for one explanation: the rules, examples, and the facts."""
    prompts, language = _prompts(), question.language
    turns = [{"role": "system", "content": prompts["system"][language]}]
    for example in prompts["examples"][language]:
        turns += [
            {"role": "user", "content": example["facts"]},
            {"role": "assistant", "content": example["explanation"]},
        ]
    return [*turns, {"role": "user", "content": facts_of(sample, question)}]


def _fault(text: str) -> str | None:
    """Why a text is not kept; None for a sound one."""
    if not text:
        return "is empty"
    if len(text) > MAX_CHARACTERS:
        return f"is longer than {MAX_CHARACTERS} characters"
    return next((f"contains '{mark}'" for mark in CONTROL if mark in text), None)


def _write(writer: ServerModel, turns: Sequence[dict[str, str]], pause_s: float) -> str:
    """One text from the server, asked again where that may help. Raises TransientError after the last attempt."""
    body = {"model": writer.model, "messages": list(turns), "max_tokens": 300, "temperature": 0.7, "seed": 0}
    for attempt in range(1, ATTEMPTS + 1):
        try:
            answer = writer.client.call("/chat/completions", body | {"seed": attempt})
            content = answer["choices"][0]["message"]["content"]
            if isinstance(content, str):
                return " ".join(content.split())
            raise TransientError(f"the server {writer.client.url} answers without a text")
        except (KeyError, IndexError, TypeError):
            error: TransientError = TransientError(f"the server {writer.client.url} answers without a message")
        except TransientError as transient:
            error = transient
        if attempt < ATTEMPTS:
            time.sleep(pause_s * 2**attempt)
    raise error


@dataclass
class Written:
    """How many explanations were written, were there before, and were refused, with the last reason."""

    written: int = 0
    kept: int = 0
    refused: int = 0
    reason: str = ""


def _done(path: Path) -> set[tuple[str, int]]:
    """What the file holds; a last line that was cut off, by a kill while it was written, is taken away first."""
    if not path.is_file():
        return set()
    data = path.read_bytes()
    if data and not data.endswith(b"\n"):
        with path.open("r+b") as file:
            file.truncate(data.rfind(b"\n") + 1)
    return {(row.text("id"), int(row.number("number"))) for row in read_rows(path)}


def write_explanations(
    samples: Iterable[Sample], writer: ServerModel, path: Path, limit: int | None = None, pause_s: float = 0.5
) -> Written:
    """Append an explanation for each question to the file; those that it holds are not asked for again.

    limit: at most so many new ones. Raises InputError where the server cannot be used, TransientError where it keeps
    failing; what was written until then stays, so the command can be repeated.
    """
    outcome, done = Written(), _done(path)
    with path.open("a", encoding="utf-8") as lines:
        for sample in samples:
            for question in questions_of(sample):
                if (sample.id, question.number) in done:
                    outcome.kept += 1
                    continue
                if limit is not None and outcome.written >= limit:
                    return outcome
                text = _write(writer, messages(sample, question), pause_s)
                fault = _fault(text)
                if fault is not None:
                    outcome.refused, outcome.reason = outcome.refused + 1, f"a text {fault}"
                    continue
                row = _line(sample, question, text, writer.name)
                lines.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
                lines.flush()
                outcome.written += 1
    return outcome


def _line(sample: Sample, question: Question, text: str, writer: str) -> dict[str, Any]:
    return {
        "synthetic": True, "id": sample.id, "number": question.number, "image": sample.image_name,
        "group": sample.group, "split": sample.split, "language": question.language, "question": question.question,
        "answer": question.answer, "explanation": text, "writer": writer, "prompt": prompt_version(),
    }  # fmt: skip


def with_explanations(samples: Iterable[Sample], path: Path) -> Iterator[Sample]:
    """The samples that the file explains, each as a sample of its own that is marked as synthetic.

    Raises InputError for a file whose lines are not marked.
    """
    asks: dict[str, list[Ask]] = defaultdict(list)
    writers: dict[str, str] = {}
    for row in read_rows(path):
        if row.fields.get("synthetic") is not True:
            raise row.bad("synthetic", "is not true, so this is no file of written explanations")
        language = language_of(row.text("language"), row.where)
        query = Query(task="explain", question=row.text("question"), language=language)
        asks[row.text("id")].append(Ask(query, TextTarget(text=row.text("explanation"))))
        writers[row.text("id")] = row.text("writer")
    if not asks:
        raise InputError(f"{path} holds no explanation; write some with fiducial data explain")
    for sample in samples:
        if sample.id in asks:
            yield replace(
                sample, id=f"{sample.id}#explained", image=sample.image_name, objects=(), asks=tuple(asks[sample.id]),
                facts={"writer": writers[sample.id]}, problems=(), synthetic=True,
            )  # fmt: skip
