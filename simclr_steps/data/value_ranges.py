"""Find the range of a data set's values, which wait on disk meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from simclr_steps.data.scaling import Values
from simclr_steps.data.splits import Rows
from simclr_steps.settings.image_format import LIMITS_OF_8_BITS, Dtype
from simclr_steps.settings.value_ranges import AUTO, ChannelRange, Limits

_HALF = 16  # bits of a key that a histogram counts at once
_BINS = 1 << _HALF
_SIGN = np.uint32(1 << 31)

Keys = npt.NDArray[np.uint32]
Counts = npt.NDArray[np.int64]


class WaitingValues:
    """Images of a stream in a file that keeps them until the range of their values is known.

    Parameters
    ----------
    write
        Appends bytes to the file `path`.
    trained_on
        Whether each row is trained on: bool [N].
    """

    def __init__(
        self,
        parts: Iterable[tuple[Rows, Values]],
        write: Callable[[memoryview], None],
        path: Path,
        trained_on: npt.NDArray[np.bool_],
        channels: int,
    ) -> None:
        self._path, self._trained_on = path, trained_on
        self._parts: list[tuple[Rows, tuple[int, ...]]] = []  # rows, and the shape of their images
        self._counts = np.zeros((channels, _BINS), dtype=np.int64)  # by the upper half of the keys
        for rows, values in parts:
            write(np.ascontiguousarray(values, dtype=np.float32).data)
            self._parts.append((rows, values.shape))
            self._counts += rough_histogram(values[trained_on[rows]])

    def read(self) -> Iterator[tuple[Rows, Values]]:
        """Yield the rows and their images again: int64 [n], float32 [n, H, W, C]."""
        with self._path.open("rb") as file:
            for rows, shape in self._parts:
                values = np.fromfile(file, dtype=np.float32, count=int(np.prod(shape)))
                yield rows, values.reshape(shape)

    @property
    def is_empty(self) -> bool:
        """Whether there is no image to train on."""
        return not self._counts.any()

    def percentiles(self, wanted: list[list[float]]) -> list[list[float]]:
        """Return percentiles of each channel's values that are trained on: values that occur, not in between.

        A first histogram has told the upper half of a percentile's bits, and a second one tells the lower half, so that
        they are exact whatever the values are, and memory does not grow with their number.
        """
        ranks = [
            np.floor(np.array(of_one) / 100 * (counts.sum() - 1)).astype(np.int64)
            for of_one, counts in zip(wanted, self._counts, strict=True)
        ]
        upper = [
            np.searchsorted(counts.cumsum(), of_one, side="right")
            for of_one, counts in zip(ranks, self._counts, strict=True)
        ]
        lower = [[np.zeros(_BINS, dtype=np.int64) for _ in of_one] for of_one in ranks]
        for rows, values in self.read():
            for channel, histograms in enumerate(lower):
                keys = _keys(values[self._trained_on[rows], ..., channel])
                for half, counts in zip(upper[channel], histograms, strict=True):
                    counts += _count(keys[keys >> np.uint32(_HALF) == half] & np.uint32(_BINS - 1))
        found = []
        for channel, histograms in enumerate(lower):
            before = self._counts[channel].cumsum() - self._counts[channel]
            whole = [
                (int(half) << _HALF) + int(np.searchsorted(counts.cumsum(), rank - before[half], side="right"))
                for half, counts, rank in zip(upper[channel], histograms, ranks[channel], strict=True)
            ]
            found.append(_values(np.array(whole, dtype=np.uint32)).tolist())
        return found


def fixed_limits(wanted: list[ChannelRange], dtype: Dtype) -> list[Limits] | None:
    """Return the limits of each channel, or None if the values decide about some of them."""
    limits = [LIMITS_OF_8_BITS if part == "auto" and dtype == "uint8" else part for part in wanted]
    return limits if all(isinstance(part, tuple) for part in limits) else None  # type: ignore[return-value]


def found_limits(wanted: list[ChannelRange], dtype: Dtype, waiting: WaitingValues) -> list[Limits]:
    """Return the limits of each channel.

    Where percentiles coincide, as those of an image that is mostly black, the least and the largest value take their
    place; and where these coincide as well, the channel is constant and becomes 0.
    """
    if waiting.is_empty:  # because of unreadable images, for example, which is told once all are packed
        return [LIMITS_OF_8_BITS] * len(wanted)
    asked = [(AUTO if part == "auto" else part) for part in wanted]
    percentiles = [[0, 100, *(() if isinstance(part, tuple) else part.percentiles)] for part in asked]
    limits: list[Limits] = []
    for part, own, (least, largest, *between) in zip(wanted, asked, waiting.percentiles(percentiles), strict=True):
        if part == "auto" and dtype == "uint8":
            limits.append(LIMITS_OF_8_BITS)
        elif isinstance(own, tuple):
            limits.append(own)
        elif between[0] < between[1]:
            limits.append((between[0], between[1]))
        else:
            limits.append((least, largest) if least < largest else (least, least + max(1.0, abs(least))))
    return limits


def rough_histogram(values: Values) -> Counts:
    """Return how many values, [..., C], have each upper half of the bits of a float32, in order: int64 [C, bins].

    Those that are NaN do not count.
    """
    channels = range(values.shape[-1])
    return np.stack([_count(_keys(values[..., channel]) >> np.uint32(_HALF)) for channel in channels])


def rough_percentiles(histogram: Counts, wanted: Sequence[float]) -> list[float]:
    """Return percentiles of one channel's values, [bins], to 8 bits: up to 1 % below those that occur."""
    ranks = np.array(wanted) / 100 * (histogram.sum() - 1)
    bins = np.searchsorted(histogram.cumsum(), ranks, side="right")
    return [float(value) for value in _values(bins.astype(np.uint32) << np.uint32(_HALF))]


def mean_and_std(histogram: npt.NDArray[np.int64]) -> tuple[list[float], list[float]]:
    """Return the mean and the standard deviation of each channel's pixels, in [0, 1]: int64 [C, B] of packed values."""
    values = np.arange(histogram.shape[1]) / (histogram.shape[1] - 1)
    share = histogram / histogram.sum(axis=1, keepdims=True)
    mean = share @ values
    std = np.sqrt((share * (values - mean[:, None]) ** 2).sum(axis=1))
    return mean.tolist(), std.tolist()


def _keys(values: npt.NDArray[np.generic]) -> Keys:
    """Return whole numbers of 32 bits in the order of the values, without those that are NaN."""
    flat = np.asarray(values, dtype=np.float32).ravel()
    bits = flat[~np.isnan(flat)].view(np.uint32)
    return np.asarray(np.where(bits & _SIGN, ~bits, bits | _SIGN))


def _values(keys: Keys) -> npt.NDArray[np.float32]:
    return np.where(keys & _SIGN, keys & ~_SIGN, ~keys).view(np.float32)


def _count(halves: Keys) -> Counts:
    return np.bincount(halves, minlength=_BINS).astype(np.int64, copy=False)
