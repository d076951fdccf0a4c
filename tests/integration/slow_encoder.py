"""An encoder that takes its time where a file asks for it, and notes each step with the place where it was computed."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path

import torch
from torch import Tensor, nn


class SlowEncoder(nn.Module):
    """Eight features, which depend on no other image; a step takes 3 seconds as long as the file slow<seed> exists."""

    def __init__(self, channels: int, image_size: tuple[int, int]) -> None:
        super().__init__()
        values = channels * math.prod(image_size)
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(values, 16), nn.ReLU(), nn.Linear(16, 8))
        self.seed = torch.initial_seed()  # the run's, when its network is made

    def forward(self, images: Tensor) -> Tensor:
        if self.training:
            place = (
                os.environ.get(name, "none")
                for name in ("SLURMD_NODENAME", "CUDA_VISIBLE_DEVICES", "SLURM_CPUS_PER_TASK")
            )
            with Path(f"steps{self.seed}").open("a") as stream:
                stream.write(f"{os.getpid()} {' '.join(place)}\n")
            self._dawdle()
        features: Tensor = self.layers(images)
        return features

    def _dawdle(self) -> None:
        until = time.monotonic() + 3
        while time.monotonic() < until and Path(f"slow{self.seed}").exists():
            time.sleep(0.05)


def slow_encoder(channels: int, image_size: tuple[int, int]) -> nn.Module:
    """Return the encoder."""
    return SlowEncoder(channels, image_size)
