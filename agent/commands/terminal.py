"""What the commands of every group share: options that mean the same everywhere, and where results go."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Annotated, Any

import typer

from fiducial.tools.errors import InputError

LAUNCHER_S = 30.0  # within this a launcher ends all processes once one has failed
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Scale = Annotated[
    str | None,
    typer.Option(help="The image's scale, such as '0.1 mm/px' or 'row 0.2, column 0.1 mm/px', in place of its own."),
]
Plane = Annotated[
    str | None,
    typer.Option(
        help="Which plane of a volume to cut: axial, coronal or sagittal; as acquired (else axial) by default."
    ),
]
Slice = Annotated[
    int | None,
    typer.Option("--slice", min=0, help="Which slice of a volume, frame or page, from 0; the middle one by default."),
]
Frame = Annotated[
    int | None,
    typer.Option(min=0, help="Which frame as stored, page, or volume of a fourth axis, from 0; the first by default."),
]


def command_group(description: str) -> typer.Typer:
    """A group of commands, for ``cli.py`` to mount."""
    return typer.Typer(help=description, no_args_is_help=True, rich_markup_mode=None)


@contextmanager
def stdout_for_results() -> Iterator[None]:
    """While a model works, what libraries print goes to stderr; they show no progress of their own."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    with redirect_stdout(sys.stderr):
        yield


def process_rank() -> int:
    """Which process this is of those that torchrun or accelerate launch has started; 0 where there is one."""
    rank = os.environ.get("RANK", "0") if os.environ.get("WORLD_SIZE", "1") != "1" else "0"
    return int(rank) if rank.isdecimal() else 0


def say_failure(sentence: str) -> None:
    """One sentence on stderr. Of several processes the first speaks; another when the first has not failed too."""
    rank = process_rank()
    if rank:
        time.sleep(LAUNCHER_S)
        sentence = f"process {rank}: {sentence}"
    print(f"fiducial: {sentence}", file=sys.stderr)


def require_text(value: str, what: str) -> None:
    """Refuse bytes that are no text in UTF-8: neither a record nor a store could hold them."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InputError(f"{what} is not valid UTF-8 ({value!a}); type or name it so") from None


def json_text(document: Any) -> str:
    """A document as one line of JSON."""
    return json.dumps(document, ensure_ascii=False, allow_nan=False)
