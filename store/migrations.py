"""The store's schema, as numbered steps. A released step is never edited: a change is a new step at the end.

``runs`` holds what a run has one of; ``regions``, ``measurements``, ``checks`` and ``steps`` its lists, in the order of
``position``; columns are named as the fields of the record (``tools/record.py``), and nested values are JSON. Of an
image only path, SHA-256, size, orientation, scale (and where it holds) and slices are kept: this list of columns is the
allow-list.
"""

from __future__ import annotations

from sqlite_utils import Database, Migrations

migrations = Migrations("fiducial")

_RUN = "run_id TEXT NOT NULL REFERENCES runs(run_id) ON DELETE CASCADE, position INTEGER NOT NULL"
_KEY = "PRIMARY KEY (run_id, position)"

_FIRST = (
    """CREATE TABLE runs (
        id INTEGER PRIMARY KEY, run_id TEXT NOT NULL UNIQUE, started_at TEXT NOT NULL, finished_at TEXT,
        fiducial_version TEXT NOT NULL, model TEXT, question TEXT NOT NULL, status TEXT,
        image_path TEXT NOT NULL, image_sha256 TEXT NOT NULL, image_width_px INTEGER NOT NULL,
        image_height_px INTEGER NOT NULL, image_scale TEXT, image_scale_refused TEXT,
        understanding TEXT, answer TEXT, explanation TEXT, verdict TEXT)""",
    f"""CREATE TABLE regions ({_RUN}, id TEXT NOT NULL, label TEXT NOT NULL, kind TEXT NOT NULL,
        geometry TEXT NOT NULL, score REAL, sigma_px REAL, skill TEXT NOT NULL, parent_id TEXT,
        status TEXT NOT NULL, rejected_by TEXT, {_KEY})""",
    f"""CREATE TABLE measurements ({_RUN}, quantity TEXT NOT NULL, value REAL NOT NULL, unit TEXT NOT NULL,
        uncertainty REAL NOT NULL, interval TEXT NOT NULL, scale_source TEXT NOT NULL, region_ids TEXT NOT NULL,
        note TEXT, {_KEY})""",
    f"CREATE TABLE checks ({_RUN}, name TEXT NOT NULL, outcome TEXT NOT NULL, detail TEXT NOT NULL, {_KEY})",
    f"""CREATE TABLE steps ({_RUN}, name TEXT NOT NULL, kind TEXT NOT NULL, ms REAL, attempt INTEGER NOT NULL,
        error TEXT, {_KEY})""",
    """CREATE TABLE adapters (run_id TEXT NOT NULL REFERENCES runs(run_id) ON DELETE CASCADE, skill TEXT NOT NULL,
        sha256 TEXT NOT NULL, PRIMARY KEY (run_id, skill))""",
    # Its rowid is runs.id.
    "CREATE VIRTUAL TABLE runs_fts USING fts5 (question, answer, explanation, verdict)",
)


@migrations(name="0001_one_record")
def one_record(db: Database) -> None:
    """Runs, their parts, and the full-text index."""
    for statement in _FIRST:
        db.execute(statement)


@migrations(name="0002_scale_box")
def scale_box(db: Database) -> None:
    """Where in the image the scale holds; NULL for everywhere."""
    db.execute("ALTER TABLE runs ADD COLUMN image_scale_box_xyxy_px TEXT")


@migrations(name="0003_volumes")
def volumes(db: Database) -> None:
    """Which slice of its file an image is, and a region's box in the world; NULL for files of one image."""
    db.execute("ALTER TABLE runs ADD COLUMN image_file_slice TEXT")
    db.execute("ALTER TABLE regions ADD COLUMN box_xyzxyz_mm TEXT")


@migrations(name="0004_orientation")
def orientation(db: Database) -> None:
    """How an image is turned to be displayed, 2 to 8 as EXIF has it; NULL for as stored."""
    db.execute("ALTER TABLE runs ADD COLUMN image_orientation INTEGER")


@migrations(name="0005_whole_volumes")
def whole_volumes(db: Database) -> None:
    """Which slices of its file a question about a whole volume was put to; NULL for others."""
    db.execute("ALTER TABLE runs ADD COLUMN image_file_slices TEXT")
