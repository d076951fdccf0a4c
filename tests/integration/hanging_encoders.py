"""Encoders that take their time: in the GPU benchmark's tests."""

from __future__ import annotations

import os
import time
from pathlib import Path

from torch import Tensor, nn

DAWDLES = "SIMCLR_TEST_DAWDLES"  # the variable with the path of a file, as long as which exists a training dawdles


class _Hanging(nn.Sequential):
    passes = 0

    def forward(self, x: Tensor) -> Tensor:
        _Hanging.passes += 1
        if _Hanging.passes > 8:  # a first turn of `bare step` takes 6
            time.sleep(3600)
        features: Tensor = super().forward(x)  # type: ignore[no-untyped-call]
        return features


class _Dawdling(nn.Sequential):
    def forward(self, x: Tensor) -> Tensor:
        if self.training and Path(os.environ[DAWDLES]).exists():
            time.sleep(2)
        features: Tensor = super().forward(x)  # type: ignore[no-untyped-call]
        return features


def hanging(channels: int, image_size: tuple[int, int]) -> nn.Module:
    """Return a network that hangs after some passes."""
    return _Hanging(*_layers(channels))


def dawdling(channels: int, image_size: tuple[int, int]) -> nn.Module:
    """Return a network that dawdles while it trains."""
    return _Dawdling(*_layers(channels))


def _layers(channels: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(channels, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()
