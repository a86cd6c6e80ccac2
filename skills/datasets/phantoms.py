"""The package's own phantoms as a data set: exact truth, any number of images, also ones that lack a structure.

Every scene comes at many magnifications and proportions. A volume comes as some of its axial slices, each as it is
displayed, with all of the volume beside it. Landmarks are ``asks`` with their points, as in every other set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fiducial.skills.datasets.sample import Ask, Object, Sample
from fiducial.skills.targets import LabelledPoint, LandmarksTarget, Query
from fiducial.tools.landmark_measures import landmark_named
from fiducial.tools.phantoms import SCENES, blood_smear, fetal_head
from fiducial.tools.phantoms.ellipsoid import Plane, WorldEllipsoid
from fiducial.tools.phantoms.scene import Scene

if TYPE_CHECKING:
    from fiducial.tools.phantoms.phantom import Phantom, PhantomObject

FIRST_SEED = {"train": 1_000_000, "val": 2_000_000}  # far from the small seeds that people type
MIN_VISIBLE_FRACTION = 0.33
# The structure table's key of what a scene names by a word of its own; what is neither there nor here is left out.
KEYS = {
    "red_cell": "red_cell", "white_cell": "white_cell", "platelet": "platelet", "head": "head", "nucleus": "nucleus",
    "polyp": "polyp", "liver_lesion": "liver_lesion", "lesion": "brain_lesion", "heart": "heart", "opacity": "opacity",
}  # fmt: skip
PROPORTIONS = ((4, 3), (4, 3), (1, 1), (16, 9), (3, 4), (3, 2))
CT_WINDOW = (50.0, 400.0)  # centre and width, HU, as the series itself states them
SLICES_WITHOUT = 2  # of a volume, besides those with its lesion
LEAST_SECTION_PX = 3.0  # semi-axis below which a section is no more than a blurred end


def _size(rng: np.random.Generator, widths: tuple[int, ...]) -> tuple[int, int]:
    """Width and height."""
    across, down = PROPORTIONS[int(rng.integers(len(PROPORTIONS)))]
    width = int(rng.choice(widths))
    return width, round(width * down / across / 2) * 2


def _smear(seed: int) -> Scene:
    """Two in five at the field of view of real smears, the others from far to near."""
    rng = np.random.default_rng([seed, 0x5EED])
    if rng.random() < 0.4:
        return blood_smear.make_blood_smear(seed)
    width, height = _size(rng, (480, 640, 800, 1024))
    step_um = float(np.exp(rng.uniform(np.log(0.035), np.log(0.15)))) * 640 / width
    return blood_smear.make_blood_smear(seed, width, height, step_um)


def _ultrasound(seed: int) -> Scene:
    """One in five without a head."""
    rng = np.random.default_rng([seed, 0x5EED])
    head = bool(rng.random() >= 0.2)
    if rng.random() < 0.5:
        return fetal_head.make_fetal_head(seed, head=head)
    return fetal_head.make_fetal_head(seed, *_size(rng, (640, 800, 960)), head=head)


def _nuclei(stain: str, seed: int) -> Phantom:
    from fiducial.tools.phantoms.nuclei import make_nuclei

    rng = np.random.default_rng([seed, 0x5EED])
    low, high = (0.22, 1.0) if stain == "fluorescence" else (0.2, 0.5)
    width, height = _size(rng, (256, 384, 512, 640))
    step_um = None if rng.random() < 0.3 else float(np.exp(rng.uniform(np.log(low), np.log(high))))
    most = int(rng.integers(1, 61))
    stained: Any = stain
    return make_nuclei(
        seed, stained, width_px=width, height_px=height, um_per_px_row=step_um,
        count=0 if rng.random() < 0.04 else most,
    )  # fmt: skip


def _polyp(seed: int) -> Phantom:
    from fiducial.tools.phantoms.polyp import make_polyp

    rng = np.random.default_rng([seed, 0x5EED])
    width, height = (640, 512) if rng.random() < 0.5 else _size(rng, (480, 640, 800))
    return make_polyp(seed, width, height, count=0 if rng.random() < 0.25 else None)


def _chest(seed: int) -> Phantom:
    from fiducial.tools.phantoms.chest import make_chest

    rng = np.random.default_rng([seed, 0x5EED])
    size, opacity = int(rng.choice((512, 640, 1024))), bool(rng.random() < 0.6)
    ratio = float(rng.uniform(0.385, 0.615)) if rng.random() < 0.6 else None
    return make_chest(seed, size, opacity=opacity, cardiothoracic_ratio=ratio)


def _cephalogram(seed: int) -> Phantom:
    from fiducial.tools.phantoms.cephalogram import make_cephalogram

    rng = np.random.default_rng([seed, 0x5EED])
    sna, snb = (float(rng.uniform(72, 93)) for _ in range(2))
    angles = {"sna_deg": sna, "snb_deg": snb} if rng.random() < 0.3 else {}
    return make_cephalogram(seed, int(rng.choice((504, 720, 1008))), **angles)


MAKERS: Mapping[str, Callable[[int], Scene | Phantom]] = {
    "blood_smear": _smear,
    "fetal_head": _ultrasound,
    "nuclei": partial(_nuclei, "fluorescence"),
    "nuclei_he": partial(_nuclei, "he"),
    "polyp": _polyp,
    "ct_lesion": SCENES["ct_lesion"],
    "lesion_3d": SCENES["lesion_3d"],
    "cephalogram": _cephalogram,
    "chest": _chest,
}  # fmt: skip


# As real images of their kind are taken; one in five frames of ultrasound without a head.
PLAIN: Mapping[str, Callable[[int], Scene | Phantom]] = {
    "plain_smear": blood_smear.make_blood_smear,
    "plain_ultrasound": lambda seed: fetal_head.make_fetal_head(seed, head=seed % 10 != 0),
}


@lru_cache(maxsize=2)
def _drawn(scene: str, seed: int) -> Scene | Phantom:
    return (MAKERS.get(scene) or PLAIN[scene])(seed)


def _pixels(scene: str, seed: int) -> np.ndarray:
    return _drawn(scene, seed).rgb_u8


def samples_of(scene: str, seed: int) -> Iterator[Sample]:
    """The phantom of a scene (a key of MAKERS or PLAIN): one sample, or several slices of a volume."""
    made = _drawn(scene, seed)
    name = f"{scene}-{seed}"
    if isinstance(made, Scene):
        objects = [
            Object(o.label, o.box_xyxy_px, o.ellipse_px)
            for o in made.truth.objects
            if o.visible_fraction >= MIN_VISIBLE_FRACTION
        ]
        yield Sample(name, name, made.truth.kind, partial(_pixels, scene, seed), tuple(objects), made.scale, real=False)
    elif made.truth.kind in ("abdomen_ct", "head_mr"):
        yield from _slices(scene, seed, made)
    else:
        yield _flat(scene, seed, made)


def _flat(scene: str, seed: int, made: Phantom) -> Sample:
    """A phantom of one picture."""
    objects = [
        Object(KEYS[o.label], o.box_xyxy_px, o.ellipse_px, o.polygon_xy_px)
        for o in made.truth.objects
        if o.label in KEYS and o.box_xyxy_px is not None and o.visible_fraction >= MIN_VISIBLE_FRACTION
    ]
    asks = tuple(
        Ask(
            Query(task="landmark", label=name, scale=made.scale),
            LandmarksTarget(landmarks=(LabelledPoint(label=name, point_xy_px=point),)),
        )
        for name, point in ((landmark_named(k), p) for k, p in made.truth.landmarks_xy_px.items())
    )
    name, facts = f"{scene}-{seed}", {q.quantity: f"{q.value:.6g}" for q in made.truth.quantities}
    pixels = partial(_pixels, scene, seed)
    return Sample(name, name, made.truth.kind, pixels, tuple(objects), made.scale, real=False, asks=asks, facts=facts)


# --- volumes -----------------------------------------------------------------------------------------------------


def volume_of(scene: str, seed: int) -> np.ndarray:
    """(slices, H, W, 3) uint8 of a volume phantom, axial slices from feet to head, as each is displayed."""
    from fiducial.tools.images.window import windowed_u8

    image: Any = _drawn(scene, seed).image  # type: ignore[union-attr]
    if scene == "ct_lesion":
        return np.stack([windowed_u8(hu, *CT_WINDOW) for hu in image.hounsfield])
    # i and j run to the patient's right and front; displayed, his left is on the right and his front on top.
    return np.stack([windowed_u8(image.values[::-1, ::-1, k].T) for k in range(image.values.shape[2])])


def sections_of(scene: str, seed: int) -> dict[int, Object]:
    """The lesion on each displayed axial slice that it reaches."""
    made: Any = _drawn(scene, seed)
    lesion = made.truth.objects[0]
    return _ct_sections(made, lesion) if scene == "ct_lesion" else _mr_sections(made, lesion)


def _ct_sections(made: Any, lesion: PhantomObject) -> dict[int, Object]:
    """By the planes' geometry: the slices are perpendicular to z."""
    body = lesion.ellipsoid_mm
    if body is None:
        return {}
    solid = WorldEllipsoid(np.array(body.center_xyz_mm), np.array(body.semi_axes_mm), np.array(body.axes_xyz))
    step = made.scale.column_mm
    found = {}
    for index in range(len(made.image.hounsfield)):
        first = np.array(made.image.position_mm(index)) - (step / 2, step / 2, 0)
        cut = solid.section(Plane(first, np.array([step, 0, 0]), np.array([0, step, 0])))
        if cut is not None and cut.ellipse_px.semi_minor_px >= LEAST_SECTION_PX:
            found[index] = Object(KEYS[lesion.label], _ellipse_box(cut.ellipse_px), cut.ellipse_px)
    return found


