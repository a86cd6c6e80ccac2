"""A run that is killed half way goes on from its checkpoint and comes to the same record."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fiducial.agent.ask import Asker
from fiducial.skills.families.recording import load
from fiducial.store import Store
from fiducial.tests.agent.recordings import Recorded, boxes, counted, explained, grid, intent
from fiducial.tools.errors import InputError
from fiducial.tools.record import Record

KILLED = '''
import os, signal, sys
from pathlib import Path
from fiducial.agent.ask import Asker
from fiducial.skills.families.recording import load
from fiducial.tools.hooks import CheckSpec, build_registry, hookimpl

class Killer:
    """An outside plugin whose check ends the process."""

    @hookimpl
    def fiducial_checks(self):
        def kill(record):
            os.kill(os.getpid(), signal.SIGKILL)
        return [CheckSpec("killer", "Ends the process.", sys.argv[4], kill)]

recording, image, store = map(Path, sys.argv[1:4])
Asker(store=store, model=load(recording), registry=build_registry([Killer()])).ask(image, "A question?")
'''


def plain(record: Record) -> dict:
    """The record without what differs between two runs: its id and its times."""
    data = record.document() | {"run_id": ""}
    return data | {"steps": [step | {"ms": 0} for step in data["steps"]]}


@pytest.mark.parametrize("stage", ["understand", "answer", "ground", "explain"])
def test_killed_run_resumes_to_the_same_record(ask: Recorded, tmp_path: Path, stage: str) -> None:
    results = {
        "understand": intent("count", "platelet"),
        "count": counted(4),
        "detect": boxes(*grid(4)),
        "explain": explained("These are seen."),
    }
    recording, store = ask.write(results), tmp_path / "runs.db"
    arguments = [sys.executable, "-c", KILLED, str(recording), str(ask.picture), str(store), stage]
    done = subprocess.run(arguments, capture_output=True, timeout=300, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    (row,) = Store(store).runs()
    assert row["status"] is None
    asker = Asker(store=store, model=load(recording))
    resumed = asker.resume(row["run_id"])
    assert resumed.run_id == row["run_id"]
    assert plain(resumed) == plain(Asker(model=load(recording)).ask(ask.picture, "A question?"))
    assert Store(store).runs()[0]["status"] == "answered"
    assert plain(asker.resume(row["run_id"])) == plain(resumed)


def test_resume_of_a_changed_image_is_refused(ask: Recorded, tmp_path: Path) -> None:
    recording, store = ask.write({"understand": intent("unknown")}), tmp_path / "runs.db"
    arguments = [sys.executable, "-c", KILLED, str(recording), str(ask.picture), str(store), "image"]
    assert subprocess.run(arguments, capture_output=True, timeout=300, check=False).returncode == -signal.SIGKILL
    ask.picture.write_bytes(ask.picture.read_bytes() + b"x")
    with pytest.raises(InputError, match="has changed"):
        Asker(store=store, model=load(recording)).resume(Store(store).runs()[0]["run_id"])


def test_no_checkpoint_is_left_behind(ask: Recorded, tmp_path: Path) -> None:
    import sqlite3

    store = tmp_path / "runs.db"
    Asker(store=store, model=load(ask.write({"understand": intent("unknown")}))).ask(ask.picture, "A question?")
    with sqlite3.connect(f"{store}.checkpoints") as connection:
        assert connection.execute("SELECT count(*) FROM checkpoints").fetchone() == (0,)


def test_unknown_run(tmp_path: Path, ask: Recorded) -> None:
    asker = Asker(store=tmp_path / "runs.db", model=load(ask.write({})))
    with pytest.raises(InputError, match="no run"):
        asker.resume("nothing")
