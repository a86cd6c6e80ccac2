"""Claims read from explanations: true texts of the generator stand, and texts made false by one word are caught."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fiducial.skills.datasets.language import explain_prompt, explanation_words, write_explanation
from fiducial.tools.claims import PLACE_PHRASES, Claim, claims
from fiducial.tools.contradictions import Truth, explanation_agrees, may_go_on
from fiducial.tools.contradictions import contradictions as contradictions_of
from fiducial.tools.hooks import registry
from fiducial.tools.positions import PLACE_WORDS, distribution, place_of
from fiducial.tools.record import Answer, Ellipse, Explanation, ImageInfo, Intent, Record, Region, Understanding
from fiducial.tools.structures import members

W, H = 640, 480
CELLS = ("red_cell", "white_cell", "platelet", "blood_cell")


def box(number: int, label: str, x: float, y: float, status: str = "accepted") -> Region:
    return Region(
        id=f"R{number}",
        label=label,
        kind="box",
        box_xyxy_px=(x - 5, y - 5, x + 5, y + 5),
        score=0.9,
        skill="detect",
        status=status,
    )


def record_of(intent: Intent, regions: list[Region], value: bool | int | str | None = None) -> Record:
    return Record(
        run_id="1",
        question="?",
        image=ImageInfo(path="a.png", sha256="0", width_px=W, height_px=H),
        understanding=Understanding(intent=intent, confidence=1.0),
        answer=Answer(text="", value=value, confidence=1.0, scope=intent.scope),
        regions=tuple(regions),
    )


@st.composite
def records(draw: st.DrawFn) -> Record:
    task = draw(st.sampled_from(("presence", "count", "location", "size", "compare", "kind")))
    if task == "kind":
        value = draw(st.sampled_from(("blood_smear", "head_ultrasound", "other")))
        return record_of(Intent(task="kind", scope="image"), [], value)
    key = draw(st.sampled_from(CELLS))
    other = (
        draw(st.sampled_from([k for k in ("white_cell", "platelet") if k not in members(key)]))
        if task == "compare"
        else None
    )
    selector = draw(st.sampled_from(("each", "largest", "smallest"))) if task == "size" else "each"
    intent = Intent(task=task, structure=key, other_structure=other, selector=selector)
    regions: list[Region] = []
    for label in (m for k in (key, other) if k for m in members(k)):
        for _ in range(draw(st.integers(0, 9)) if draw(st.booleans()) else draw(st.integers(0, 30))):
            x, y = draw(st.floats(0, W)), draw(st.floats(0, H))
            status = "rejected" if draw(st.integers(0, 9)) == 0 else "accepted"
            regions.append(box(len(regions) + 1, label, x, y, status))
    number = sum(r.status == "accepted" for r in regions)
    return record_of(intent, regions, {"presence": number > 0, "count": number, "location": number}.get(task))


def contradictions(text: str, record: Record) -> list[str]:
    return contradictions_of(text, Truth.of_record(record))


def written(record: Record, seed: int) -> str:
    assert record.understanding and record.answer
    return write_explanation(record.understanding.intent, record.answer, record.regions, W, H, random.Random(seed))


@settings(deadline=None, max_examples=200)
@given(records(), st.integers(0, 10**6))
def test_the_generators_texts_agree_with_the_record_and_use_its_words(record: Record, seed: int) -> None:
    assert record.understanding and record.answer
    text = written(record, seed)
    assert contradictions(text, record) == []
    prompt = explain_prompt(record.understanding.intent, record.answer, record.regions, W, H)
    assert set(re.findall(r"\w+|[^\w\s]", f"{text} {prompt}".lower())) <= explanation_words()
    cited = {str(c.subject) for c in claims(text) if c.kind == "region"}
    assert cited <= {r.id for r in record.accepted}


@settings(deadline=None, max_examples=60)
@given(records(), st.integers(0, 10**6))
def test_a_text_that_agrees_with_the_record_may_be_written_word_by_word(record: Record, seed: int) -> None:
    text, truth = written(record, seed), Truth.of_record(record)
    ends = [match.end() for match in re.finditer(r"\w+|[^\w\s]", text)]
    assert all(may_go_on(text[:end], truth) for end in ends)


def test_a_word_that_contradicts_the_record_may_not_be_written() -> None:
    truth = Truth.of_record(record_of(Intent(task="count", structure="white_cell"), few([6, 1]), 2))
    assert may_go_on("There are two white blood cells. R1 lies in the lower", truth)
    for bad in (
        "There are three white",
        "R3",
        "R1 lies in the upper",
        "R1 lies in the lower right",
        "R2 lies on the left",
    ):
        assert not may_go_on(f"{bad} blood cells" if bad.endswith("white") else bad, truth), bad


def few(places: list[int], label: str = "white_cell") -> list[Region]:
    """One region in the middle of each cell of the 3×3 grid that is named by its index."""
    return [box(i + 1, label, W * (p % 3 + 0.5) / 3, H * (p // 3 + 0.5) / 3) for i, p in enumerate(places)]


FEW = st.lists(st.integers(0, 8), min_size=2, max_size=6)
TASKS = st.sampled_from(("presence", "count", "location"))
COUNTED = r"\b(\d+|two|three|four|five|six)(?= (?:white|red) )"
WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven"]


@settings(deadline=None)
@given(FEW, TASKS, st.sampled_from((-1, 1)), st.integers(0, 10**6))
def test_a_number_off_by_one_is_caught(places: list[int], task: str, off: int, seed: int) -> None:
    record = record_of(Intent(task=task, structure="white_cell"), few(places), len(places))
    text = written(record, seed)
    assume(re.search(COUNTED, text, re.IGNORECASE))

    def wrong(match: re.Match[str]) -> str:
        said = match.group().lower()
        return str(int(said) + off) if said.isdigit() else WORDS[WORDS.index(said) + off]

    assert contradictions(re.sub(COUNTED, wrong, text, count=1, flags=re.IGNORECASE), record)


@settings(deadline=None)
@given(FEW, TASKS, st.integers(0, 10**6))
def test_a_wrong_id_is_caught(places: list[int], task: str, seed: int) -> None:
    record = record_of(Intent(task=task, structure="white_cell"), few(places), len(places))
    text = written(record, seed)
    assert contradictions(text.replace("R1", "R7", 1), record)
    rejected = record.model_copy(update={"regions": (record.regions[0].model_copy(update={"status": "rejected"}),)})
    assert any("rejected" in problem for problem in contradictions(text, rejected))


@settings(deadline=None)
@given(FEW, TASKS, st.integers(0, 10**6))
def test_another_structure_is_caught(places: list[int], task: str, seed: int) -> None:
    record = record_of(Intent(task=task, structure="white_cell"), few(places), len(places))
    text = written(record, seed)
    swapped = text.replace("white", "red").replace("White", "Red")
    assume(swapped != text)
    assert contradictions(swapped, record)
    assert contradictions(
        text, record_of(Intent(task=task, structure="red_cell"), few(places, "red_cell"), len(places))
    )


@settings(deadline=None)
@given(FEW, TASKS, st.integers(0, 10**6))
def test_another_position_is_caught(places: list[int], task: str, seed: int) -> None:
    record = record_of(Intent(task=task, structure="white_cell"), few(places), len(places))
    text = written(record, seed)
    place = next(c.value for c in claims(text) if c.kind == "place")
    wrong = PLACE_WORDS[(PLACE_WORDS.index(str(place)) + 4) % 9]
    assert contradictions(text.replace(str(place), wrong, 1), record)


@settings(deadline=None)
@given(FEW, TASKS, st.integers(0, 10**6))
def test_absence_and_presence_against_the_record_are_caught(places: list[int], task: str, seed: int) -> None:
    intent = Intent(task=task, structure="white_cell")
    there, none = record_of(intent, few(places), len(places)), record_of(intent, [], 0)
    assert contradictions(written(none, seed), there)
    assert contradictions(written(there, seed), none)


def test_mixed_up_groups_are_caught() -> None:
    regions = [*few([0, 1, 2], "red_cell"), box(4, "platelet", 10, 470), box(5, "platelet", 630, 470)]
    record = record_of(
        Intent(task="compare", structure="red_cell", other_structure="platelet", quantity="count"), regions
    )
    good = "There are three red blood cells (R1, R2 and R3) and two platelets (R4 and R5)."
    assert contradictions(good, record) == []
    assert contradictions("R1 to R3 are red blood cells. R4 and R5 are platelets.", record) == []
    for bad in (
        "There are two red blood cells (R1, R2 and R3) and three platelets (R4 and R5).",
        "There are three red blood cells (R1, R2 and R4) and two platelets (R3 and R5).",
        "There are three red blood cells (R1 and R2) and two platelets (R4 and R5).",
        "There are three red blood cells and no platelets.",
        "R4 is a red blood cell.",
        "There are three red blood cells and one white blood cell.",
    ):
        assert contradictions(bad, record), bad


def test_many_regions_by_range_and_where_most_lie() -> None:
    regions = [box(i, "red_cell", 20.0 * i, 100) for i in range(1, 18)]
    record = record_of(Intent(task="count", structure="red_cell"), regions, 17)
    assert distribution(regions, W, H) == "most left" or distribution(regions, W, H) == "most upper"
    assert (
        contradictions("The 17 red blood cells are marked R1 to R17; most of them lie in the left half.", record) == []
    )
    for bad in (
        "The 17 red blood cells are marked R1 to R16.",
        "The 17 red blood cells are marked R1 to R18.",
        "The 16 red blood cells are marked R1 to R17.",
        "The 17 red blood cells are marked R1 to R17; most of them lie in the right half of the image.",
        "The 17 red blood cells are spread over the image.",
        "The red blood cells are marked R1 to R12.",
        "There are 17 red blood cells, of which 4 are torn.",
    ):
        assert contradictions(bad, record), bad


def test_the_head_and_its_landmarks() -> None:
    ellipse = Ellipse(center_xy_px=(320, 240), semi_major_px=90, semi_minor_px=70, angle_deg=0)
    head = Region(id="R1", label="head", kind="ellipse", ellipse_px=ellipse, score=1, skill="landmark")
    ends = [
        Region(
            id=f"R{i}", label=f"ofd_{i}", kind="landmark", point_xy_px=(9, 9), score=1, skill="landmark", parent_id="R1"
        )
        for i in range(2, 6)
    ]
    record = record_of(Intent(task="size", structure="head", quantity="head_circumference"), [head, *ends])
    texts = {written(record, seed) for seed in range(40)}
    assert len(texts) > 20
    assert all(contradictions(text, record) == [] and "R1" in text and "R5" in text for text in texts)
    assert contradictions("The ellipse R1 follows the fetal head, which lies at the top.", record)
    assert contradictions("There are two fetal heads.", record)
    assert contradictions("The landmarks R2 to R6 lie on its outline.", record)


def test_the_kind_of_the_image() -> None:
    smear = record_of(Intent(task="kind", scope="image"), [], "blood_smear")
    other = record_of(Intent(task="kind", scope="image"), [], "other")
    assert contradictions("This is a blood smear.", smear) == []
    assert contradictions("This is neither a blood smear nor a fetal head ultrasound.", other) == []
    assert contradictions("This is a fetal head ultrasound.", smear)
    assert contradictions("This is not a blood smear.", smear)
    assert contradictions("This is a blood smear.", other)
    assert contradictions("This is a blood smear with R1.", smear)


def test_claims_are_read_in_order() -> None:
    text = "Two white blood cells were found: R1 in the upper left and R2 near the center."
    found = claims(text)
    assert Claim("count", "white_cell", 2) in found
    assert Claim("place", "R1", "upper left") in found
    assert Claim("place", "R2", "centre") in found
    assert Claim("listed", "white_cell", 2) in found
    assert claims("The weather is fine.") == ()
    assert claims("") == ()


@given(st.text(alphabet="R123 to-.,;:()nowhiteblcsdp", max_size=80))
@settings(deadline=None)
def test_any_text_can_be_read(text: str) -> None:
    record = record_of(Intent(task="count", structure="white_cell"), few([0, 1]), 2)
    assert all(isinstance(problem, str) and problem for problem in contradictions(text, record))


def test_every_place_is_said_and_read() -> None:
    for i, place in enumerate(PLACE_WORDS):
        (region,) = few([i])
        assert place_of(region, W, H) == place
        for phrase in PLACE_PHRASES[place]:
            assert Claim("place", "R1", place) in claims(f"R1 lies {phrase} of the image.")


@pytest.mark.parametrize(("text", "outcome"), [("One platelet, R1.", "pass"), ("No platelet was found.", "fail")])
def test_the_registered_check(text: str, outcome: str) -> None:
    record = record_of(Intent(task="count", structure="platelet"), few([4], "platelet"), 1)
    assert explanation_agrees(record) is None
    spec = registry().checks["explanation_agrees"]
    result = spec.function(record.model_copy(update={"explanation": Explanation(text=text, region_ids=("R1",))}))
    assert spec.stage == "explain"
    assert result is not None and result.check.outcome == outcome


@pytest.mark.parametrize(
    ("text", "absent", "present"),
    [
        ("No red cells or platelets were found.", {"red_cell", "platelet"}, set()),
        ("There are no red cells, white cells or any platelets.", {"red_cell", "white_cell", "platelet"}, set()),
        ("Neither platelets nor white cells, but 3 red cells.", {"platelet", "white_cell"}, {"red_cell"}),
        ("Nothing but red cells.", set(), {"red_cell"}),
        ("Platelets were sought, but none was found.", {"platelet"}, set()),
        ("There are no platelets and 3 red cells.", {"platelet"}, {"red_cell"}),
        ("Red cells or platelets are not there.", {"red_cell", "platelet"}, set()),
    ],
)
def test_what_a_denial_is_of(text: str, absent: set[str], present: set[str]) -> None:
    found = claims(text)
    assert {c.subject for c in found if c.kind == "absence"} == absent
    assert {c.subject for c in found if c.kind == "presence"} == present


def test_a_number_is_read_whole() -> None:
    assert claims("It is 12.5 wide.") == (Claim("number", None, 12.5),)
    assert claims("There are 1,200 platelets.")[0] == Claim("count", "platelet", 1200)
    assert claims("There are 12. 5 are at the top.")[:2] == (Claim("number", None, 12), Claim("number", None, 5))
    record = record_of(Intent(task="count", structure="platelet"), [], 12)
    assert contradictions("There are 12.5.", record) and not contradictions("There are 12.", record)


@pytest.mark.parametrize(
    ("text", "absent", "counted"),
    [
        ("There is one opacity in the right lung and two in the left lung.", set(), set()),
        ("The left lung has 1 opacity and the right lung has 2.", set(), set()),
        ("Two opacities in the left upper lobe. No opacities in the right lung.", set(), set()),
        ("There is one opacity, in the right lung.", set(), {1}),
        ("There are 3 opacities and no polyps.", {"polyp"}, {3}),
    ],
)
def test_what_one_part_of_an_organ_has_is_no_claim_about_the_whole(
    text: str, absent: set[str], counted: set[int]
) -> None:
    found = claims(text)
    assert {c.subject for c in found if c.kind == "absence"} == absent
    assert {c.value for c in found if c.kind in ("count", "number")} == counted
    assert Claim("presence", "opacity") in found
