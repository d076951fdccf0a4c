"""lightly's own training of SimCLR: its views, its loss and the settings of its benchmark of CIFAR-10.

    PYTHONPATH=.lightly python -m tests.benchmarks.lightly_loop resources/cifar10 0 1 2

trains the network of two_cores.yaml with these seeds, as long and in as large batches as that does, and writes
lightly-seed0.safetensors, lightly-seed1.safetensors, …, which `compare` takes.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from simclr_steps.data.packed import read_description
from simclr_steps.networks.architecture import resolve
from simclr_steps.networks.encoders import Encoder, save_network
from simclr_steps.settings.pretrain import FittedPretrain
from tests.benchmarks.data import REPOSITORY
from tests.benchmarks.pillow_loader import pillow_loader
from tests.benchmarks.recipe import read_pretrain

RECIPE, BLOCK = REPOSITORY / "tests/benchmarks/two_cores.yaml", "cifar10"


def main() -> None:
    """Train with each seed that is named, and tell how long it took."""
    folder, *seeds = sys.argv[1:]
    for seed in map(int, seeds):
        started = time.perf_counter()
        encoder = train(Path(folder), read_pretrain(RECIPE, BLOCK), seed, workers=os.cpu_count() or 1)
        seconds = time.perf_counter() - started
        save_network(Path(f"lightly-seed{seed}.safetensors"), encoder)
        print(f"seed {seed}: {seconds:.0f} s", flush=True)


def train(data: Path, chosen: FittedPretrain, seed: int, workers: int) -> Encoder:
    """Return an encoder trained on the packed train split, on the CPU; its values are normalized as lightly does it."""
    from lightly.transforms.utils import IMAGENET_NORMALIZE

    torch.manual_seed(seed)
    encoder, device = Encoder(resolve(chosen, read_description(data).image_format)), torch.device("cpu")
    loader = pillow_loader(data, transform(), chosen.global_batch_size, device, workers)
    training = Training(encoder, chosen, device)
    for _ in range(chosen.epochs):
        for views in loader:
            training.step(views)
        training.end_epoch()
    encoder.normalization.set(IMAGENET_NORMALIZE["mean"], IMAGENET_NORMALIZE["std"])
    return encoder


def transform() -> Any:
    """Return what makes two views of a Pillow image, as in lightly's benchmark of CIFAR-10."""
    from lightly.transforms import SimCLRTransform

    return SimCLRTransform(input_size=32, gaussian_blur=0.0)


class Training:
    """Updates an encoder: in fp32, one pass for each view, by SGD whose learning rate falls as a cosine of the epochs.

    The settings are those of docs/source/getting_started/benchmarks/cifar10_benchmark.py of lightly.
    """

    def __init__(self, encoder: Encoder, chosen: FittedPretrain, device: torch.device) -> None:
        from lightly.loss import NTXentLoss

        self._encoder, self._device = encoder, device
        rate = 0.06 * chosen.global_batch_size / 128
        self._optimizer = torch.optim.SGD(encoder.parameters(), lr=rate, momentum=0.9, weight_decay=5e-4)
        self._schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self._optimizer, chosen.epochs)
        self._loss = NTXentLoss(temperature=chosen.temperature)

    def step(self, views: list[Tensor]) -> None:
        """Update on two views, each [B, C, H, W]."""
        first, second = (self._encoder(view.to(self._device, non_blocking=True))[1] for view in views)
        self._optimizer.zero_grad()
        self._loss(first, second).backward()
        self._optimizer.step()

    def end_epoch(self) -> None:
        """Lower the learning rate for the next epoch."""
        self._schedule.step()


if __name__ == "__main__":
    main()
