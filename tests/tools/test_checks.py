"""Checks: for each, a record that must pass, one that must fail, and where it does not apply."""

from __future__ import annotations

from typing import Any

import pytest

from fiducial.skills.landmarks import HEAD_LANDMARKS
from fiducial.tools.hooks import CheckOutcome, registry
from fiducial.tools.measure import measure
from fiducial.tools.record import Answer, Ellipse, ImageInfo, Intent, Record, Region, Scale, Understanding

NAN = float("nan")
HEAD = Ellipse(center_xy_px=(320, 240), semi_major_px=150, semi_minor_px=110, angle_deg=20)


def box(id: str, x0: float, y0: float, x1: float, y1: float, score: float = 0.9, label: str = "red_cell") -> Region:
    return Region(id=id, label=label, kind="box", box_xyxy_px=(x0, y0, x1, y1), score=score, skill="detect")


def point(id: str, x: float, y: float, score: float = 0.9, **more: Any) -> Region:
    fields = {"label": "red_cell", "kind": "point", "skill": "point"} | more
    return Region.model_validate({"id": id, "point_xy_px": (x, y), "score": score, **fields})


def polygon(id: str, *vertices: tuple[float, float]) -> Region:
    return Region(id=id, label="red_cell", kind="polygon", polygon_xy_px=vertices, score=0.9, skill="segment")


def head(id: str = "R1", ellipse: Ellipse = HEAD, score: float = 0.9) -> Region:
    return Region(id=id, label="head", kind="ellipse", ellipse_px=ellipse, score=score, skill="landmark")


def ends(*points: tuple[float, float], labels: tuple[str, ...] = ("ofd_1", "ofd_2", "bpd_1", "bpd_2")) -> list[Region]:
    return [
        point(f"L{n}", x, y, kind="landmark", label=label, parent_id="R1")
        for n, ((x, y), label) in enumerate(zip(points, labels, strict=True))
    ]


def record(*regions: Region, scale: Scale | None = None, **more: Any) -> Record:
    image = ImageInfo(path="a.png", sha256="0" * 64, width_px=640, height_px=480, scale=scale, scale_refused=None)
    return Record(run_id="r", question="q", image=image, regions=regions, **more)


def asked(task: str, value: Any, structure: str = "red_cell", scope: str = "local", **more: Any) -> dict[str, Any]:
    intent = Intent.model_validate({"task": task, "structure": structure, "scope": scope, **more})
    return {
        "understanding": Understanding(intent=intent, confidence=1),
        "answer": Answer.model_validate({"text": "", "value": value, "confidence": 0.9, "scope": scope}),
    }


def run(name: str, rec: Record) -> CheckOutcome | None:
    return registry().checks[name].function(rec)


def outcome(name: str, rec: Record) -> tuple[str, tuple[str, ...]]:
    result = run(name, rec)
    assert result is not None
    assert result.check.name == name
    assert result.check.detail
    return result.check.outcome, result.rejected_region_ids


GOOD = (box("R1", 10, 10, 60, 70), box("R2", 100, 100, 150, 150), head("R3"), point("R4", 5, 5))


@pytest.mark.parametrize(
    "name", ["coordinates_finite", "inside_image", "not_degenerate", "no_duplicates", "small_object"]
)
def test_sound_regions_pass(name):
    assert outcome(name, record(*GOOD)) == ("pass", ())


@pytest.mark.parametrize("name", sorted(["coordinates_finite", "inside_image", "no_duplicates", "landmark_order"]))
def test_without_regions_there_is_nothing_to_check(name):
    assert run(name, record()) is None


def test_every_check_stands_an_empty_record_and_a_rotten_one():
    rotten = record(box("R1", NAN, 0, 1, 1), point("R2", float("inf"), 0), polygon("R3"), box("R4", 9, 9, 1, 1))
    for spec in registry().checks.values():
        spec.function(record())
        spec.function(rotten)


