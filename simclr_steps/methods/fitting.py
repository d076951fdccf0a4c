"""How long a training is and how large its batches are, where the settings leave it to the data."""

from __future__ import annotations

import math
from typing import Literal

from simclr_steps.settings.pretrain import FittedPretrain, PretrainSettings

_BATCH_SIZES = (512, 256, 128, 64, 32)  # the first is that of most published recipes
_LEAST_STEPS = 10  # in an epoch
_EPOCHS, _MOST_EPOCHS = 100, 500
_UPDATES = 1_000


def fitted_to(images: int, settings: PretrainSettings) -> FittedPretrain:
    """Return the settings with numbers in place of `auto`, for a number of images to train on."""
    size, epochs = fitted_numbers(images, settings.global_batch_size, settings.epochs)
    parent = fitted_to(images, settings.parent) if settings.parent else None
    fitted = {"global_batch_size": size, "epochs": epochs, "parent": parent}
    return FittedPretrain.model_construct(settings.model_fields_set, **{**dict(settings), **fitted})


def fitted_numbers(images: int, batch_size: int | Literal["auto"], epochs: int | Literal["auto"]) -> tuple[int, int]:
    """Return the number of images in a batch and that of epochs, fitted where they are `auto`."""
    size = _batch_size(images) if batch_size == "auto" else batch_size
    fitting = min(_MOST_EPOCHS, epochs_of(_EPOCHS, _UPDATES, max(1, images // size)))
    return size, fitting if epochs == "auto" else epochs


def epochs_of(least: int, updates: int, steps_per_epoch: int) -> int:
    """Return how many epochs a training has that makes a number of updates, but at least this many."""
    return max(least, math.ceil(updates / steps_per_epoch))


def _batch_size(images: int) -> int:
    """Return the largest of the sizes that leaves an epoch enough steps, or the smallest; never more than there are."""
    fitting = [size for size in _BATCH_SIZES if images // size >= _LEAST_STEPS]
    return fitting[0] if fitting else min(_BATCH_SIZES[-1], images)
