"""How far an accuracy can be trusted: the interval that the judged images or groups leave, and the spread."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

_QUANTILE = NormalDist().inv_cdf(0.975)
_RESAMPLED = 2000  # times, by bootstrap
_FEW_GROUPS = 5  # fewer have too few different samples: those of two groups are three


@dataclass(frozen=True)
class ByGroup:
    """How many images each judged group has, and how many of them are right, on average over classifiers: [G]."""

    images: npt.NDArray[np.float64]
    right: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.images)

    @classmethod
    def of(cls, counts: Mapping[str, Any] | None, metric: str) -> ByGroup | None:
        """Return what results hold under `by_group`, of one of its measures; None where images have no groups."""
        return cls(np.array(counts["images"], float), np.array(counts[metric], float)) if counts else None


def interval(accuracy: float, images: int, groups: ByGroup | None = None) -> tuple[float, float]:
    """Return the interval of the share of `images` images that are right, at a confidence of 95 %.

    With groups, whose images are not independent, it is that of 2,000 bootstrap samples of as many whole groups; or, if
    there are fewer than 5 groups or all fare alike, so that there is nothing to resample, Wilson's of as many images as
    there are groups.
    """
    if groups is None:
        return _wilson(accuracy, images)
    if len(groups) < _FEW_GROUPS or np.ptp(groups.right / groups.images) == 0:
        return _wilson(accuracy, len(groups))
    drawn = _resampled(len(groups))
    low, high = np.quantile((drawn @ groups.right) / (drawn @ groups.images), (0.025, 0.975))
    return float(low), float(high)


@lru_cache(maxsize=4)
def _resampled(groups: int) -> npt.NDArray[np.float64]:
    """Return how often each group is in each of the samples: [S, G]."""
    return np.random.default_rng(0).multinomial(groups, np.full(groups, 1 / groups), _RESAMPLED).astype(np.float64)


def _wilson(accuracy: float, images: int) -> tuple[float, float]:
    """Return Wilson's interval (1927) of a share of `images` images.

    A mean of several classifiers on the same images, which is a share of no whole number of them, is given the interval
    of one.
    """
    z2 = _QUANTILE**2 / images
    center = (accuracy + z2 / 2) / (1 + z2)
    half = math.sqrt(z2 * accuracy * (1 - accuracy) + z2**2 / 4) / (1 + z2)
    return max(0.0, center - half), min(1.0, center + half)


@dataclass(frozen=True)
class Spread:
    """Several values of one measure, as shares of 1."""

    mean: float
    sd: float  # of the sample, n - 1; NaN of one value
    count: int
    images: int | None = None  # judged by each value; None where it is no share of images
    by_group: ByGroup | None = None  # mean over the values

    def __str__(self) -> str:
        """Return mean, deviation and interval in %: "95.3 ± 0.8 [92.6, 97.1]"."""
        text = f"{100 * self.mean:.1f}"
        if not math.isnan(self.sd):
            text += f" ± {100 * self.sd:.1f}"
        if self.images:
            low, high = interval(self.mean, self.images, self.by_group)
            text += f" [{100 * low:.1f}, {100 * high:.1f}]"
        return text

    def counted(self) -> str:
        """Return the same with the number of values, if there are several."""
        return f"{self} ({self.count})" if self.count > 1 else str(self)


def spread_of(rows: pd.DataFrame) -> Spread:
    """Return the spread of tidy rows of one measure; their `images` are those of the split, NaN where it has none."""
    images = rows["images"].dropna() if "images" in rows else pd.Series(dtype=float)
    least = int(images.min()) if len(images) else None
    by_group = _mean_of(rows["by_group"].dropna().tolist()) if "by_group" in rows else None
    return Spread(float(rows["value"].mean()), float(rows["value"].std()), len(rows), least, by_group)


def _mean_of(by_group: Sequence[ByGroup]) -> ByGroup | None:
    """Return the mean over classifiers that are judged on the same groups."""
    if not by_group:
        return None
    return ByGroup(by_group[0].images, np.mean([one.right for one in by_group], axis=0))


def of_seeds_and_draws(rows: pd.DataFrame) -> tuple[float, float]:
    """Return the standard deviations over seeds, of their means over draws, and over draws, of their means over seeds.

    NaN where there is one.
    """
    by_seed, by_draw = (rows.groupby(key)["value"].mean() for key in ("seed", "draw"))
    return float(by_seed.std()), float(by_draw.std())