def test_coordinates_finite_rejects_nan_infinity_and_nothing():
    rec = record(box("R1", NAN, 0, 1, 1), point("R2", float("inf"), 0), polygon("R3"), *GOOD[1:2])
    assert outcome("coordinates_finite", record(*rec.regions[:3], box("R9", 0, 0, 5, 5))) == (
        "fail",
        ("R1", "R2", "R3"),
    )


def test_inside_image_lets_edges_touch():
    touching = (box("R1", 0, 0, 640, 480), box("R2", -1.5, 0, 40, 40), point("R3", 640, 480))
    assert outcome("inside_image", record(*touching)) == ("pass", ())
    outside = (box("R4", -10, 0, 40, 40), box("R5", 700, 10, 720, 30), point("R6", 100, 483))
    assert outcome("inside_image", record(*touching, *outside)) == ("fail", ("R4", "R5", "R6"))
    off = Ellipse(center_xy_px=(600, 240), semi_major_px=150, semi_minor_px=110, angle_deg=0)
    assert outcome("inside_image", record(head(ellipse=off))) == ("fail", ("R1",))


def test_not_degenerate():
    bad = (
        box("R1", 10, 10, 10, 20),
        box("R2", 20, 20, 10, 10),
        polygon("R3", (0, 0), (9, 9), (9, 0), (0, 9)),
        head("R4", Ellipse(center_xy_px=(9, 9), semi_major_px=9, semi_minor_px=0.1, angle_deg=0)),
    )
    good = polygon("R5", (0, 0), (9, 0), (9, 9))
    assert outcome("not_degenerate", record(*bad, good)) == ("fail", ("R1", "R2", "R3", "R4"))


def test_not_self_intersecting():
    crossed = polygon("R1", (0, 0), (90, 90), (90, 0), (0, 60))  # halves that differ: an area is left, a wrong one
    spike = polygon("R2", (0, 0), (40, 0), (40, 40), (20, 0))  # an edge that runs back over another
    sound = polygon("R3", (0, 0), (40, 0), (10, 10), (0, 40))  # concave, which is no fault
    assert outcome("not_self_intersecting", record(crossed, spike, sound)) == ("fail", ("R1", "R2"))
    assert outcome("not_self_intersecting", record(sound)) == ("pass", ())
    assert run("not_self_intersecting", record(GOOD[0])) is None


def test_no_duplicates_rejects_the_lower_score():
    rec = record(box("R1", 10, 10, 60, 60, 0.5), box("R2", 11, 10, 61, 60, 0.8), box("R3", 30, 10, 80, 60, 0.4))
    assert outcome("no_duplicates", rec) == ("fail", ("R1",))
    other_label = record(box("R1", 10, 10, 60, 60), box("R2", 10, 10, 60, 60, label="white_cell"))
    assert outcome("no_duplicates", other_label) == ("pass", ())
    points = record(point("R1", 10, 10, 0.9), point("R2", 12, 10, 0.8), point("R3", 20, 10, 0.7))
    assert outcome("no_duplicates", points) == ("fail", ("R2",))
    turned = HEAD.model_copy(update={"angle_deg": 22.0})
    assert outcome("no_duplicates", record(head("R1"), head("R2", turned, 0.95))) == ("fail", ("R1",))


def test_small_object_warns_and_rejects_nothing():
    assert outcome("small_object", record(box("R1", 10, 10, 20, 20), GOOD[1])) == ("warn", ())
    lesion = box("R1", 0, 0, 120, 120, label="lesion")  # 4.7 % of the image: small for what no skill was calibrated on
    assert outcome("small_object", record(lesion)) == ("warn", ())
    assert outcome("small_object", record(box("R1", 0, 0, 130, 120, label="lesion"))) == ("pass", ())


@pytest.mark.parametrize(("value", "expected"), [(2, "pass"), (3, "fail"), (0, "fail")])
def test_count_matches_regions(value, expected):
    regions = (*GOOD[:2], box("R8", 200, 200, 250, 250, label="platelet"))
    assert outcome("count_matches_regions", record(*regions, **asked("count", value)))[0] == expected


