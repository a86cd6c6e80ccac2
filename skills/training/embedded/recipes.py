"""The embedded model's recipes: what ``fiducial pretrain`` and ``train`` run with, as for the shipped weights."""

from __future__ import annotations

from fiducial.skills.training.embedded.dense import DenseRecipe
from fiducial.skills.training.embedded.fit import FitRecipe

# Images that the tower learns from, beside the real ones: phantoms of all scenes (a slice of a volume counts), pictures
# of no domain, and windows of each real image.
PHANTOMS, DRAWN, CROPS = 4500, 500, 1
# The tower: first widely, then with real images at nearly their own magnification, never without phantoms of all.
#          smear head other fluo. H&E  colon abd. head ceph chest radiology
MIXTURE = (0.22, 0.16, 0.08, 0.11, 0.07, 0.08, 0.07, 0.06, 0.06, 0.06, 0.03)
LATER = (0.21, 0.15, 0.07, 0.10, 0.08, 0.05, 0.09, 0.08, 0.03, 0.07, 0.07)  # more of what is learned late
CLOSE = (0.27, 0.21, 0.06, 0.10, 0.07, 0.03, 0.07, 0.05, 0.03, 0.06, 0.05)  # more of what is real
FINE = (0.34, 0.26, 0.05, 0.08, 0.05, 0.02, 0.06, 0.03, 0.03, 0.04, 0.04)
DENSE = (
    DenseRecipe(steps=3600, mixture=MIXTURE),
    DenseRecipe(steps=2800, learning_rate=1.2e-3, mixture=MIXTURE, real=4.0, gentle=0.5, seed=11),
    DenseRecipe(steps=1500, learning_rate=9e-4, mixture=LATER, real=6.0, gentle=0.8, seed=12),
    DenseRecipe(steps=1000, learning_rate=7e-4, mixture=CLOSE, real=12.0, gentle=0.85, seed=13),
    DenseRecipe(steps=550, learning_rate=5e-4, mixture=FINE, real=20.0, gentle=0.9, seed=14),
)
BASE = FitRecipe(steps=2200, batch_size=32, learning_rate=1.2e-3)
ADAPTER = {
    "understand": FitRecipe(steps=1000, batch_size=48, learning_rate=2e-3, rank=32, alpha=64),
    "answer": FitRecipe(steps=100, learning_rate=2e-3, rank=16),
    "count": FitRecipe(steps=400, learning_rate=2e-3, rank=32, alpha=64),
    "detect": FitRecipe(steps=500, learning_rate=2e-3, rank=32, alpha=64),
    "point": FitRecipe(steps=200, learning_rate=2e-3, rank=32, alpha=64),
    "landmark": FitRecipe(steps=120, learning_rate=2e-3, rank=16),
    "report": FitRecipe(steps=200, learning_rate=2e-3, rank=16),
    "explain": FitRecipe(steps=900, learning_rate=2e-3, rank=16),
}
