"""The interval of a paired difference is that of an independent bootstrap."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import bootstrap

from simclr_steps.summary.paired import difference


def accuracies(images: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the share of five classifiers of a kind that are right about each image, for two kinds."""
    generator = np.random.default_rng(3)
    hard = generator.random(images)
    better, worse = (generator.random((5, images)) > strength * hard for strength in (0.5, 0.8))
    return better.mean(axis=0), worse.mean(axis=0)


def test_the_interval_of_images_is_that_of_scipy() -> None:
    better, worse = accuracies(400)
    mean, low, high = difference(better - worse)
    found = bootstrap(
        (better, worse),
        lambda x, y, axis: (x - y).mean(axis=axis),
        paired=True,
        vectorized=True,
        method="percentile",
        n_resamples=9_999,
        rng=0,
    )
    assert mean == pytest.approx(better.mean() - worse.mean())
    assert (low, high) == pytest.approx(tuple(found.confidence_interval), abs=0.002)


def test_the_interval_of_groups_is_that_of_whole_groups_and_wider() -> None:
    sizes = np.tile([2, 5, 13], 10)
    groups = np.repeat(np.arange(30), sizes)
    of_group = np.random.default_rng(4).normal(0.1, 0.3, 30)
    values = np.round(of_group, 1)[groups]
    sums = np.bincount(groups, weights=values)
    found = bootstrap(
        (sums, sizes),
        lambda x, n, axis: x.sum(axis=axis) / n.sum(axis=axis),
        paired=True,
        vectorized=True,
        method="percentile",
        n_resamples=9_999,
        rng=0,
    )
    mean, low, high = difference(values, groups)
    assert mean == pytest.approx(values.mean())
    assert (low, high) == pytest.approx(tuple(found.confidence_interval), abs=0.01)
    _, inner_low, inner_high = difference(values)
    assert high - low > 1.5 * (inner_high - inner_low)


def test_classifiers_that_agree_do_not_differ() -> None:
    assert difference(np.zeros(7)) == (0, 0, 0)