def test_a_group_is_counted_by_its_members_and_parts_are_not_counted():
    white = box("R5", 200, 200, 300, 300, label="white_cell")
    part = polygon("R6", (10, 10), (60, 10), (60, 70)).model_copy(update={"parent_id": "R1"})
    rec = record(GOOD[0], white, part, **asked("count", 2, "blood_cell"))
    assert outcome("count_matches_regions", rec)[0] == "pass"


def test_rejected_regions_do_not_count():
    gone = GOOD[0].model_copy(update={"status": "rejected", "rejected_by": "inside_image"})
    assert outcome("presence_has_region", record(gone, **asked("presence", True))) == ("fail", ())
    assert outcome("absence_has_none", record(gone, **asked("presence", False))) == ("pass", ())


@pytest.mark.parametrize(("task", "value"), [("presence", True), ("count", 4), ("size", 7.1), ("location", 1)])
def test_the_zero_case_fails(task, value):
    assert outcome("presence_has_region", record(head(), **asked(task, value))) == ("fail", ())
    assert outcome("presence_has_region", record(GOOD[0], **asked(task, value))) == ("pass", ())


def test_absence_has_none():
    assert outcome("absence_has_none", record(GOOD[0], **asked("presence", False))) == ("fail", ())
    assert outcome("absence_has_none", record(GOOD[0], **asked("count", 0))) == ("fail", ())
    assert outcome("absence_has_none", record(head(), **asked("count", 0))) == ("pass", ())


def test_claims_about_the_whole_image_need_no_region():
    whole = record(**asked("presence", True, scope="image"))
    for name in ("count_matches_regions", "presence_has_region", "absence_has_none"):
        assert run(name, whole) is None


def scaled(mm: float, source: str = "user") -> Scale:
    return Scale.model_validate({"row_mm": mm, "column_mm": mm, "source": source})


def measured(region: Region, scale: Scale | None) -> Record:
    return record(region, scale=scale, measurements=(measure(region, "long_axis", scale, region.label),))


@pytest.mark.parametrize(
    ("mm", "expected"),
    [(0.00012, ("pass", ())), (0.00021, ("warn", ())), (0.001, ("fail", ("R1",))), (0.00001, ("fail", ("R1",)))],
)
def test_plausible_size_of_a_red_cell(mm, expected):
    for source in ("user", "microscope"):
        assert outcome("plausible_size", measured(GOOD[0], scaled(mm, source))) == expected  # 60 px long


def test_plausible_size_only_with_a_scale_in_the_patient():
    assert run("plausible_size", measured(GOOD[0], None)) is None
    assert run("plausible_size", measured(GOOD[0], scaled(1, "detector"))) is None
    assert outcome("plausible_size", measured(head(), scaled(0.3))) == ("pass", ())
    assert outcome("plausible_size", measured(head(), scaled(3))) == ("fail", ("R1",))


def test_a_scale_holds_inside_its_region_only():
    def within(box_xyxy_px: tuple[float, ...] | None, scale: Scale | None) -> Record:
        rec = measured(GOOD[0], scale)  # x 10 to 60, y 10 to 70
        return rec.model_copy(update={"image": rec.image.model_copy(update={"scale_box_xyxy_px": box_xyxy_px})})

    mm = scaled(0.1, "ultrasound_region")
    for good in ((8, 8, 62, 72), (11.5, 10, 60, 68.5)):
        assert outcome("inside_scale_region", within(good, mm)) == ("pass", ())
    for bad in ((12.5, 0, 640, 480), (0, 12.5, 640, 480), (0, 0, 57.5, 480), (0, 0, 640, 67.5), (300, 300, 400, 400)):
        assert outcome("inside_scale_region", within(bad, mm)) == ("fail", ("R1",))
    assert run("inside_scale_region", within(None, mm)) is None
    assert run("inside_scale_region", within((300, 300, 400, 400), None)) is None  # in pixels, which hold everywhere


