"""Whatever the skills say, a run ends in a verdict, and a positive answer without a region is never given."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fiducial.agent.present import present
from fiducial.agent.verify import positive_without_region
from fiducial.tests.agent.recordings import Recorded, draw_picture
from fiducial.tools.errors import InputError

STRUCTURES = ["platelet", "red_cell", "white_cell", "blood_cell", "head", "liver", None]
TASKS = ["presence", "count", "location", "kind", "size", "compare", "unknown"]
sure = st.sampled_from([0.0, 0.3, 0.6, 0.95])
number = st.sampled_from([-20.0, 0.0, 5.0, 20.0, 40.0, 90.0, 150.0, 400.0, float("inf")])


@st.composite
def region(draw: st.DrawFn, n: int) -> dict[str, Any]:
    shared = {
        "id": f"R{n}",
        "label": draw(st.sampled_from(["platelet", "platelet", "red_cell", "head"])),
        "score": draw(sure),
        "skill": "detect",
        "parent_id": draw(st.sampled_from([None, None, None, "R1", "R9"])),
    }
    if draw(st.booleans()):
        return shared | {"kind": "point", "point_xy_px": (draw(number), draw(number))}
    x, y = draw(number), draw(number)
    return shared | {"kind": "box", "box_xyxy_px": (x, y, x + draw(number), y + draw(number))}


@st.composite
def found(draw: st.DrawFn) -> dict[str, Any]:
    regions = [draw(region(n)) for n in range(1, draw(st.integers(0, 4)) + 1)]
    return {"regions": regions, "confidence": draw(sure), "parsed": draw(st.booleans()), "text": ""}


@st.composite
def recorded(draw: st.DrawFn) -> dict[str, Any]:
    def some(one: st.SearchStrategy[Any]) -> list[Any]:
        failing = st.just({"transient_error": "busy"})
        return draw(st.lists(st.one_of(one, one, one, failing), min_size=1, max_size=3))

    asked = {
        "task": draw(st.sampled_from(TASKS)),
        "structure": draw(st.sampled_from(STRUCTURES)),
        "other_structure": draw(st.sampled_from(STRUCTURES)),
        "quantity": draw(st.sampled_from([None, "count", "area", "long_axis", "head_circumference"])),
        "selector": draw(st.sampled_from(["each", "largest", "third_largest"])),
    }
    value = st.sampled_from([True, True, False, None, "blood_smear", "other"])
    texts = st.sampled_from(["", "There are 3 platelets.", "R1 is at the upper left.", "Seen.", "Ünïcode R99"])
    return {
        "understand": [{"intent": asked, "confidence": draw(sure), "parsed": draw(st.booleans()), "text": ""}],
        "answer": some(
            st.fixed_dictionaries({"value": value, "confidence": sure, "parsed": st.just(True), "text": texts})
        ),
        "count": some(
            st.fixed_dictionaries(
                {
                    "count": st.sampled_from([None, -1, 0, 1, 2, 9]),
                    "confidence": sure,
                    "parsed": st.booleans(),
                    "text": texts,
                }
            )
        ),
        "detect": some(found()),
        "point": some(found()),
        "landmark": some(found()),
        "explain": some(
            st.fixed_dictionaries(
                {"text": texts, "region_ids": st.lists(st.sampled_from(["R1", "R9"])), "confidence": sure}
            )
        ),
    }


domains = st.fixed_dictionaries(
    {"kind": st.sampled_from(["blood_smear", "blood_smear", "head_ultrasound", "other"]), "typicality": sure}
)


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(results=recorded(), domain=domains, missing=st.sampled_from([None, None, None, "explain", "point", "answer"]))
def test_every_run_ends_and_the_zero_case_is_never_answered(
    results: dict[str, Any], domain: dict[str, Any], missing: str | None
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        ask = Recorded(Path(folder), draw_picture(Path(folder) / "picture.png"))
        results.pop(missing or "", None)
        asker = ask.asker(results, domain, {"detect": results["detect"]})
        try:
            record = asker.ask(ask.picture, "A question?")
        except InputError as error:
            assert "the recording has no result" in str(error)
            return
    assert record.verdict is not None
    assert asker.model.opened <= 1
    if record.verdict.status != "abstained":
        assert record.answer is not None
        assert record.explanation is not None
        assert not positive_without_region(record)
        if record.answer.value and record.answer.scope == "local":
            assert any(r.parent_id is None for r in record.accepted)
    else:
        assert record.verdict.reasons
    if record.verdict.status == "answered":
        assert not record.verdict.reasons
        tops = [r for r in record.accepted if r.parent_id is None]
        if record.understanding.intent.task in ("count", "location"):
            assert record.answer.value == len(tops)
    assert len({r.id for r in record.regions}) == len(record.regions)
    assert all((r.rejected_by is None) == (r.status == "accepted") for r in record.regions)
    assert all(len(line) <= 100 for line in present(record).splitlines())
    assert record.document()
