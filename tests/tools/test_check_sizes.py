"""Plausible sizes: the table that comes with the package, and one of the user's own."""

from __future__ import annotations

import json
import re

import pytest

from fiducial.tests.tools.test_checks import box, head, measured, outcome, run, scaled
from fiducial.tools.errors import InputError


@pytest.mark.parametrize(
    ("label", "plausible_mm", "impossible_mm"),
    [("left_kidney", 110, 400), ("polyp", 6, 300), ("nucleus", 0.01, 1), ("heart", 130, 700), ("lung nodule", 8, 90)],
)
def test_the_table_of_sizes_knows_structures_that_no_skill_does(label, plausible_mm, impossible_mm):
    region = box("R1", 0, 0, 100, 50, label=label)
    assert outcome("plausible_size", measured(region, scaled(plausible_mm / 100))) == ("pass", ())
    assert outcome("plausible_size", measured(region, scaled(impossible_mm / 100))) == ("fail", ("R1",))
    assert run("plausible_size", measured(box("R1", 0, 0, 9, 5, label="thing"), scaled(1))) is None


def test_a_user_s_own_table_adds_and_replaces(tmp_path, monkeypatch):
    table = tmp_path / "sizes.json"
    table.write_text('{"Adrenal_Mass": {"long_axis_mm": [3, 200], "source": "our own series"}, '
                     '"polyp": {"long_axis_mm": [0.5, 10], "source": "small ones only"}}')  # fmt: skip
    monkeypatch.setenv("FIDUCIAL_SIZES", str(table))
    mass, polyp = box("R1", 0, 0, 100, 50, label="adrenal mass"), box("R1", 0, 0, 100, 50, label="polyp")
    assert outcome("plausible_size", measured(mass, scaled(0.5))) == ("pass", ())
    assert outcome("plausible_size", measured(mass, scaled(5))) == ("fail", ("R1",))
    assert outcome("plausible_size", measured(polyp, scaled(0.5))) == ("fail", ("R1",))
    assert outcome("plausible_size", measured(head(), scaled(0.3))) == ("pass", ())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"a": 1}',
        '{"a": {"long_axis_mm": [0, 9], "source": "x"}}',
        '{"a": {"long_axis_mm": [1, 1e999], "source": "x"}}',
        '{"a": {"long_axis_mm": [1, 9], "source": ""}}',
        '{"a": {"long_axis_cm": [1, 9], "source": "x"}}',
        '{"a": {"long_axis_mm": [9, 1], "source": "x"}}',
        '{"a": {"long_axis_mm": [1, 9]}}',
    ],
)
def test_a_table_that_is_none_gets_one_sentence(tmp_path, monkeypatch, text):
    table = tmp_path / "bad.json"
    table.write_text(text)
    monkeypatch.setenv("FIDUCIAL_SIZES", str(table))
    with pytest.raises(InputError, match=r"bad\.json is not a table of sizes") as error:
        run("plausible_size", measured(head(), scaled(0.3)))
    assert "\n" not in str(error.value)
    monkeypatch.setenv("FIDUCIAL_SIZES", str(tmp_path / "none.json"))
    with pytest.raises(InputError, match="check the path"):
        run("plausible_size", measured(head(), scaled(0.3)))


def test_every_plausible_size_has_a_source():
    from importlib.resources import files

    table = json.loads(files("fiducial.tools").joinpath("plausible_sizes.json").read_text(encoding="utf-8"))
    assert {"kidney", "polyp", "nucleus", "heart"} <= set(table)
    for row in table.values():
        assert 0 < row["long_axis_mm"][0] < row["long_axis_mm"][1]
        assert re.search(r"\b(?:19|20)\d\d\b", row["source"])
        assert re.search(
            r"mean|median|range|usual|definition|limits|average|no published", row["source"], re.IGNORECASE
        )
