"""``fiducial ask --from LIST.csv``: many questions with one loaded model, one JSON document a line."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from fiducial.agent.ask import Asker
from fiducial.agent.rows import COLUMNS, Row, read_row
from fiducial.tools.errors import FiducialError, InputError


def read_list(path: Path, default_scale: str | None = None) -> list[Row]:
    """The rows of a CSV file (UTF-8) with the columns image and question, and optionally scale, plane, slice, frame.

    An image's path is relative to the list's folder, or, where it is not there, to the working folder. Raises
    InputError for a file that cannot be read as such a list; a row that cannot be asked carries its fault.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            if missing := [name for name in COLUMNS if name not in (reader.fieldnames or ())]:
                raise InputError(f"{path} has no column {' or '.join(missing)}; its first line must be image,question")
            rows = [read_row(number, values, path.parent, default_scale) for number, values in enumerate(reader, 1)]
    except OSError as error:
        raise InputError(f"cannot read the list {path}: {error.strerror}; check the path") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"cannot read the list {path} as CSV in UTF-8 ({error}); save it as such") from None
    if not rows:
        raise InputError(f"{path} has no row below its header; add one with an image and a question")
    return rows


def documents(asker: Asker, rows: list[Row], defect: Callable[[Exception], str]) -> Iterator[dict[str, Any]]:
    """The document of each row, in order, as each is done; a failed row's has ``row`` and ``error`` and no verdict.

    defect: the sentence for a failure that is ours, not the input's; such a row's document says ``defect: true``.
    """
    for row in rows:
        failed = {"row": row.number, "question": row.question, "image": {"path": row.image}}
        try:
            yield asker.ask_row(row).document()
        except FiducialError as error:
            yield {**failed, "error": str(error), "defect": error.exit_code != InputError.exit_code}
        except Exception as error:
            yield {**failed, "error": defect(error), "defect": True}


def ask_all(asker: Asker, rows: list[Row], write: Callable[[str], None], defect: Callable[[Exception], str]) -> int:
    """Ask every row and ``write`` one line each; a progress bar on stderr.

    Returns the exit code: 0 if every row ended in a verdict, else 2, or 1 where a failure is ours.
    """
    from tqdm import tqdm

    _ = asker.model, asker.policy  # If these cannot be loaded, that is the error of them all.
    code = 0
    for document in tqdm(documents(asker, rows, defect), total=len(rows), unit="question"):
        write(json.dumps(document, ensure_ascii=False, allow_nan=False))
        if "error" in document and code != 1:
            code = 1 if document["defect"] else 2
    return code
