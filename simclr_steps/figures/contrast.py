"""How bright dim images are shown: one stretch of their values for all of them, so that they stay comparable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from simclr_steps.figures.thumbnails import Mix

Packed = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

BRIGHTENED = "all images brightened alike"
_BRIGHTENED_SENTENCE = "All images are brightened alike."

_INNER = (0.5, 99.5)  # percentiles that become black and the most light
_LEAST_RANGE = 0.25  # between the two, so that no image becomes more than 4 times as bright and noise stays dim
_DIM = 0.5  # share of the largest value that the upper one reaches where a channel is bright enough as it is
_LOOKED_AT = 256  # images of a split
_MOST_VALUES = 32 << 20  # of these images; of larger ones every second, third or further pixel is looked at


@dataclass(frozen=True)
class Contrast:
    """The values of each channel, [C], as shares of the largest, that are shown as black and as the most light."""

    low: npt.NDArray[np.float32]
    high: npt.NDArray[np.float32]

    def stretched(self, images: Packed) -> npt.NDArray[Any]:
        """Return images [..., C] with their values stretched, of the same type."""
        largest = np.float32(np.iinfo(images.dtype).max)
        shares = np.clip((images / largest - self.low) / (self.high - self.low), 0, 1)
        return np.rint(shares * largest).astype(images.dtype)


def contrast_of_split(images: Packed, mix: Mix | None, *, is_photo: bool = False) -> Contrast | None:
    """Return how all images of a split, [N, H, W, C], are stretched by a look at some of them; photos never are."""
    if is_photo or not len(images):
        return None
    rows = np.linspace(0, len(images) - 1, min(len(images), _LOOKED_AT)).astype(np.int64)
    step = int(np.ceil(np.sqrt(len(rows) * images[0].size / _MOST_VALUES)))
    return contrast_for(images[rows, ::step, ::step], mix)


def contrast_for(images: Packed, mix: Mix | None) -> Contrast | None:
    """Return how images, [N, H, W, C], are stretched; None where each channel is bright enough, or all are empty.

    Of channels that are shown by a mix, a bright one stays as it is, and does not keep a dim one beside it from being
    seen. Without a mix they are colors, or one gray level: colors are stretched only if all of them are dim.
    """
    largest = np.iinfo(images.dtype).max
    low, high = np.percentile(images.reshape(-1, images.shape[-1]), _INNER, axis=0).astype(np.float32) / largest
    is_dim = high < _DIM
    is_dim &= is_dim.all() if mix is None else np.isin(np.arange(len(high)), list(mix))
    if not (is_dim & (high > low)).any():
        return None
    upper = np.maximum(high, low + np.float32(_LEAST_RANGE))
    return Contrast(np.where(is_dim, low, np.float32(0)), np.where(is_dim, upper, np.float32(1)))


def how_shown(channels: str, contrast: Contrast | None) -> list[str]:
    """Return sentences on how images are shown: which of their `channels`, in words, and that they are brightened."""
    return [*([f"Images show {channels}."] if channels else []), *([_BRIGHTENED_SENTENCE] if contrast else [])]