def _ellipse_box(ellipse: Any) -> tuple[float, float, float, float]:
    (x, y), t = ellipse.center_xy_px, np.deg2rad(ellipse.angle_deg)
    a, b = ellipse.semi_major_px, ellipse.semi_minor_px
    half_x, half_y = float(np.hypot(a * np.cos(t), b * np.sin(t))), float(np.hypot(a * np.sin(t), b * np.cos(t)))
    return x - half_x, y - half_y, x + half_x, y + half_y


def _mr_sections(made: Any, lesion: PhantomObject) -> dict[int, Object]:
    """By the label volume, for the slices are oblique."""
    labels = made.beside["labels"].values[::-1, ::-1]
    found = {}
    for index in np.flatnonzero(labels.any((0, 1))):
        rows, columns = np.nonzero(labels[:, :, index].T)
        x0, y0, x1, y1 = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        if min(x1 - x0, y1 - y0) >= LEAST_SECTION_PX:
            found[int(index)] = Object(KEYS[lesion.label], (float(x0), float(y0), float(x1), float(y1)))
    return found


def _slices(scene: str, seed: int, made: Phantom) -> Iterator[Sample]:
    """Half of the slices with the lesion, and two without it."""
    rng = np.random.default_rng([seed, 0x5EED])
    sections, count = sections_of(scene, seed), len(volume_of(scene, seed))
    without = [k for k in range(count) if k not in sections]
    chosen = [*list(sections)[int(rng.integers(2)) :: 2], *rng.choice(without, SLICES_WITHOUT, replace=False).tolist()]
    name = f"{scene}-{seed}"
    for index in sorted(int(k) for k in chosen):
        objects = (sections[index],) if index in sections else ()
        yield Sample(
            f"{name}-{index}", name, made.truth.kind, partial(_slice, scene, seed, index), objects, made.scale,
            real=False, volume=partial(_grey, scene, seed),
        )  # fmt: skip


def _slice(scene: str, seed: int, index: int) -> np.ndarray:
    return np.asarray(_shown(scene, seed)[index])


def _grey(scene: str, seed: int) -> np.ndarray:
    return _shown(scene, seed)[..., 0].astype(np.float32)


@lru_cache(maxsize=1)
def _shown(scene: str, seed: int) -> np.ndarray:
    return volume_of(scene, seed)


# --- the set -----------------------------------------------------------------------------------------------------


def sample_of(seed: int) -> Sample:
    """One phantom as real images are taken: odd seeds are blood smears, even ones fetal ultrasound."""
    return next(samples_of("plain_smear" if seed % 2 else "plain_ultrasound", seed))


def endless(split: str) -> Iterator[Sample]:
    """All scenes in turn, for ever."""
    seed = FIRST_SEED[split]
    while True:
        for scene in MAKERS:
            for sample in samples_of(scene, seed):
                yield replace(sample, split=split)
        seed += 1


def open_phantoms(root: Path | None, split: str, count: int = 400) -> Iterator[Sample]:
    """Stream ``count`` phantoms of all scenes; they are drawn, so root is not looked at."""
    del root
    yield from islice(endless(split), count)