def test_scale_present():
    size = asked("size", 1.0, quantity="long_axis")
    assert outcome("scale_present", record(scale=scaled(0.1), **size)) == ("pass", ())
    assert outcome("scale_present", record(**size)) == ("warn", ())
    assert run("scale_present", record(**asked("size", 1.0, quantity="cephalic_index"))) is None
    assert run("scale_present", record(**asked("count", 1))) is None
    assert outcome("scale_present", record(**asked("distance", 1.0, quantity="distance"))) == ("warn", ())


def test_landmarks_at_the_axis_ends_pass_in_any_order():
    v = HEAD.vertices_xy_px
    assert outcome("landmark_order", record(head(), *ends(*v))) == ("pass", ())
    unlabelled = ends(v[0], v[2], v[1], v[3], labels=("head",) * 4)
    assert outcome("landmark_order", record(head(), *unlabelled)) == ("pass", ())


def test_landmarks_that_are_no_axis_ends_are_rejected():
    v = HEAD.vertices_xy_px
    everything = ("L0", "L1", "L2", "L3")
    swapped = ends(v[2], v[3], v[0], v[1])
    assert outcome("landmark_order", record(head(), *swapped)) == ("fail", everything)
    as_found = ends(v[2], v[3], v[0], v[1], labels=HEAD_LANDMARKS)  # the names that the skill gives
    assert outcome("landmark_order", record(head(), *as_found)) == ("fail", everything)
    off = ends((v[0][0] + 40, v[0][1]), *v[1:])
    assert outcome("landmark_order", record(head(), *off)) == ("fail", ("L0",))
    slanted = ends((0, 100), (200, 100), (60, 20), (140, 180))
    assert outcome("landmark_order", record(*slanted)) == ("fail", everything)
    aside = ends((0, 100), (200, 100), (20, 60), (20, 140))
    assert outcome("landmark_order", record(*aside)) == ("fail", everything)


def test_landmarks_of_a_face_are_no_ends_of_axes():
    face = [point(f"L{n}", 9 * n, n * n, kind="landmark", label=label) for n, label in enumerate("SNAB")]
    assert run("landmark_order", record(*face)) is None


def test_right_angles_are_those_of_the_world():
    # Perpendicular in pixels, but at 53° where a row is twice a column.
    corners = ends((0, 0), (200, 200), (175, 25), (25, 175))
    assert outcome("landmark_order", record(*corners)) == ("pass", ())
    tall = Scale(row_mm=2, column_mm=1, source="user")
    assert outcome("landmark_order", record(*corners, scale=tall))[0] == "fail"


# --- points in boxes, sides, orders -----------------------------------------------------------------------------------


def test_point_in_box():
    parent = box("R1", 100, 100, 200, 150)
    inside, beside = point("R2", 199, 101, parent_id="R1"), point("R3", 201.5, 149, parent_id="R1")
    assert outcome("point_in_box", record(parent, inside, beside)) == ("pass", ())
    outside = point("R4", 203, 120, parent_id="R1"), point("R5", 150, 90, parent_id="R1", kind="landmark")
    assert outcome("point_in_box", record(parent, inside, *outside)) == ("fail", ("R4", "R5"))
    assert run("point_in_box", record(parent, point("R6", 0, 0))) is None
    assert outcome("point_in_box", record(head(), point("R7", 320, 240, parent_id="R1"))) == ("pass", ())


def organ(id: str, label: str, left_mm: float) -> Region:
    """A region of a slice of a volume whose box starts at this x in the patient; 40 mm wide."""
    region = box(id, 10, 10, 60, 60, label=label)
    return region.model_copy(update={"box_xyzxyz_mm": (left_mm, 0.0, 0.0, left_mm + 40, 50.0, 3.0)})


def test_laterality_is_that_of_the_patient():
    left, right = organ("R1", "left_kidney", 30), organ("R2", "right kidney", -70)  # LPS: x grows to the left
    assert outcome("laterality", record(left, right)) == ("pass", ())
    assert outcome("laterality", record(organ("R1", "left_kidney", -70), organ("R2", "right kidney", 30))) == (
        "fail",
        ("R1", "R2"),
    )
    assert run("laterality", record(left)) is None  # the midline is not known
    assert run("laterality", record(left, organ("R2", "right_lung", 300))) is None
    flat = box("R1", 10, 10, 60, 60, label="left_kidney"), box("R2", 100, 10, 160, 60, label="right_kidney")
    assert run("laterality", record(*flat)) is None  # nor is it which side of a picture is left


