"""Optimisers and learning-rate schedules."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from simclr_steps.settings import Optimisation, PretrainSettings


def build_optimiser(module: nn.Module, settings: Optimisation, learning_rate: float) -> Optimizer:
    """Return the optimiser of a module's trainable parameters; tensors of one dimension are not decayed.

    Biases and batch-norm parameters are left out of weight decay as in SimCLR (appendix B.1).
    """
    groups = _parameter_groups(module.parameters(), settings.weight_decay)
    if settings.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=learning_rate, momentum=settings.momentum, fused=True)
    kind = torch.optim.Adam if settings.optimiser == "adam" else torch.optim.AdamW
    return kind(groups, lr=learning_rate, fused=True)


def _parameter_groups(parameters: Iterable[nn.Parameter], weight_decay: float) -> list[dict[str, object]]:
    trainable = [parameter for parameter in parameters if parameter.requires_grad]
    groups = [
        {"params": [p for p in trainable if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trainable if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def scaled_learning_rate(settings: PretrainSettings) -> float:
    """Return the highest learning rate for the global batch size (SimCLR, appendix B.1: linear or square root)."""
    share = settings.global_batch_size / 256
    factor = {"linear": share, "sqrt": math.sqrt(share), "none": 1.0}[settings.learning_rate_scaling]
    return settings.learning_rate * factor


def build_schedule(optimiser: Optimizer, shape: str, warmup_steps: float, steps: int) -> LambdaLR:
    """Return the schedule that is stepped once after every update."""
    return LambdaLR(optimiser, schedule(shape, warmup_steps, steps))


def schedule(shape: str, warmup_steps: float, steps: int) -> Callable[[int], float]:
    """Return the learning rate of each step as a share of the highest: linear warm-up, then "cosine" or "constant".

    The first step of a warm-up already learns: it has 1 / warmup_steps of the highest rate.
    """

    def share(step: int) -> float:
        if step < warmup_steps:
            return min(1.0, (step + 1) / warmup_steps)
        if shape == "constant":
            return 1.0
        done = (step - warmup_steps) / max(1.0, steps - warmup_steps)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))

    return share
