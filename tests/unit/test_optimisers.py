"""Weights are decayed as they should be, and the schedule is stepped once for each update."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from simclr_steps.optimisers import build_optimiser, build_schedule, scaled_learning_rate, schedule
from simclr_steps.settings import Optimisation, PretrainSettings


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_biases_and_batch_norm_are_not_decayed(name: str) -> None:
    module = network()
    optimiser = build_optimiser(module, Optimisation.model_validate({"optimiser": name, "weight_decay": 0.1}), 0.01)
    decay = {id(p): group["weight_decay"] for group in optimiser.param_groups for p in group["params"]}
    assert {decay[id(p)] for p in module.parameters() if p.ndim > 1} == {0.1}
    assert {decay[id(p)] for p in module.parameters() if p.ndim <= 1} == {0.0}


def test_frozen_parameters_are_left_out() -> None:
    module = network()
    module[0].requires_grad_(False)  # type: ignore[index]
    optimiser = build_optimiser(module, Optimisation(), 0.01)
    optimised = {id(p) for group in optimiser.param_groups for p in group["params"]}
    assert optimised == {id(p) for p in module.parameters() if p.requires_grad}


def test_schedule_equals_torchs_own_warm_up_and_cosine() -> None:
    steps, warmup = 50, 10

    def optimiser() -> torch.optim.Optimizer:
        return torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.3)

    ours, theirs = optimiser(), optimiser()
    schedulers = [
        build_schedule(ours, "cosine", warmup, steps),
        torch.optim.lr_scheduler.SequentialLR(
            theirs,
            [
                torch.optim.lr_scheduler.LinearLR(theirs, 1 / warmup, 1.0, total_iters=warmup - 1),
                torch.optim.lr_scheduler.CosineAnnealingLR(theirs, steps - warmup),
            ],
            milestones=[warmup],
        ),
    ]
    for _ in range(steps):
        assert ours.param_groups[0]["lr"] == pytest.approx(theirs.param_groups[0]["lr"], rel=1e-6)
        for optimiser_, scheduler in zip((ours, theirs), schedulers, strict=True):
            optimiser_.step()
            scheduler.step()
    assert ours.param_groups[0]["lr"] == pytest.approx(0, abs=1e-9)


def test_constant_schedule_stays_after_its_warm_up() -> None:
    shares = [schedule("constant", 4, 10)(step) for step in range(10)]
    assert shares == [0.25, 0.5, 0.75, *[1.0] * 7]


def test_learning_rate_follows_the_global_batch_size() -> None:
    rates = [
        scaled_learning_rate(PretrainSettings(learning_rate=0.1, global_batch_size=1024, learning_rate_scaling=rule))
        for rule in ("none", "linear", "sqrt")
    ]
    assert rates == pytest.approx([0.1, 0.4, 0.1 * math.sqrt(4)])