def landmarks(**places: tuple[float, float]) -> list[Region]:
    return [point(f"L{n}", x, y, kind="landmark", label=label) for n, (label, (x, y)) in enumerate(places.items())]


def test_landmark_symmetry_finds_the_pair_that_was_exchanged():
    face = {"left_orbit": (200, 100), "right_orbit": (100, 110), "gonion_left": (190, 300), "gonion_right": (110, 305)}
    assert outcome("landmark_symmetry", record(*landmarks(**face))) == ("pass", ())
    third = {"right ear": (50, 200), "left ear": (250, 190)}
    assert outcome("landmark_symmetry", record(*landmarks(**face, **third))) == ("pass", ())
    swapped = {"right ear": (250, 190), "left ear": (50, 200)}
    assert outcome("landmark_symmetry", record(*landmarks(**face, **swapped))) == ("fail", ("L5", "L4"))
    two = dict(list(face.items())[:2]) | swapped
    assert outcome("landmark_symmetry", record(*landmarks(**two)))[0] == "fail"
    assert run("landmark_symmetry", record(*landmarks(left_orbit=(9, 9), right_orbit=(1, 1)))) is None


def test_landmark_sequence_does_not_turn_back():
    spine = {f"L{n}": (300 + 10 * n, 50 + 40 * n) for n in range(1, 6)}
    assert outcome("landmark_sequence", record(*landmarks(**spine))) == ("pass", ())
    exchanged = spine | {"L2": spine["L3"], "L3": spine["L2"]}
    assert outcome("landmark_sequence", record(*landmarks(**exchanged))) == ("fail", ("L0", "L1", "L2", "L3", "L4"))
    assert run("landmark_sequence", record(*landmarks(rib_1=(0, 0), rib_2=(9, 9)))) is None


# --- units and stated sizes -------------------------------------------------------------------------------------------


def test_scale_allows_mm_only_where_the_image_has_them():
    good = measured(head(), scaled(0.3))
    assert outcome("scale_allows_mm", good) == ("pass", ())
    assert outcome("scale_allows_mm", measured(head(), scaled(0.3, "detector"))) == ("pass", ())
    assert outcome("scale_allows_mm", measured(head(), None)) == ("pass", ())
    for image in (None, scaled(0.3, "detector")):  # mm in the record of an image that has none, or only a shadow's
        wrong = good.model_copy(update={"image": good.image.model_copy(update={"scale": image})})
        assert outcome("scale_allows_mm", wrong) == ("fail", ())
    shadow = measured(head(), scaled(0.3, "detector"))
    in_patient = shadow.measurements[0].model_copy(update={"unit": "mm"})
    assert outcome("scale_allows_mm", shadow.model_copy(update={"measurements": (in_patient,)})) == ("fail", ())
    assert run("scale_allows_mm", record(head())) is None


@pytest.mark.parametrize(
    ("value", "text", "expected"),
    [
        (90.0, "It is 90.0 mm (± 1.2 mm) long.", "pass"),
        (90.0, "It is 9.0 cm long.", "pass"),
        (90.4, "About 90 mm.", "pass"),
        (90.0, "It is 95 mm long.", "fail"),  # the text says another
        (80.0, "It is 90.0 mm long.", "fail"),  # the value does
        ([90.0, 40.0], "", "fail"),
        (90.0, "It is 90.0 µm long.", "fail"),
    ],
)
def test_a_stated_size_is_one_that_was_measured(value, text, expected):
    claim = asked("size", value, "head", quantity="long_axis")
    claim["answer"] = claim["answer"].model_copy(update={"text": text})
    taken = measured(head(), scaled(0.3))  # 2 × 150 px × 0.3 mm = 90 mm
    assert outcome("stated_size", taken.model_copy(update=claim)) == (expected, ())
    assert run("stated_size", record(head(), **claim)) is None
