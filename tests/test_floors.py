"""Who may import whom, what the first command costs, and how long a file or a function may be."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = {"cli": 3, "agent": 2, "skills": 1, "store": 1, "tools": 0}
# What a room may not lean on beside the rooms above it: training runs without a controller, tools without a model.
FORBIDDEN = {
    "skills": {"langgraph", "langchain_core", "sqlite_utils", "sqlite3"},
    "store": {"langgraph", "torch", "transformers", "peft"},
    "tools": {"langgraph", "torch", "transformers", "peft", "sqlite_utils", "sqlite3"},
}
HEAVY = {"torch", "transformers", "peft", "langgraph", "scipy", "skimage", "numpy", "PIL", "pydicom", "sqlite_utils"}
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 50


def python_files(*rooms: str) -> list[Path]:
    found = [ROOT / "cli.py"] if "cli" in rooms else []
    return found + [path for room in rooms for path in sorted((ROOT / room).rglob("*.py"))]


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(source: str) -> Iterator[tuple[int, str]]:
    """Line and dotted name of every import at any depth: statements, ``import_module`` and ``__import__``."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            function = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if function in ("import_module", "__import__"):
                yield node.lineno, str(node.args[0].value)


def faults(room: str, source: str) -> list[str]:
    """What a file of a room imports that it may not."""
    found = []
    for line, name in imports(source):
        first, _, rest = name.partition(".")
        other = rest.partition(".")[0]
        if not first:
            found.append(f"line {line}: relative import {name}")
        elif first in FORBIDDEN.get(room, ()):
            found.append(f"line {line}: {room} may not import {first}")
        elif first == "fiducial" and other in FLOORS and other != room and FLOORS[other] >= FLOORS[room]:
            found.append(f"line {line}: {room} (floor {FLOORS[room]}) may not import {other} (floor {FLOORS[other]})")
    return found


@pytest.mark.parametrize("path", python_files(*FLOORS), ids=named)
def test_imports_go_only_downwards(path: Path) -> None:
    room = path.relative_to(ROOT).parts[0].removesuffix(".py")
    assert faults(room, path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("tools", "from fiducial.skills.base import Model"),
        ("tools", "def late():\n    import fiducial.agent.ask"),
        ("tools", "import torch.nn"),
        ("skills", "from fiducial import agent"),
        ("skills", "from fiducial.store import Store"),
        ("skills", "import importlib\nimportlib.import_module('langgraph.graph')"),
        ("store", "from fiducial.cli import app"),
        ("agent", "from ..store import Store"),
    ],
)
def test_the_guard_sees_an_import_that_goes_up(room: str, source: str) -> None:
    assert len(faults(room, source)) == 1


@pytest.mark.parametrize("arguments", [["--help"], ["ask", "--help"]], ids=" ".join)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "fiducial.cli", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT.parent)
    modules = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "typer" in modules
    assert {module.partition(".")[0] for module in modules} & HEAVY == set()


@pytest.mark.parametrize("arguments", [["list"], ["show", "count"]], ids=" ".join)
def test_manifests_are_read_without_torch(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "count").mkdir()
    manifest = dict.fromkeys(("family", "dialect", "base", "base_sha256"), "x") | {"skill": "count"}
    (tmp_path / "count" / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    command = [sys.executable, "-X", "importtime", "-m", "fiducial.cli", "adapters", *arguments]
    done = subprocess.run([*command, "--adapters", str(tmp_path)], capture_output=True, text=True, check=True)
    modules = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "fiducial.skills.adapters" in modules
    assert {"torch", "transformers", "peft", "langgraph"} & modules == set()


def lengths(path: Path) -> Iterator[tuple[str, int]]:
    """Each function's name and number of lines, from ``def`` to its last."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1


@pytest.mark.parametrize("path", python_files(*FLOORS, "benchmarks", "tests"), ids=named)
def test_files_and_functions_are_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_FILE_LINES
    assert {name: count for name, count in lengths(path) if count > MAX_FUNCTION_LINES} == {}
