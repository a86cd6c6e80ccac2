"""Records as hypothesis draws them, within what the types allow: also NaN, infinities and odd text."""

from __future__ import annotations

from hypothesis import strategies as st

from fiducial.tools.record import (
    GEOMETRY_OF_KIND,
    Answer,
    Check,
    Ellipse,
    Explanation,
    FileSlice,
    FileSlices,
    ImageInfo,
    Intent,
    Interval,
    Measurement,
    Reason,
    Record,
    Region,
    Scale,
    Step,
    Understanding,
    Verdict,
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
any_float = st.floats()
finite = st.floats(allow_nan=False, allow_infinity=False)
positive = st.floats(min_value=1e-6, max_value=1e6)
sha256s = st.text("0123456789abcdef", min_size=64, max_size=64)

scales = st.builds(Scale, row_mm=positive, column_mm=positive, slice_mm=st.none() | positive, tolerance=st.floats(0, 1))
slices = st.builds(FileSlice, plane=st.none() | st.just("axial"), index=st.integers(0, 99), count=st.integers(1, 99))
indices = st.lists(st.integers(0, 99), min_size=1, max_size=4).map(tuple)
volumes = st.builds(FileSlices, plane=st.just("axial"), indices=indices, count=st.integers(1, 99))
images = st.builds(
    ImageInfo,
    path=texts,
    sha256=sha256s,
    width_px=st.integers(1, 10**6),
    height_px=st.integers(1, 10**6),
    scale=st.none() | scales,
    scale_refused=st.none() | texts,
    scale_box_xyxy_px=st.none() | st.tuples(finite, finite, finite, finite),
    file_slice=st.none() | slices,
    file_slices=st.none() | volumes,
    orientation=st.integers(1, 8),
)
points = st.tuples(any_float, any_float)
ellipses = st.builds(
    Ellipse, center_xy_px=st.tuples(finite, finite), semi_major_px=positive, semi_minor_px=positive, angle_deg=finite
)
GEOMETRY = {
    "box": st.tuples(any_float, any_float, any_float, any_float),
    "point": points,
    "landmark": points,
    "polygon": st.lists(points, max_size=4).map(tuple),
    "ellipse": ellipses,
    "box_3d": st.tuples(*[any_float] * 6),
}


def _region(kind: str) -> st.SearchStrategy[Region]:
    return st.builds(
        Region,
        id=texts,
        label=texts,
        kind=st.just(kind),
        **{GEOMETRY_OF_KIND[kind]: GEOMETRY[kind]},
        box_xyzxyz_mm=st.none() | st.tuples(*[finite] * 6),
        score=any_float,
        sigma_px=st.none() | any_float,
        skill=texts,
        parent_id=st.none() | texts,
        status=st.sampled_from(["accepted", "rejected"]),
        rejected_by=st.none() | texts,
    )


regions = st.sampled_from(sorted(GEOMETRY)).flatmap(_region)
values = st.none() | st.booleans() | st.integers() | any_float | texts | st.lists(any_float, max_size=3)
intervals = st.builds(Interval, low=any_float, high=any_float, level=st.floats(0, 1), method=texts)
ids = st.lists(texts, max_size=3).map(tuple)
measurements = st.builds(
    Measurement, value=finite, uncertainty=positive, interval=intervals, region_ids=ids, note=texts
)
reasons = st.lists(st.builds(Reason, code=texts, detail=texts), max_size=2).map(tuple)
steps = st.builds(Step, name=texts, ms=any_float, attempt=st.integers(0, 9), error=st.none() | texts)


def _few(items: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(items, max_size=3).map(tuple)


records = st.builds(
    Record,
    run_id=st.uuids().map(str),
    question=texts,
    image=images,
    understanding=st.none() | st.builds(Understanding, intent=st.builds(Intent, structure=texts), confidence=any_float),
    answer=st.none() | st.builds(Answer, text=texts, value=values, confidence=any_float),
    regions=_few(regions),
    explanation=st.none() | st.builds(Explanation, text=texts, region_ids=ids),
    measurements=_few(measurements),
    checks=_few(st.builds(Check, name=texts, detail=texts)),
    verdict=st.none() | st.builds(Verdict, reasons=reasons),
    steps=_few(steps),
)
