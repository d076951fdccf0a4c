"""The loader of a common training: worker processes that transform one Pillow image after the other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from simclr_steps.data.packed import read_split


class PillowImages(Dataset[list[Tensor]]):
    """Images as transforms of PIL want them."""

    def __init__(self, images: np.ndarray, transform: Callable[..., list[Tensor]]) -> None:
        self._images, self._transform = images, transform

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, row: int) -> list[Tensor]:
        return self._transform(Image.fromarray(self._images[row]))


def pillow_loader(
    data: Path, transform: Callable[..., list[Tensor]], batch: int, device: torch.device, workers: int
) -> DataLoader[list[Tensor]]:
    """Return shuffled batches of the packed train split's images, as a list of views [B, C, H, W]."""
    return DataLoader(
        PillowImages(np.array(read_split(data, "train").images), transform),
        batch,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=device.type == "cuda",
    )
