"""``fiducial ask --base FOLDER``, as a person types it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fiducial import cli
from fiducial.skills.load import load_model
from fiducial.tools.errors import InputError


@pytest.mark.parametrize("family", ["qwen2_5_vl", "florence2"])
def test_a_folder_of_a_hub_family_is_asked(
    family: str,
    checkpoint: Callable[[str], Path],
    picture: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    try:
        load_model()
    except InputError as error:
        pytest.skip(f"the embedded model, which reads the question, is not there: {error}")
    arguments = ["ask", str(picture), "How many platelets are there?", "--base", str(checkpoint(family)), "--json"]
    monkeypatch.delenv("FIDUCIAL_STORE", raising=False)
    monkeypatch.setattr(sys, "argv", ["fiducial", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    document = json.loads(capsys.readouterr().out)
    assert document["understanding"]["intent"]["task"] == "count"
    assert document["verdict"]["status"] in ("abstained", "partial")
    assert ended.value.code == (cli.ABSTAINED if document["verdict"]["status"] == "abstained" else 0)
