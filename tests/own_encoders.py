"""Encoders that a user of the workflow could have written."""

from __future__ import annotations

from torch import nn


def without_batch_norm(channels: int, image_size: int) -> nn.Module:
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


def with_batch_norm(channels: int, image_size: int) -> nn.Module:
    """Return a small network that has running statistics and dropout; 8 features."""
    return nn.Sequential(
        nn.Conv2d(channels, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.Dropout(0.3),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )


def smooth_with_batch_norm(channels: int, image_size: int) -> nn.Module:
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
