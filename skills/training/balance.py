"""What each task's loss counts for in a mixture.

``uniform``: all alike. ``temperature``: all alike too; there rare tasks are drawn more often (``rows.shares``).
``uncertainty``: homoscedastic uncertainty (Kendall et al. 1705.07115) at its analytic optimum, the inverse of a task's
own loss (Kirchdorfer et al. 2408.07985), so that nothing more is to be learned. ``dwa``: dynamic weight averaging
(Liu et al. 1803.10704): what has fallen least of late counts most.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fiducial.skills.recipes import Balance

SMOOTHING = 0.95  # of the losses that uncertainty weighting divides by
SOFTNESS = 2.0  # the temperature of dynamic weight averaging, as in its paper


class Balancer:
    """Weights a task, mean 1. window: optimiser steps over which dynamic weight averaging takes its means."""

    def __init__(self, balance: Balance, tasks: Sequence[str], window: int = 50) -> None:
        self.balance, self.tasks, self.window = balance, tuple(tasks), max(1, window)
        self.smooth = torch.zeros(len(tasks))
        self.sums = torch.zeros(2, len(tasks))  # of the present window: losses, tokens
        self.means: list[Tensor] = []  # of the last two windows
        self.totals = torch.zeros(2, len(tasks), dtype=torch.float64)  # since this process began, to be reported
        self.steps = 0

    def weights(self) -> Tensor:
        """(tasks,) what each task's loss counts for at the next step."""
        ones = torch.ones(len(self.tasks))
        if self.balance == "uncertainty":
            raw = torch.where(self.smooth > 0, 1 / self.smooth.clamp(min=1e-6), torch.zeros(()))
            known = raw > 0
            return torch.where(known, raw / raw[known].mean(), ones) if bool(known.any()) else ones
        if self.balance == "dwa" and len(self.means) == 2:
            rate = self.means[1] / self.means[0].clamp(min=1e-6)
            return len(self.tasks) * torch.softmax(rate / SOFTNESS, 0)
        return ones

    def observe(self, losses: Tensor, tokens: Tensor) -> None:
        """One optimiser step: (tasks,) sums of the tokens' losses, and how many there were, over all processes."""
        mean = losses / tokens.clamp(min=1)
        seen, first = tokens > 0, self.smooth == 0
        smoothed = torch.where(first, mean, SMOOTHING * self.smooth + (1 - SMOOTHING) * mean)
        self.smooth = torch.where(seen, smoothed, self.smooth)
        self.sums += torch.stack([losses, tokens])
        self.totals += torch.stack([losses, tokens])
        self.steps += 1
        if self.steps % self.window == 0:
            before = self.means[-1] if self.means else torch.ones(len(self.tasks))
            latest = torch.where(self.sums[1] > 0, self.sums[0] / self.sums[1].clamp(min=1), before)
            self.means = [*self.means, latest][-2:]
            self.sums = torch.zeros_like(self.sums)

    def state(self) -> dict[str, Any]:
        """All that the weights depend on, for a checkpoint."""
        return {
            "tasks": list(self.tasks),
            "smooth": self.smooth.tolist(),
            "sums": self.sums.tolist(),
            "means": [mean.tolist() for mean in self.means],
            "steps": self.steps,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Inverse of ``state``."""
        self.smooth, self.sums = torch.tensor(state["smooth"]), torch.tensor(state["sums"])
        self.means, self.steps = [torch.tensor(mean) for mean in state["means"]], state["steps"]
