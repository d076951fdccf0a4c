"""By how much one classifier is better than another on the same images, and how sure that is."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from simclr_steps.summary.intervals import interval

LEAST_UNITS = 6  # by a sign test, fewer are never clear at 5 %: if all of 5 have the same sign, p is 2 / 2^5
_RESAMPLED = 10_000  # times, by bootstrap
_ROUNDING = 1e-9  # of means over classifiers
_AT_A_TIME = 2**22  # counts, 32 MiB

Values = npt.NDArray[np.float64]


def difference(values: Values, groups: npt.NDArray[np.int64] | None = None) -> tuple[float, tuple[float, float] | None]:
    """Return the mean of paired differences of images, [N], and its 95 % interval by bootstrap (percentiles).

    Images are resampled or, as those of one group are alike, whole groups, of which `groups` has each image's number,
    [N]. Units of equal size and difference are interchangeable, so how often each kind of them is drawn is drawn.
    Fewer than 6 units have no interval. If all differ alike, so that there is nothing to resample, the share of units
    that Wilson's interval leaves for others may differ by anything.
    """
    mean = float(values.mean())
    unit = np.arange(len(values)) if groups is None else np.unique(groups, return_inverse=True)[1]
    sizes, sums = np.bincount(unit), np.bincount(unit, weights=values)
    if len(sizes) < LEAST_UNITS:
        return mean, None
    if np.ptp(sums / sizes) < _ROUNDING:
        alike = interval(1.0, len(sizes))[0]
        return mean, (alike * (mean + 1) - 1, alike * (mean - 1) + 1)
    kinds, counts = np.unique(np.stack([sizes, np.round(sums, 9)]), axis=1, return_counts=True)
    generator, units = np.random.default_rng(0), len(sizes)
    means = np.empty(_RESAMPLED)
    step = max(1, _AT_A_TIME // len(counts))
    for start in range(0, _RESAMPLED, step):
        here = means[start : start + step]
        drawn = generator.multinomial(units, counts / units, len(here)).astype(np.float64)
        here[:] = (drawn @ kinds[1]) / (drawn @ kinds[0])
    low, high = np.quantile(means, (0.025, 0.975))
    return mean, (float(low), float(high))
