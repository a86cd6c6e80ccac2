"""The embedded model's recipes: what ``fiducial pretrain`` and ``train`` run with, as for the shipped weights."""

from __future__ import annotations

from fiducial.skills.training.embedded.dense import DenseRecipe
from fiducial.skills.training.embedded.fit import FitRecipe

# The tower: first widely, on much phantom; then closely, on real images at nearly their own magnification; then finely.
DENSE = (
    DenseRecipe(steps=2400),
    DenseRecipe(steps=1800, learning_rate=1e-3, mixture=(0.62, 0.28, 0.1), real=4.0, gentle=0.6, seed=1),
    DenseRecipe(steps=1000, learning_rate=8e-4, mixture=(0.7, 0.24, 0.06), real=12.0, gentle=0.85, seed=2),
    DenseRecipe(steps=1500, learning_rate=8e-4, mixture=(0.74, 0.21, 0.05), real=30.0, gentle=0.9, seed=3),
)
BASE = FitRecipe(steps=2200, batch_size=32, learning_rate=1.2e-3)
ADAPTER = {
    "understand": FitRecipe(steps=1000, batch_size=48, learning_rate=2e-3, rank=32, alpha=64),
    "answer": FitRecipe(steps=100, learning_rate=2e-3, rank=16),
    "count": FitRecipe(steps=400, learning_rate=2e-3, rank=32, alpha=64),
    "detect": FitRecipe(steps=500, learning_rate=2e-3, rank=32, alpha=64),
    "point": FitRecipe(steps=200, learning_rate=2e-3, rank=32, alpha=64),
    "landmark": FitRecipe(steps=60, learning_rate=2e-3, rank=16),
    "explain": FitRecipe(steps=900, learning_rate=2e-3, rank=16),
}
