"""``fiducial data check`` and ``explain``: what a set holds, and explanations of it that a language model writes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fiducial.agent.commands.terminal import AsJson, json_text, stdout_for_results
from fiducial.tools.errors import InputError

if TYPE_CHECKING:
    from fiducial.skills.datasets.check import Report

SetName = Annotated[str, typer.Argument(metavar="SET", help="The data set's name, as data list prints it.")]
SetPath = Annotated[Path | None, typer.Argument(metavar="PATH", help="Its folder; $FIDUCIAL_DATA/SET by default.")]
DRAWN = {"phantoms"}  # sets that need no folder


def set_folder(name: str, path: Path | None) -> Path | None:
    """The folder of a set. Raises InputError where none is named, or it is not there."""
    if path is None and name in DRAWN:
        return None
    home = os.environ.get("FIDUCIAL_DATA")
    folder = path or (Path(home) / name if home else None)
    if folder is None:
        raise InputError(f"name the folder of {name}: fiducial data check {name} PATH, or set FIDUCIAL_DATA")
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; give the one that holds {name} as it is published")
    return folder


def data_check(
    name: SetName,
    path: SetPath = None,
    split: Annotated[
        list[str] | None, typer.Option(help="A split to read; give it once for each. Default: train, val, test.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many samples of each split.")] = None,
    as_json: AsJson = False,
) -> None:
    """Report on a data set: classes and sizes, faulty boxes, duplicates and leaks, negatives, languages, prompts."""
    from fiducial.tools.hooks import registry

    spec, folder = registry().get("datasets", name), set_folder(name, path)
    with stdout_for_results():
        from fiducial.skills.datasets.check import SPLITS, check_dataset

        report = check_dataset(spec, folder, split or SPLITS, limit)
    print(json_text(report.document()) if as_json else "\n".join(report_lines(report)))


def data_explain(
    name: SetName,
    path: SetPath = None,
    *,
    base: Annotated[str, typer.Option(help="An OpenAI-compatible server: http://host:port/v1#MODEL.")],
    out: Annotated[Path, typer.Option(help="The file to append to, one JSON object a line.")],
    split: Annotated[str, typer.Option(help="The split to explain.")] = "train",
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many new explanations.")] = None,
) -> None:
    """Let a language-model server write explanations of a set's answers from its metadata.

    They are marked as synthetic and kept in a file of their own. Those that the file holds are not asked for again, so
    a run that was cut off goes on when it is repeated.
    """
    from fiducial.tools.hooks import registry

    spec, folder = registry().get("datasets", name), set_folder(name, path)
    if not out.absolute().parent.is_dir():
        raise InputError(f"cannot write {out}; name a file in a folder that exists")
    with stdout_for_results():
        from fiducial.skills.datasets.explain import write_explanations
        from fiducial.skills.families.server import load, recognises

        if not recognises(base):
            raise InputError(f"'{base}' is no server's address; give --base http://host:port/v1#MODEL")
        done = write_explanations(spec.open(folder, split), load(base), out, limit)
    refused = f", {done.refused} refused ({done.reason})" if done.refused else ""
    print(f"{out}: {done.written} written, {done.kept} there before{refused}; all of them synthetic")


def _counts(counts: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in counts.items()) or "none"


def _examples(count: int, examples: list[str]) -> Iterator[str]:
    yield from (f"    {text}" for text in examples)
    if count > len(examples):
        yield f"    and {count - len(examples)} more"


def report_lines(report: Report) -> Iterator[str]:
    """The report as lines of text."""
    yield f"{report.name}"
    for what in ("samples", "images", "groups"):
        yield f"  {what}: {_counts(getattr(report, what))}"
    for name, why in report.not_read.items():
        yield f"  split {name} was not read: {why}"
    for label, entry in sorted(report.classes.items()):
        sizes = f"; of the image: {_counts(entry.sizes)}" if any(entry.sizes.values()) else ""
        yield f"  class {label}: {entry.objects} in {entry.samples} samples{sizes}"
    yield f"  questions: {_counts(report.tasks)}"
    if report.answers:
        most = dict(sorted(report.answers.items(), key=lambda item: -item[1])[:10])
        yield f"  closed answers: {_counts(most)}"
    if report.negatives is not None:
        yield f"  negatives: {report.negatives:.1%} of the questions about structures"
    yield f"  languages: {_counts(report.languages)}"
    if report.question_characters:
        long = report.question_characters
        yield f"  characters of a question: {long.least} to {long.most}, median {long.median}, 95 % up to {long.p95}"
    yield f"  with a scale: {report.with_scale} samples; text written by a model: {report.synthetic} samples"
    yield from _faults(report)


def _faults(report: Report) -> Iterator[str]:
    for kind, count in sorted(report.problems.items()):
        yield f"  {kind}: {count}"
        yield from _examples(count, report.problem_examples[kind])
    if report.unreadable:
        yield f"  images that cannot be read: {report.unreadable}"
        yield from _examples(report.unreadable, report.unreadable_examples)
    yield f"  the same image again in its split: {report.duplicates}"
    yield from _examples(report.duplicates, report.duplicate_examples)
    yield f"  the same question about the same image again: {report.repeated_questions}"
    for leak in report.leaks:
        yield f"  LEAK: {leak.count} of the same {leak.what} in {' and '.join(leak.splits)}"
        yield from _examples(leak.count, leak.examples)
    if not report.leaks:
        yield "  leaks between splits: none"


def add_data_set_commands(app: typer.Typer) -> None:
    """Put the commands of this file into the group ``data``."""
    app.command("check")(data_check)
    app.command("explain")(data_explain)
