"""The random views that a linear probe is trained on."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from simclr_steps.methods import random_numbers
from simclr_steps.methods.augmenter import Augmenter
from simclr_steps.networks.architecture import Architecture
from simclr_steps.settings.augmentation import Augmentation

_FIRST_EPOCH = -2  # falling from there; pretraining's are 0 and more, and its hold-out's is -1


def views_of(
    augmentation: Augmentation | None, architecture: Architecture, seed: int
) -> Callable[[int], Callable[[Tensor, Tensor], Tensor]] | None:
    """Return a function that gives, for a number from 0, what draws that view as a network reads it.

    That takes images, [B, H, W, C], and their rows, int64 [B], and returns float32 [B, C, height, width]. None without
    augmentation.
    """
    if augmentation is None:
        return None
    augmenter = Augmenter(augmentation, architecture.image_size, architecture.trained_on.is_color)

    def numbered(number: int) -> Callable[[Tensor, Tensor], Tensor]:
        def view(images: Tensor, rows: Tensor) -> Tensor:
            return augmenter(images, random_numbers.keys(seed, _FIRST_EPOCH - number, rows, views=1))[0]

        return view

    return numbered
