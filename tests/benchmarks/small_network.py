"""The network of the study of baselines, in a file of its own: edits of the study leave stored encoders valid."""

from __future__ import annotations

import itertools

from torch import nn


def small_network(channels: int, image_size: tuple[int, int]) -> nn.Module:
    """Return three convolutions with batch norm; 128 features."""
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise((channels, 32, 64, 128)):
        convolution = nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False)
        layers += [convolution, nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
