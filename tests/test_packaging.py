"""The wheel holds the package and its data, nothing else, and stays small."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
MAX_WHEEL_BYTES = 40 * 2**20


def test_the_wheel_holds_the_package_and_its_data(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = {Path(name) for name in zipfile.ZipFile(wheel).namelist()}
    package = {name.relative_to("fiducial") for name in names if name.parts[0] == "fiducial"}
    assert all(name.parts[0].endswith(".dist-info") for name in names if name.parts[0] != "fiducial")
    assert {name.parts[0] for name in package} == {
        "__init__.py",
        "py.typed",
        "cli.py",
        "agent",
        "skills",
        "store",
        "tools",
    }
    kept = {path.relative_to(ROOT) for room in ("skills", "tools") for path in (ROOT / room).rglob("*.json")}
    assert kept <= package
    assert wheel.stat().st_size <= MAX_WHEEL_BYTES
