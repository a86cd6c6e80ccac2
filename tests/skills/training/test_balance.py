"""The weights of the tasks' losses, by their papers' formulas."""

from __future__ import annotations

import json
import math

import pytest
import torch

from fiducial.skills.recipes import Balance
from fiducial.skills.training.balance import SMOOTHING, SOFTNESS, Balancer

TASKS = ("count", "detect")


def observe(balancer: Balancer, *means: float, tokens: float = 10.0) -> None:
    counts = torch.full((len(means),), tokens)
    balancer.observe(torch.tensor(means) * counts, counts)


@pytest.mark.parametrize("balance", ["uniform", "temperature"])
def test_two_ways_weigh_all_losses_alike(balance: Balance):
    balancer = Balancer(balance, TASKS, window=1)
    for step in range(5):
        observe(balancer, 1.0 + step, 4.0)
    assert balancer.weights().tolist() == [1.0, 1.0]


def test_uncertainty_weighs_by_the_inverse_of_a_tasks_own_smoothed_loss():
    balancer = Balancer("uncertainty", TASKS)
    assert balancer.weights().tolist() == [1.0, 1.0]
    observe(balancer, 1.0, 3.0)
    assert balancer.weights().tolist() == pytest.approx([1.5, 0.5])  # 1 : 1/3, of mean 1
    observe(balancer, 2.0, 3.0)
    first = SMOOTHING * 1.0 + (1 - SMOOTHING) * 2.0
    assert balancer.weights()[0] / balancer.weights()[1] == pytest.approx(3.0 / first)
    assert balancer.weights().mean() == pytest.approx(1.0)


def test_a_task_that_was_not_in_the_step_keeps_its_weight():
    balancer = Balancer("uncertainty", TASKS)
    balancer.observe(torch.tensor([10.0, 0.0]), torch.tensor([10.0, 0.0]))
    assert balancer.weights().tolist() == [1.0, 1.0]
    observe(balancer, 1.0, 3.0)
    before = balancer.weights()
    balancer.observe(torch.tensor([10.0, 0.0]), torch.tensor([10.0, 0.0]))
    assert balancer.weights().tolist() == pytest.approx(before.tolist())


def test_dynamic_weight_averaging_is_that_of_the_paper():
    """Liu et al. 1803.10704: K softmax(w / T), w the last mean loss over the one before; 1 until there are two."""
    balancer = Balancer("dwa", TASKS, window=2)
    for losses in ((4.0, 2.0), (2.0, 2.0), (1.0, 2.0)):
        observe(balancer, *losses)
        assert balancer.weights().tolist() == [1.0, 1.0]
    observe(balancer, 2.0, 2.0)
    rates = [1.5 / 3.0, 2.0 / 2.0]
    powers = [math.exp(rate / SOFTNESS) for rate in rates]
    assert balancer.weights().tolist() == pytest.approx([2 * power / sum(powers) for power in powers])
    observe(balancer, 9.0, 9.0)
    assert balancer.weights().tolist() == pytest.approx([2 * power / sum(powers) for power in powers])


def test_windows_weigh_tokens_and_not_steps():
    balancer = Balancer("dwa", TASKS, window=2)
    observe(balancer, 1.0, 1.0, tokens=30.0)
    observe(balancer, 5.0, 1.0, tokens=10.0)
    assert balancer.means[0].tolist() == pytest.approx([2.0, 1.0])


@pytest.mark.parametrize("balance", ["uncertainty", "dwa"])
def test_a_state_that_is_restored_goes_on_to_the_bit(balance: Balance):
    drawn = torch.Generator().manual_seed(3)
    losses = torch.rand((12, 2), generator=drawn) * 5
    whole, cut = Balancer(balance, TASKS, window=3), Balancer(balance, TASKS, window=3)
    for k, (a, b) in enumerate(losses.tolist()):
        observe(whole, a, b)
        observe(cut, a, b)
        if k == 6:
            kept = json.loads(json.dumps(cut.state()))
            cut = Balancer(balance, TASKS, window=3)
            cut.restore(kept)
        assert torch.equal(whole.weights(), cut.weights())
