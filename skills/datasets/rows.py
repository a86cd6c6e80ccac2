"""Rows out of the files that data sets are published in: JSON, JSON lines, CSV, TSV, pickles of plain rows, Parquet.

Rows come one at a time, also out of one large JSON list; a bad file or field is one sentence that names it.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn, TextIO

from fiducial.tools.errors import InputError

CHUNK = 1 << 16
MAX_ROW_CHARACTERS = 1 << 28  # a row that is longer is no row
AS_PUBLISHED = "use the file as its publisher gives it"


@dataclass(frozen=True)
class Row:
    """One row and where it stands, for the sentence that names it."""

    where: str
    fields: Mapping[str, Any]

    def bad(self, field: str, why: str) -> InputError:
        """The error for a field, to be raised."""
        return InputError(f"{self.where}: the field '{field}' {why}; {AS_PUBLISHED}")

    def text(self, field: str, default: str | None = None) -> str:
        """The field as text, stripped; numbers are written out. default: for a field that is missing or null."""
        value = self.fields.get(field)
        if value is None:
            if default is None:
                raise self.bad(field, "is missing")
            return default
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            return str(value).strip()
        raise self.bad(field, "is no text")

    def number(self, field: str) -> float:
        """The field as a finite number."""
        return self._finite(field, self.fields.get(field))

    def rows(self, field: str, width: int) -> list[tuple[float, ...]]:
        """The field as a list of number lists of one width: points (2), boxes (4). A missing one is empty."""
        value = self.fields.get(field)
        if value is None:
            return []
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise self.bad(field, "is no list")
        found = []
        for part in value:
            values = list(part.values()) if isinstance(part, Mapping) else part
            if not isinstance(values, Sequence) or isinstance(values, str) or len(values) != width:
                raise self.bad(field, f"holds something that is no list of {width} numbers")
            found.append(tuple(self._finite(field, number) for number in values))
        return found

    def _finite(self, field: str, value: Any) -> float:
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            raise self.bad(field, "is missing or no number") from None
        if isinstance(value, bool) or not math.isfinite(number):
            raise self.bad(field, "is no finite number")
        return number


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse)


def _open_text(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig")
    return path.open(encoding="utf-8-sig", newline="")


def read_json(path: Path) -> Any:
    """One whole JSON document, possibly gzipped; no NaN. Raises InputError naming the file."""
    try:
        with _open_text(path) as file:
            return _DECODER.decode(file.read().strip())
    except (OSError, EOFError, ValueError, RecursionError) as error:
        raise _unreadable(path, error, "JSON") from None


def _unreadable(path: Path, error: BaseException, what: str) -> InputError:
    if isinstance(error, FileNotFoundError):
        return InputError(f"{path} is missing; give the folder of the data set as it is published")
    return InputError(f"{path} is not readable as {what} ({error}); {AS_PUBLISHED}")


def _json_values(file: TextIO) -> Iterator[Any]:
    """The values of a JSON list, or of a file of JSON lines, one at a time."""
    text, begun, ended = "", False, False
    while True:
        text = text.lstrip(" \t\r\n,")
        if text and not begun:
            begun, text = True, text.removeprefix("[")
            continue
        if text.startswith("]"):
            return
        try:
            if not text:
                raise json.JSONDecodeError("cut off", text, 0)
            value, end = _DECODER.raw_decode(text)
        except json.JSONDecodeError:
            if ended and not text:
                return
            if ended or len(text) > MAX_ROW_CHARACTERS:
                raise
            chunk = file.read(max(CHUNK, len(text)))
            ended, text = not chunk, text + chunk
            continue
        yield value
        text = text[end:]


def _json_rows(path: Path) -> Iterator[Any]:
    with _open_text(path) as file:
        yield from _json_values(file)


def _table_rows(path: Path) -> Iterator[Any]:
    with _open_text(path) as file:
        table = csv.DictReader(file, delimiter="\t" if ".tsv" in path.suffixes else ",", strict=True)
        yield from table


class _PlainUnpickler(pickle.Unpickler):
    """Lists, dicts, text and numbers only: a pickle that names a class or a function could run code."""

    def find_class(self, module: str, name: str) -> NoReturn:
        raise pickle.UnpicklingError(f"it names {module}.{name}, which plain rows do not need")


def _pickled_rows(path: Path) -> Iterator[Any]:
    rows = _PlainUnpickler(io.BytesIO(path.read_bytes())).load()
    if not isinstance(rows, list):
        raise ValueError("it holds no list of rows")
    yield from rows


def _arrow(path: Path, module: str) -> Any:
    try:
        return import_module(module)
    except ImportError:
        raise InputError(
            f"{path} needs the library pyarrow, which is not installed; install it, or export the rows as JSON lines"
        ) from None


def _parquet_rows(path: Path) -> Iterator[Any]:
    for batch in _arrow(path, "pyarrow.parquet").ParquetFile(path).iter_batches(64):
        yield from batch.to_pylist()


def _arrow_rows(path: Path) -> Iterator[Any]:
    with _arrow(path, "pyarrow").memory_map(str(path)) as source:
        for batch in _arrow(path, "pyarrow.ipc").open_stream(source):
            yield from batch.to_pylist()


READERS: dict[str, Callable[[Path], Iterator[Any]]] = {
    ".json": _json_rows,
    ".jsonl": _json_rows,
    ".csv": _table_rows,
    ".tsv": _table_rows,
    ".pkl": _pickled_rows,
    ".parquet": _parquet_rows,
    ".arrow": _arrow_rows,
}


def read_rows(path: Path) -> Iterator[Row]:
    """Stream the rows of a file by its suffix; ``.gz`` on top is read too. Raises InputError naming file and row."""
    suffix = next((s for s in reversed(path.suffixes) if s in READERS), "")
    if not suffix:
        raise InputError(f"{path} is no table that is known; give one of {', '.join(READERS)}")
    number = 0
    try:
        for number, fields in enumerate(READERS[suffix](path), 1):
            if not isinstance(fields, Mapping):
                raise InputError(f"{path}, row {number} is no object with named fields; {AS_PUBLISHED}")
            yield Row(f"{path}, row {number}", fields)
    except (OSError, EOFError, ValueError, RecursionError, csv.Error, pickle.UnpicklingError, IndexError) as error:
        raise _unreadable(path, error, f"{suffix[1:]} after row {number}") from None


def find_files(root: Path, *patterns: str) -> list[Path]:
    """All files below root that fit the first of the patterns that any fits. Raises InputError naming the patterns."""
    for pattern in patterns:
        found = sorted(path for path in root.glob(pattern) if path.is_file())
        if found:
            return found
    raise InputError(f"{root} has no {' or '.join(patterns)}; give the folder of the data set as it is published")


def find_file(root: Path, *patterns: str) -> Path:
    """The first of ``find_files``."""
    return find_files(root, *patterns)[0]


def read_shards(root: Path, *patterns: str) -> Iterator[Row]:
    """Stream the rows of a table that is published in one file or in several shards, such as ``train-*.parquet``."""
    for path in find_files(root, *patterns):
        yield from read_rows(path)
