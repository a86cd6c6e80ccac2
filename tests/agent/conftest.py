"""Fixtures: a small real image, and a way to ask about it with a recording."""

from __future__ import annotations

from pathlib import Path

import pytest

from fiducial.tests.agent.recordings import Recorded, draw_picture


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    return draw_picture(tmp_path / "picture.png")


@pytest.fixture
def ask(tmp_path: Path, picture: Path) -> Recorded:
    return Recorded(tmp_path, picture)
