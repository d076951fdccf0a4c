"""Weights are decayed as they should be, and the schedule is stepped once for each update."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

from simclr_steps.settings.finetune import FinetuneSettings
from simclr_steps.settings.optimization import Optimization
from simclr_steps.settings.pretrain import FittedPretrain, PretrainSettings
from simclr_steps.training.optimizers import build_optimizer, optimizer_and_schedule, scaled_learning_rate, schedule

Array = npt.NDArray[np.float64]


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "lars"])
def test_biases_and_batch_norm_are_not_decayed(name: str) -> None:
    module = network()
    optimizer = build_optimizer(
        [module.parameters()], Optimization.model_validate({"optimizer": name, "weight_decay": 0.1}), 0.01
    )
    decay = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert {decay[id(p)] for p in module.parameters() if p.ndim > 1} == {0.1}
    assert {decay[id(p)] for p in module.parameters() if p.ndim <= 1} == {0.0}


def test_frozen_parameters_are_left_out() -> None:
    module = network()
    module[0].requires_grad_(False)  # type: ignore[index]
    optimizer = build_optimizer([module.parameters()], Optimization(), 0.01)
    optimized = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert optimized == {id(p) for p in module.parameters() if p.requires_grad}


@pytest.mark.parametrize("name", ["sgd", "adamw", "lars"])
def test_each_layer_has_a_share_of_the_rate_of_the_layer_behind_it(name: str) -> None:
    first, middle, head = nn.Conv2d(3, 4, 3), nn.Linear(4, 4), nn.Linear(4, 2)
    settings = FinetuneSettings.model_validate({"optimizer": name, "schedule": "constant"})
    layers = [list(layer.parameters()) for layer in (first, middle, head)]
    configured: Any = optimizer_and_schedule(layers, settings, 0.8, steps_per_epoch=1, epochs=1, layer_decay=0.5)
    rates = {id(p): group["lr"] for group in configured["optimizer"].param_groups for p in group["params"]}
    for layer, rate in ((first, 0.2), (middle, 0.4), (head, 0.8)):
        assert {rates[id(parameter)] for parameter in layer.parameters()} == {rate}


def test_all_but_the_last_layer_can_be_frozen_at_first() -> None:
    backbone, head = nn.Linear(4, 4), nn.Linear(4, 2)
    settings = Optimization(schedule="constant")
    layers = [backbone.parameters(), head.parameters()]
    configured: Any = optimizer_and_schedule(layers, settings, 0.8, 3, 4, layer_decay=0.5, frozen_epochs=2)
    optimizer, scheduler = configured["optimizer"], configured["lr_scheduler"]["scheduler"]
    for step in range(12):
        rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
        assert {rates[id(p)] for p in backbone.parameters()} == {0.4 if step >= 6 else 0.0}
        assert {rates[id(p)] for p in head.parameters()} == {0.8}
        optimizer.step()
        scheduler.step()


def lars_reference(
    weights: list[Array], gradients: list[list[Array]], rate: float, momentum: float, decay: float, trust: float = 1e-3
) -> list[Array]:
    """Return the weights after one update for each list of gradients, by You, Gitman and Ginsburg, 2017, algorithm 1.

    Tensors of one dimension are updated by plain momentum.
    """
    weights, velocity = [w.copy() for w in weights], [np.zeros_like(w) for w in weights]
    for step in gradients:
        for w, v, g in zip(weights, velocity, step, strict=True):
            adapted = w.ndim > 1
            norm = np.linalg.norm(w)
            local_rate = trust * norm / (np.linalg.norm(g) + decay * norm) if adapted else 1.0
            v[...] = momentum * v + rate * local_rate * (g + (decay if adapted else 0.0) * w)
            w -= v
    return weights


@pytest.mark.parametrize("decay", [0.0, 1e-2])
def test_lars_equals_the_papers_algorithm(decay: float) -> None:
    module = network().double()
    settings = Optimization(optimizer="lars", momentum=0.9, weight_decay=decay)
    optimizer = build_optimizer([module.parameters()], settings, 0.5)
    parameters = list(module.parameters())
    generator = np.random.default_rng(0)
    gradients = [[generator.normal(size=tuple(p.shape)) for p in parameters] for _ in range(5)]
    before = [p.detach().numpy().copy() for p in parameters]
    for step in gradients:
        for parameter, gradient in zip(parameters, step, strict=True):
            parameter.grad = torch.from_numpy(gradient.copy())
        optimizer.step()
    expected = lars_reference(before, gradients, 0.5, 0.9, decay)
    for parameter, reference in zip(parameters, expected, strict=True):
        assert np.allclose(parameter.detach().numpy(), reference, rtol=1e-6, atol=1e-8)


def learning_rates(settings: Optimization, epochs: int, steps_per_epoch: int, highest: float) -> list[float]:
    """Return the rates of all updates of a training, stepped as Lightning does."""
    configured: Any = optimizer_and_schedule([network().parameters()], settings, highest, steps_per_epoch, epochs)
    assert configured["lr_scheduler"]["interval"] == "step"
    optimizer, scheduler = configured["optimizer"], configured["lr_scheduler"]["scheduler"]
    rates = []
    for _ in range(epochs * steps_per_epoch):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize("kind", [PretrainSettings, FinetuneSettings])
@pytest.mark.parametrize("warmup", [{"warmup_epochs": 2.0}, {"warmup_steps": 10}])
def test_schedule_equals_torchs_own_warm_up_and_cosine(kind: Any, warmup: dict[str, float]) -> None:
    steps, length = 50, 10
    theirs = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.3)
    scheduler = torch.optim.lr_scheduler.SequentialLR(
        theirs,
        [
            torch.optim.lr_scheduler.LinearLR(theirs, 1 / length, 1.0, total_iters=length - 1),
            torch.optim.lr_scheduler.CosineAnnealingLR(theirs, steps - length),
        ],
        milestones=[length],
    )
    expected = []
    for _ in range(steps):
        expected.append(theirs.param_groups[0]["lr"])
        theirs.step()
        scheduler.step()
    assert learning_rates(kind(**warmup), 10, 5, 0.3) == pytest.approx(expected, rel=1e-6)
    assert theirs.param_groups[0]["lr"] == pytest.approx(0, abs=1e-9)


def test_step_schedule_equals_torchs_own() -> None:
    theirs = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.3)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(theirs, milestones=[3 * 4, 5 * 4], gamma=0.2)
    expected = []
    for _ in range(24):
        expected.append(theirs.param_groups[0]["lr"])
        theirs.step()
        scheduler.step()
    settings = Optimization(schedule="step", step_epochs=[3, 5], step_factor=0.2)
    assert learning_rates(settings, 6, 4, 0.3) == pytest.approx(expected, rel=1e-6)


def test_constant_schedule_stays_after_its_warm_up() -> None:
    share = schedule(Optimization(schedule="constant", warmup_epochs=2), steps_per_epoch=2, epochs=5)
    assert [share(step) for step in range(10)] == [0.25, 0.5, 0.75, *[1.0] * 7]


@pytest.mark.parametrize(("warmup", "warnings"), [(5, 0), (5.5, 1)])
def test_a_warm_up_that_is_longer_than_the_training_is_warned_of(
    warmup: float, warnings: int, caplog: pytest.LogCaptureFixture
) -> None:
    schedule(Optimization(warmup_epochs=warmup), steps_per_epoch=2, epochs=5)
    assert caplog.text.count("the warm-up takes 11 updates, but training has only 10") == warnings


def test_falls_after_an_automatic_number_of_epochs_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    schedule(Optimization(schedule="step", step_epochs=[3, 5, 7]), steps_per_epoch=2, epochs=5)
    assert "warning: the training ends after 5 epochs, before step_epochs [5, 7]: remove them" in caplog.text


def test_learning_rate_follows_the_global_batch_size() -> None:
    rates = [
        scaled_learning_rate(
            FittedPretrain(learning_rate=0.1, epochs=1, global_batch_size=1024, learning_rate_scaling=rule)
        )
        for rule in ("none", "linear", "sqrt")
    ]
    assert rates == pytest.approx([0.1, 0.4, 0.1 * math.sqrt(4)])
