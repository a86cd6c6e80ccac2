"""MR of the head (FLAIR) with one bright ellipsoidal lesion in the white matter: a NIfTI volume cut obliquely.

The affine is a rotation times spacings that differ, so no axis of the volume is an axis of the patient; qform and sform
agree. Truth, in the patient (mm, LPS): the ellipsoid, its box and volume. Labels lie beside it as a second NIfTI.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from fiducial.tools.errors import InputError
from fiducial.tools.phantoms.ellipsoid import Plane, WorldEllipsoid, ellipsoid_object, random_axes
from fiducial.tools.phantoms.formats import Nifti
from fiducial.tools.phantoms.noise import Float, volume_noise
from fiducial.tools.phantoms.phantom import Phantom, PhantomTruth, counts_of
from fiducial.tools.record import Scale

LPS_OF_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
FIELD_MM = (184.0, 224.0, 156.0)  # left to right, back to front, feet to head
HEAD_MM = np.array([76.0, 97.0, 92.0])


def make_lesion_3d(seed: int, shape_ijk: tuple[int, int, int] = (160, 192, 44)) -> Phantom:
    """Draw a volume of ``shape_ijk`` voxels, i from right to left, j from back to front, k from feet to head, nearly.

    Raises InputError for an impossible size.
    """
    rng = np.random.default_rng([seed, 6])
    if len(shape_ijk) != 3 or not 16 <= min(shape_ijk) <= max(shape_ijk) <= 320:
        raise InputError(f"a volume of {shape_ijk} voxels cannot be drawn; ask for three sides of 16 to 320")
    affine = _affine(rng, shape_ijk)
    lps = LPS_OF_RAS @ affine
    lesion = _lesion(rng)
    values, labels = _scan(rng, lps, shape_ijk, lesion)
    # The slice along k that passes nearest to the lesion's centre; x along i, y along j, from the voxels' corners.
    k = int(np.clip(round(float(np.linalg.solve(lps, [*lesion.center, 1.0])[2])), 0, shape_ijk[2] - 1))
    plane = Plane((lps @ [-0.5, -0.5, k, 1.0])[:3], lps[:3, 0], lps[:3, 1])
    item = ellipsoid_object("lesion", "lesion", lesion, k, plane, label_value=1)
    shown = np.clip(values[:, :, k].T[::-1, ::-1] / 900 * 255, 0, 255).astype(
        np.uint8
    )  # front up, patient's left right
    steps = np.linalg.norm(affine[:3, :3], axis=0)
    scale = Scale(row_mm=float(steps[1]), column_mm=float(steps[0]), slice_mm=float(steps[2]), source="acquisition")
    truth = PhantomTruth(kind="head_mr", objects=(item,), counts=counts_of(("lesion",), (item,)))
    size = {"width_px": shape_ijk[0], "height_px": shape_ijk[1], "slices": shape_ijk[2], "affine_ras": affine.tolist()}
    image, beside = Nifti(values, affine, "fiducial phantom"), {"labels": Nifti(labels, affine, "1 lesion")}
    rgb = np.repeat(shown[:, :, None], 3, axis=2)
    return Phantom("lesion_3d", seed, rgb, scale, truth, image, beside, size)


def _affine(rng: np.random.Generator, shape: tuple[int, int, int]) -> NDArray[np.float64]:
    """Voxel index to RAS mm: spacings, then a turn by 8 to 22 degrees about an axis that is none of the patient's.

    As float32, which is what the sform holds, so that the truth is that of the file.
    """
    from scipy.spatial.transform import Rotation

    axis = rng.uniform(0.35, 1.0, 3) * rng.choice([-1, 1], 3)
    turn = Rotation.from_rotvec(math.radians(rng.uniform(8, 22)) * axis / np.linalg.norm(axis)).as_matrix()
    spacing = np.array(FIELD_MM) / shape * (1.0, 1.0, rng.uniform(0.85, 0.95))
    affine = np.eye(4)
    affine[:3, :3] = turn * np.round(spacing, 4)
    center = rng.uniform((-6, -6, -2), (6, 6, 10))
    affine[:3, 3] = center - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return affine.astype(np.float32).astype(np.float64)


def _lesion(rng: np.random.Generator) -> WorldEllipsoid:
    """In the white matter of either hemisphere, clear of the ventricles and of the cortex; LPS."""
    while True:
        size = math.exp(rng.uniform(math.log(8), math.log(15)))
        semi = size * np.array([1.0, rng.uniform(0.7, 0.95), rng.uniform(0.55, 0.7)])
        center = np.array([rng.choice([-1, 1]) * rng.uniform(26, 44), rng.uniform(-50, 56), rng.uniform(4, 34)])
        made = WorldEllipsoid(center, semi, random_axes(rng))
        low, high = np.abs(center) - made.half_extent_mm, np.abs(center) + made.half_extent_mm
        if low[0] > 21 and np.linalg.norm(high / HEAD_MM) < 0.86:
            return made


def _rho(x: Float, y: Float, z: Float, center: tuple[float, float, float], semi: tuple[float, float, float]) -> Float:
    parts = [(v - np.float32(c)) / np.float32(s) for v, c, s in zip((x, y, z), center, semi, strict=True)]
    return np.asarray(np.sqrt(parts[0] ** 2 + parts[1] ** 2 + parts[2] ** 2))


def _scan(
    rng: np.random.Generator, lps: NDArray[np.float64], shape: tuple[int, int, int], lesion: WorldEllipsoid
) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    """Signal and labels, (i, j, k). Anatomy is a function of the place in the patient, evaluated at voxel centres."""
    index = np.meshgrid(*(np.arange(side, dtype=np.float32) for side in shape), indexing="ij", sparse=True)
    matrix = lps.astype(np.float32)
    x, y, z = (sum(matrix[r, a] * index[a] for a in range(3)) + matrix[r, 3] for r in range(3))
    steps = np.linalg.norm(lps[:3, :3], axis=0)
    signal = _head(rng, x, y, z, shape, steps)
    offset = np.stack([x - lesion.center[0], y - lesion.center[1], z - lesion.center[2]], axis=-1)
    near = np.abs(offset).max(axis=-1) < lesion.semi_axes_mm[0] + 6
    own = offset[near] @ (lesion.axes.T / lesion.semi_axes_mm)
    rho = np.sqrt((own**2).sum(axis=1))
    labels = np.zeros(shape, np.uint8)
    labels[near] = rho <= 1
    share = np.clip(
        0.5 + (1 - rho) * float(np.prod(lesion.semi_axes_mm) ** (1 / 3)) / float(steps[:2].mean()) / 1.4, 0, 1
    )
    share = share * share * (3 - 2 * share)
    level = rng.uniform(700, 820) * (1 - 0.12 * np.clip(0.6 - rho, 0, 1))
    signal[near] += (share * (level - signal[near])).astype(np.float32)
    bias = 1 + 0.06 * volume_noise(rng, shape, (90, 90, 40))
    real = signal * bias + 13 * rng.standard_normal(shape, dtype=np.float32)
    noisy = np.hypot(real, 13 * rng.standard_normal(shape, dtype=np.float32))  # Rician, as magnitudes are
    return np.clip(noisy, 0, 4095).astype(np.int16), labels


def _head(
    rng: np.random.Generator, x: Float, y: Float, z: Float, shape: tuple[int, int, int], steps: NDArray[np.float64]
) -> Float:
    """FLAIR: scalp bright, bone and fluid dark, grey matter brighter than white. y is to the back."""
    a, b, c = HEAD_MM

    def noise(grain_mm: float) -> Float:
        i, j, k = (grain_mm / steps).tolist()
        return volume_noise(rng, shape, (i, j, k))

    def edge(rho: Float, at: float, soft: float) -> Float:
        t = np.clip(0.5 + (np.float32(at) - rho) / np.float32(soft), 0, 1)
        return np.asarray(t * t * (3 - 2 * t))

    head = _rho(x, y - np.float32(4), z - np.float32(6), (0, 0, 0), (a, b, c))
    # A skull is egg-shaped: narrower at the forehead.
    head *= 1 + np.float32(0.0011) * np.clip(-y, -60, 90) * np.clip((x / 76) ** 2, 0, 1)
    wavy = noise(30)
    signal = edge(head, 1.0, 0.02) * (np.float32(560) + 40 * noise(9))
    signal += edge(head + 0.006 * wavy, 0.948, 0.02) * (np.float32(70) - signal)  # outer table
    signal += edge(np.abs(head - 0.915), 0.012, 0.012) * np.float32(150)  # marrow
    brain = head + 0.004 * wavy
    signal += edge(brain, 0.875, 0.016) * (np.float32(95) - signal)  # fluid
    folds = np.abs(noise(15) + 0.55 * noise(8))
    depth = np.clip((brain - 0.58) / 0.26, 0, 1)
    falx = np.exp(-((x / 1.6) ** 2)) * np.clip((brain - 0.42) * 5, 0, 1)
    sulci = np.maximum(np.exp(-((folds / 0.17) ** 2)) * depth**1.5, falx)
    inner = edge(brain, 0.855, 0.016)
    cortex = np.clip(
        np.exp(-((folds / 0.52) ** 2)) * np.clip((brain - 0.50) / 0.2, 0, 1) + np.clip((brain - 0.80) / 0.03, 0, 1),
        0,
        1,
    )
    tissue = np.float32(345) + np.float32(125) * cortex
    for center, semi in (((17, 2, 2), (9, 15, 14)), ((27, 0, 4), (7, 17, 13))):  # thalamus, lentiform
        for side in (-1, 1):
            tissue += 45 * edge(_rho(x, y, z, (side * center[0], *center[1:]), semi), 1.0, 0.25)
    tissue += 8 * noise(5)
    tissue += sulci * (np.float32(150) - tissue)
    for side in (-1, 1):  # lateral ventricles: two horns that spread to the back, with a bright lining
        bent = x - side * (8 + 0.0042 * (y + 6) ** 2 + 0.10 * np.clip(y, 0, 60))
        horn = _rho(bent, y, z, (0, 4, 16), (5.5, 37, 10.5))
        tissue += 90 * np.exp(-(((horn - 1.08) / 0.14) ** 2))
        tissue += edge(horn, 1.0, 0.18) * (np.float32(80) - tissue)
    tissue += edge(_rho(x, y, z, (0, 2, -3), (2.2, 13, 11)), 1.0, 0.4) * (np.float32(80) - tissue)
    return np.asarray(signal + inner * (tissue - signal), np.float32)
