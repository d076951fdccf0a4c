"""lightly's own training of SimCLR: its views, its loss and the optimizer of its benchmark of CIFAR-10.

    PYTHONPATH=.lightly python -m tests.benchmarks.lightly_loop resources/cifar10 --out FOLDER --seeds 0 1 2

trains the network of two_cores.yaml with the epochs, batches and temperature there, and writes into FOLDER an encoder
for each seed, lightly-seed0.safetensors, lightly-seed1.safetensors, …, which `compare` takes.
"""

from __future__ import annotations

import argparse
import os
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
    """Train with each seed, and tell how long it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of the packed data set")
    parser.add_argument("--out", type=Path, required=True, help="folder to write the encoders to")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for seed in options.seeds:
        started = time.perf_counter()
        encoder = train(options.data, read_pretrain(RECIPE, BLOCK), seed, workers=os.cpu_count() or 1)
        save_network(options.out / f"lightly-seed{seed}.safetensors", encoder)
        print(f"seed {seed}: {time.perf_counter() - started:.0f} s", flush=True)


def train(data: Path, chosen: FittedPretrain, seed: int, workers: int) -> Encoder:
    """Return an encoder trained on the packed train split, on the CPU; its values are normalized as lightly does it."""
    from lightly.transforms.utils import IMAGENET_NORMALIZE

    torch.manual_seed(seed)
    encoder, device = Encoder(resolve(chosen, read_description(data).image_format)), torch.device("cpu")
    loader = pillow_loader(data, transform(), chosen.global_batch_size, device, workers)
    training = Training(encoder, chosen, device, "fp32")
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
    """Updates an encoder: one pass for each view, by SGD whose learning rate falls as a cosine of the epochs.

    The optimizer is that of docs/source/getting_started/benchmarks/cifar10_benchmark.py of lightly, which computes in
    fp32.
    """

    def __init__(self, encoder: Encoder, chosen: FittedPretrain, device: torch.device, precision: str) -> None:
        from lightly.loss import NTXentLoss

        self._encoder, self._device, self._bf16 = encoder, device, precision == "bf16"
        rate = 0.06 * chosen.global_batch_size / 128
        self._optimizer = torch.optim.SGD(encoder.parameters(), lr=rate, momentum=0.9, weight_decay=5e-4)
        self._schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self._optimizer, chosen.epochs)
        self._loss = NTXentLoss(temperature=chosen.temperature)

    def step(self, views: list[Tensor]) -> None:
        """Update on two views, each [B, C, H, W]."""
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._bf16):
            first, second = (self._encoder(view.to(self._device, non_blocking=True))[1] for view in views)
        self._optimizer.zero_grad()
        self._loss(first.float(), second.float()).backward()
        self._optimizer.step()

    def end_epoch(self) -> None:
        """Lower the learning rate for the next epoch."""
        self._schedule.step()


if __name__ == "__main__":
    main()
