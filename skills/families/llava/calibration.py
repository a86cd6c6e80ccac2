"""What was measured on images kept back from training: how typical one is of its kind, how far a head is off."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fiducial.skills.families.llava.inclusion import Rule
from fiducial.tools.errors import InputError

DEFAULT_HEAD_SIGMA = 0.03


@dataclass(frozen=True)
class Cloud:
    """One cluster of a kind's embeddings: its mean (C,) and the inverse of its shrunk covariance as a factor (C, C)."""

    mean: NDArray[np.float64]
    whitening: NDArray[np.float64]

    @classmethod
    def of(cls, embeddings: ArrayLike, shrinkage: float = 0.3) -> Cloud:
        """Fit to (N, C) embeddings, the covariance shrunk towards its diagonal, for N is smaller than C."""
        x = np.asarray(embeddings, np.float64)
        mean = x.mean(0)
        covariance = np.cov(x - mean, rowvar=False)
        diagonal = np.diag(np.diag(covariance) + 1e-4)
        shrunk = (1 - shrinkage) * covariance + shrinkage * diagonal
        return cls(mean, np.linalg.inv(np.linalg.cholesky(shrunk)))

    def distance(self, embeddings: ArrayLike) -> NDArray[np.float64]:
        """Mahalanobis distance of (N, C) embeddings, (N,)."""
        x = np.atleast_2d(np.asarray(embeddings, np.float64))
        return np.asarray(np.linalg.norm((x - self.mean) @ self.whitening.T, axis=1))


@dataclass(frozen=True)
class Calibration:
    """clouds: of each kind; distances: those of held-out images of the kind to their nearest cloud, sorted.

    head_sigma: one standard deviation of the head's axes, relative to its mean radius. inclusion: the rule by which
    proposals of each structure are named. Kept in ``calibration.json`` (numbers) and ``calibration.npz``.
    """

    clouds: dict[str, tuple[Cloud, ...]] = field(default_factory=dict)
    distances: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    head_sigma: float = DEFAULT_HEAD_SIGMA
    inclusion: dict[str, Rule] = field(default_factory=dict)

    def typicality(self, kind: str, embedding: ArrayLike) -> float:
        """Conformal p-value (Vovk et al. 2005; Bates et al. 2023): the share of held-out images at least as far out.

        An image of the kind gets p ≤ t with probability at most t. 1 for a kind without calibration.
        """
        if kind not in self.clouds:
            return 1.0
        nearest = min(float(cloud.distance(embedding)[0]) for cloud in self.clouds[kind])
        held = self.distances[kind]
        return float((1 + (held >= nearest).sum()) / (1 + len(held)))

    def save(self, folder: Path, policy: dict[str, Any]) -> None:
        """Write both files; ``policy`` holds thresholds for the controller."""
        document = {
            "head_sigma": self.head_sigma,
            "inclusion": {structure: asdict(rule) for structure, rule in self.inclusion.items()},
            "held_out": {kind: len(values) for kind, values in self.distances.items()},
            "policy": policy,
        }
        (folder / "calibration.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        arrays = {f"{kind}/distances": values for kind, values in self.distances.items()}
        for kind, clouds in self.clouds.items():
            for i, cloud in enumerate(clouds):
                arrays[f"{kind}/{i}/mean"] = cloud.mean.astype(np.float32)
                arrays[f"{kind}/{i}/whitening"] = cloud.whitening.astype(np.float16)
        np.savez_compressed(folder / "calibration.npz", **arrays)  # type: ignore[arg-type]

    @classmethod
    def load(cls, folder: Path) -> Calibration:
        """The calibration beside a model; an uncalibrated model refuses nothing for being untypical."""
        if not (folder / "calibration.json").is_file() or not (folder / "calibration.npz").is_file():
            return cls()
        try:
            numbers = json.loads((folder / "calibration.json").read_text(encoding="utf-8"))
            with np.load(folder / "calibration.npz", allow_pickle=False) as arrays:
                data = {name: np.asarray(arrays[name], np.float64) for name in arrays.files}
            kinds = sorted({name.split("/")[0] for name in data})
            clouds = {kind: _clouds(data, kind) for kind in kinds}
            distances = {kind: data[f"{kind}/distances"] for kind in kinds}
            rules = {structure: Rule(**rule) for structure, rule in numbers.get("inclusion", {}).items()}
            return cls(clouds, distances, float(numbers["head_sigma"]), rules)
        except (OSError, ValueError, KeyError, TypeError, BadZipFile) as error:
            raise InputError(
                f"the calibration in {folder} cannot be read ({error}); calibrate the model again"
            ) from None


def _clouds(data: dict[str, NDArray[np.float64]], kind: str) -> tuple[Cloud, ...]:
    count = len([name for name in data if name.startswith(f"{kind}/") and name.endswith("/mean")])
    return tuple(Cloud(data[f"{kind}/{i}/mean"], data[f"{kind}/{i}/whitening"]) for i in range(count))
