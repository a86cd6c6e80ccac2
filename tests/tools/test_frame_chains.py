"""Round trips through chains of frame maps: 10,000 seeded chains of up to eight maps, and what quantised ones may lose.

The chains are drawn with numpy and not by hypothesis, so that ten thousand of them take a few seconds. Sides are those
of images, 16 to 4096 px: a map that squeezes 4096 px into 2 and turns them loses digits that no map back can return
(float64 has 16 of them; the worst of 10,000 such chains comes back within 1.4e-9 of the side).
"""

from __future__ import annotations

import numpy as np

from fiducial.tools import frames as f

CHAINS = 10_000
POINTS = 8
SMALLEST, LARGEST = 16, 4096
KINDS = ("crop", "resize", "letterbox", "turn", "quarter", "flip", "transpose", "unit", "thousand")


def _step(rng: np.random.Generator, kind: str, w: float, h: float) -> f.FrameMap2D:
    """One map of a kind from a frame of w by h; sides stay between SMALLEST and LARGEST."""
    to_w, to_h = (int(side) for side in np.exp(rng.uniform(np.log(SMALLEST), np.log(LARGEST), 2)))
    if kind == "crop":
        x, y = np.sort(rng.uniform(0, 1, (2, 2)), axis=1) * ((w,), (h,))
        return f.crop_map((x[0], y[0], x[1] + 0.1 * w, y[1] + 0.1 * h), f.Frame("", w, h))
    makers = {
        "resize": lambda: f.resize_map(w, h, to_w, to_h),
        "letterbox": lambda: f.letterbox_map(w, h, to_w, to_h),  # type: ignore[arg-type]
        "turn": lambda: f.rotate_map(w, h, rng.uniform(-360, 360)),
        "quarter": lambda: f.rotate90_map(w, h, int(rng.integers(-4, 5))),
        "flip": lambda: f.flip_map(w, h, "x" if rng.random() < 0.5 else "y"),
        "transpose": lambda: f.transpose_map(w, h),
        "unit": lambda: f.normalise_map(w, h, 1.0),
        "thousand": lambda: f.normalise_map(w, h, 1000.0),
    }
    return makers[kind]()


def _chain(rng: np.random.Generator) -> tuple[f.FrameMap2D, float, float]:
    width, height = (float(side) for side in rng.integers(SMALLEST, LARGEST + 1, 2))
    chain = f.identity_map(f.Frame("stored", width, height))
    for kind in rng.choice(KINDS, rng.integers(1, 9)):
        w, h = chain.target.width, chain.target.height
        assert w is not None
        assert h is not None
        chain = chain.then(_step(rng, str(kind), w, h))
    return chain, width, height


def test_points_come_back_through_ten_thousand_chains_of_maps() -> None:
    rng = np.random.default_rng(20)
    worst = 0.0
    for _ in range(CHAINS):
        chain, width, height = _chain(rng)
        xy = rng.uniform(0, 1, (POINTS, 2)) * (width, height)
        back = chain.inverse().points(chain.points(xy))
        worst = max(worst, float(np.abs(back - xy).max()) / max(width, height))
    assert worst <= 1e-9


def test_quantised_coordinates_come_back_within_half_a_step() -> None:
    rng = np.random.default_rng(21)
    for _ in range(1000):
        width, height = rng.integers(2, 4097, 2).tolist()
        steps = int(rng.choice([64, 1000, 1024]))
        to_steps = f.normalise_map(width, height, steps)
        xy = rng.uniform(0, 1, (POINTS, 2)) * (width, height)
        spelled = to_steps.inverse().points(np.round(to_steps.points(xy)))
        binned = to_steps.inverse().points(np.floor(to_steps.points(xy)) + 0.5)  # a bin is read at its centre
        half = np.array([f.quantisation_half_step_px(side, steps) for side in (width, height)])
        for back in (spelled, binned):
            assert (np.abs(back - xy) <= half + 1e-9 * max(width, height)).all()


def test_a_turned_image_keeps_its_middle_its_lengths_and_lies_on_its_canvas() -> None:
    turned = f.rotate_map(40, 20, 30)
    assert np.allclose(turned.points((20, 10)), (turned.target.width / 2, turned.target.height / 2))  # type: ignore[operator]
    corners = turned.points([(0, 0), (40, 0), (40, 20), (0, 20)])
    assert np.allclose(corners.min(axis=0), 0)
    assert np.allclose(corners.max(axis=0), (turned.target.width, turned.target.height))
    assert np.isclose(np.linalg.norm(corners[1] - corners[0]), 40)
    assert np.allclose(f.rotate_map(40, 20, 90).matrix, f.rotate90_map(40, 20, 1).matrix)
