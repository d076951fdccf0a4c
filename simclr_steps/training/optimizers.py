"""Optimizers and learning-rate schedules."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from simclr_steps.machine.logs import log
from simclr_steps.settings.optimization import Optimization
from simclr_steps.settings.pretrain import FittedPretrain

Layers = Sequence[Iterable[nn.Parameter]]


def optimizer_and_schedule(
    layers: Layers,
    settings: Optimization,
    learning_rate: float,
    steps_per_epoch: int,
    epochs: int,
    layer_decay: float = 1.0,
    frozen_epochs: int = 0,
) -> OptimizerLRScheduler:
    """Return what Lightning asks for: the optimizer, and its schedule, which is stepped once after every update.

    In the first `frozen_epochs`, all layers but the last have a learning rate of 0.
    """
    layers = [list(layer) for layer in layers]
    optimizer = build_optimizer(layers, settings, learning_rate, layer_decay)
    share = schedule(settings, steps_per_epoch, epochs)

    def share_once_free(step: int) -> float:
        return share(step) if step >= frozen_epochs * steps_per_epoch else 0.0

    of_last_layer = {id(parameter) for parameter in layers[-1]}
    groups = optimizer.param_groups
    shares = [share if id(group["params"][0]) in of_last_layer else share_once_free for group in groups]
    scheduler = LambdaLR(optimizer, shares)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def build_optimizer(
    layers: Layers, settings: Optimization, learning_rate: float, layer_decay: float = 1.0
) -> Optimizer:
    """Return the optimizer of the trainable parameters of some layers, the input's first.

    The last layer has all of the learning rate, and each one before it `layer_decay` times that of the layer behind it.
    Parameters of one dimension, biases and batch norm's, are left out of weight decay and of the adaptation of LARS, as
    in SimCLR (appendix B.1). LARS is You, Gitman and Ginsburg, "Large Batch Training of Convolutional Networks", 2017,
    with a trust coefficient of 0.001 and, as in torch's SGD, the learning rate outside the momentum.
    """
    groups = [
        {**group, "lr": learning_rate * layer_decay**depth}
        for depth, layer in enumerate(reversed(layers))
        for group in _parameter_groups(layer, settings.weight_decay)
    ]
    if settings.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=learning_rate, momentum=settings.momentum, fused=True)
    if settings.optimizer == "lars":
        from timm.optim.lars import Lars  # slow to import, and few need it

        # Without a weight decay timm adapts nothing unless it is told to.
        groups = [{**group, "always_adapt": group["params"][0].ndim > 1} for group in groups]
        return Lars(groups, lr=learning_rate, momentum=settings.momentum)
    kind = torch.optim.Adam if settings.optimizer == "adam" else torch.optim.AdamW
    return kind(groups, lr=learning_rate, fused=True)


def _parameter_groups(parameters: Iterable[nn.Parameter], weight_decay: float) -> list[dict[str, Any]]:
    trainable = [parameter for parameter in parameters if parameter.requires_grad]
    groups = [
        {"params": [p for p in trainable if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trainable if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def scaled_learning_rate(settings: FittedPretrain) -> float:
    """Return the highest learning rate for the global batch size (SimCLR, appendix B.1: linear or square root)."""
    share = settings.global_batch_size / 256
    factor = {"linear": share, "sqrt": math.sqrt(share), "none": 1.0}[settings.learning_rate_scaling]
    return settings.learning_rate * factor


def schedule(settings: Optimization, steps_per_epoch: int, epochs: int) -> Callable[[int], float]:
    """Return the learning rate of each step as a share of the highest: linear warm-up, then the schedule.

    The first step of a warm-up already learns: it has 1 / (steps of the warm-up) of the highest rate.
    """
    warmup = settings.warmup_steps or settings.warmup_epochs * steps_per_epoch
    end = epochs * steps_per_epoch
    if warmup > end:
        log.warning(
            "warning: the warm-up takes %g updates, but training has only %d: it never reaches learning_rate, so "
            "shorten the warm-up",
            warmup,
            end,
        )
    if late := [epoch for epoch in settings.step_epochs if epoch >= epochs]:
        log.warning("warning: the training ends after %d epochs, before step_epochs %s: remove them", epochs, late)
    falls = [epoch * steps_per_epoch for epoch in settings.step_epochs]

    def share(step: int) -> float:
        if step < warmup:
            return min(1.0, (step + 1) / warmup)
        if settings.schedule == "cosine":
            done = (step - warmup) / max(1.0, end - warmup)
            return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
        return settings.step_factor ** sum(step >= fall for fall in falls)  # constant: it never falls

    return share
