"""The mean and standard deviation of the images that a network's weights were trained with."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Normalization(nn.Module):
    """Subtracts a mean from each channel and divides by a standard deviation, both part of the network's weights.

    As it is built it changes nothing, bit for bit, which is how networks are trained from random weights.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("std", torch.ones(channels))

    def set(self, mean: Sequence[float], std: Sequence[float]) -> None:
        """Take a mean and a standard deviation of values in [0, 1], one of each for every channel."""
        self.mean.copy_(torch.tensor(mean))
        self.std.copy_(torch.tensor(std))

    def forward(self, images: Tensor) -> Tensor:
        """Take float [N, C, H, W] in [0, 1], return what the backbone reads, of the same shape."""
        return (images - self.mean[:, None, None]) / self.std[:, None, None]


def with_identity(weights: dict[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Return the weights with those of the normalization as `network` has them, where an old file has none."""
    own = {name: tensor for name, tensor in network.state_dict().items() if name.startswith("normalization.")}
    return {**own, **weights}
