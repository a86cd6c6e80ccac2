"""The store of runs: one SQLite file that several processes may write to at once."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import RLock
from typing import Any

from sqlite_utils import Database

import fiducial
from fiducial.store.migrations import migrations
from fiducial.store.rows import LISTS, Row, document_of, list_rows, run_row
from fiducial.tools.errors import InputError
from fiducial.tools.record import ImageInfo, Record

# Seconds that one write waits for the others, and that the first open keeps trying: while one process switches the new
# file to WAL, SQLite answers "locked" to the others without waiting.
_BUSY_S = 30.0
_SUMMARY = "run_id, started_at, status, question, image_path"


class Store:
    """Runs, their parts, and full-text search over them.

    Writes are ``BEGIN IMMEDIATE`` transactions: a deferred one that turns into a write fails at once when another
    process has written meanwhile, however long the busy timeout. Nothing of an image is kept but path, SHA-256, size
    and scale (with where it holds). Raises InputError with one sentence for a file that is not a store, is damaged or
    cannot be written.
    """

    def __init__(self, path: Path | str, *, create: bool = True) -> None:
        """Open the store at ``path`` and bring its schema up to date; ``create=False`` refuses a missing file."""
        self.path = Path(path)
        self._lock = RLock()
        if not create and not self.path.is_file():
            raise InputError(f"there is no store at {self.path}; fiducial ask --store {self.path} makes one")
        with self._readable_errors():
            self._db = self._open()

    def begin(self, run_id: str, question: str, image: ImageInfo, model: str | None = None) -> None:
        """Write the run's own row, before anything is computed, so that a run that dies is still seen.

        A repeat is harmless. model: what was loaded (``Model.name``).
        """
        document = Record(run_id=run_id, question=question, image=image).document()
        with self._write() as db:
            self._upsert(db, {**run_row(document), "model": model}, update=False)

    def save(self, record: Record, adapters: Mapping[str, str] | None = None) -> None:
        """Keep the whole record, in place of what was kept of the same run.

        adapters: SHA-256 of each adapter's manifest that took part, by skill.
        """
        document = record.document()
        with self._write() as db:
            row_id = self._upsert(db, {**run_row(document), "finished_at": _now()})
            for name in LISTS:
                db.execute(f"DELETE FROM {name} WHERE run_id = ?", [record.run_id])
                db.table(name).insert_all(list_rows(document, name))
            for skill, sha256 in (adapters or {}).items():
                db.execute("INSERT OR REPLACE INTO adapters VALUES (?, ?, ?)", [record.run_id, skill, sha256])
            texts = [(document[part] or {}).get("text", "") for part in ("answer", "explanation")]
            reasons = " ".join(f"{reason['code']} {reason['detail']}" for reason in _reasons(document))
            db.execute("DELETE FROM runs_fts WHERE rowid = ?", [row_id])
            db.execute(
                "INSERT INTO runs_fts (rowid, question, answer, explanation, verdict) VALUES (?, ?, ?, ?, ?)",
                [row_id, record.question, *texts, reasons],
            )

    def runs(self, limit: int = 20) -> list[Row]:
        """The latest runs, newest first: run_id, started_at (UTC), status (None: unfinished), question, image_path."""
        with self._readable_errors():
            return list(self._db.query(f"SELECT {_SUMMARY} FROM runs ORDER BY id DESC LIMIT ?", [limit]))

    def search(self, text: str, limit: int = 20) -> list[Row]:
        """Runs whose question, answer, explanation or reasons hold every word of ``text``, best first, as ``runs``."""
        query = self._db.quote_fts(text.replace("\0", " "))
        if not query.strip():
            return []
        sql = (
            f"SELECT {_SUMMARY} FROM runs JOIN (SELECT rowid, rank FROM runs_fts WHERE runs_fts MATCH ?) AS hit"
            " ON hit.rowid = runs.id ORDER BY hit.rank, runs.id DESC LIMIT ?"
        )
        with self._readable_errors():
            return list(self._db.query(sql, [query, limit]))

    def run(self, run_id: str) -> Row:
        """The document of one run, as ``Record.document()`` gave it. ``run_id`` may be a prefix that is unique.

        Raises InputError if there is none, or more than one.
        """
        with self._readable_errors():
            where, bind = "substr(run_id, 1, length(:id)) = :id", {"id": run_id}
            found = list(self._db.table("runs").rows_where(where, bind, order_by="length(run_id)", limit=2))
            if not found or not run_id:
                raise InputError(f"no run '{run_id}' in {self.path}; fiducial runs list names them")
            if len(found) > 1 and found[0]["run_id"] != run_id:
                raise InputError(f"more than one run begins with '{run_id}' in {self.path}; type more of its id")
            bind = {"id": found[0]["run_id"]}
            lists = {
                name: list(self._db.table(name).rows_where("run_id = :id", bind, order_by="position")) for name in LISTS
            }
        return document_of(found[0], lists)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _open(self) -> Database:
        """Connect, switch to WAL and migrate; tried again while another process is doing the same."""
        deadline = time.monotonic() + _BUSY_S
        while True:
            connection = sqlite3.connect(self.path, timeout=_BUSY_S, check_same_thread=False)
            try:
                db = Database(connection)
                db.execute("PRAGMA journal_mode = wal")
                db.execute("PRAGMA foreign_keys = on")
                self._migrate(db)
                return db
            except sqlite3.OperationalError as error:
                connection.close()
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            except BaseException:
                connection.close()
                raise

    def _migrate(self, db: Database) -> None:
        ours = {migration.name for migration in migrations.pending(Database(memory=True))}
        applied = {migration.name for migration in migrations.applied(db)}
        if newer := applied - ours:
            raise InputError(
                f"{self.path} was written by a newer fiducial ({', '.join(sorted(newer))}); update fiducial"
            )
        if ours - applied:
            with _immediate(db):
                migrations.apply(db)

    def _upsert(self, db: Database, row: Row, update: bool = True) -> int:
        """Insert the run's own row, or update the one that is there; return its integer key."""
        new = {"started_at": _now(), "fiducial_version": fiducial.__version__, **row}
        columns, marks = ", ".join(new), ", ".join("?" * len(new))
        then = "UPDATE SET " + ", ".join(f"{name} = excluded.{name}" for name in row) if update else "NOTHING"
        sql = f"INSERT INTO runs ({columns}) VALUES ({marks}) ON CONFLICT (run_id) DO {then}"
        db.execute(sql, list(new.values()))
        return int(db.execute("SELECT id FROM runs WHERE run_id = ?", [row["run_id"]]).fetchone()[0])

    @contextmanager
    def _write(self) -> Iterator[Database]:
        with self._lock, self._readable_errors(), _immediate(self._db):
            yield self._db

    @contextmanager
    def _readable_errors(self) -> Iterator[None]:
        """What is wrong with the file, as one sentence; what is wrong with our SQL stays a defect."""
        try:
            yield
        except (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.InterfaceError):
            raise
        except sqlite3.DatabaseError as error:
            raise InputError(f"{self.path} cannot be used as a store ({error}); name another file") from None


@contextmanager
def _immediate(db: Database) -> Iterator[None]:
    """One transaction that has the right to write from its start."""
    db.conn.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.conn.execute("COMMIT")
    finally:
        db.rollback()


def _reasons(document: Mapping[str, Any]) -> list[dict[str, str]]:
    return list((document["verdict"] or {}).get("reasons", []))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
