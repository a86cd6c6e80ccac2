"""The overlay picture: outlines lie where the regions are and nowhere else; any record can be drawn."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from fiducial.tools.errors import InputError
from fiducial.tools.frames import FrameMap2D
from fiducial.tools.landmark_measures import measure_between
from fiducial.tools.overlay import COLORS, MEASURED, draw_overlay, picture_zoom, write_overlay
from fiducial.tools.overlay_caption import VERDICT_COLORS, format_measurement, scale_bar
from fiducial.tools.overlay_text import plain, text_width, wrap
from fiducial.tools.record import (
    Answer,
    Ellipse,
    ImageInfo,
    Intent,
    Interval,
    Measurement,
    Reason,
    Record,
    Region,
    Scale,
    Understanding,
    Verdict,
)

GRAY = np.full((90, 120, 3), 90, np.uint8)
BOX = Region(id="R1", label="red_cell", kind="box", box_xyxy_px=(20, 30, 60, 70), score=0.9, skill="s")
ELLIPSE = Region(
    id="R2",
    label="head",
    kind="ellipse",
    ellipse_px=Ellipse(center_xy_px=(80, 45), semi_major_px=25, semi_minor_px=15, angle_deg=30),
    score=0.9,
    skill="s",
)
POLYGON = Region(
    id="R3", label="white_cell", kind="polygon", polygon_xy_px=((10, 10), (50, 12), (30, 40)), score=0.5, skill="s"
)
POINT = Region(id="R4", label="platelet", kind="point", point_xy_px=(100, 70), score=0.5, skill="s")


def record(*regions, status="answered", reasons=(), scale=None, **more):
    info = ImageInfo(path="x", sha256="0", width_px=120, height_px=90, scale=scale)
    verdict = Verdict(status=status, reasons=reasons)
    return Record(run_id="1", question="How many?", image=info, regions=regions, verdict=verdict, **more)


def rim(region):
    """Points on the outline, in stored pixels, with the axes of an ellipse; independent of the code under test."""
    t = np.linspace(0, 1, 400)[:, None]
    if region.ellipse_px:
        (cx, cy), turn = region.ellipse_px.center_xy_px, math.radians(region.ellipse_px.angle_deg)
        a, b = region.ellipse_px.semi_major_px, region.ellipse_px.semi_minor_px
        s = 2 * math.pi * t[:, 0]
        u = np.concatenate([a * np.cos(s), a * (2 * t[:, 0] - 1), 0 * s])
        v = np.concatenate([b * np.sin(s), 0 * s, b * (2 * t[:, 0] - 1)])
        turned = [cx + u * math.cos(turn) - v * math.sin(turn), cy + u * math.sin(turn) + v * math.cos(turn)]
        return np.stack(turned, axis=1)
    if region.box_xyxy_px:
        x0, y0, x1, y1 = region.box_xyxy_px
        corners = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)], float)
    else:
        corners = np.array([*region.polygon_xy_px, region.polygon_xy_px[0]], float)
    return np.concatenate([p + t * (q - p) for p, q in pairwise(corners)])


def distance_to(points, shape):
    mask = np.ones(shape, bool)
    x, y = np.floor(points).astype(int).T
    mask[y.clip(0, shape[0] - 1), x.clip(0, shape[1] - 1)] = False
    return ndimage.distance_transform_edt(mask)


@pytest.mark.parametrize("region", [BOX, ELLIPSE, POLYGON])
@pytest.mark.parametrize("mirrored", [False, True])
def test_every_outline_is_painted_and_nothing_outside(region, mirrored):
    matrix = np.array([[-1.0, 0, 120], [0, 1, 0], [0, 0, 1]]) if mirrored else np.eye(3)
    zoom = picture_zoom(120, 90)
    drawn = draw_overlay(GRAY, record(region), FrameMap2D(matrix), labels=False, caption=False)
    colored = (drawn == COLORS[region.label]).all(axis=2)
    changed = (drawn != GRAY[0, 0]).any(axis=2)
    points = (rim(region) @ matrix[:2, :2].T + matrix[:2, 2]) * zoom
    assert distance_to(points, changed.shape)[changed].max() < 5
    distance_to_ink = ndimage.distance_transform_edt(~colored)
    x, y = np.floor(points).astype(int).T
    assert distance_to_ink[y, x].max() < 3


def test_rejected_regions_are_dashed_and_gray_and_keep_to_their_outline():
    rejected = BOX.model_copy(update={"status": "rejected", "rejected_by": "duplicate"})
    drawn = draw_overlay(GRAY, record(rejected), labels=False, caption=False)
    changed = (drawn != GRAY[0, 0]).any(axis=2)
    solid = (draw_overlay(GRAY, record(BOX), labels=False, caption=False) != GRAY[0, 0]).any(axis=2)
    assert not (drawn == COLORS["red_cell"]).all(axis=2).any()
    assert 0.3 * solid.sum() < changed.sum() < 0.8 * solid.sum()
    assert distance_to(rim(rejected) * picture_zoom(120, 90), changed.shape)[changed].max() < 5


def test_a_point_is_a_cross_around_it():
    drawn = draw_overlay(GRAY, record(POINT), labels=False, caption=False)
    y, x = np.nonzero((drawn == COLORS["platelet"]).all(axis=2))
    zoom = picture_zoom(120, 90)
    assert ((x.mean() + 0.5) / zoom, (y.mean() + 0.5) / zoom) == pytest.approx((100, 70), abs=0.5)


@pytest.mark.parametrize(
    ("quantity", "points", "lines"),
    [
        ("angle", [(20, 20), (60, 20), (60, 70)], [[(20, 20), (60, 20), (60, 70)]]),
        ("distance", [(20, 20), (90, 60)], [[(20, 20), (90, 60)]]),
        ("thorax_width", [(10, 60), (110, 40)], [[(10, 50), (110, 50)]]),
        (
            "cardiothoracic_ratio",
            [(40, 30), (80, 50), (10, 60), (110, 80)],
            [[(40, 40), (80, 40)], [(10, 70), (110, 70)]],
        ),
        (
            "anb_angle",
            [(20, 20), (90, 20), (80, 60), (70, 80)],
            [[(20, 20), (90, 20), (80, 60)], [(90, 20), (70, 80)]],
        ),
    ],
)
def test_what_is_measured_between_landmarks_is_drawn(quantity, points, lines):
    marks = [
        POINT.model_copy(update={"id": f"R{n}", "kind": "landmark", "point_xy_px": point})
        for n, point in enumerate(points)
    ]
    taken = measure_between(quantity, marks, None)
    drawn = draw_overlay(GRAY, record(*marks, measurements=(taken,)), labels=False, caption=False)
    white = (drawn == MEASURED).all(axis=2)
    zoom = picture_zoom(120, 90)
    along = np.concatenate([p + np.linspace(0, 1, 200)[:, None] * (q - p) for line in lines
                            for p, q in pairwise(np.array(line, float))]) * zoom  # fmt: skip
    far = distance_to(np.concatenate([np.array(points) * zoom, along[:1]]), white.shape)
    x, y = np.floor(along).astype(int).T
    clear = far[y, x] > 30  # away from the crosses, which lie on top
    assert clear.any()
    assert ndimage.distance_transform_edt(~white)[y, x][clear].max() < 3
    assert distance_to(along, white.shape)[white].max() < 4


def test_a_quantity_that_is_not_taken_between_landmarks_has_no_lines():
    ends = [POINT.model_copy(update={"id": i, "kind": "landmark", "point_xy_px": p})
            for i, p in (("R1", (20, 20)), ("R2", (90, 60)))]  # fmt: skip
    taken = measure_between("distance", ends, None).model_copy(update={"quantity": "biparietal_diameter"})
    drawn = draw_overlay(GRAY, record(*ends, measurements=(taken,)), labels=False, caption=False)
    assert not (drawn == MEASURED).all(axis=2).any()


def test_labels_do_not_cover_each_other():
    alone = [draw_overlay(GRAY, record(region), caption=False) for region in (BOX, ELLIPSE, POLYGON, POINT)]
    bare = [draw_overlay(GRAY, record(r), labels=False, caption=False) for r in (BOX, ELLIPSE, POLYGON, POINT)]
    areas = [(a != b).any(axis=2).sum() for a, b in zip(alone, bare, strict=True)]
    together = record(BOX, ELLIPSE, POLYGON, POINT)
    with_labels = draw_overlay(GRAY, together, caption=False)
    boxes = (with_labels == (24, 24, 28)).all(axis=2)
    assert all(areas)
    found, count = ndimage.label(ndimage.binary_closing(boxes, iterations=3))
    assert count == 4
    assert found.max() == 4


@pytest.mark.parametrize("status", ["answered", "partial", "abstained"])
def test_no_regions_and_each_verdict(status):
    reasons = (Reason(code="no_region", detail="nothing was found"),)
    drawn = draw_overlay(GRAY, record(status=status, reasons=reasons))
    zoom = picture_zoom(120, 90)
    plain_picture = np.repeat(np.repeat(GRAY, int(zoom), axis=0), int(zoom), axis=1)
    assert (drawn[: plain_picture.shape[0]] == plain_picture).all()
    strip = drawn[plain_picture.shape[0] :]
    assert strip.shape[0] > 30
    for name, color in VERDICT_COLORS.items():
        assert (strip == color).all(axis=2).any() == (name == status)


def test_coordinates_that_cannot_be_drawn_are_left_out_of_the_picture():
    bad = [
        BOX.model_copy(update={"box_xyxy_px": box, "status": "rejected", "rejected_by": "finite"})
        for box in ((math.nan, 0, 1, 1), (0, 0, math.inf, 5), (0, 0, 1e30, 5))
    ]
    for region in bad:
        drawn = draw_overlay(GRAY, record(region), caption=False)
        assert (drawn == GRAY[0, 0]).all()
        assert draw_overlay(GRAY, record(region)).shape[0] > drawn.shape[0]
    outside = BOX.model_copy(update={"box_xyxy_px": (500, 500, 600, 600)})
    draw_overlay(GRAY, record(outside))


@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 900, 3), (700, 3, 3), (40, 40, 3)])
def test_odd_sizes(shape):
    drawn = draw_overlay(np.zeros(shape, np.uint8), record(BOX, ELLIPSE))
    assert drawn.dtype == np.uint8 and drawn.shape[1] >= 640 and max(drawn.shape) < 4000


def test_scale_bar_has_its_length_and_uses_the_columns():
    scale = Scale(row_mm=0.5, column_mm=0.2, source="calibrated")
    bar = scale_bar(scale, 4.0, 250)
    assert bar is not None and bar.text == "10 mm along x"
    assert bar.width_px == pytest.approx(10 / 0.2 * 4)
    fine = scale_bar(Scale(row_mm=7e-5, column_mm=7e-5, source="microscope"), 2.0, 300)
    assert fine is not None and fine.text == "10 µm" and fine.width_px == pytest.approx(0.01 / 7e-5 * 2)
    assert scale_bar(None, 2.0, 300) is None


def test_measurements_are_written_with_unit_and_uncertainty():
    interval = Interval(low=172.6, high=178.0, level=0.95, method="normal")
    item = Measurement(
        quantity="head_circumference",
        value=175.31,
        unit="mm",
        uncertainty=1.4,
        interval=interval,
        scale_source="user",
        region_ids=("R1",),
    )
    assert format_measurement(item) == "head circumference 175.3 ± 1.4 mm (95%: 172.6 to 178.0) R1"
    answer = Answer(text="The head circumference is 175 mm.", value=175.0, confidence=0.9)
    draw_overlay(GRAY, record(ELLIPSE, answer=answer, measurements=(item,)))


def test_text_keeps_its_spaces_folds_what_the_font_lacks_and_fits():
    assert plain("7.3 µm² – ≥ é 中\n") == "7.3 µm² - >= e ?"
    assert text_width("10 µm", 20) > text_width("10µm", 20)
    lines = wrap("word " * 80 + "x" * 300, 16, 200, 3)
    assert len(lines) == 3 and lines[-1].endswith("…")
    assert all(text_width(line, 16) <= 200 for line in lines)


def test_writing_and_what_cannot_be_written(tmp_path):
    path = write_overlay(tmp_path / "o.png", GRAY, record(BOX))
    with Image.open(path) as image:
        assert np.array_equal(np.asarray(image), draw_overlay(GRAY, record(BOX)))
    for target in (tmp_path / "nowhere" / "o.png", tmp_path / "o.xyz"):
        with pytest.raises(InputError, match="cannot write the overlay"):
            write_overlay(target, GRAY, record(BOX))


@pytest.mark.parametrize(
    ("text", "value", "plain"), [("有1个息肉。", 1, "1"), ("是", True, "yes"), ("…息肉", None, "see the record")]
)
def test_what_the_font_cannot_draw_is_drawn_in_the_words_of_the_record(text, value, plain) -> None:
    understood = Understanding(intent=Intent(task="count", structure="polyp", language="zh"), confidence=1.0)
    asked = record(understanding=understood, answer=Answer(text=text, value=value, confidence=0.9))
    chinese = asked.model_copy(update={"question": "有多少个息肉？"})
    english = asked.model_copy(
        update={"question": "count: polyp", "answer": Answer(text=plain, value=value, confidence=0.9)}
    )
    assert (draw_overlay(GRAY, chinese) == draw_overlay(GRAY, english)).all()
