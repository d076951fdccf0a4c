"""By how much one classifier is better than another on the same images, and how sure that is."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_RESAMPLED = 10_000  # times, by bootstrap
_AT_A_TIME = 2**22  # counts, 32 MiB

Values = npt.NDArray[np.float64]


def difference(values: Values, groups: npt.NDArray[np.int64] | None = None) -> tuple[float, float, float]:
    """Return the mean of paired differences of images, [N], and its 95 % interval by bootstrap (percentiles).

    Images are resampled or, as those of one group are alike, whole groups, of which `groups` has each image's number,
    [N]. Units of equal size and difference are interchangeable, so how often each kind of them is drawn is drawn.
    """
    unit = np.arange(len(values)) if groups is None else np.unique(groups, return_inverse=True)[1]
    sizes, sums = np.bincount(unit), np.bincount(unit, weights=values)
    kinds, counts = np.unique(np.stack([sizes, np.round(sums, 9)]), axis=1, return_counts=True)
    generator, units = np.random.default_rng(0), len(sizes)
    means = np.empty(_RESAMPLED)
    step = max(1, _AT_A_TIME // len(counts))
    for start in range(0, _RESAMPLED, step):
        here = means[start : start + step]
        drawn = generator.multinomial(units, counts / units, len(here)).astype(np.float64)
        here[:] = (drawn @ kinds[1]) / (drawn @ kinds[0])
    low, high = np.quantile(means, (0.025, 0.975))
    return float(values.mean()), float(low), float(high)
