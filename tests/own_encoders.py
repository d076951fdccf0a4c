"""Encoders that a user of the workflow could have written."""

from __future__ import annotations

import torch
from torch import nn


def without_batch_norm(channels: int, image_size: tuple[int, int]) -> nn.Module:
    """Return a small network whose outputs for one image do not depend on the others in the batch; 16 features."""
    return nn.Sequential(
        nn.Conv2d(channels, 8, 3, padding=1),
        nn.GroupNorm(2, 8),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )


def with_batch_norm(channels: int, image_size: tuple[int, int]) -> nn.Module:
    """Return a small network that has running statistics and dropout; 8 features."""
    return nn.Sequential(
        nn.Conv2d(channels, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.Dropout(0.3),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )


def smooth_with_batch_norm(channels: int, image_size: tuple[int, int]) -> nn.Module:
    """Return a small network without ReLU, at whose kink a rounding error decides on a gradient; 16 features."""
    return nn.Sequential(
        nn.Conv2d(channels, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.SiLU(),
        nn.Conv2d(8, 16, 3, stride=2, padding=1),
        nn.BatchNorm2d(16),
        nn.SiLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )


class _Centered(nn.Module):
    """Subtracts a running mean, which its forward pass replaces."""

    center: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("center", torch.zeros(16))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.center = 0.9 * self.center + 0.1 * x.detach().float().mean(dim=0)
        return x - self.center


def centered(channels: int, image_size: tuple[int, int]) -> nn.Module:
    """Return a small network that assigns a buffer in its forward pass; 16 features."""
    return nn.Sequential(without_batch_norm(channels, image_size), _Centered())


def trained(channels: int, image_size: tuple[int, int]) -> nn.Module:
    """Return a small network whose weights are the same each time, as those of a file are; 16 features."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        return smooth_with_batch_norm(channels, image_size)


class _Scaled(nn.Module):
    """Multiplies features by weights that it cannot draw anew."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.linspace(1, 2, 16))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.scale


def trained_for_good(channels: int, image_size: tuple[int, int]) -> nn.Module:
    """Return a small network with weights that are the same each time in a module without reset_parameters."""
    return nn.Sequential(without_batch_norm(channels, image_size), _Scaled())
