"""Random numbers that depend on what they are for, not on when or where they are drawn.

Every number is a hash of a key, so an image's augmentation is the same whichever process draws it, however the
batch is split, and whenever training resumes.
"""

from __future__ import annotations

import torch
from torch import Tensor

# The mixing constants of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014),
# written as the signed integers that torch.int64 holds; its multiplication wraps, as the algorithm wants.
_GOLDEN_GAMMA = 0x9E3779B97F4A7C15 - (1 << 64)
_FIRST_MULTIPLIER = 0xBF58476D1CE4E5B9 - (1 << 64)
_SECOND_MULTIPLIER = 0x94D049BB133111EB - (1 << 64)
_INVERSE_OF_GAMMA = pow(0x9E3779B97F4A7C15, -1, 1 << 64) - (1 << 64)


def keys(seed: int, epoch: int, images: Tensor, views: int) -> Tensor:
    """Return one key for every image and view.

    Parameters
    ----------
    images
        int64 [B], the images' indices in the data set.
    views
        How many views each image gets.

    Returns
    -------
    int64 [V, B].
    """
    # One number, made on the CPU for the keys of any device: a GPU would take longer to start each operation.
    run = _mix(_mix(torch.full((), seed, dtype=torch.int64)) + epoch)
    view = torch.arange(views, dtype=torch.int64, device=images.device)
    return _mix(_mix(run + images)[None, :] + view[:, None])


def uniform(key: Tensor, count: int) -> Tensor:
    """Return `count` numbers for every key, float32 in [0, 1): int64 [...] to float32 [..., count]."""
    position = torch.arange(1, count + 1, dtype=torch.int64, device=key.device)
    # This is key + position · gamma: torch.compile makes an int32 index of `position`, which, as the factor of a
    # constant of 64 bits, compiles on no GPU (pytorch #175966).
    bits = _mix(((key * _INVERSE_OF_GAMMA)[..., None] + position) * _GOLDEN_GAMMA)
    return _shift_right(bits, 40).to(torch.float32) * 2.0**-24


def _mix(state: Tensor) -> Tensor:
    """Scramble int64 numbers with SplitMix64's finalizer, after one step of its counter."""
    state = state + _GOLDEN_GAMMA
    state = (state ^ _shift_right(state, 30)) * _FIRST_MULTIPLIER
    state = (state ^ _shift_right(state, 27)) * _SECOND_MULTIPLIER
    return state ^ _shift_right(state, 31)


def _shift_right(bits: Tensor, places: int) -> Tensor:
    """Shift without copying the sign bit, which torch's >> does."""
    return (bits >> places) & ((1 << (64 - places)) - 1)
