"""How far an accuracy can be trusted: the interval that the number of judged images leaves, and the spread."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import pandas as pd

_QUANTILE = NormalDist().inv_cdf(0.975)


def interval(accuracy: float, images: int) -> tuple[float, float]:
    """Return Wilson's interval (1927) of a share of `images` images, at a confidence of 95 %.

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

    def __str__(self) -> str:
        """Return mean, deviation and interval in %: "95.3 ± 0.8 [92.6, 97.1]"."""
        text = f"{100 * self.mean:.1f}"
        if not math.isnan(self.sd):
            text += f" ± {100 * self.sd:.1f}"
        if self.images:
            low, high = interval(self.mean, self.images)
            text += f" [{100 * low:.1f}, {100 * high:.1f}]"
        return text

    def counted(self) -> str:
        """Return the same with the number of values, if there are several."""
        return f"{self} ({self.count})" if self.count > 1 else str(self)


def spread_of(rows: pd.DataFrame) -> Spread:
    """Return the spread of tidy rows of one measure; their `images` are those of the split, NaN where it has none."""
    images = rows["images"].dropna() if "images" in rows else pd.Series(dtype=float)
    least = int(images.min()) if len(images) else None
    return Spread(float(rows["value"].mean()), float(rows["value"].std()), len(rows), least)


def of_seeds_and_draws(rows: pd.DataFrame) -> tuple[float, float]:
    """Return the standard deviations over seeds, of their means over draws, and over draws, of their means over seeds.

    NaN where there is one.
    """
    by_seed, by_draw = (rows.groupby(key)["value"].mean() for key in ("seed", "draw"))
    return float(by_seed.std()), float(by_draw.std())
