"""An image to ask the families about, and a guide that reads the questions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fiducial.skills.families.recording import RecordingModel, load
from fiducial.tests.agent.recordings import Recorded, draw_picture, intent

if TYPE_CHECKING:
    from fiducial.tools.images.image import Image


@pytest.fixture(scope="session")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """160 × 120 pixels with discs."""
    return draw_picture(tmp_path_factory.mktemp("picture") / "discs.png")


@pytest.fixture
def image(picture: Path) -> Image:
    from fiducial.tools.images.open_image import open_image

    return open_image(picture)


@pytest.fixture
def guide(tmp_path: Path, picture: Path) -> RecordingModel:
    """Reads every question as one for the number of platelets on a blood smear."""
    return load(Recorded(tmp_path, picture).write({"understand": intent("count", "platelet")}))
