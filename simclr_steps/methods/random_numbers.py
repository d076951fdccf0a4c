"""Random numbers that depend on what they are for, not on when or where they are drawn.

Every number is a hash of a key, so an image's augmentation is the same whichever process draws it, however the
batch is split, and whenever training resumes.
"""

from __future__ import annotations

import math

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
    """Return `count` numbers for every key, float32 in [0, 1): int64 [...] to float32 [..., count].

    The first numbers of a key are the same whatever the count.
    """
    return _shift_right(_bits(key, count), 40).to(torch.float32) * 2.0**-24


def normal(key: Tensor, count: int) -> Tensor:
    """Return `count` numbers of a standard normal distribution for every key: int64 [...] to float32 [..., count].

    Each hash makes two of them (Box and Muller, "A note on the generation of random normal deviates", 1958); none is
    further from 0 than 5.8.
    """
    bits = _bits(key, -(-count // 2))
    radius = torch.sqrt(-2 * torch.log((_shift_right(bits, 40) + 1).to(torch.float32) * 2.0**-24))
    angle = (bits & ((1 << 24) - 1)).to(torch.float32) * (2 * math.pi * 2.0**-24)
    return torch.cat([radius * torch.cos(angle), radius * torch.sin(angle)], dim=-1)[..., :count]


def derived(key: Tensor, purpose: int) -> Tensor:
    """Return keys, int64 [...], whose numbers have nothing to do with those of the given keys or of other purposes."""
    return _mix(_mix(key) + purpose)


def _bits(key: Tensor, count: int) -> Tensor:
    """Return `count` hashes for every key: int64 [...] to int64 [..., count]."""
    position = torch.arange(1, count + 1, dtype=torch.int64, device=key.device)
    # This is key + position · gamma: torch.compile makes an int32 index of `position`, which, as the factor of a
    # constant of 64 bits, compiles on no GPU (pytorch #175966).
    return _mix(((key * _INVERSE_OF_GAMMA)[..., None] + position) * _GOLDEN_GAMMA)


def _mix(state: Tensor) -> Tensor:
    """Scramble int64 numbers with SplitMix64's finalizer, after one step of its counter."""
    state = state + _GOLDEN_GAMMA
    state = (state ^ _shift_right(state, 30)) * _FIRST_MULTIPLIER
    state = (state ^ _shift_right(state, 27)) * _SECOND_MULTIPLIER
    return state ^ _shift_right(state, 31)


def _shift_right(bits: Tensor, places: int) -> Tensor:
    """Shift without copying the sign bit, which torch's >> does."""
    return (bits >> places) & ((1 << (64 - places)) - 1)
